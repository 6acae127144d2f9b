/*
 * Confinement (mmu/long_window.h): 64-bit code that tries random and chosen addresses reaches nothing but its guest's
 * memory. Chosen are the edges of its own pages and segments, the addresses of what the monitor has (vCPU, RAM, TLB,
 * code cache, stack, canaries beside the windows and at the guest's own addresses), the same less the window's delta,
 * and all these with bits changed. The interpreter and the translator, with a window, run the same code from the same
 * state: registers, the fault and memory must be the same, and the canaries untouched. Each event that could be logged
 * shelters the FPU state. In between page tables change, with INVLPG or a load of CR3, and other PCIDs and another root
 * with the same pages are loaded, which keep what the PCID has cached if it may be kept.
 *
 *     confine64 [--seed N] [--count N] [--kernel | --compat | --unchecked | --some-checked] [--avx]
 *
 * With --kernel the code runs at CPL 0, where it has no window. With --compat it is 32-bit code in compatibility mode,
 * and the host's GS base, which the operands of that code name, is not 0 at first. With --unchecked, instructions go on
 * to use the window however often they fault there; else most of them soon do not (translator/checked.h), and with
 * --some-checked a quarter of them never do. With --avx the guest has enabled AVX and AVX-512, as far as the host has
 * them, and its code has masked moves.
 */
#include "machine64.h"
#include "random64.h"
#include "random_run.h"

#include "cpu/interp.h"
#include "cpu/interp_private.h"
#include "mmu/long_window.h"
#include "mmu/tlb.h"
#include "translator/translator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* Guest-physical addresses. */
enum {
    OTHER_PML4_AT = 0xf000,
    TABLES_AT = 0x11000, /* the other tables, one after another */
    DATA_AT = 0xa00000,
    CODE_PAGES = 4,
};
enum { PTE_SUPERVISOR = 1, PTE_RW = 7 };

/* What is mapped. Each place has DATA_PAGES pages of its own from DATA_AT on. */
enum { DATA_PAGES = 4, DATA_BYTES = DATA_PAGES * PAGE_SIZE };
static const u64 places[] = {
    0xa00000,       /* where its physical address is */
    0xfffff000,     /* over the end of the lowest segment */
    0xc0fffff000,   /* the heap of a program in Go, over the edge of two segments */
    0x555555555000, /* a position-independent program */
    0x55555fffe000, /* and its heap */
    0x7f12fffff000, /* libraries, over the edge of two segments */
    0x7ffd00001000, /* stack */
    0x7fffffffb000, /* the end of the lower half */
};
/* The first ones begin in the lowest segment; the host has nothing where PLACE_SAME is. */
enum { PLACES_LOW = 2, PLACE_SAME = 2, PLACE_STACK = 6 };
/* Where the code is: a program at a fixed address, and one that is independent of it. */
static const u64 code_places[] = {CODE_AT, 0x55555555c000};

struct machine {
    struct rig *rig;
    u64 next_table;
};

struct state {
    u64 gpr[GPR_COUNT], rip, cr2, error;
    u32 eflags;
    u8 vector;
    _Alignas(16) u8 fx[FX_ALL];
};

static bool kernel, compat, unchecked, some_checked, avx;

/* --- the guest --- */

static u64 *entry_at(struct machine *m, u64 linear)
{
    u64 table = MACHINE64_PML4;
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        u64 at = table + (linear >> shift & 511) * 8, entry = phys_read(&m->rig->phys, at, 8);
        if (!entry) {
            entry = m->next_table | PTE_RW;
            m->next_table += PAGE_SIZE;
            phys_write(&m->rig->phys, at, 8, entry);
        }
        table = entry & ~(u64)PAGE_MASK;
    }
    return (u64 *)(void *)(m->rig->phys.ram + table + (linear >> 12 & 511) * 8);
}

static void map(struct machine *m, u64 linear, u64 gpa, u64 bits)
{
    *entry_at(m, linear) = gpa | bits;
}

static void build(struct machine *m, struct rig *rig)
{
    struct phys *phys = &rig->phys;
    *m = (struct machine){rig, TABLES_AT};
    rig->vcpu.model = cpu_model_find("max64");
    phys->a20_mask = ~0ull;
    for (u64 at = 0; at < DATA_AT; at += PAGE_SIZE) /* for the CPU itself */
        map(m, at, at,
            at >= CODE_AT                     ? PTE_RW
            : at == MACHINE64_IST - PAGE_SIZE ? PTE_SUPERVISOR | 2
                                              : PTE_SUPERVISOR);
    for (unsigned n = 0; n < CODE_PAGES; n++)
        map(m, code_places[1] + n * PAGE_SIZE, CODE_AT + n * PAGE_SIZE, PTE_RW);
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++)
        for (unsigned k = 0; k < DATA_PAGES; k++)
            map(m, places[n] + k * PAGE_SIZE, DATA_AT + n * DATA_BYTES + k * PAGE_SIZE, PTE_RW);
    /* Programs must not see A and D bits: after a branch to other code they are not the same on both sides. */
    for (u64 at = OTHER_PML4_AT; at < m->next_table; at += PAGE_SIZE)
        map(m, at, 0, 0);
    phys_write_bytes(phys, OTHER_PML4_AT, phys->ram + MACHINE64_PML4, PAGE_SIZE);
    machine64_tables(phys);
    machine64_reset(&rig->vcpu, CR4_PCIDE);
    if (avx) machine64_extend(&rig->vcpu);
}

static void set(struct rig *rig, const struct state *in)
{
    struct vcpu *v = &rig->vcpu;
    machine64_enter(v, kernel);
    if (compat) v->seg[SEG_CS].access ^= AR_L | AR_DB;
    for (unsigned n = 0; n < GPR_COUNT; n++)
        *vcpu_gpr(v, n) = compat ? (u32)in->gpr[n] : in->gpr[n];
    v->rip = in->rip;
    v->eflags = FL_ONE | FL_IF;
    v->halted = false;
    v->pending = 0;
    v->inhibit = 0;
    v->base64.fs = in->cr2; /* some address */
    if (compat) v->seg[SEG_FS].base = (u32)in->cr2;
    fpu_park(v);
    machine64_set_fx(v, in->fx);
    vcpu_update_mode(v);
}

enum { BUDGET = 64, RUNS_ON = 0xff };

static void run(struct rig *rig, const struct state *in, struct state *out)
{
    struct vcpu *v = &rig->vcpu;
    set(rig, in);
    v->icount = 0;
    v->icount_limit = v->icount_soft = BUDGET;
    v->pending = v->debug_trap = 0;
    while (v->icount < BUDGET && !v->halted && !v->pending) /* POPF may set TF: nobody delivers the trap */
        if (!v->engine || translator_run(v) == EXIT_STEP) interp_step(v);
    fpu_park(v);
    *out = (struct state){.vector = (u8)((v->rip - MACHINE64_HANDLERS) / 16), .cr2 = v->cr2};
    for (unsigned n = 0; n < GPR_COUNT; n++)
        out->gpr[n] = vcpu_gpr_read(v, n);
    memcpy(out->fx, v->fpu, sizeof(out->fx));
    if (!v->halted || v->rip - MACHINE64_HANDLERS >= 32 * 16) { /* it branched to other code */
        out->vector = RUNS_ON;
        return;
    }
    bool has_error = out->vector == 8 || (out->vector >= 10 && out->vector <= 14);
    u64 frame = out->gpr[REG_ESP];
    if (has_error) out->error = phys_read(&rig->phys, frame, 8);
    frame += has_error ? 8 : 0;
    out->rip = phys_read(&rig->phys, frame, 8);
    out->eflags = (u32)phys_read(&rig->phys, frame + 16, 8);
    out->gpr[REG_ESP] = phys_read(&rig->phys, frame + 24, 8);
}

/* --- addresses --- */

enum { CANARIES_MAX = 128, CANARY = 0xc3 };
static struct {
    u8 *page;
} canary[CANARIES_MAX];
static unsigned canaries;

static void put_canary(u64 at)
{
    at &= ~(u64)PAGE_MASK;
    void *page = mmap((void *)(uintptr_t)at, PAGE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page == MAP_FAILED) return;
    if ((u64)(uintptr_t)page != at || canaries == CANARIES_MAX) {
        munmap(page, PAGE_SIZE);
        return;
    }
    memset(page, CANARY, PAGE_SIZE);
    canary[canaries++].page = page;
}

/* At the guest's own addresses, and on both sides of what a segment's window has. */
static void put_canaries(u64 delta)
{
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++) {
        u64 segment = places[n] >> 32 << 32;
        put_canary(places[n]);
        put_canary(places[n] + DATA_BYTES);
        put_canary(segment + delta - LONG_GUARD - PAGE_SIZE);
        put_canary(segment + delta + (1ull << 32) + LONG_GUARD);
        put_canary(segment + delta + (2ull << 32) + LONG_GUARD);
        put_canary(segment - LONG_GUARD - PAGE_SIZE);
        put_canary(segment + (1ull << 32) + LONG_GUARD);
        put_canary(segment + (2ull << 32) + LONG_GUARD);
    }
    put_canary((1ull << 32) + LONG_GUARD);
}

static bool canaries_live(void)
{
    for (unsigned n = 0; n < canaries; n++)
        for (unsigned k = 0; k < PAGE_SIZE; k++)
            if (canary[n].page[k] != CANARY) {
                printf("canary at %p, byte %u, is %02x\n", (void *)canary[n].page, k, canary[n].page[k]);
                return false;
            }
    return true;
}

static u64 monitors(const struct rig *rig)
{
    u64 stack = (u64)(uintptr_t)&rig;
    switch (random64_below(8)) {
    case 0: return (u64)(uintptr_t)&rig->vcpu;
    case 1: return (u64)(uintptr_t)rig->phys.ram + random64_below(16u << 20);
    case 2: return (u64)(uintptr_t)rig->shadow.tlb;
    case 3: return stack;
    case 4: return (u64)(uintptr_t)&printf;
    case 5: return rig->vcpu.scratch.return_base;
    case 6: return rig->vcpu.scratch.thunk[0];
    default: return canaries ? (u64)(uintptr_t)canary[random64_below(canaries)].page : stack;
    }
}

static u64 valid(void)
{
    u64 at = places[random64_below(compat ? PLACES_LOW : ARRAY_SIZE(places))] + random64_below(DATA_BYTES);
    return random64_chance(70) ? at & ~7ull : at;
}

static u64 address(const struct rig *rig)
{
    u64 delta = rig->shadow.window, at = valid();
    if (random64_chance(80)) return at;
    switch (random64_below(10)) {
    case 0: return random64();
    case 1: return random64() >> (17 + random64_below(40));
    case 2: return at ^ 1ull << random64_below(64);
    case 3: return at + ((random64_below(9) - 4) << 32);
    case 4: return monitors(rig) - delta;
    case 5: return monitors(rig);
    case 6:
        return places[random64_below(ARRAY_SIZE(places))] +
               (random64_chance(50) ? -random64_below(32) : DATA_BYTES - random64_below(32));
    case 7:
        return (at >> 32 << 32) + (random64_chance(50) ? -random64_below(3 * LONG_GUARD)
                                                       : (1ull << 32) + random64_below(3 * LONG_GUARD));
    case 8: return random64_below(0x11000) - 0x800;
    default: return at | random64() << 47;
    }
}

/* --- programs --- */

struct program {
    u8 code[1024];
    unsigned bytes;
};

static void put(struct program *p, unsigned byte)
{
    p->code[p->bytes++] = (u8)byte;
}
static void put_value(struct program *p, u64 value, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n++)
        put(p, (u8)(value >> 8 * n));
}

static void put_rex(struct program *p, unsigned rex)
{
    if (!compat) put(p, rex);
}

static void put_mov(struct program *p, unsigned reg, u64 value)
{
    put_rex(p, 0x48 | reg >> 3);
    put(p, 0xb8 | (reg & 7));
    put_value(p, value, compat ? 4 : 8);
}

static s32 displacement(void)
{
    static const s32 edges[] = {
        0, 8, -8, LONG_REACH, -LONG_REACH, LONG_REACH + 8, 2 * LONG_GUARD, INT32_MAX, INT32_MIN};
    if (random64_chance(75)) return (s32)random64_below(64) - 32;
    return random64_chance(50) ? edges[random64_below(ARRAY_SIZE(edges))] : (s32)random64();
}

/* [base + displacement], [base + index * scale + displacement], [displacement] or [rip + displacement] */
static void put_memory(struct program *p, unsigned reg, unsigned base, unsigned index)
{
    unsigned shape = (unsigned)random64_below(16), field = (reg & 7) << 3;
    if (shape == 0 || shape == 1) {
        put(p, field | (shape ? 5 : 4));
        if (!shape) put(p, 0x25);
        put_value(p, shape ? random64() : valid() & 0x7fffffff, 4);
    } else if (shape < 6) {
        put(p, 0x80 | field | 4);
        put(p, (unsigned)random64_below(4) << 6 | ((index & 7) == 4 ? 5 : index & 7) << 3 | (base & 7));
        put_value(p, (u32)displacement(), 4);
    } else {
        put(p, 0x80 | field | ((base & 7) == 4 ? 4 : base & 7));
        if ((base & 7) == 4) put(p, 0x24);
        put_value(p, (u32)displacement(), 4);
    }
}

/* VMOVUPS or VMOVAPS of one of the 32 vector registers, of any length, with a mask. */
static void put_evex_move(struct program *p)
{
    static const u8 opcodes[] = {0x10, 0x11, 0x28, 0x29};
    u8 opcode = opcodes[random64_below(ARRAY_SIZE(opcodes))];
    unsigned reg = (unsigned)random64_below(32), base = (unsigned)random64_below(16),
             index = (unsigned)random64_below(16);
    unsigned mask = random64_chance(30) ? 0 : (unsigned)random64_below(8);
    bool zeroing = mask && !(opcode & 1) && random64_chance(30);
    put(p, 0x62);
    put(p, ((reg >> 3 & 1) << 7 | (index >> 3) << 6 | (base >> 3) << 5 | (reg >> 4) << 4) ^ 0xf1);
    put(p, 0x7c);
    put(p, (unsigned)zeroing << 7 | (unsigned)random64_below(3) << 5 | 8 | mask);
    put(p, opcode);
    put_memory(p, reg, base, index);
}

static void put_access(struct program *p)
{
    /* MOV, ADD, CMP and XOR with memory, MOVZX, LEA, MOVUPS, MOVAPS; 0: with 0Fh before */
    static const u8 opcodes[] = {0x8b, 0x89, 0x8b, 0x89, 0x03, 0x01, 0x3b,
                                 0x33, 0x8a, 0x88, 0x8d, 0x8d, 0xff};
    static const u8 long_opcodes[] = {0x10, 0x11, 0x28, 0x29, 0xb6, 0xbf};
    unsigned reg = (unsigned)random64_below(16), base = (unsigned)random64_below(16),
             index = (unsigned)random64_below(16);
    if (reg == 4) reg = 0;
    bool is_long = random64_chance(20), fs = random64_chance(4);
    u8 opcode = is_long ? long_opcodes[random64_below(ARRAY_SIZE(long_opcodes))]
                        : opcodes[random64_below(ARRAY_SIZE(opcodes))];
    bool wide = !is_long && random64_chance(60) && !(opcode == 0x8a || opcode == 0x88);
    if (fs) put(p, 0x64);
    if (opcode == 0xff) reg = 6; /* PUSH m */
    put_rex(p, 0x40 | (unsigned)wide << 3 | reg >> 3 << 2 | index >> 3 << 1 | base >> 3);
    if (is_long) put(p, 0x0f);
    put(p, opcode);
    put_memory(p, reg, base, index);
}

/* A repeated string instruction. Those that compare get a count of 1 at most, because hosts differ in the flags that a
 * fault leaves. */
static void put_string(struct program *p, const struct rig *rig)
{
    static const u8 opcodes[] = {0xa4, 0xa5, 0xaa, 0xab, 0xa6, 0xaf};
    static const u64 edges[] = {LONG_REACH, LONG_REACH + 1, LONG_REACH / 8, LONG_REACH / 8 + 1, 1ull << 61};
    u8 opcode = opcodes[random64_below(ARRAY_SIZE(opcodes))];
    bool compares = opcode == 0xa6 || opcode == 0xaf, down = random64_chance(10);
    u64 count = random64_below(random64_chance(70) ? 64 : 6000);
    if (random64_chance(15)) count = edges[random64_below(ARRAY_SIZE(edges))];
    put_mov(p, REG_ECX, compares ? count & 1 : count);
    put_mov(p, REG_ESI, address(rig));
    put_mov(p, REG_EDI, address(rig));
    if (down) put(p, 0xfd); /* STD */
    unsigned size = (unsigned)random64_below(3);
    put(p, compares && random64_chance(50) ? 0xf2 : 0xf3);
    if (size == 1) put(p, 0x66);
    if (size == 2) put_rex(p, 0x48);
    put(p, opcode);
    if (down) put(p, 0xfc); /* CLD */
}

/* How far RSP goes at once: within a function's frame, about LONG_SLACK and LONG_REACH, beyond guards and segments. */
static u32 stack_distance(void)
{
    static const u32 edges[] = {LONG_SLACK, LONG_REACH, LONG_REACH - LONG_SLACK, LONG_GUARD, 1u << 31};
    if (random64_chance(50)) return (u32)random64_below(32) * 8;
    return edges[random64_below(ARRAY_SIZE(edges))] + (u32)(random64_below(5) - 2) * 8;
}

/* An instruction that may write RSP, all of it or a part. */
static void put_any_write(struct program *p)
{
    /* Opcodes whose ModRM names RSP as r/m; 1: as reg; 2: with 0Fh before; 4: an immediate byte follows. */
    static const struct {
        u8 opcode, how, field;
    } writes[] = {
        {0x01, 0, 0},  {0x09, 0, 0},  {0x21, 0, 0}, {0x29, 0, 0}, {0x31, 0, 0},  {0x11, 0, 0},  {0x19, 0, 0},
        {0x03, 1, 0},  {0x0b, 1, 0},  {0x23, 1, 0}, {0x2b, 1, 0}, {0x33, 1, 0},  {0x8b, 1, 0},  {0x63, 1, 0},
        {0x88, 0, 0},  {0x89, 0, 0},  {0x87, 0, 0}, {0xff, 0, 8}, {0xff, 0, 9},  {0xf7, 0, 10}, {0xf7, 0, 11},
        {0xb1, 2, 0},  {0xc1, 2, 0},  {0x4f, 3, 0}, {0x42, 3, 0}, {0x44, 3, 0},  {0x95, 2, 8},  {0x96, 2, 8},
        {0xb6, 3, 0},  {0xbf, 3, 0},  {0xaf, 3, 0}, {0xbc, 3, 0}, {0xbd, 3, 0},  {0xab, 2, 0},  {0xbb, 2, 0},
        {0xc1, 4, 12}, {0xc1, 4, 13}, {0xc1, 4, 8}, {0x83, 4, 8}, {0x83, 4, 13}, {0x6b, 5, 0},  {0xc0, 4, 12},
    };
    unsigned n = (unsigned)random64_below(ARRAY_SIZE(writes)), how = writes[n].how;
    unsigned other = (unsigned)random64_below(8), rex = random64_chance(70) ? 0x48 : 0x40;
    if (writes[n].field) other = writes[n].field - 8u;
    if (random64_chance(10)) put(p, 0x66);
    put_rex(p, rex);
    if (how & 2) put(p, 0x0f);
    put(p, writes[n].opcode);
    put(p, how & 1 ? 0xc0 | REG_ESP << 3 | other : 0xc0 | other << 3 | REG_ESP);
    if (how & 4) put(p, (unsigned)random64_below(256));
}

/* LEA rax, [the next instruction]; then CALL rax; or PUSH rax and CALL [rsp], JMP [rsp] or RET. */
static void put_branch_by_address(struct program *p)
{
    static const u8 branches[][5] = {
        {2, 0xff, 0xd0}, {4, 0x50, 0xff, 0x14, 0x24}, {4, 0x50, 0xff, 0x24, 0x24}, {2, 0x50, 0xc3}};
    const u8 *branch = branches[random64_below(ARRAY_SIZE(branches))];
    put_rex(p, 0x48);
    put(p, 0x8d);
    put(p, 0x05);
    put_value(p, branch[0], 4);
    for (unsigned n = 1; n <= branch[0]; n++)
        put(p, branch[n]);
}

/* One of the ways to change RSP, to use it, or to end a block. */
static void put_stack(struct program *p)
{
    unsigned reg = (unsigned)random64_below(8);
    unsigned way = (unsigned)random64_below(20);
    if (way < 4 || way == 7) put_rex(p, 0x48);
    switch (way) {
    case 0: /* SUB, ADD, AND rsp, imm32 */
    case 1:
        put(p, 0x81);
        put(p, way ? 0xc4 : random64_chance(90) ? 0xec : 0xe4);
        put_value(p, stack_distance(), 4);
        break;
    case 2: /* LEA rsp, [rsp + disp32] or [rbp + disp32]; MOV [rsp + disp32], reg, and back */
    case 3: {
        static const u8 opcodes[] = {0x8d, 0x89, 0x8b};
        u8 opcode = opcodes[random64_below(ARRAY_SIZE(opcodes))];
        bool rbp = opcode == 0x8d && random64_chance(30);
        put(p, opcode);
        put(p, 0x80 | (opcode == 0x8d || reg == REG_ESP ? 4 : reg) << 3 | (rbp ? 5 : 4));
        if (!rbp) put(p, 0x24);
        put_value(p, random64_chance(50) ? stack_distance() : -stack_distance(), 4);
        break;
    }
    case 4: /* PUSH, POP */
    case 5:
    case 6:
        put(p, (way == 4 ? 0x50 : way == 5 ? 0x58 : 0x50 | (unsigned)random64_below(2) << 3) | reg);
        break;
    case 7: /* MOV or XCHG rsp, reg */
        put(p, random64_chance(70) ? 0x89 : 0x87);
        put(p, 0xc0 | reg << 3 | 4);
        break;
    case 8: put(p, 0xc9); break; /* LEAVE */
    case 9:                      /* PUSHF, POPF */
        put(p, 0x9c);
        put(p, 0x9d);
        break;
    case 10: /* several PUSHes or POPs */
    case 11:
        for (unsigned n = 2 + (unsigned)random64_below(6); n--; reg = (unsigned)random64_below(8)) {
            if (random64_chance(30)) put_rex(p, 0x41);
            put(p, (way == 10 ? 0x50 : 0x58) | reg);
        }
        break;
    case 12: put_any_write(p); break;
    case 13: /* CALL the next instruction */
        put(p, 0xe8);
        put_value(p, 0, 4);
        break;
    case 14: /* a register to RSP through the stack */
        if (random64_chance(30)) put_rex(p, 0x41);
        put(p, 0x50 | reg);
        put(p, 0x5c);
        break;
    case 15: put_branch_by_address(p); break;
    default: /* JNZ to the next instruction ends the block */
        put(p, 0x75);
        put(p, 0);
        break;
    }
}

static void generate_stack(struct program *p)
{
    for (unsigned n = 4 + (unsigned)random64_below(28); n--;)
        random64_chance(85) ? put_stack(p) : put_access(p);
    put(p, 0x0f);
    put(p, 0x0b);
}

/* The registers of a loop: an address that it uses and an index that starts at 0, both of which it may advance, and
 * another address. */
enum { LOOP_AT = REG_ESI, LOOP_INDEX = REG_EBP, LOOP_OTHER = REG_EBX };

/* How far a loop goes in a turn: little, about what an access licenses, or to other segments. */
static u32 loop_distance(void)
{
    static const u32 edges[] = {PAGE_SIZE, LONG_SLACK, LONG_SLACK + 8, LONG_REACH, LONG_GUARD + PAGE_SIZE,
                                1u << 31};
    return random64_chance(50) ? (u32)random64_below(4) * 8 : edges[random64_below(ARRAY_SIZE(edges))];
}

/* MOV or ADD between RAX and [at + displacement], [at + index * scale + displacement] or [other]. */
static void put_loop_access(struct program *p)
{
    static const u8 opcodes[] = {0x8b, 0x8b, 0x89, 0x03, 0x01};
    unsigned shape = (unsigned)random64_below(8), base = shape == 7 ? LOOP_OTHER : LOOP_AT;
    put_rex(p, 0x48);
    put(p, opcodes[random64_below(ARRAY_SIZE(opcodes))]);
    put(p, shape < 4 ? 0x44 : 0x40 | base);
    if (shape < 4) put(p, shape << 6 | LOOP_INDEX << 3 | base);
    put(p, (u8)(random64_below(32) - 16));
}

static void put_loop_step(struct program *p)
{
    unsigned way = (unsigned)random64_below(8);
    put_rex(p, 0x48);
    if (way < 5) { /* ADD or SUB at or index, imm32 */
        put(p, 0x81);
        put(p, (random64_chance(70) ? 0xc0 : 0xe8) | (way < 3 ? LOOP_AT : LOOP_INDEX));
        put_value(p, loop_distance(), 4);
    } else if (way < 7) { /* MOV or XCHG at, other */
        put(p, way == 5 ? 0x89 : 0x87);
        put(p, 0xc0 | LOOP_OTHER << 3 | LOOP_AT);
    } else { /* MOV at, [other] */
        put(p, 0x8b);
        put(p, LOOP_AT << 3 | LOOP_OTHER);
    }
}

/* TEST other, other, and a jump to the beginning */
static void put_loop_exit(struct program *p, unsigned begin)
{
    static const u8 opcodes[] = {0x79, 0x79, 0x78, 0x74}; /* JNS, JS, JZ */
    put_rex(p, 0x48);
    put(p, 0x85);
    put(p, 0xc0 | LOOP_OTHER << 3 | LOOP_OTHER);
    put(p, opcodes[random64_below(ARRAY_SIZE(opcodes))]);
    put(p, (u8)(begin - (p->bytes + 1)));
}

static void put_loop_body(struct program *p, unsigned begin)
{
    /* The jump leaves out what the last jump to the beginning relies on: MOV rax, [at] ; ADD at, -80000000h ; the jump ;
     * MOV rax, [at]. The address that the loop goes on with is loaded, and may have another class: MOV rax, [at] ;
     * MOV at, [other] ; MOV rax, [at]. */
    static const u8 load[] = {0x48, 0x8b, LOOP_AT}, next[] = {0x48, 0x8b, LOOP_AT << 3 | LOOP_OTHER},
                    add[] = {0x48, 0x81, 0xc0 | LOOP_AT, 0, 0, 0, 0x80};
    unsigned shape = (unsigned)random64_below(6);
    for (unsigned n = 0; n < sizeof(load) && shape < 2; n++)
        put(p, load[n]);
    for (unsigned n = 0; n < sizeof(add) && shape == 0; n++)
        put(p, add[n]);
    if (shape == 0) put_loop_exit(p, begin);
    for (unsigned n = 0; n < sizeof(next) && shape == 1; n++)
        put(p, next[n]);
    for (unsigned n = 0; n < sizeof(load) && shape < 2; n++)
        put(p, load[n]);
    if (shape < 2) return;
    for (unsigned n = 1 + (unsigned)random64_below(4); n--;)
        random64_chance(60) ? put_loop_access(p) : put_loop_step(p);
    if (random64_chance(30)) {
        put_loop_exit(p, begin);
        put_loop_access(p);
    }
    if (random64_chance(50)) put_loop_step(p);
}

/* Some turns of a block that jumps to its beginning. */
static void generate_loop(struct program *p)
{
    if (random64_chance(30)) put_mov(p, LOOP_AT, valid()); /* otherwise other ones in each run */
    if (random64_chance(50)) { /* MOV [other], rax: an address that the loop may load */
        put_mov(p, REG_EAX, valid());
        put_rex(p, 0x48);
        put(p, 0x89);
        put(p, REG_EAX << 3 | LOOP_OTHER);
    }
    put_mov(p, LOOP_INDEX, 0);
    put_mov(p, REG_ECX, 2 + random64_below(8));
    put(p, 0x75); /* JNZ to the next instruction: the loop is a block of its own */
    put(p, 0);
    unsigned begin = p->bytes;
    put_loop_body(p, begin);
    put_rex(p, 0x48);
    put(p, 0x83); /* SUB rcx, 1 */
    put(p, 0xc0 | 5 << 3 | REG_ECX);
    put(p, 1);
    put(p, 0x75); /* JNZ */
    put(p, (u8)(begin - (p->bytes + 1)));
    put(p, 0x0f);
    put(p, 0x0b);
}

static void generate(struct program *p, const struct rig *rig)
{
    p->bytes = 0;
    if (random64_chance(30)) {
        generate_stack(p);
        return;
    }
    if (random64_chance(30)) {
        generate_loop(p);
        return;
    }
    for (unsigned n = 1 + (unsigned)random64_below(12); n--;) {
        unsigned reg = (unsigned)random64_below(16);
        switch (random64_below(12)) {
        case 0: put_mov(p, reg, address(rig)); break;
        case 1:
            put_rex(p, 0x40 | reg >> 3);
            put(p, (random64_chance(50) ? 0x50 : 0x58) | (reg & 7));
            break;
        case 2: put(p, 0xc9); break; /* LEAVE */
        case 3:                      /* ADC: the flags of an instruction before */
            put_rex(p, 0x48);
            put(p, 0x11);
            put(p, 0xc0 | (unsigned)random64_below(64));
            break;
        case 4: put_string(p, rig); break;
        case 5: (avx && !compat ? put_evex_move : put_access)(p); break;
        default: put_access(p); break;
        }
    }
    if (random64_chance(30)) put(p, random64_chance(50) ? 0xc3 : 0xe8), put_value(p, 0, 4); /* RET; CALL */
    put(p, 0x0f);
    put(p, 0x0b);
}

/* --- the test --- */

static struct machine machines[2];
static unsigned failures;

static unsigned compare(const struct state *a, const struct state *b)
{
    unsigned count = memcmp(a->gpr, b->gpr, sizeof(a->gpr)) != 0;
    count += a->rip != b->rip || a->vector != b->vector || a->error != b->error ||
             (a->vector == 14 && a->cr2 != b->cr2);
    count += memcmp(a->fx + FX_XMM, b->fx + FX_XMM, FX_XMM_END64 - FX_XMM) ||
             memcmp(a->fx + FX_YMM, b->fx + FX_YMM, FX_ALL - FX_YMM);
    return count + (memcmp(machines[0].rig->phys.ram + DATA_AT, machines[1].rig->phys.ram + DATA_AT,
                           ARRAY_SIZE(places) * DATA_BYTES) != 0);
}

static void show(const struct program *p, const struct state *in, const struct state *ends,
                 const char *verdict)
{
    printf("%s at %llx:", verdict, (unsigned long long)in->rip);
    for (unsigned n = 0; n < p->bytes; n++)
        printf(" %02x", p->code[n]);
    printf("\n  rip %llx %llx, vector %u %u, error %llx %llx, cr2 %llx %llx\n",
           (unsigned long long)ends[0].rip, (unsigned long long)ends[1].rip, ends[0].vector, ends[1].vector,
           (unsigned long long)ends[0].error, (unsigned long long)ends[1].error,
           (unsigned long long)ends[0].cr2, (unsigned long long)ends[1].cr2);
    for (unsigned n = 0; n < GPR_COUNT; n++)
        printf("  r%-2u %016llx -> %016llx %016llx%s\n", n, (unsigned long long)in->gpr[n],
               (unsigned long long)ends[0].gpr[n], (unsigned long long)ends[1].gpr[n],
               ends[0].gpr[n] == ends[1].gpr[n] ? "" : " !");
}

/* Flags that the code before does not need are lost where code overwrites the instructions right behind a store
 * (docs/TRANSLATION.md). Few programs show that: here one of ten million. */
static unsigned overwritten;
enum { OVERWRITTEN_FREE = 2, OVERWRITTEN_ONE_OF = 1000000 };

static bool overwrote_itself(const struct program *p, u64 at)
{
    return memcmp(machines[0].rig->phys.ram + at, p->code, p->bytes);
}

/* After a branch to other code the engines may have stopped one instruction apart. */
static void copy_memory(void)
{
    for (u64 at = DATA_AT; at < DATA_AT + ARRAY_SIZE(places) * DATA_BYTES; at += PAGE_SIZE)
        if (memcmp(machines[0].rig->phys.ram + at, machines[1].rig->phys.ram + at, PAGE_SIZE))
            phys_write_bytes(&machines[1].rig->phys, at, machines[0].rig->phys.ram + at, PAGE_SIZE);
}

/* More than the TLB has rooms. `stale`: the PCIDs that were not told of a change. */
enum { PCIDS = 12 };
static u32 stale;

static u8 class_in(const struct tlb *tlb, unsigned room, u64 linear)
{
    return tlb->segment[room].segments.class[linear >> 32];
}

/* The current room alone has classes. */
static void check_rooms(const struct shadow *shadow)
{
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++)
        for (unsigned room = 1; room < TLB_TABLES; room++)
            if (class_in(shadow->tlb, room, places[n]) &&
                (room != shadow->tlb->user || !shadow->has_window)) {
                printf("FAIL: room %u has the class of %llx\n", room, (unsigned long long)places[n]);
                failures++;
            }
}

static void load_root(void)
{
    unsigned pcid = (unsigned)random64_below(PCIDS);
    u64 root = random64_chance(70) ? MACHINE64_PML4 : OTHER_PML4_AT;
    bool kept = !(stale >> pcid & 1) && random64_chance(80);
    if (!kept) stale &= ~(1u << pcid);
    for (unsigned n = 0; n < 2; n++) {
        struct shadow *shadow = &machines[n].rig->shadow;
        struct paging *paging = &machines[n].rig->vcpu.paging;
        const u64 before = paging->cr3;
        u8 class[ARRAY_SIZE(places)];
        for (unsigned k = 0; k < ARRAY_SIZE(places); k++)
            class[k] = tlb_segment(shadow->tlb, places[k]);
        paging->cr3 = root | pcid;
        if (kept)
            shadow_switch_root(shadow, paging);
        else
            shadow_load_root(shadow, paging);
        check_rooms(shadow);
        for (unsigned k = 0; k < ARRAY_SIZE(places); k++)
            if (before >> PAGE_SHIFT == root >> PAGE_SHIFT &&
                tlb_segment(shadow->tlb, places[k]) != class[k]) {
                printf("FAIL: a load of CR3 changed the class of %llx\n", (unsigned long long)places[k]);
                failures++;
            }
    }
}

/* Tell all PCIDs of a change, by INVPCID. */
static void tell_all(struct shadow *shadow, const struct paging *paging, u64 at, u64 type)
{
    if (type > INVPCID_ONE)
        shadow_invpcid(shadow, paging, (enum invpcid)type, 0, 0);
    else
        for (unsigned pcid = 0; pcid < PCIDS; pcid++)
            shadow_invpcid(shadow, paging, (enum invpcid)type, pcid, at);
}

/* A page changes, and the guest says so to the current PCID or to all. */
static void change_page(void)
{
    u64 at = places[random64_below(ARRAY_SIZE(places))] + random64_below(DATA_PAGES) * PAGE_SIZE,
        what = random64_below(4), how = random64_below(4), type = random64_below(INVPCID_TYPES);
    for (unsigned n = 0; n < 2; n++) {
        struct shadow *shadow = &machines[n].rig->shadow;
        u64 *entry = entry_at(&machines[n], at);
        if (what == 0) *entry &= ~1ull; /* not present */
        if (what == 1) *entry &= ~2ull; /* read-only */
        if (what == 2) *entry |= 3;
        if (what == 3) *entry &= ~0x60ull; /* A, D */
        if (how == 0) shadow_invlpg(shadow, at);
        if (how == 1) shadow_load_root(shadow, &machines[n].rig->vcpu.paging);
        if (how == 2) shadow_flush(shadow);
        if (how == 3) tell_all(shadow, &machines[n].rig->vcpu.paging, at, type);
    }
    if (how == 3 && type == INVPCID_PAGE) return; /* what was stale of other pages still is */
    stale = how >= 2 ? 0 : ~(1u << (machines[0].rig->vcpu.paging.cr3 & CR3_PCID));
}

static void test_one(void)
{
    static struct program p;
    struct state in = {.rip = code_places[compat ? 0 : random64_below(2)]}, ends[2];
    const struct rig *translator = machines[1].rig;
    /* Few beginnings, so that blocks run more than once, with other registers. */
    static struct program kept[64];
    u64 which = random64_below(ARRAY_SIZE(kept));
    if (!kept[which].bytes || random64_chance(20)) generate(&kept[which], translator);
    p = kept[which];
    in.rip += which * 256;
    for (unsigned n = 0; n < GPR_COUNT; n++)
        in.gpr[n] = random64_chance(10) ? random64_below(256) : address(translator);
    if (!compat && random64_chance(50)) /* where no check of RSP is needed at first */
        in.gpr[REG_ESP] = places[PLACE_STACK] + random64_below(DATA_PAGES) * PAGE_SIZE +
                          (random64_chance(50) ? random64_below(PAGE_SIZE / 8) : random64_below(8)) * 8;
    in.cr2 = address(translator);
    if (!is_canonical(in.cr2)) in.cr2 = 0;
    for (unsigned n = FX_XMM; n < FX_XMM_END64; n += 8)
        memcpy(in.fx + n, &(u64){random64()}, 8);
    for (unsigned n = FX_YMM; n < FX_ALL && avx; n += 8)
        memcpy(in.fx + n, &(u64){random64()}, 8);
    memcpy(in.fx, "\x7f\x03", 2);
    memcpy(in.fx + FX_MXCSR, "\x80\x1f", 2);
    for (unsigned n = 0; n < 2; n++) {
        struct phys *phys = &machines[n].rig->phys;
        if (memcmp(phys->ram + CODE_AT + which * 256, p.code, p.bytes))
            phys_write_bytes(phys, CODE_AT + which * 256, p.code, p.bytes);
        run(machines[n].rig, &in, &ends[n]);
    }
    if (ends[0].vector == RUNS_ON || ends[1].vector == RUNS_ON) {
        copy_memory();
    } else if (compare(&ends[0], &ends[1])) {
        bool known = !kernel && overwrote_itself(&p, CODE_AT + which * 256);
        overwritten += known;
        show(&p, &in, ends, known ? "overwrote itself" : "FAIL");
        failures += !known;
        copy_memory();
    }
}

/* As windows of 32-bit paging leave it behind (mmu/window.c). */
static void set_gs_base(u64 base)
{
    enum { HWCAP2_FSGSBASE = 2 };
    if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) __asm__ volatile("wrgsbase %0" : : "r"(base));
}

/* Events come from everywhere, also from the handler of a host page fault. A log shelters the FPU's registers
 * (event_log.c). */
static void note(struct events *events, enum event event, const u64 arg[4])
{
    fpu_shelter(&machines[1].rig->vcpu);
}

/* In one process of a hundred no window gets the lowest segment. Then nothing of LONG_SAME was tested: do all of it
 * again in a process with other addresses. */
static void try_again(char **argv)
{
    static const char *const name = "CONFINE64_AGAIN";
    printf("no segment was LONG_SAME\n");
    fflush(stdout);
    if (!getenv(name) && !setenv(name, "yes", 1)) execv("/proc/self/exe", argv);
    failures++;
}

int main(int argc, char **argv)
{
    struct events events = {note};
    const struct own_option own[] = {{.name = "kernel", .flag = &kernel},
                                     {.name = "compat", .flag = &compat},
                                     {.name = "unchecked", .flag = &unchecked},
                                     {.name = "some-checked", .flag = &some_checked},
                                     {.name = "avx", .flag = &avx},
                                     {0}};
    struct random_run programs = {.seed = 1, .count = 20000};
    if (!random_run_parse(&programs, own, argc, argv)) return 2;
    random64_seed(programs.seed);
    struct translator_config config = translator_defaults();
    struct rig *interpreter = rig_create(), *translator = rig_create();
    config.no_checked_sites = unchecked;
    config.some_checked = some_checked;
    config.check_delta = true;
    config.exact_flags = kernel; /* the code can read the frames of its exceptions */
    translator->vcpu.deterministic = true;
    translator->translated_code_written = translator_code_written;
    translator->shadow.windows = WINDOWS_ALWAYS;
    if (translator_init(&translator->vcpu, &config) || translator_install_signals()) return 3;
    build(&machines[0], interpreter);
    build(&machines[1], translator);
    translator->counters.events = &events;
    u64 n = 0, same = 0;
    for (; random_run_goes_on(&programs, n) && failures < 5; n++) {
        if (n == 200) put_canaries(translator->shadow.window);
        if (compat && n % 256 == 0) set_gs_base((u64)(uintptr_t)&canary);
        if (n % 16 == 15) change_page();
        if (n % 32 == 7) load_root();
        test_one();
        same += tlb_segment(translator->shadow.tlb, places[PLACE_SAME]) == LONG_SAME;
        if (n % 1024 == 0 && !canaries_live()) failures++;
    }
    if (!canaries_live()) failures++;
    if (overwritten > OVERWRITTEN_FREE + n / OVERWRITTEN_ONE_OF) failures++;
    const struct counters *c = &translator->counters;
    printf("%llu programs, %u failures, %u overwrote themselves, %u canaries; %llu window faults, %llu "
           "misses, %llu "
           "signals\n",
           (unsigned long long)n, failures, overwritten, canaries, (unsigned long long)c->window_faults,
           (unsigned long long)c->window_misses, (unsigned long long)c->host_signals);
    if (!kernel && !c->window_faults) failures++;
    if (!kernel && !compat && !same && !failures) try_again(argv);
    return failures != 0;
}
