#include "explain.h"
#include "listing_names.h"

#include "cpu/cpuid.h"
#include "cpu/rig.h"
#include "cpu/system.h"
#include "translator/build.h"
#include "translator/capstone_library.h"

#include <Zydis/Zydis.h>
#include <capstone/capstone.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAY(errno_value, ...) (snprintf(error, error_bytes, __VA_ARGS__), -(errno_value))
#define RAM_BYTES             (16u << 20)
#define CODE_AT               0x100000u
#define HLT                   0xf4 /* fills the memory around the code: it ends a block and needs all flags */
#define SITE_BYTES            2    /* translator_slow_access(), translator_segment() */
#define CACHE_SIZE            (16u << 20)

static bool is_long(enum explain_mode mode)
{
    return mode == EXPLAIN_KERNEL64 || mode == EXPLAIN_USER64 || mode == EXPLAIN_WINDOW64;
}

static bool has_host_window(enum explain_mode mode)
{
    return mode == EXPLAIN_WINDOW || mode == EXPLAIN_WINDOW64;
}

static bool is_user(enum explain_mode mode)
{
    return mode == EXPLAIN_USER || mode == EXPLAIN_VM86 || mode == EXPLAIN_USER64 || has_host_window(mode);
}

static void set_segments(struct vcpu *v, enum explain_mode mode)
{
    if (mode == EXPLAIN_REAL || mode == EXPLAIN_VM86) {
        for (enum seg seg = 0; seg < SEG_COUNT; seg++)
            v->seg[seg] = (struct segment){0, 0xffff, mode == EXPLAIN_VM86 ? 0xf3 : 0x93, 0, 0, 0};
        return;
    }
    u32 access = AR_P | AR_S | AR_DB | AR_G | AR_WRITABLE | AR_ACCESSED | (is_user(mode) ? AR_DPL : 0);
    for (enum seg seg = 0; seg < SEG_COUNT; seg++)
        v->seg[seg] = (struct segment){.limit = 0xffffffff, .selector = 16, .access = access};
    v->seg[SEG_CS].access |= AR_CODE;
    if (is_long(mode)) v->seg[SEG_CS].access ^= AR_DB | AR_L;
}

/* Page tables for the code of a 64-bit guest (AMD APM 2 5.3): one table of each level, and two of the lowest, because
 * the code may lie on both sides of a 2 MB boundary. */
enum { PML4_AT = 0x1000, PDPT_AT = 0x2000, DIRECTORY_AT = 0x4000, PAGE_TABLE_AT = 0x6000, PRESENT = 7 };

static void put_entry(struct rig *rig, u64 table, u64 index, u64 value)
{
    phys_write(&rig->phys, table + index % 512 * 8, 8, value | PRESENT);
}

static void map_code(struct rig *rig, u64 rip, u64 gpa, u64 bytes)
{
    u64 first = rip >> PAGE_SHIFT, last = (rip + bytes + PAGE_SIZE) >> PAGE_SHIFT;
    for (u64 page = first; page <= last; page++) {
        u64 table = PAGE_TABLE_AT + (page >> 9 == first >> 9 ? 0 : PAGE_SIZE);
        u64 directory = DIRECTORY_AT + (page >> 18 == first >> 18 ? 0 : PAGE_SIZE);
        u64 pointers = PDPT_AT + (page >> 27 == first >> 27 ? 0 : PAGE_SIZE);
        put_entry(rig, PML4_AT, page >> 27, pointers);
        put_entry(rig, pointers, page >> 18, directory);
        put_entry(rig, directory, page >> 9, table);
        put_entry(rig, table, page, (gpa & ~(u64)PAGE_MASK) + ((page - first) << PAGE_SHIFT));
    }
}

/* As for a Linux kernel or one of its programs: flat segments, IOPL 0, all extended states that the CPU has. */
static void set_mode(struct vcpu *v, enum explain_mode mode)
{
    u32 extended = cpu_model_xcr0(v->model);
    vcpu_reset(v);
    if (mode != EXPLAIN_REAL) v->paging.cr0 |= CR0_PE | CR0_NE;
    v->paging.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (is_long(mode)) {
        v->paging.cr0 |= CR0_PG;
        v->paging.cr4 |= CR4_PAE;
        v->paging.efer |= EFER_SCE | EFER_LME | EFER_LMA;
        v->paging.cr3 = PML4_AT;
    }
    if (extended && mode != EXPLAIN_REAL) {
        v->paging.cr4 |= CR4_OSXSAVE;
        v->xcr0 = extended;
    }
    v->cpl = is_user(mode) ? 3 : 0;
    if (mode == EXPLAIN_VM86) v->eflags |= FL_VM;
    set_segments(v, mode);
    shadow_load_root(v->shadow, &v->paging);
    vcpu_update_mode(v);
}

/* Nothing runs, so it is enough that the mode key says so. The code is that of a program whose stack and data lie where
 * Linux puts them. */
static void set_window(struct vcpu *v, u64 rip)
{
    v->mode |= MODE_WINDOW;
    if (v->mode & MODE_CODE64) v->mode |= MODE_STACK_HIGH | (rip >> 32 ? 0 : (u32)MODE_SAME);
}

/* A rig that translates and runs nothing. */
static struct rig *engine_open(enum explain_mode mode)
{
    struct rig *rig = rig_open(RAM_BYTES);
    struct translator_config config = translator_defaults();
    config.cache_bytes = CACHE_SIZE;
    if (!rig) return NULL;
    if (is_long(mode)) rig->vcpu.model = cpu_model_find("max64");
    if (translator_init(&rig->vcpu, &config)) {
        rig_close(rig);
        return NULL;
    }
    rig->translated_code_written = translator_code_written;
    set_mode(&rig->vcpu, mode);
    return rig;
}

static void engine_close(struct rig *rig)
{
    translator_destroy(&rig->vcpu);
    rig_close(rig);
}

/* --- one block --- */

struct disassembler {
    csh host, guest;
    ZydisMachineMode zydis_guest;
    cs_insn *line;
};

/* The text of an instruction and its length, or 0. Zydis helps where Capstone does not know the instruction; that of
 * Debian 12 knows only some of AVX-512. */
static unsigned disassemble(const struct disassembler *d, bool guest, const u8 *code, size_t left,
                            u64 address, char *text, size_t text_bytes)
{
    size_t rest = left;
    ZydisDisassembledInstruction i;
    if (cs_disasm_iter(guest ? d->guest : d->host, &code, &rest, &address, d->line)) {
        snprintf(text, text_bytes, "%s%s%s", d->line->mnemonic, d->line->op_str[0] ? " " : "",
                 d->line->op_str);
        return d->line->size;
    }
    if (ZYAN_FAILED(ZydisDisassembleIntel(guest ? d->zydis_guest : ZYDIS_MACHINE_MODE_LONG_64, address, code,
                                          left, &i)))
        return 0;
    snprintf(text, text_bytes, "%s", i.text);
    return i.info.length;
}

static void list_host(struct explained_block *x, struct disassembler *d, const u8 *code, u32 from, u32 to)
{
    const u8 *at = code + from;
    size_t left = to - from;
    u64 address = from;
    /* Bytes that follow a call of a slow path: they tell it about the access. */
    unsigned data = 0;
    while (left) {
        struct host_line *line = &x->line[x->line_count++];
        unsigned bytes = data ? 0 : disassemble(d, false, at, left, address, line->text, sizeof(line->text));
        line->offset = (u32)address;
        if (bytes) {
            line->note = listing_name(line->text);
            if (line->note &&
                (!strcmp(line->note, listing_slow_access) || !strcmp(line->note, listing_segment)))
                data = SITE_BYTES;
        } else {
            data -= data > 0;
            snprintf(line->text, sizeof(line->text), ".byte 0x%02x", *at);
            bytes = 1;
        }
        line->bytes = (u8)bytes;
        at += bytes, left -= bytes, address += bytes;
    }
}

static enum explain_mark mark_of(const struct build *b, unsigned n, const u8 *host, unsigned host_bytes)
{
    const struct insn *i = &b->insn[n];
    switch ((enum decision)b->decision[n]) {
    case BY_CALLOUT: return MARK_CALLOUT;
    case BY_EMITTER: return i->row->treatment == TREAT_BRANCH ? MARK_BRANCH : MARK_INLINE;
    case BY_REWRITE: break;
    }
    return host_bytes == i->length && !memcmp(host, i->bytes, i->length) ? MARK_IDENTICAL : MARK_REWRITTEN;
}

static bool is_hoisted(const struct build *b, unsigned n)
{
    for (unsigned slot = 0; slot < HOIST_SLOTS; slot++) {
        unsigned group = b->access[n][slot].group;
        if (b->hoists && group && b->hoist.any) return true;
    }
    return false;
}

static void explain_insn(struct explained_block *x, struct disassembler *d, const struct build *b, unsigned n)
{
    struct explained_insn *i = &x->insn[n];
    const struct insn *insn = &b->insn[n];
    u32 from = b->piece[n] - b->block->start;
    u32 to = (n + 1 < b->count ? b->piece[n + 1] : b->stubs_at) - b->block->start;
    const u8 *host = b->e.base + b->block->start;
    *i = (struct explained_insn){.eip = b->key.eip + b->offset[n],
                                 .length = insn->length,
                                 .row = insn->row,
                                 .mark = mark_of(b, n, host + from, to - from),
                                 .live_before = b->live[n],
                                 .live_after = b->live[n + 1],
                                 .hoisted = is_hoisted(b, n),
                                 .line = x->line_count,
                                 .host_bytes = to - from};
    memcpy(i->code, insn->bytes, insn->length);
    for (unsigned o = 0; o < insn->operand_count; o++)
        i->memory |= insn->op[o].kind == OPND_MEM;
    if (!disassemble(d, true, insn->bytes, insn->length, i->eip, i->text, sizeof(i->text)))
        snprintf(i->text, sizeof(i->text), "(unknown)");
    list_host(x, d, host, from, to);
    i->lines = x->line_count - i->line;
}

/* The block begins at byte `at` of the code. How many of its instructions belong to the code? The others fill the
 * memory. */
static unsigned own_count(const struct build *b, u32 at, u32 bytes)
{
    unsigned n = 0;
    while (n < b->count && at + b->offset[n] < bytes)
        n++;
    return n;
}

static bool explain_block(struct explained_block *x, struct disassembler *d, const struct build *b,
                          unsigned own)
{
    const struct block *block = b->block;
    const u8 *host = b->e.base + block->start;
    u32 stubs = b->stubs_at - block->start;
    *x = (struct explained_block){.eip = block_rip(block),
                                  .host_bytes = own < b->count ? b->piece[own] - block->start : stubs,
                                  .stub_bytes = block->host_bytes - stubs,
                                  .insn = calloc(b->count, sizeof(*x->insn)),
                                  .line = calloc(block->host_bytes + 1u, sizeof(*x->line)),
                                  .edge = calloc(block->edge_count + 1u, sizeof(*x->edge))};
    if (!x->insn || !x->line || !x->edge) return false;
    list_host(x, d, host, 0, b->piece[0] - block->start);
    x->entry_lines = x->line_count;
    for (x->count = 0; x->count < own; x->count++)
        explain_insn(x, d, b, x->count);
    x->stub_line = x->line_count;
    list_host(x, d, host, stubs, block->host_bytes);
    for (unsigned n = 0; n < block->edge_count; n++) {
        const struct edge *edge = &block_edges(block)[n];
        if (edge->unhoisted || (block->site && n == block_indirect(block)->edge)) continue;
        u64 eip = block_rip(block) + (u64)(s64)(s32)(edge->eip - block->eip);
        x->edge[x->edge_count++] =
            (struct explained_edge){mode_mask_rip(block->mode, eip), edge->frame_patch != 0};
    }
    return true;
}

/* --- all blocks --- */

static void sum_up(struct explanation *x, unsigned from)
{
    for (unsigned b = from; b < x->count; b++) {
        const struct explained_block *block = &x->block[b];
        x->host_bytes += block->host_bytes;
        x->stub_bytes += block->stub_bytes;
        x->host_count += block->stub_line;
        for (unsigned n = 0; n < block->count; n++) {
            x->marks[block->insn[n].mark]++;
            x->guest_count++;
            x->guest_bytes += block->insn[n].length;
        }
    }
}

static bool add_block(struct explanation *x, struct disassembler *d, const struct build *b, unsigned own)
{
    struct explained_block *more = realloc(x->block, (x->count + 1) * sizeof(*more));
    if (!more) return false;
    x->block = more;
    return explain_block(&x->block[x->count++], d, b, own);
}

/* Bytes of the code that an instruction of the block covers. A block leaves out the bytes that a jump within it
 * skips. */
static void note_covered(u8 *covered, u32 bytes, u32 at, const struct build *b)
{
    for (unsigned n = 0; n < b->count; n++)
        for (unsigned k = 0; k < b->insn[n].length; k++)
            if (at + b->offset[n] + k < bytes) covered[at + b->offset[n] + k] = 1;
}

static int translate_all(struct explanation *x, struct disassembler *d, struct rig *rig,
                         const struct guest_code *code, enum explain_mode mode, char *error,
                         size_t error_bytes)
{
    struct vcpu *v = &rig->vcpu;
    struct engine *t = v->engine;
    u64 gpa = CODE_AT + (code->rip & PAGE_MASK);
    u8 *covered = calloc(code->bytes, 1);
    if (!covered) return SAY(ENOMEM, "out of memory");
    for (u64 page = gpa & ~PAGE_MASK; page < gpa + code->bytes + PAGE_SIZE; page += PAGE_SIZE)
        memset(phys_host(&rig->phys, page), HLT, PAGE_SIZE);
    phys_write_bytes(&rig->phys, gpa, code->code, code->bytes);
    if (v->mode & MODE_LONG) map_code(rig, code->rip, gpa, code->bytes);
    if (has_host_window(mode)) set_window(v, code->rip);
    int status = 0;
    for (u32 at = 0; at < code->bytes && !status; at++) {
        if (covered[at]) continue;
        struct block_key key = {.gpa = gpa + at,
                                .eip = code->rip + at,
                                .mode = v->mode,
                                .cs_limit = v->mode & (MODE_CODE32 | MODE_CODE64) ? UINT32_MAX : 0xffff};
        translator_flush(v); /* no block may be a copy of another: it would not be planned */
        struct block *block = translate(v, &key);
        fpu_park(v);
        if (!block) {
            status = SAY(EINVAL, "the translator leaves the instruction at %08llx to the interpreter",
                         (ull)key.eip);
            break;
        }
        unsigned own = own_count(t->build, at, code->bytes);
        u32 last = at + t->build->offset[own - 1];
        note_covered(covered, code->bytes, at, t->build);
        if (last + t->build->insn[own - 1].length > code->bytes)
            status = SAY(EINVAL, "the code ends in the middle of the instruction at %08llx",
                         (ull)(code->rip + last));
        else if (!add_block(x, d, t->build, own))
            status = SAY(ENOMEM, "out of memory");
    }
    free(covered);
    return status;
}

static void drop_blocks(struct explanation *x, unsigned from)
{
    for (unsigned n = from; n < x->count; n++) {
        free(x->block[n].insn);
        free(x->block[n].line);
        free(x->block[n].edge);
    }
    x->count = from;
}

static cs_mode guest_mode(enum explain_mode mode)
{
    if (is_long(mode)) return CS_MODE_64;
    return mode == EXPLAIN_REAL || mode == EXPLAIN_VM86 ? CS_MODE_16 : CS_MODE_32;
}

static ZydisMachineMode guest_machine_mode(enum explain_mode mode)
{
    if (is_long(mode)) return ZYDIS_MACHINE_MODE_LONG_64;
    return guest_mode(mode) == CS_MODE_16 ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_LEGACY_32;
}

int explain(struct explanation *x, const struct guest_code *code, enum explain_mode mode, char *error,
            size_t error_bytes)
{
    unsigned from = x->count;
    struct disassembler d = {.zydis_guest = guest_machine_mode(mode)};
    if (!library_load(&capstone_library, error, error_bytes)) return -ENOSYS;
    struct rig *rig = engine_open(mode);
    if (!rig) return SAY(ENOMEM, "there is not enough memory, or no address space, for the translator");
    bool good = cs_open(CS_ARCH_X86, CS_MODE_64, &d.host) == CS_ERR_OK &&
                cs_open(CS_ARCH_X86, guest_mode(mode), &d.guest) == CS_ERR_OK && (d.line = cs_malloc(d.host));
    int status =
        good ? translate_all(x, &d, rig, code, mode, error, error_bytes) : SAY(ENOMEM, "out of memory");
    if (d.line) cs_free(d.line, 1);
    if (d.guest) cs_close(&d.guest);
    if (d.host) cs_close(&d.host);
    engine_close(rig);
    if (!status)
        sum_up(x, from);
    else
        drop_blocks(x, from);
    return status;
}

void explanation_free(struct explanation *x)
{
    drop_blocks(x, 0);
    free(x->block);
    x->block = NULL;
}
