/*
 * The instruction table against the code that is emitted: each example of a form (study/forms.h) is translated in
 * several modes, and Capstone shows the result. Hazards: a treatment that the table does not have; above all, inline
 * code for a form that must trap in that mode.
 */
#include "check.h"
#include "rig.h"
#include "study/forms.h"
#include "translator/build.h"
#include "translator/capstone_library.h"

#include <capstone/capstone.h>
#include <string.h>

enum {
    FLAT32 = MODE_CODE32 | MODE_STACK32 | MODE_PE | MODE_OSFXSR,
    CODE64 = MODE_LONG | MODE_CODE64 | MODE_PE | MODE_OSFXSR |
             MODE_SEG_BASED << (MODE_SEG_SHIFT + 2 * SEG_FS) |
             MODE_SEG_BASED << (MODE_SEG_SHIFT + 2 * SEG_GS),
    /* CS, SS, DS, ES, FS and GS have limits. */
    LIMITED = 0x555u * (u32)MODE_SEG_LIMITED << MODE_SEG_SHIFT,
};

static const struct {
    const char *name;
    u32 mode;
    bool hot; /* every form that can be inline or identical is */
} modes[] = {
    {"kernel", FLAT32 | MODE_IOPL, true},
    {"user", FLAT32 | MODE_CPL, false},
    {"user, IOPL 3", FLAT32 | MODE_CPL | MODE_IOPL, false},
    {"user, window", FLAT32 | MODE_CPL | MODE_WINDOW, false},
    {"user, CR4.TSD", FLAT32 | MODE_CPL | MODE_TSD, false},
    {"real mode", MODE_OSFXSR | MODE_IOPL | LIMITED, false},
    {"virtual-8086, IOPL 0", MODE_CPL | MODE_PE | MODE_VM86 | MODE_OSFXSR | LIMITED, false},
    {"virtual-8086, IOPL 3", MODE_CPL | MODE_PE | MODE_VM86 | MODE_OSFXSR | MODE_IOPL | LIMITED, false},
    {"64-bit kernel", CODE64 | MODE_IOPL, false},
    {"64-bit user", CODE64 | MODE_CPL, false},
    {"64-bit user, IOPL 3", CODE64 | MODE_CPL | MODE_IOPL, false},
    {"64-bit user, CR4.TSD", CODE64 | MODE_CPL | MODE_TSD, false},
};

/* A summary of the host instructions for one guest instruction. */
struct emitted {
    bool callout;   /* a call into the interpreter */
    bool identical; /* the guest's instruction among them */
    bool ends;      /* the block */
    unsigned count;
};

static csh host, guest[3]; /* by enum code_size */

static void guest_mnemonic(const struct insn *i, enum code_size size, char *name, unsigned bytes)
{
    cs_insn *line;
    name[0] = 0;
    const u8 *code = i->bytes;
    size_t left = i->length;
    uint64_t address = 0;
    line = cs_malloc(guest[size]);
    if (cs_disasm_iter(guest[size], &code, &left, &address, line))
        snprintf(name, bytes, "%s", line->mnemonic);
    cs_free(line, 1);
}

/* call or jmp qword [r15 + thunk] */
static bool is_callout(const cs_insn *line)
{
    static const unsigned thunks[] = {THUNK_CALLOUT, THUNK_FAST};
    char text[32];
    if (strcmp(line->mnemonic, "call")) return false;
    for (unsigned n = 0; n < ARRAY_SIZE(thunks); n++) {
        int at = FRAME_THUNK + 8 * (int)thunks[n];
        snprintf(text, sizeof(text), "[r15 %c 0x%x]", at < 0 ? '-' : '+', (unsigned)abs(at));
        if (strstr(line->op_str, text)) return true;
    }
    return false;
}

static struct emitted look_at(struct rig *rig, const struct block *block, enum code_size size)
{
    struct engine *t = rig->vcpu.engine;
    const struct build *b = t->build;
    struct emitted e = {.ends = block->count == 1};
    u32 from = b->piece[0], to = block->count > 1 ? b->piece[1] : block->start + block->host_bytes;
    const u8 *code = t->cache.arena.write + from;
    size_t left = to - from;
    u64 address = 0;
    char name[32];
    guest_mnemonic(&b->insn[0], size, name, sizeof(name));
    cs_insn *line = cs_malloc(host);
    while (left && cs_disasm_iter(host, &code, &left, &address, line)) {
        e.count++;
        e.callout |= is_callout(line);
        e.identical |= !strcmp(line->mnemonic, name);
    }
    cs_free(line, 1);
    return e;
}

static struct emitted translate_example(struct rig *rig, const struct form_example *x, u32 mode,
                                        const struct isa_row **row)
{
    enum code_size size = mode_code_size(mode);
    u8 code[32];
    struct insn i;
    unsigned bytes = form_decode(x, size, &i, code);
    memset(code + bytes, 0x90, sizeof(code) - bytes);
    rig_load(rig, code, sizeof(code));
    translator_flush(&rig->vcpu);
    u32 base = size == CODE_16 ? RIG_CODE : 0;
    struct block_key key = {.gpa = RIG_CODE,
                            .eip = RIG_CODE - base,
                            .mode = mode,
                            .cs_base = base,
                            .cs_limit = size == CODE_16 ? 0xffff : UINT32_MAX};
    const struct block *block = translate(&rig->vcpu, &key);
    fpu_park(&rig->vcpu);
    if (!block) abort();
    *row = ((struct engine *)rig->vcpu.engine)->build->insn[0].row;
    return look_at(rig, block, size);
}

static bool is_right(const struct isa_row *row, const struct emitted *e, u32 mode, bool hot)
{
    struct isa_mode m = {.protected = mode & MODE_PE,
                         .vm86 = mode & MODE_VM86,
                         .cpl = mode & MODE_CPL,
                         .iopl = mode & MODE_CPL && mode & MODE_IOPL ? 3 : 0,
                         .tsd = mode & MODE_TSD};
    bool ends = row->treatment == TREAT_END || row->treatment == TREAT_BRANCH;
    if (e->ends != ends) return false;
    /* Whether a gate lets INT n through is found out when it is executed. */
    if (isa_trap(row, &m) != ISA_NO_TRAP) return e->callout;
    switch ((enum treatment)row->treatment) {
    case TREAT_IDENTICAL: return e->callout ? !hot : e->identical || row->emitter;
    case TREAT_INLINE:
    case TREAT_BRANCH: return !(e->callout && hot);
    case TREAT_CALLOUT:
    case TREAT_END: return e->callout;
    }
    return false;
}

int main(void)
{
    struct rig *rig = rig_create();
    struct translator_config config = translator_defaults();
    config.no_superblocks = true; /* every jump ends its block */
    char error[256];
    if (translator_init(&rig->vcpu, &config) || !library_load(&capstone_library, error, sizeof(error)) ||
        cs_open(CS_ARCH_X86, CS_MODE_64, &host) != CS_ERR_OK ||
        cs_open(CS_ARCH_X86, CS_MODE_16, &guest[CODE_16]) != CS_ERR_OK ||
        cs_open(CS_ARCH_X86, CS_MODE_32, &guest[CODE_32]) != CS_ERR_OK ||
        cs_open(CS_ARCH_X86, CS_MODE_64, &guest[CODE_64]) != CS_ERR_OK)
        abort();
    rig->translated_code_written = translator_code_written;
    for (unsigned n = 0; n < form_example_count; n++)
        for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
            const struct isa_row *row;
            bool code64 = modes[m].mode & MODE_CODE64;
            if (form_examples[n].traits & (code64 ? FORM_COMPAT : FORM_LONG)) continue;
            struct emitted e = translate_example(rig, &form_examples[n], modes[m].mode, &row);
            bool hot = modes[m].hot && strcmp(row->name, "PUSHF") && strcmp(row->name, "POPF");
            bool right = is_right(row, &e, modes[m].mode, hot);
            if (!right)
                printf("%s (%s), %s: %s%s%s, %u host instructions\n", row->name, isa_treatment_name(row),
                       modes[m].name, e.callout ? "callout" : "in line", e.identical ? ", identical" : "",
                       e.ends ? ", end of block" : "", e.count);
            CHECK(right);
        }
    cs_close(&host);
    for (unsigned n = 0; n < ARRAY_SIZE(guest); n++)
        cs_close(&guest[n]);
    translator_destroy(&rig->vcpu);
    rig_close(rig);
    return check_report();
}
