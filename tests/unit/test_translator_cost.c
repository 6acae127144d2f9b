/*
 * The number of host instructions for a guest instruction on its hot path. Capstone says that the host instruction is
 * the one that the guest has (Zydis decoded it). A change of these numbers is a change of speed, and belongs in the
 * same commit as the code that causes it.
 */
#include "cache/cache.h"
#include "check.h"
#include "rig.h"
#include "translator/capstone_library.h"
#include "translator/translator.h"

#include <capstone/capstone.h>
#include <string.h>

/* The test reads translated code through the engine's listing. */
#include "translator/build.h"

struct row {
    const char *text;
    const char *bytes;
    u8 length;
    u8 cost;           /* host instructions, first of them to the next guest instruction */
    bool flags_wanted; /* an ADC follows, so the flags are live across */
};

#define ROW(text, bytes, cost)                                                                               \
    {                                                                                                        \
        text, bytes, sizeof(bytes) - 1, cost, false                                                          \
    }
#define ROW_LIVE(text, bytes, cost)                                                                          \
    {                                                                                                        \
        text, bytes, sizeof(bytes) - 1, cost, true                                                           \
    }

static const struct row rows[] = {
    ROW("add", "\x01\xd8", 1),              /* add eax, ebx */
    ROW("add", "\x01\xdc", 1),              /* add esp, ebx */
    ROW("inc", "\x44", 1),                  /* inc esp */
    ROW("mov", "\xbc\x78\x56\x34\x12", 1),  /* mov esp, 12345678h */
    ROW("mov", "\x66\x89\xc3", 1),          /* mov bx, ax */
    ROW("mov", "\x8a\x03", 7),              /* mov al, [ebx]: no alignment to test */
    ROW("mov", "\x8b\x03", 9),              /* mov eax, [ebx] */
    ROW("mov", "\xa1\x00\x00\x02\x00", 5),  /* mov eax, [20000h] */
    ROW("mov", "\x89\x64\x8b\x10", 9),      /* mov [ebx+ecx*4+16], esp */
    ROW("add", "\x02\x23", 9),              /* add ah, [ebx]: wrapped in two XCHG */
    ROW_LIVE("mov", "\x8b\x03", 13),        /* with the flags parked */
    ROW_LIVE("adc", "\x13\x03", 17),        /* parked, and back for ADC */
    ROW("movups", "\x0f\x10\x03", 9),       /* movups xmm0, [ebx] */
    ROW("fld", "\xdb\x2b", 11),             /* fld tbyte [ebx] */
    ROW("cmpxchg8b", "\x0f\xc7\x0b", 9),    /* cmpxchg8b [ebx] */
    ROW("andn", "\xc4\xe2\x60\xf2\xc1", 1), /* andn eax, ebx, ecx */
    ROW("lea", "\x8d\x44\x24\x08", 1),      /* lea eax, [esp+8] */
    ROW("mov", "\x53", 10),                 /* push ebx */
    ROW("mov", "\x5b", 10),                 /* pop ebx */
    ROW("and", "\xfa", 1),                  /* cli, kernel: flags dead */
    ROW("mov", "\x8f\x03", 19),             /* pop dword [ebx] */
    ROW("movzx", "\x0f\xa0", 11),           /* push fs */
    ROW("mov", "\x0f\x20\xd0", 1),          /* mov eax, cr2 */
    ROW("cmp", "\x8e\xd8", 14),             /* mov ds, eax: the selector that is already loaded */
    ROW("bt", "\x0f\xa3\x0b", 13),          /* bt [ebx], ecx */
    ROW("bts", "\xf0\x0f\xab\x0b", 14),     /* lock bts [ebx], ecx: no lock for one vCPU */
    ROW("rep stosd", "\xf3\xab", 21),
    ROW("rep movsb", "\xf3\xa4", 36),
};

static unsigned count_host(csh capstone, const struct cache *cache, u32 from, u32 to, const char *wanted,
                           bool *found)
{
    const u8 *code = cache->arena.write + from;
    size_t left = to - from;
    u64 address = from;
    unsigned count = 0;
    cs_insn *line = cs_malloc(capstone);
    *found = false;
    while (left && cs_disasm_iter(capstone, &code, &left, &address, line)) {
        count++;
        if (!strcmp(line->mnemonic, wanted)) *found = true;
    }
    CHECK_EQ(left, 0);
    cs_free(line, 1);
    return count;
}

static void check_row(struct rig *rig, csh capstone, const struct row *row)
{
    u8 code[32] = {0};
    unsigned n = 0;
    code[n++] = 0xf9; /* stc: flags are in the host's EFLAGS */
    memcpy(code + n, row->bytes, row->length);
    n += row->length;
    code[n++] = 0x11; /* adc edx, edx reads them; add edx, edx does not */
    if (!row->flags_wanted) code[n - 1] = 0x01;
    code[n++] = 0xd2;
    code[n++] = 0xf4; /* hlt */
    rig_load(rig, code, n);
    rig->vcpu.gpr[REG_EBX] = RIG_DATA;
    translator_flush(&rig->vcpu);
    struct engine *t = rig->vcpu.engine;
    t->first = true;
    u64 host = translator_next(&rig->vcpu);
    fpu_park(&rig->vcpu);
    struct block *block = cache_block_at(&t->cache, (u32)(host - (u64)(uintptr_t)t->cache.arena.exec));
    CHECK(block && block->count == 4);
    if (!block) return;
    bool found;
    u32 from = t->build->piece[1], to = t->build->piece[2];
    unsigned cost = count_host(capstone, &t->cache, from, to, row->text, &found);
    if (cost != row->cost || !found) printf("%s (row %u):\n", row->text, (unsigned)(row - rows));
    CHECK(found);
    CHECK_EQ(cost, row->cost);
}

/* 16-bit code on a 16-bit stack, with bases and limits, as firmware and unpackers have it: only the HLT goes to the
 * interpreter, and the results are right. */
static void check_code16(struct rig *rig)
{
    static const u8 code[] = {
        0xb9, 0x05, 0x00, /*  0: mov cx, 5 */
        0x50,             /*  3: push ax */
        0x66, 0x53,       /*  4: push ebx */
        0x68, 0x34, 0x12, /*  6: push 1234h */
        0xe8, 0x0b, 0x00, /*  9: call 17h */
        0x5e,             /*  c: pop si */
        0x66, 0x5f,       /*  d: pop edi */
        0x5a,             /*  f: pop dx */
        0xe2, 0xf1,       /* 10: loop 3 */
        0xe3, 0x01,       /* 12: jcxz 15h */
        0x90, 0xf4, 0x90, /* 14: nop; hlt; nop */
        0x6a, 0xff,       /* 17: push -1 */
        0x5b,             /* 19: pop bx */
        0xc2, 0x00, 0x00, /* 1a: ret 0 */
    };
    rig_load(rig, code, sizeof(code));
    struct vcpu *v = &rig->vcpu;
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        v->seg[s].base = s == SEG_CS ? RIG_CODE : RIG_DATA;
        v->seg[s].limit = 0xffff;
        v->seg[s].access &= ~(AR_DB | AR_G);
    }
    v->rip = 0;
    v->gpr[REG_ESP] = 0xabcd0002; /* SP wraps in the middle of it */
    v->gpr[REG_EAX] = 0x1111aaaa;
    v->gpr[REG_EBX] = 0x2222bbbb;
    v->gpr[REG_ECX] = 0x33330000;
    v->gpr[REG_EDX] = 0x44440000;
    v->gpr[REG_ESI] = 0x55550000;
    vcpu_update_mode(v);
    translator_flush(v);
    u64 before = rig->counters.callouts;
    enum exit_reason reason;
    do
        reason = translator_run(v);
    while (reason == EXIT_NONE);
    fpu_park(v);
    CHECK_EQ(reason, EXIT_HALT);
    CHECK_EQ(v->rip, 0x16);
    CHECK(rig->counters.callouts - before <= 1);
    CHECK_EQ(v->gpr[REG_ESP], 0xabcd0002);
    CHECK_EQ(v->gpr[REG_ECX], 0x33330000);
    CHECK_EQ(v->gpr[REG_EBX], 0x2222ffff);
    CHECK_EQ(v->gpr[REG_EDI], 0x2222ffff); /* of the last round */
    CHECK_EQ(v->gpr[REG_EDX], 0x4444aaaa);
    CHECK_EQ(v->gpr[REG_ESI], 0x55551234);
}

int main(void)
{
    struct rig *rig = rig_create();
    struct translator_config config = translator_defaults();
    csh capstone;
    char error[256];
    if (translator_init(&rig->vcpu, &config) || !library_load(&capstone_library, error, sizeof(error)) ||
        cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) != CS_ERR_OK)
        abort();
    rig->translated_code_written = translator_code_written;
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++)
        check_row(rig, capstone, &rows[n]);
    check_code16(rig);
    cs_close(&capstone);
    translator_destroy(&rig->vcpu);
    rig_close(rig);
    return check_report();
}
