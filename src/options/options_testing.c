/*
 * Options for tests of Ringer itself. Most disable one mechanism; the guest must compute the same without it.
 */
#include "options_table.h"

static bool set_lockstep(struct options *o, const char *value, struct complaint *c)
{
    o->lockstep = 1;
    if (value && (!option_number(value, &o->lockstep) || !o->lockstep))
        return COMPLAIN(c, "--lockstep takes a number of instructions, not \"%s\"", value);
    o->deterministic = true;
    o->translator.exact_flags = true;
    return true;
}

static bool set_block_limit(struct options *o, const char *value, struct complaint *c)
{
    u64 limit;
    if (!option_number(value, &limit) || limit < 1 || limit > 64)
        return COMPLAIN(c, "a block has 1 to 64 instructions, not \"%s\"", value);
    o->translator.block_limit = (unsigned)limit;
    return true;
}

static bool set_spaces(struct options *o, const char *value, struct complaint *c)
{
    u64 spaces;
    if (!option_number(value, &spaces) || spaces < 1 || spaces > SHADOW_SPACES)
        return COMPLAIN(c, "1 to %u address spaces can be remembered, not \"%s\"", SHADOW_SPACES, value);
    o->spaces = (u32)spaces;
    return true;
}

static bool set_flush_every(struct options *o, const char *value, struct complaint *c)
{
    if (option_number(value, &o->translator.flush_every) && o->translator.flush_every) return true;
    return COMPLAIN(c, "--flush-every takes a number of exits, not \"%s\"", value);
}

static const struct option_row rows[] = {
    {"lock-pid", "FILE", "write the process's number into this file (ringer start)", STRING(lock_pid)},
    {"lockstep", "[=N]", "run both engines, compare every N instructions (default: after every block)",
     .set = set_lockstep},
    {"forced-slow", NULL, "every memory access takes the slow path", SWITCH(translator.forced_slow)},
    {"exact-flags", NULL, "arithmetic flags are right even in exception frames of faults",
     SWITCH(translator.exact_flags)},
    {"block-limit", "N", "at most N guest instructions in a block, 1 to 64", .set = set_block_limit},
    {"spaces", "N", "keep the shadow tables of at most N address spaces (default 1023)", .set = set_spaces},
    {"flush-every", "N", "evict blocks every N exits, as if the code cache were full",
     .set = set_flush_every},
    {"check-cache", NULL, "assert after each eviction that no link leads to an evicted block",
     SWITCH(translator.check_cache)},
    {"keep-locks", NULL, "LOCK prefixes are executed, although one vCPU needs none",
     SWITCH(translator.keep_locks)},
    {"no-chaining", NULL, "every block returns to the dispatcher", SWITCH(translator.no_chaining)},
    {"no-superblocks", NULL, "every jump ends its block", SWITCH(translator.no_superblocks)},
    {"no-inline-cache", NULL, "indirect branches go through the dispatcher",
     SWITCH(translator.no_inline_cache)},
    {"no-site-cache", NULL, "indirect branches do not remember their last target",
     SWITCH(translator.no_site_cache)},
    {"no-return-stack", NULL, "guest returns are looked up like other indirect branches",
     SWITCH(translator.no_return_stack)},
    {"no-flag-lookahead", NULL, "arithmetic flags are live at the end of every block",
     SWITCH(translator.no_flag_lookahead)},
    {"no-hoisting", NULL, "every memory access has its own check", SWITCH(translator.no_hoisting)},
    {"no-relocation", NULL, "the same code at another address is translated again",
     SWITCH(translator.no_relocation)},
    {"no-kicks", NULL, "translated loops and calls test for interrupts themselves",
     SWITCH(translator.no_kicks)},
    {"no-fast-entry", NULL, "kernel entry, kernel exit and segment loads take the general routines",
     SWITCH(translator.no_fast_entry)},
    {"no-bulk-strings", NULL, "repeated string instructions go element by element",
     SWITCH(translator.no_bulk_strings)},
    {"no-decode-memo", NULL, "every translated instruction is decoded from scratch",
     SWITCH(translator.no_decode_memo)},
    {"no-traces", NULL, "the shadow is flushed like a TLB, without write traces", SWITCH(no_traces)},
    {"no-prefill", NULL, "a page walk fills one entry, not its neighbours too", SWITCH(no_prefill)},
    {"no-borrowing", NULL, "the kernel reaches user memory by page walks only", SWITCH(no_borrowing)},
    {"no-low-window", NULL, "no host window at the monitor's own address 0", SWITCH(no_low_window)},
    {"no-checked-sites", NULL, "instructions that keep faulting in host windows keep using them",
     SWITCH(translator.no_checked_sites)},
    {"no-fpu-shelter", NULL, "the whole FPU state is saved before devices run", SWITCH(no_fpu_shelter)},
    {"no-kvm-clock", NULL, "KVM's paravirtual clock is not offered", SWITCH(no_kvm_clock)},
    {"no-isa-pnp", NULL, "no Plug and Play ISA card (Linux looks for one 0.3 s longer)",
     SWITCH(board.no_isa_pnp)},
    {"no-unpack", NULL, "a compressed kernel unpacks itself (slower; random address)",
     SWITCH(boot.guest_unpacks)},
};

const struct option_group options_testing = {"Testing", rows, ARRAY_SIZE(rows)};
