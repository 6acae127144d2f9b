/*
 * A block as text: each guest instruction with the host instructions made of it. Library code: parks the FPU.
 */
#include "build.h"

#include <capstone/capstone.h>

static void list_host(FILE *out, csh capstone, const struct cache *cache, u32 from, u32 to)
{
    const u8 *code = cache->arena.write + from;
    size_t left = to - from;
    u64 address = (u64)(uintptr_t)cache_exec(cache, from);
    cs_insn *line = cs_malloc(capstone);
    while (left && cs_disasm_iter(capstone, &code, &left, &address, line))
        fprintf(out, "        %012llx  %-8s %s\n", (unsigned long long)line->address, line->mnemonic,
                line->op_str);
    cs_free(line, 1);
}

static void list_block(FILE *out, struct vcpu *v, csh capstone, const struct block *block)
{
    struct engine *t = v->engine;
    const struct block_key *key = &block->key;
    fprintf(out, "block eip %08x gpa %llx mode %08x: %u guest bytes, %u instructions, %u host bytes\n",
            key->eip, (unsigned long long)key->gpa, key->mode, block->guest_bytes, block->count,
            block->end - block->start);
    list_host(out, capstone, &t->cache, block->start, block->sites[0].host);
    for (unsigned n = 0; n < block->count; n++) {
        const struct site *site = &block->sites[n];
        u8 bytes[INSN_MAX_BYTES];
        struct insn insn;
        char text[96];
        phys_read_bytes(v->phys, key->gpa + site->guest, bytes, sizeof(bytes));
        insn_decode(&insn, bytes, sizeof(bytes), key->mode & MODE_CODE32);
        insn_format(&insn, key->eip + site->guest, key->mode & MODE_CODE32, text, sizeof(text));
        fprintf(out, "    %08x  %s\n", key->eip + site->guest, text);
        list_host(out, capstone, &t->cache, site->host, n + 1u < block->count ? site[1].host : block->end);
    }
}

void translator_list_block(struct vcpu *v, FILE *out)
{
    struct engine *t = v->engine;
    const struct segment *cs = &v->seg[SEG_CS];
    u32 linear = cs->base + (u32)v->rip, frame = v->exec_table[linear >> PAGE_SHIFT];
    struct block_key key = {.gpa = (u64)(frame - 1) << PAGE_SHIFT | (linear & PAGE_MASK),
                            .eip = (u32)v->rip,
                            .mode = v->mode,
                            .cs_base = cs->base,
                            .cs_limit = cs->limit};
    struct block *block = frame ? cache_find(&t->cache, &key) : NULL;
    fpu_park(v);
    if (!block) {
        fprintf(out, "no block at eip %08x\n", (u32)v->rip);
        return;
    }
    csh capstone;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) != CS_ERR_OK) return;
    list_block(out, v, capstone, block);
    cs_close(&capstone);
}
