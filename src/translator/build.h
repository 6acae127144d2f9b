/*
 * One block under construction. The pieces:
 *
 *   plan.c     decodes the guest code and finds out where flags are live
 *   hoist.c    one check for several accesses
 *   access.c   keeps track of where the flags are; memory operands: address, checks, slow paths
 *   rewrite.c  the same instruction again, with its memory operand and ESP redirected
 *   special.c  segment and control registers, bit strings, CMPXCHG, LDMXCSR
 *   edge.c     how control leaves a block: direct edges and indirect ones
 *   branch.c   jumps, calls, returns
 *   inline.c   stack and sensitive instructions emulated in line
 *   stack16.c  the same for stacks with a 16-bit pointer, and calls, returns and counting branches of 16-bit code
 *   string.c   string instructions
 *   emitters.c the emitters by the names that rows of the instruction table give them
 *   callout.c  instructions that are left to the interpreter
 *   translate.c  the block as a whole
 *   runtime.c  the C side of what translated code calls
 *   returns.c  the shadow return stacks
 */
#ifndef RINGER_TRANSLATOR_BUILD_H
#define RINGER_TRANSLATOR_BUILD_H

#include "cache/cache.h"
#include "checked.h"
#include "cpu/decode_memo.h"
#include "cpu/fast_entry.h"
#include "cpu/host_flags.h"
#include "cpu/interp.h"
#include "cpu/isa.h"
#include "cpu/mode.h"
#include "emit.h"
#include "hoist.h"
#include "mmu/shadow.h"
#include "peek.h"
#include "returns.h"
#include "translator.h"

struct build;

#define CALLEE_BUCKETS 1024u

/* What hangs off vcpu.engine. */
struct engine {
    struct translator_config config;
    struct cache cache;
    struct returns returns;
    enum exit_reason reason; /* why translator_leave was reached */
    u64 exits;               /* times control came back to C code for a block, for flush_every */
    bool first;              /* nothing run yet since translator_run() was called */
    u32 modes[256];          /* mode number -> mode key; 0 is not used */
    unsigned mode_count;
    u8 recent_mode[256]; /* where to look first, by mode_hash() */
    struct build *build; /* the block under construction */
    u32 variant;         /* MODE_UNHOISTED: the block looked for next is to be that one */
    struct decode_memo *memo;
    struct peek_table *peek;
    u32 callees[CALLEE_BUCKETS]; /* struct callee, since this many whole flushes: */
    u64 callee_flushes;
    struct checked checked;
    u8 device_page[PAGE_SIZE]; /* device.c */
};

/* What many callouts share. */
struct callee {
    struct insn insn;
    fast_routine *fast; /* NULL: none */
    u32 next;           /* struct callee, of the same hash */
    bool code32;
    bool plain; /* insn_is_plain() */
};

/* An instruction that translated code hands to the interpreter. In the cache's metadata. */
struct callout {
    u32 callee; /* struct callee */
    u32 eip;
    u32 mode;     /* of the block */
    u8 remaining; /* guest instructions of the block after this one */
    bool end;     /* the block ends here */
};

static inline const struct callee *callee_of(const struct callout *callout)
{
    return meta_pointer(callout->callee);
}

/* Where the guest's arithmetic flags are. */
enum flags_location {
    FLAGS_HOST,   /* in the host's EFLAGS */
    FLAGS_PARKED, /* in r12 */
    FLAGS_DEAD,   /* nowhere: no instruction will read them */
};

/* Who executes an instruction of the block: decided when the block is planned, out of its row and the block's
 * mode, and not again. */
enum decision {
    BY_CALLOUT, /* the interpreter's routine */
    BY_REWRITE, /* the same instruction on the host */
    BY_EMITTER, /* code of the row's emitter */
};

enum stub_kind {
    STUB_SLOW,
    STUB_MISALIGNED,
    STUB_STEP,
    STUB_EDGE,
    STUB_CROSS,
    STUB_BUDGET,
    STUB_DISPATCH,
    STUB_STRING,
    STUB_FAST,
    STUB_INDIRECT,
    STUB_RETURN_MISS,
    STUB_SIDE,
};

/* Code out of line, emitted behind the block. */
struct stub {
    u8 kind;
    u8 size;     /* STUB_SLOW, STUB_MISALIGNED: of the access */
    bool write;  /* STUB_SLOW; */
    bool open;   /* hoist_is_open() behind it */
    u8 index;    /* of the guest instruction */
    u8 edge;     /* STUB_EDGE, STUB_SIDE: which */
    u32 from[3]; /* rel32 fields that lead here; 0: none */
    u32 back;    /* where to go on; STUB_EDGE, STUB_INDIRECT: where a call returns to, 0: no call */
    u32 eip;
    u32 callout; /* STUB_STRING, STUB_FAST: struct callout */
    u8 restore; /* log 2 of the element's size + 1 where ECX has to be made from the bytes in r11; 0 elsewhere */
    bool flags; /* at `back` the flags are in the host */
};

#define MAX_STUBS (BLOCK_MAX_INSNS * 6 + 8)
/* No block's host code is longer: an instruction's worst case, PUSH m with two accesses, is below 300 bytes. */
#define MAX_BLOCK_BYTES (BLOCK_MAX_INSNS * 384 + 512)
_Static_assert(MAX_BLOCK_BYTES < 65536, "edges and sites have 16 bits for an offset in a block");

#define MAX_FIXES 255

/* The block itself, and where it looked ahead. */
#define MAX_EXTENTS 8
/* Conditional jumps that a block goes on behind. */
#define MAX_PASSED 6
/* What a jump in the midst of a block may leave out. */
#define MAX_GAP_BYTES 256
_Static_assert(MAX_GAP_BYTES + INSN_MAX_BYTES < 1u << SITE_HOST_BITS, "a site tells of it");

struct build {
    struct vcpu *v;
    struct engine *t;
    struct emitter e;
    struct block *block; /* its fixed part and its edges; the rest is here until it is finished: */
    struct block_key key;
    u32 frame_next;
    struct indirect_site indirect;
    struct site site[BLOCK_MAX_INSNS];
    u32 mode;

    struct insn insn[BLOCK_MAX_INSNS];
    unsigned count;
    u8 decision[BLOCK_MAX_INSNS]; /* enum decision: who executes insn[n] */
    /* insn[n] is a jump that does not end the block: conditional, which goes on when it is not taken, or
     * unconditional, which goes on at its target and needs no code */
    bool passed[BLOCK_MAX_INSNS];
    u16 offset[BLOCK_MAX_INSNS];   /* of insn[n] from the block's beginning */
    bool checked[BLOCK_MAX_INSNS]; /* insn[n] does not use the window (checked.h) */
    u16 live[BLOCK_MAX_INSNS + 1]; /* flags live before insn[n] */
    u16 guest_bytes;
    const u8 *page; /* the guest's, that the block begins in */
    struct extent extent[MAX_EXTENTS];
    unsigned extent_count;
    struct {
        u32 eip;
        u16 live;
    } peeked[MAX_PASSED + 2]; /* what plan_live_at() has answered */
    unsigned peeked_count;
    bool hoists; /* checks are hoisted in this block */
    struct hoist_plan hoist;
    struct hoist_access access[BLOCK_MAX_INSNS][HOIST_SLOTS];
    u32 piece[BLOCK_MAX_INSNS]; /* where the code of each begins, glue included */

    unsigned n; /* being emitted */
    const struct insn *i;
    u32 eip, next_eip; /* of it */
    enum flags_location flags;
    bool ended; /* control does not fall out of what was emitted */

    struct stub stub[MAX_STUBS];
    unsigned stub_count;
    u16 fix[MAX_FIXES];
    unsigned fix_count; /* MAX_FIXES: too many, the block stays where it is */
    bool has_half_eip;  /* 16 bits of an EIP, which no fix describes: the block stays where it is */
};

/* With one vCPU, on whose thread the devices are served too, one instruction is atomic as it is. */
static inline bool keeps_lock(const struct build *b, const struct insn *i)
{
    return (i->prefixes & PFX_LOCK) && b->t->config.keep_locks;
}

/* runtime.c */
/* Something is pending: the block that `pc` is in ends in C code, wherever it leads; `return_top` is the top
 * of the shadow return stack. Only while nothing else changes the cache. */
void cut_off(struct vcpu *v, u64 pc, u64 *return_top);

/* relocate.c */
/* The 4 bytes emitted last depend on where the block is. */
void fix_last(struct build *b, enum fix_kind kind);
/* May the block serve as a template? */
bool fix_suffices(const struct build *b);
/* The block for this key as a copy of one for another EIP, or NULL. There is room for it. */
struct block *relocate(struct vcpu *v, const struct block_key *key);

/* plan.c: decode from `bytes` (`here` of them in this page, `next` more in the following one at next_bytes)
 * until the block ends. False when not even one instruction can be had. */
bool plan_block(struct build *b, const u8 *bytes, unsigned here, const u8 *next_bytes, unsigned next,
                bool *crosses);
/* Arithmetic flags that code at eip, which may come next, can read. The block depends on what was looked at. */
u16 plan_live_at(struct build *b, u32 eip);
/* Is eip in the page that the block begins in? */
static inline bool plan_same_page(const struct build *b, u32 eip)
{
    return ((b->key.cs_base + eip) ^ (b->key.cs_base + b->key.eip)) < PAGE_SIZE;
}
/* Flags that are live at the block's beginning: does it park them before it needs them in the host? */
bool plan_wants_parked(const struct build *b);
/* Make insn[n] the instruction at hand. */
void plan_select(struct build *b, unsigned n);

/* access.c */
/* Host flags are about to be clobbered: park them if anybody wants them. */
void flags_clobber(struct build *b);
/* The host's EFLAGS must hold the guest's (the next instruction reads or partly keeps them). */
void flags_to_host(struct build *b);
/* They must be in r12 (or dead): before C code and indirect jumps. */
void flags_to_parked(struct build *b);
/* The host's EFLAGS are about to be given up at the block's end: park them if anybody wants them behind it. */
void flags_leave_host(struct build *b);
struct stub *stub_add(struct build *b, enum stub_kind kind, u32 from);
/* Host operand for the guest's 32-bit effective address. */
struct host_mem guest_address(const struct insn *i);
/* The memory operand of the instruction at hand, checked. Its segment must be reachable. */
struct host_mem access_operand(struct build *b, unsigned size, bool write);
/* Is the memory operand's segment? */
bool operand_is_reachable(const struct build *b, bool write);
/* Is that operand the guest's own address, without a register of ours? */
bool access_is_direct(const struct build *b, const struct insn *i);
/* May accesses through this segment be emitted at all? */
bool segment_is_reachable(const struct build *b, u8 seg, bool write);
/* The read or write entry of the page in a register. */
static inline struct host_mem mem_table(u8 page, bool write)
{
    struct host_mem mem = mem_bis(REG_TABLES, page, 8);
    if (write) mem.disp = SHADOW_READ_TO_WRITE;
    return mem;
}
/* The one of the page at an address. */
static inline struct host_mem mem_entry(u32 linear, bool write)
{
    s32 entry = (s32)((linear >> PAGE_SHIFT) * sizeof(u64));
    return mem_bd(REG_TABLES, entry + (write ? SHADOW_READ_TO_WRITE : 0));
}
/* r9d = linear address of [seg:reg], reg a 32-bit offset in a host register. */
void access_register(struct build *b, u8 seg, u8 reg, unsigned size);
/* r9d = linear address of the memory operand of the instruction at hand. Its segment must be reachable. */
void access_address(struct build *b, unsigned size);
/* With r9d = linear: where the bytes are. */
struct host_mem access_linear(struct build *b, unsigned size, bool write);
/* A dword of a flat stack, at the address in reg, for reading. */
struct host_mem access_popped(struct build *b, u8 reg);
/* ESP-relative accesses are only emitted for flat 32-bit stacks. */
bool stack_is_flat(const struct build *b);
/* Does this instruction push or pop dwords on such a stack? */
static inline bool has_plain_stack(const struct build *b, const struct insn *i)
{
    return stack_is_flat(b) && (b->mode & MODE_CODE32) && !(i->prefixes & PFX_OPSIZE);
}
/* The 4 bytes below ESP of a flat stack, for writing; after the store ESP follows. */
struct host_mem access_push(struct build *b);
void access_pushed(struct build *b);
/* The 4 bytes at ESP, for reading. */
struct host_mem access_pop(struct build *b);
/* Tier 2: memory is reached through the host window, unchecked. */
static inline bool has_window(const struct build *b)
{
    return (b->mode & MODE_WINDOW) && !b->checked[b->n];
}

/* rewrite.c: the instruction at hand as the same one of the host; can it be? */
bool rewrite_can(const struct build *b);
void rewrite_identical(struct build *b);
/* Guest register number -> host register number. */
static inline u8 host_gpr(u8 reg)
{
    return reg == REG_ESP ? GUEST_ESP : reg;
}

/* Must the flags be in place before the instruction, because it reads them or leaves some alone? */
static inline bool needs_flags(const struct build *b, const struct insn *i)
{
    return i->flags_read || (i->flags_written && (b->live[b->n + 1] & ~i->flags_killed));
}

/* emitters.c: an emitter has two functions, for the instruction at hand. can_NAME: is this form, in this
 * mode, for it? emit_NAME: its code, if so. */
struct emitter_row {
    bool (*can)(const struct build *b);
    void (*emit)(struct build *b);
};
extern const struct emitter_row emitter_rows[EMITTER_COUNT];
#define X(name)                                                                                              \
    bool can_##name(const struct build *b);                                                                  \
    void emit_##name(struct build *b);
ISA_EMITTERS(X)
#undef X

/* branch.c: where a direct branch may lead that ends at next_eip: up to two EIPs. 0 of them: unknown. */
unsigned branch_targets(const struct build *b, const struct insn *i, u32 next_eip, u32 targets[2]);
/* callout.c: what the instruction at hand is to the interpreter; as an address. */
u32 make_callout(struct build *b, bool end);
/* r11d = that, for the thunks that take it. */
void emit_callout_name(struct build *b, u32 callout);
void emit_callout(struct build *b, bool end);
/* A copy for a block at another EIP. */
u32 callout_moved(struct cache *cache, u32 callout, u32 eip_by);

/* From an offset in the arena to an offset in the block. */
static inline u16 in_block(const struct build *b, u32 offset)
{
    return (u16)(offset - b->block->start);
}

/* stack16.c: what the emitters of PUSH, POP, CALL, RET, LOOP and JCXZ do on 16-bit stacks and in 16-bit code. */
bool can_push16(const struct build *b);
void emit_push16(struct build *b);
bool can_pop16(const struct build *b);
void emit_pop16(struct build *b);
bool can_call16(const struct build *b);
void emit_call16(struct build *b);
bool can_ret16(const struct build *b);
void emit_ret16(struct build *b);
/* By CX. The flags are in the host. */
void emit_count_branch16(struct build *b, bool decrement, u32 if_zero, u32 if_not);

/* edge.c */
/* Go to `eip` by an edge. Flags may be anywhere. */
void emit_edge(struct build *b, u32 eip);
void emit_string_stub(struct build *b, const struct stub *stub);
/* One more in this counter, where the flags are free. */
void emit_count(struct build *b, const u64 *counter);
/* The same where the guest has just pushed its return address, next_eip. */
void emit_edge_call(struct build *b, u32 eip);
/* A conditional jump that is the edge itself, if the edge needs no code of its own. */
bool emit_edge_on_jcc(struct build *b, u32 eip, u8 cc);
/* Go to the EIP in r9d. */
void emit_indirect(struct build *b);
void emit_indirect_call(struct build *b);
void emit_return(struct build *b);
void emit_edge_stub(struct build *b, const struct stub *stub);
/* Leave the block before the instruction at hand by the jump with this rel32 field, for one without hoisted checks. */
struct stub *emit_unhoisted_exit(struct build *b, u32 field);
/* Leave it by a conditional jump to eip, or go on. */
void emit_side_exit(struct build *b, u32 eip, u8 cc);
void emit_side_stub(struct build *b, const struct stub *stub);
void emit_indirect_stub(struct build *b, const struct stub *stub);

/* translate.c: the block at v->rip, whose first byte is at gpa. NULL when it must be interpreted. May flush. */
struct block *translate(struct vcpu *v, const struct block_key *key);

/* runtime.c */
/* Find (or translate) what comes at v->rip and say where it is; or translator_leave, with engine.reason set. */
u64 translator_next(struct vcpu *v);
void translator_set_thunks(struct vcpu *v);
extern const u8 *const translator_thunks[];
void translator_enter(struct vcpu *v, const void *code);
extern const u8 translator_leave[], thunk_step[];

#endif
