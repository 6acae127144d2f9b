/*
 * A block as text: each guest instruction with its host instructions. Capstone prints both, as a second opinion beside
 * Zydis, which decoded the guest code. For system instructions the listing adds the row of the instruction table. The
 * libraries use vector registers, so the FPU is parked.
 */
#include "build.h"
#include "capstone_library.h"
#include "cpu/memory.h"

#include <capstone/capstone.h>

/* One line for each instruction. A byte that does not decode is printed as .byte. */
static void list_code(FILE *out, csh capstone, const char *indent, const u8 *code, size_t left, u64 address)
{
    cs_insn *line = cs_malloc(capstone);
    while (left) {
        if (cs_disasm_iter(capstone, &code, &left, &address, line)) {
            fprintf(out, "%s%08llx  %-8s %s\n", indent, (unsigned long long)line->address, line->mnemonic,
                    line->op_str);
            continue;
        }
        fprintf(out, "%s%08llx  .byte    %02x\n", indent, (unsigned long long)address, *code);
        code++, left--, address++;
    }
    cs_free(line, 1);
}

static void list_host(FILE *out, csh capstone, const struct cache *cache, u32 from, u32 to)
{
    list_code(out, capstone, "        ", cache->arena.write + from, to - from,
              (u64)(uintptr_t)cache_exec(cache, from));
}

static void list_guest(FILE *out, csh capstone, struct vcpu *v, const struct block *block, unsigned n)
{
    u32 at = block_site(block, n).guest;
    u8 bytes[INSN_MAX_BYTES];
    struct insn i;
    /* Read a whole instruction's worth: the next site need not lie directly behind this one. */
    phys_read_bytes(v->phys, block_key(block).gpa + at, bytes, sizeof(bytes));
    insn_decode(&i, bytes, sizeof(bytes), mode_code_size(block->mode));
    list_code(out, capstone, "    ", bytes, i.length, block_rip(block) + at);
    if (!i.row->manual) return;
    fprintf(out, "    (%s: %s; privileged by %s; %s)\n", i.row->name, isa_treatment_name(i.row),
            isa_privilege_name(i.row), i.row->manual);
}

static void list_block(FILE *out, struct vcpu *v, csh host, csh guest, const struct block *block)
{
    struct engine *t = v->engine;
    fprintf(out, "block eip %08llx gpa %llx mode %08x: %u guest bytes, %u instructions, %u host bytes\n",
            (unsigned long long)block_rip(block), (unsigned long long)block_key(block).gpa, block->mode,
            block->guest_bytes, block->count, block->host_bytes);
    list_host(out, host, &t->cache, block->start, block->start + block_site(block, 0).host);
    for (unsigned n = 0; n < block->count; n++) {
        list_guest(out, guest, v, block, n);
        bool last = n + 1u == block->count;
        list_host(out, host, &t->cache, block->start + block_site(block, n).host,
                  block->start + (last ? block->host_bytes : block_site(block, n + 1).host));
    }
}

void translator_list_block(struct vcpu *v, FILE *out)
{
    struct engine *t = v->engine;
    const struct segment *cs = &v->seg[SEG_CS];
    bool code64 = v->mode & MODE_CODE64;
    u64 linear = segment_linear(v, SEG_CS, v->rip);
    u32 frame = fetch_frame(v, linear);
    struct block_key key = {.gpa = (u64)(frame - 1) << PAGE_SHIFT | (linear & PAGE_MASK),
                            .eip = v->rip,
                            .mode = v->mode,
                            .cs_base = code64 ? 0 : cs->base,
                            .cs_limit = code64 ? UINT32_MAX : cs->limit};
    struct block *block = frame ? cache_find(&t->cache, &key) : NULL;
    fpu_park(v);
    if (!block) {
        fprintf(out, "no block at eip %08llx\n", (unsigned long long)v->rip);
        return;
    }
    csh host, guest;
    char error[256];
    if (!library_load(&capstone_library, error, sizeof(error))) {
        fprintf(out, "%s\n", error);
        return;
    }
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &host) != CS_ERR_OK) return;
    if (cs_open(CS_ARCH_X86,
                code64                  ? CS_MODE_64
                : v->mode & MODE_CODE32 ? CS_MODE_32
                                        : CS_MODE_16,
                &guest) == CS_ERR_OK) {
        list_block(out, v, host, guest, block);
        cs_close(&guest);
    }
    cs_close(&host);
}
