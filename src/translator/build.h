/*
 * One block under construction. The files that build it:
 *
 *   plan.c       decodes the guest code, decides how each instruction is executed, and finds where flags are live
 *   hoist.c      hoisted checks: one check for several accesses
 *   access.c     the location of the flags; memory operands: address, check, slow path
 *   verify.c     memory operands of 64-bit code in a window
 *   rsp.c        RSP there
 *   loop.c       checks at the entry of a block there: out of loops, and where flags are live
 *   rewrite.c    the guest's instruction again, with its memory operand and ESP redirected
 *   scratch.h    values of R8 to R15 that rest in r9 to r11
 *   special.c    segment and control registers, bit strings, CMPXCHG, LDMXCSR
 *   edge.c       the ways out of a block: edges, calls, returns, indirect branches
 *   branch.c     jumps, calls, returns as instructions
 *   inline.c     stack instructions and sensitive instructions that are emulated inline
 *   stack16.c    stacks with a 16-bit pointer; calls, returns and counting branches of 16-bit code
 *   string.c     string instructions
 *   emitters.c   the emitters, by the names that the instruction table gives them
 *   callout.c    instructions that the interpreter executes
 *   relocate.c   copies of blocks for other EIPs
 *   ahead.c      prefetches for the look-ups that follow
 *   translate.c  the block as a whole
 *   runtime.c    the C functions that translated code calls
 *   returns.c    the shadow return stacks
 */
#ifndef RINGER_TRANSLATOR_BUILD_H
#define RINGER_TRANSLATOR_BUILD_H

#include "cache/block_log.h"
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
#include "mmu/tlb.h"
#include "peek.h"
#include "returns.h"
#include "translator.h"

struct build;

#define CALLEE_BUCKETS 1024u

/* The translator's state; vcpu.engine points to it. */
struct engine {
    struct translator_config config;
    struct cache cache;
    struct returns returns;
    enum exit_reason reason; /* of the exit through translator_leave */
    u64 exits;               /* times that C code looked for a block, for flush_every */
    bool first;              /* translator_run() has not run anything yet */
    u32 modes[256];          /* mode number -> mode key; number 0 is not used */
    unsigned mode_count;
    u8 recent_mode[256]; /* mode_hash() -> a number to try first */
    struct build *build; /* the block under construction */
    u32 variant;         /* key bits for the next search: MODE_UNHOISTED or 0 */
    bool by_edge; /* the next search is for the target of an edge, which needs no entry in the jump table */
    struct block *found; /* by the last search; NULL: none, or its code came from the jump table */
    struct decode_memo *memo;
    struct peek_table *peek;
    u32 callees[CALLEE_BUCKETS]; /* lists of struct callee */
    u64 callee_flushes;          /* the count of whole flushes when the lists were begun */
    struct checked checked;
    bool has_bmi2;             /* of the host: SHRX and RORX may be emitted */
    struct block_log *log;     /* NULL: none */
    u8 device_page[PAGE_SIZE]; /* device.c */
};

/* What all callouts of the same instruction share. In the cache's lasting metadata. */
struct callee {
    struct insn insn;
    fast_routine *fast; /* NULL: none */
    u32 next;           /* struct callee in the same bucket */
    u8 size;            /* enum code_size */
    bool plain;         /* insn_is_plain() */
};

/* An instruction that translated code hands to the interpreter. In the cache's metadata. */
struct callout {
    u32 callee;   /* struct callee */
    u32 mode;     /* of the block */
    u64 eip;      /* or RIP */
    u8 remaining; /* guest instructions in the block after this one */
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

/* How an instruction of the block is executed. decide() in plan.c derives it, once, from the instruction's row
 * and the block's mode. */
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
    STUB_DELTA, /* STUB_STRING follows it */
    STUB_STRING,
    STUB_FAST,
    STUB_INDIRECT,
    STUB_RETURN_MISS,
    STUB_SIDE,
    STUB_SEGMENT,
};

/* Code that is emitted behind the block's body. */
struct stub {
    u8 kind;       /* enum stub_kind */
    u8 size;       /* STUB_SLOW, STUB_MISALIGNED: bytes of the access */
    bool write;    /* STUB_SLOW */
    bool open;     /* STUB_SLOW: hoist_is_open() behind the access */
    bool constant; /* STUB_SLOW: `eip` is the linear address, which is not in r9 yet */
    u8 linear;     /* STUB_SLOW: the register with the linear address */
    u8 index;      /* of the guest instruction */
    u8 edge;       /* STUB_EDGE, STUB_SIDE, STUB_INDIRECT with a site: index of the edge */
    u32 from[4];   /* rel32 fields that lead here; 0: none */
    u32 back;      /* where the body goes on; STUB_EDGE, STUB_INDIRECT: where a call returns to, 0: no call */
    u64 eip;
    u32 callout; /* STUB_STRING, STUB_FAST: struct callout */
    bool jump;  /* STUB_INDIRECT: a JMP. Only where its target is not known to be canonical is that checked */
    u8 restore; /* STUB_STRING: 0, or log2(element size) + 1: ECX must be computed from the bytes in r11 */
    struct host_mem address;  /* STUB_SEGMENT: the guest address */
    bool early;               /* STUB_SIDE: before the block has counted its instructions */
    u8 segment;               /* STUB_SEGMENT with `back`: the register with the number of its segment */
    bool source, destination; /* STUB_DELTA: the operands of the string instruction */
    bool flags;               /* STUB_STRING: at `back` the flags are in the host's EFLAGS */
};

#define MAX_STUBS (BLOCK_MAX_INSNS * 6 + 8)
/* The upper bound of a block's host code. The longest instruction is PUSH m with two accesses: below 300 bytes. */
#define MAX_BLOCK_BYTES (BLOCK_MAX_INSNS * 384 + 512)
_Static_assert(MAX_BLOCK_BYTES < 65536, "edges and sites have 16 bits for an offset in a block");

#define MAX_FIXES 255

#define SCRATCH_COUNT 3

/* The bytes of the block itself and those that it looked ahead at. */
#define MAX_EXTENTS 8
/* Conditional jumps inside one block. */
#define MAX_PASSED 6
/* The gap that an unconditional jump inside a block may leave out. */
#define MAX_GAP_BYTES 256
_Static_assert(MAX_GAP_BYTES + INSN_MAX_BYTES < 1u << SITE_HOST_BITS, "a packed site can hold the distance");

/* An address of which the segment is known (verify.c). */
struct verified {
    struct value at;
    u8 class; /* enum long_class */
};

/* An address that is verified at the block's entry (loop.c): a register, or base + index * scale. */
struct entry_address {
    u16 root;
    u8 base, index, scale; /* base or index may be INSN_NO_REG */
    u8 class;              /* enum long_class */
    u8 anchor;             /* in a loop: the instruction that reaches memory near the next one */
    bool anchored;         /* it was emitted so */
};
struct entry_addresses {
    struct entry_address address[4];
    unsigned count;
};

struct build {
    struct vcpu *v;
    struct engine *t;
    struct emitter e;
    struct block *block; /* its fixed part and its edges; finish() copies the rest there from here */
    struct block_key key;
    u32 log_id, log_bytes; /* of the block log, and the code that writes to it */
    u32 callout_bytes;
    u32 frame_next; /* of a crossing block: exec entry of the second page; 0: other blocks */
    struct indirect_site indirect;
    struct site site[BLOCK_MAX_INSNS];
    u32 mode; /* the key's, without MODE_UNHOISTED */

    struct insn insn[BLOCK_MAX_INSNS];
    unsigned count;
    u8 decision[BLOCK_MAX_INSNS]; /* enum decision, of insn[n] */
    /* insn[n] is a jump that does not end the block. A conditional one goes on where it is not taken; an
     * unconditional one goes on at its target and needs no code. */
    bool passed[BLOCK_MAX_INSNS];
    u16 offset[BLOCK_MAX_INSNS];   /* of insn[n] from the block's beginning */
    bool checked[BLOCK_MAX_INSNS]; /* insn[n] does not use the window (checked.h) */
    u16 live[BLOCK_MAX_INSNS + 1]; /* flags live before insn[n] */
    u16 guest_bytes;
    const u8 *page; /* the guest page in which the block begins */
    struct extent extent[MAX_EXTENTS];
    unsigned extent_count;
    struct {
        u64 eip;
        u16 live;
    } peeked[MAX_PASSED + 2]; /* answers of plan_live_at() */
    unsigned peeked_count;
    bool hoists; /* checks are hoisted in this block */
    bool loops;  /* checks of a window may be hoisted out of the block, if it is a loop (loop.c) */
    struct hoist_plan hoist;
    struct hoist_access access[BLOCK_MAX_INSNS][HOIST_SLOTS];
    struct verified verified[16];
    unsigned verified_count;
    struct value stack[BLOCK_MAX_INSNS + 1]; /* RSP before insn[n] */
    struct value at_end[GPR_COUNT];          /* the registers behind the last instruction */
    struct sum sum[MAX_SUMS];
    unsigned sums;
    struct entry_addresses loop;  /* before the loop */
    u32 loop_entry;               /* arena offset behind that */
    struct entry_addresses early; /* in each turn, before flags are live */
    struct value anchor[8];       /* addresses in segments that are LONG_HIGH, for RSP (rsp.c) */
    unsigned anchors;
    bool has_delta;             /* r13 has the delta of the window (verify.c) */
    s32 rsp_away;               /* RSP - r8, within a run of PUSH or POP (access.c) */
    u8 run_begins;              /* insn[] with which that run begins */
    u32 piece[BLOCK_MAX_INSNS]; /* arena offset where the code of insn[n] begins, its glue included */
    u32 stubs_at;               /* arena offset where the stubs begin, behind the body */

    /* The current instruction: plan_select(). */
    unsigned n;
    const struct insn *i;
    u64 eip, next_eip;
    enum flags_location flags;
    u8 scratch[SCRATCH_COUNT];  /* R8 to R15 whose values r9, r10 and r11 have; 0: none (scratch.h) */
    u8 noted_at[SCRATCH_COUNT]; /* by the instruction with this number */
    bool rests;                 /* the code of the current instruction notes what becomes of r9 to r11 */
    bool keeps_temp;            /* r11 has a value of the current instruction, which a check must keep */
    bool ended;                 /* control does not fall out of the code emitted so far */

    struct stub stub[MAX_STUBS];
    unsigned stub_count;
    u16 fix[MAX_FIXES];
    unsigned fix_count; /* MAX_FIXES: too many, the block cannot be relocated */
    bool has_half_eip;  /* contains a part of an EIP, which no fix describes: it cannot be relocated */
    bool has_full_rip;  /* IA-32e mode, and may be relocated: what depends on RIP has fields of full length */
};

/* 64-bit mode. Addresses, RIP and stack slots have 64 bits, and R8 to R15 are in the vCPU (frame.h). */
static inline bool is_code64(const struct build *b)
{
    return b->mode & MODE_CODE64;
}
/* 32-bit or 64-bit code. */
static inline bool is_wide_code(const struct build *b)
{
    return b->mode & (MODE_CODE32 | MODE_CODE64);
}
/* 64-bit code that may rely on RSP, and keeps it in its segment (rsp.c). */
static inline bool follows_stack(const struct build *b)
{
    return is_code64(b) && (b->mode & MODE_STACK_HIGH);
}
/* IA-32e mode: checks look into the TLB (mmu/tlb.h). */
static inline bool has_tlb(const struct build *b)
{
    return b->mode & MODE_LONG;
}
/* Bytes of a slot of a plain stack. */
static inline s32 slot_bytes(const struct build *b)
{
    return is_code64(b) ? 8 : 4;
}
/* The linear address of code. */
static inline u64 linear_of(const struct build *b, u64 eip)
{
    return is_code64(b) ? eip : (u32)(b->key.cs_base + eip);
}
static inline u64 mask_eip(const struct build *b, u64 eip)
{
    return mode_mask_rip(b->mode, eip);
}

/* A machine has one vCPU, and its thread runs the devices too, so each instruction is atomic without LOCK. */
static inline bool keeps_lock(const struct build *b, const struct insn *i)
{
    return (i->prefixes & PFX_LOCK) && b->t->config.keep_locks;
}

/* runtime.c */
/* Something is pending: make the block that contains host address `pc` end in C code. `return_top` is the top of
 * the shadow return stack. Call this only while no other code changes the cache. */
void cut_off(struct vcpu *v, u64 pc, u64 *return_top);

/* translator.c: hand what blocks have logged to the log. */
void block_log_drain(struct vcpu *v);

/* ahead.c */
/* The EIP or RIP that an edge leads to. For the edge of an indirect site, that is a target it had, or 0. */
u64 edge_target(const struct edge *edge);
/* Prefetch what look-ups for the targets of a new block's edges will read. */
void ahead_of(const struct vcpu *v, const struct block *block);

/* relocate.c */
/* Record that the field at this offset in the arena depends on the block's EIP. */
void fix_at(struct build *b, u32 at, enum fix_kind kind);
/* The same for the 4 bytes emitted last. */
void fix_last(struct build *b, enum fix_kind kind);
/* reg = an address that depends on the block's RIP. */
void emit_mov_rip(struct build *b, u8 reg, u64 value);
/* Can a block with this key be copied, as far as the key tells? */
bool is_movable(const struct block_key *key);
/* May the block serve as a template? */
bool fix_suffices(const struct build *b);
/* The block for this key as a copy of a block for another EIP, or NULL. The caller has made room for it. */
struct block *relocate(struct vcpu *v, const struct block_key *key);
/* A turn of the cache: evict what its policy chooses. */
void make_room(struct vcpu *v);

/* plan.c: decode from `bytes` until the block ends: `here` bytes in the block's page, and `next` bytes at
 * next_bytes in the page that follows it. Returns false when not even one instruction can be decoded. */
bool plan_block(struct build *b, const u8 *bytes, unsigned here, const u8 *next_bytes, unsigned next,
                bool *crosses);
/* The arithmetic flags that code at eip may read. The block then depends on the bytes that were looked at. */
u16 plan_live_at(struct build *b, u64 eip);
/* Is eip in the page that the block begins in? */
static inline bool plan_same_page(const struct build *b, u64 eip)
{
    return (linear_of(b, eip) ^ linear_of(b, b->key.eip)) < PAGE_SIZE;
}
/* Do the flags that are live at the block's beginning get parked before an instruction needs them in EFLAGS? */
bool plan_wants_parked(const struct build *b);
/* Make insn[n] the current instruction. */
void plan_select(struct build *b, unsigned n);

/* access.c */
/* The host's EFLAGS are about to be clobbered: park the flags if they are live. */
void flags_clobber(struct build *b);
/* Unpark: the next instruction reads flags or leaves some of them unchanged. */
void flags_to_host(struct build *b);
/* Park the flags unless they are parked or dead: for C code and indirect jumps. */
void flags_to_parked(struct build *b);
/* At the end of a block, give up the host's EFLAGS: park the flags if they are live behind the block. */
void flags_leave_host(struct build *b);
struct stub *stub_add(struct build *b, enum stub_kind kind, u32 from);
/* The guest's 32-bit effective address as a host operand. */
struct host_mem guest_address(const struct insn *i);
/* The same for the current instruction. In 64-bit mode it may load r9 and r10, in either order. */
struct host_mem operand_address(struct build *b);
/* From here on to the end of the current instruction, checks keep r11. In IA-32e mode r13 is theirs instead. */
void temp_is_kept(struct build *b);
/* r10 = host address - linear address for `size` bytes at the linear address in a register, by the TLB. Clobbers r11
 * (r13 behind temp_is_kept()) and EFLAGS.
 * Returns the rel32 of a jump that is taken if there is no entry, or if they cross a page. */
u32 access_by_tlb(struct build *b, u8 linear, unsigned size, bool write);
/* If this address of 64-bit mode is just a register: that register, or r9 with its value. Else HOST_NONE. The register
 * is not one that access_by_tlb() clobbers. */
u8 access_plain_register(struct build *b, struct host_mem address);
/* `slot` = offset in the TLB of the slot for the linear address in a register. Clobbers EFLAGS. */
void access_tlb_slot(struct build *b, u8 slot, u8 linear);
/* The field of a slot with its offset in a register, or of the slot of a constant linear address. */
static inline struct host_mem mem_tlb(u8 slot, u64 field)
{
    struct host_mem mem = mem_bis(REG_TABLES, slot, 1);
    mem.disp = (s32)field;
    return mem;
}
static inline u64 tlb_tag_field(bool write)
{
    return write ? offsetof(struct tlb_slot, write) : offsetof(struct tlb_slot, read);
}
static inline struct host_mem mem_tlb_at(u64 linear, u64 field)
{
    return mem_bd(REG_TABLES, (s32)(((u64)tlb_place(linear) << TLB_SLOT_LOG) + field));
}
/* The same if the address depends on the block's RIP. It ends the instruction, and fix_tlb() must follow. */
static inline struct host_mem mem_tlb_by_rip(const struct build *b, u64 linear, u64 field)
{
    struct host_mem mem = mem_tlb_at(linear, field);
    mem.disp32 = b->has_full_rip;
    return mem;
}
/* The emitted instruction ends with the displacement of this operand, which may be mem_tlb_by_rip(). */
static inline void fix_tlb(struct build *b, const struct host_mem *mem)
{
    if (mem->disp32) fix_last(b, FIX_EXEC);
}
/* Leave the block by a step of the current instruction if the branch target in r9 is not canonical, or lies in the
 * other half of linear space than the block, where branches seldom lead. Clobbers r10 and EFLAGS. */
void require_canonical(struct build *b);
/* The memory operand of the current instruction, checked. Its segment must be reachable. */
struct host_mem access_operand(struct build *b, unsigned size, bool write);
/* Is the segment of the current memory operand reachable? */
bool operand_is_reachable(const struct build *b, bool write);
/* Is the memory operand the guest's own address, without a scratch register? */
bool access_is_direct(const struct build *b, const struct insn *i);
/* May accesses through this segment be emitted? */
bool segment_is_reachable(const struct build *b, u8 seg, bool write);
/* The read or write entry of the page with the number in register `page`. */
static inline struct host_mem mem_table(u8 page, bool write)
{
    struct host_mem mem = mem_bis(REG_TABLES, page, 8);
    if (write) mem.disp = SHADOW_READ_TO_WRITE;
    return mem;
}
/* The same for the page of a constant address. */
static inline struct host_mem mem_entry(u32 linear, bool write)
{
    s32 entry = (s32)((linear >> PAGE_SHIFT) * sizeof(u64));
    return mem_bd(REG_TABLES, entry + (write ? SHADOW_READ_TO_WRITE : 0));
}
/* Host register `to` = the effective address of the memory operand in 64-bit mode, cut to 32 bits unless wide. May
 * clobber r9 and r10. */
void access_effective64(struct build *b, u8 to, bool wide);
/* r9d = linear address of [seg:reg]; reg is a host register with a 32-bit offset. */
void access_register(struct build *b, u8 seg, u8 reg, unsigned size);
/* r9d = linear address of the memory operand of the current instruction. Its segment must be reachable. */
void access_address(struct build *b, unsigned size);
/* The bytes at the linear address in r9d, checked. */
struct host_mem access_linear(struct build *b, unsigned size, bool write);
/* A slot of a plain stack, at the address in reg, for reading. */
struct host_mem access_popped(struct build *b, u8 reg);
/* Is the stack 32-bit, in a flat segment? */
bool stack_is_flat(const struct build *b);
/* Does this instruction push or pop dwords on a flat 32-bit stack, or quadwords in 64-bit mode? */
static inline bool has_plain_stack(const struct build *b, const struct insn *i)
{
    if (is_code64(b)) return i->stack_bytes == 8;
    return stack_is_flat(b) && (b->mode & MODE_CODE32) && !(i->prefixes & PFX_OPSIZE);
}
/* The slot below ESP of a plain stack, for writing; after the store ESP follows. */
struct host_mem access_push(struct build *b);
void access_pushed(struct build *b);
/* The slot at ESP, for reading; after the load ESP follows. */
struct host_mem access_pop(struct build *b);
void access_was_popped(struct build *b);
/* Tier 2: the current instruction reaches memory through the host window, without a check. Not in 64-bit code. */
static inline bool has_window(const struct build *b)
{
    return mode_has_window32(b->mode) && !b->checked[b->n];
}
/* Is the operand's address known now? Then *linear is it. */
bool access_is_constant(const struct build *b, const struct insn *i, u64 *linear);

/* verify.c: the same for 64-bit code, with a check of the segment. */
/* The memory operand of the current instruction, or a slot of its stack, in the window. False: it needs a check. */
bool verify_operand(struct build *b, unsigned size, struct host_mem *mem);
bool verify_stack(struct build *b, struct host_mem *slot);
/* The memory operand of the current instruction where the window has it if its segment has the class that is expected.
 * It may be prefetched, but not accessed. False: that is not known. */
bool verify_prefetch(struct build *b, struct host_mem *mem);
/* to = the number of the segment of 4 GB of the address in a register, an index of the table. Clobbers EFLAGS. */
void verify_segment_number(struct build *b, u8 to, u8 address);
/* Clear ZF if the segment of the address in a register is of this class. Clobbers EFLAGS and `scratch`. */
void verify_test_class(struct build *b, u8 scratch, u8 address, u8 class);
/* The class (enum long_class) of the segment whose number is in a register; HOST_NONE: of the lowest segment. */
#define SEGMENT_CLASSES ((s32)(offsetof(struct tlb, segment) - offsetof(struct tlb, slot)))
static inline struct host_mem mem_segment_class(u8 number)
{
    struct host_mem mem = number == HOST_NONE ? mem_bd(REG_TABLES, 0) : mem_bis(REG_TABLES, number, 1);
    mem.disp = SEGMENT_CLASSES;
    return mem;
}
/* A block begins. */
void verify_begin(struct build *b);
/* If r13 has lost the delta, load it, before the next instruction or before the block is left. */
void verify_load_delta(struct build *b);
/* For tests: an invalid instruction, unless r13 has the delta. */
void verify_check_delta(struct build *b);
void emit_segment_stub(struct build *b, const struct stub *stub);

/* rsp.c */
/* The current instruction begins. */
void rsp_before(struct build *b);
/* The current instruction ends: has RSP left its segment? */
void rsp_behind(struct build *b);
/* Does insn[n] reach its slot of the stack by r8 and r13 alone, without a check? */
bool rsp_reaches_slot(const struct build *b, unsigned n);
/* Does insn[n] push or pop a register, or push a constant, in the window, without a check or an exit? */
bool rsp_is_plain_slot(const struct build *b, unsigned n);

/* loop.c: plan what the block verifies at its entry. */
void loop_plan(struct build *b);
/* Emit it. The entry for the edge of a loop is in between. */
void loop_begin(struct build *b);
/* Is this edge of the last instruction the loop's own? */
bool loop_is_own_edge(const struct build *b, u64 eip);
/* The loop's entry, an offset from the block's start; 0: none. */
u8 loop_entry(const struct build *b);

/* rewrite.c: the current instruction as the same instruction of the host. rewrite_can(): is that possible? */
bool rewrite_can(const struct build *b);
void rewrite_identical(struct build *b);
/* Guest register number -> host register number. */
static inline u8 host_gpr(u8 reg)
{
    assert(reg < 8);
    return reg == REG_ESP ? GUEST_ESP : reg;
}

/* R8 to R15 rest in the vCPU. A host register with the value of a general register: `scratch` for one of these, or the
 * register that has the value already. */
u8 gpr_load(struct build *b, u8 reg, u8 scratch);
/* The host register that an instruction may write for it; gpr_store() must follow. */
static inline u8 gpr_target(u8 reg, u8 scratch)
{
    return reg < 8 ? host_gpr(reg) : scratch;
}
void gpr_store(struct build *b, u8 reg, u8 from);

/* Must the flags be in EFLAGS before the instruction, because it reads them or leaves live ones unchanged? */
static inline bool needs_flags(const struct build *b, const struct insn *i)
{
    return i->flags_read || (i->flags_written && (b->live[b->n + 1] & ~i->flags_killed));
}

/* emitters.c: an emitter has two functions for the current instruction. can_NAME(): can it emit this form in
 * this mode? emit_NAME(): emit its code. */
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

/* branch.c: an edge to `first`; and where the jump with this rel32 field leads, one to `second`. */
void emit_two_edges(struct build *b, u32 field, u64 first, u64 second);
/* The EIPs to which a direct branch that ends at next_eip may lead. Returns their number: 1 or 2, or
 * 0 when they are unknown. */
unsigned branch_targets(const struct build *b, const struct insn *i, u64 next_eip, u64 targets[2]);
/* callout.c: a callout for the current instruction. Returns its address (32 bits, cache/origin.h). */
u32 make_callout(struct build *b, bool end);
/* r11d = address of the callout, as the thunks expect it. */
void emit_callout_name(struct build *b, u32 callout);
void emit_callout(struct build *b, bool end);
/* A copy for a block at another EIP. */
u32 callout_moved(struct cache *cache, u32 callout, u64 eip_by);

/* Converts an offset in the arena to an offset in the block. */
static inline u16 in_block(const struct build *b, u32 offset)
{
    return (u16)(offset - b->block->start);
}

/* stack16.c: the emitters of PUSH, POP, CALL, RET, LOOP and JCXZ for 16-bit stacks and 16-bit code. */
bool can_push16(const struct build *b);
void emit_push16(struct build *b);
bool can_pop16(const struct build *b);
void emit_pop16(struct build *b);
bool can_call16(const struct build *b);
void emit_call16(struct build *b);
bool can_ret16(const struct build *b);
void emit_ret16(struct build *b);
/* A branch on CX. The flags are in the host's EFLAGS. */
void emit_count_branch16(struct build *b, bool decrement, u64 if_zero, u64 if_not);

/* edge.c */
/* Go to `eip` by an edge. The flags may be anywhere. */
void emit_edge(struct build *b, u64 eip);
void emit_delta_stub(struct build *b, const struct stub *stub);
void emit_string_stub(struct build *b, const struct stub *stub);
/* Increment this counter. Clobbers EFLAGS. */
void emit_count(struct build *b, const u64 *counter);
/* The same where flags may be live; destroys REG_ENTRY. */
void emit_count_keeping_flags(struct build *b, const u64 *counter);
/* Call `eip` by an edge. The guest has just pushed its return address, next_eip. */
void emit_edge_call(struct build *b, u64 eip);
/* Make a conditional jump the edge to `eip`. Returns false, and emits nothing, if the edge needs tests. */
bool emit_edge_on_jcc(struct build *b, u64 eip, u8 cc);
/* A JMP to the EIP in r9d. */
void emit_indirect(struct build *b);
void emit_indirect_call(struct build *b);
/* Do calls and returns go by the shadow return stack? The answer depends only on the mode and the options, so both
 * agree. */
bool uses_return_stack(const struct build *b);
/* Return to the EIP in r9. In 64-bit mode r11 tells translator_return_miss() which RET it was. */
void emit_return(struct build *b);
void emit_edge_stub(struct build *b, const struct stub *stub);
/* Make the jump with this rel32 field an edge to the unhoisted block that begins with the current instruction. */
struct stub *emit_unhoisted_exit(struct build *b, u32 field);
/* Leave the block by a conditional jump to eip, or go on. */
void emit_side_exit(struct build *b, u64 eip, u8 cc);
void emit_side_stub(struct build *b, const struct stub *stub);
void emit_indirect_stub(struct build *b, const struct stub *stub);

/* runtime.c: the frame of a page of code + 1, or 0 when a fetch there faults or finds no memory. */
u32 fetch_frame(struct vcpu *v, u64 linear);
/* translate.c: translate the block for this key. NULL: its first instruction must be interpreted. May flush. */
struct block *translate(struct vcpu *v, const struct block_key *key);
/* The linear address of an EIP or RIP in the block's code segment. */
static inline u64 key_linear(const struct block_key *key, u64 eip)
{
    return key->mode & MODE_CODE64 ? eip : (u32)(key->cs_base + eip);
}

/* runtime.c */
/* Find or translate the code for v->rip and return its host address. To leave, return translator_leave and set
 * engine.reason. */
u64 translator_next(struct vcpu *v);
void translator_set_thunks(struct vcpu *v);
extern const u8 *const translator_thunks[];
void translator_enter(struct vcpu *v, const void *code);
extern const u8 translator_leave[], thunk_step[];

#endif
