/*
 * Options: engines, and testing them.
 */
#include "options_table.h"

#include <string.h>

static bool set_engine(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "translate"))
        o->engine = ENGINE_TRANSLATE;
    else if (!strcmp(value, "interp"))
        o->engine = ENGINE_INTERP;
    else
        return COMPLAIN(c, "there is no engine \"%s\"; there are translate and interp", value);
    return true;
}

static bool set_lockstep(struct options *o, const char *value, struct complaint *c)
{
    o->lockstep = 1;
    if (value && (!option_number(value, &o->lockstep) || !o->lockstep))
        return COMPLAIN(c, "--lockstep takes a number of instructions, not \"%s\"", value);
    o->deterministic = true;
    o->translator.exact_flags = true;
    return true;
}

static bool set_cache_bytes(struct options *o, const char *value, struct complaint *c)
{
    if (!option_size(value, 0, &o->translator.cache_bytes) || o->translator.cache_bytes < (64u << 10) ||
        o->translator.cache_bytes > (1u << 30))
        return COMPLAIN(c, "the code cache must have 64K to 1G, not \"%s\"", value);
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

static bool set_windows(struct options *o, const char *value, struct complaint *c)
{
    static const char *const names[] = {
        [WINDOWS_AUTO] = "auto", [WINDOWS_ALWAYS] = "always", [WINDOWS_NEVER] = "never"};
    size_t word = strcspn(value, ",");
    bool good = !value[word] || option_number(value + word + 1, &o->window_mappings);
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (good && strlen(names[n]) == word && !strncmp(value, names[n], word)) {
            o->windows = (enum windows_policy)n;
            return true;
        }
    return COMPLAIN(c, "--windows is auto, always or never, and perhaps a number, not \"%s\"", value);
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
    {"engine", "NAME", "translate (default) or interp", .set = set_engine},
    {"deterministic", NULL, "guest time is instructions executed: same inputs, same run",
     SWITCH(deterministic)},
    {"lockstep", "[=N]", "run both engines, compare every N instructions (default: every block)",
     .set = set_lockstep},
    {"cache-bytes", "SIZE", "code cache, metadata included (default 96M)", .set = set_cache_bytes},
    {"block-limit", "N", "guest instructions a block, 1 to 64", .set = set_block_limit},
    {"no-chaining", NULL, "every block returns to the dispatcher", SWITCH(translator.no_chaining)},
    {"no-inline-cache", NULL, "indirect branches go through the dispatcher",
     SWITCH(translator.no_inline_cache)},
    {"keep-locks", NULL, "LOCK prefixes are executed, though one vCPU needs none",
     SWITCH(translator.keep_locks)},
    {"no-checked-sites", NULL, "instructions that keep faulting in host windows stay there",
     SWITCH(translator.no_checked_sites)},
    {"no-relocation", NULL, "code mapped at another address is translated anew",
     SWITCH(translator.no_relocation)},
    {"no-kicks", NULL, "loops and calls of translated code look for interrupts", SWITCH(translator.no_kicks)},
    {"no-site-cache", NULL, "indirect branches do not remember where they went",
     SWITCH(translator.no_site_cache)},
    {"no-return-stack", NULL, "guest returns are looked up like other indirect branches",
     SWITCH(translator.no_return_stack)},
    {"no-flag-lookahead", NULL, "arithmetic flags are live behind every block",
     SWITCH(translator.no_flag_lookahead)},
    {"no-superblocks", NULL, "every jump ends its block", SWITCH(translator.no_superblocks)},
    {"no-hoisting", NULL, "every memory access is checked by itself", SWITCH(translator.no_hoisting)},
    {"no-traces", NULL, "shadow tables are flushed as a TLB is, page tables not traced", SWITCH(no_traces)},
    {"windows", "WHEN[,N]", "host windows for user code: auto, always, never; N mappings at most",
     .set = set_windows},
    {"spaces", "N", "address spaces whose shadow tables are kept at most (default 1023)", .set = set_spaces},
    {"no-low-window", NULL, "no host window at the monitor's own address 0", SWITCH(no_low_window)},
    {"no-borrowing", NULL, "the kernel reaches user memory by page table walks only", SWITCH(no_borrowing)},
    {"no-prefill", NULL, "a walk fills the one page asked for, not its neighbours", SWITCH(no_prefill)},
    {"no-fast-entry", NULL, "kernel entry, exit and segment loads take the general routines",
     SWITCH(translator.no_fast_entry)},
    {"no-bulk-strings", NULL, "repeated string instructions go element by element",
     SWITCH(translator.no_bulk_strings)},
    {"no-fpu-shelter", NULL, "save the whole FPU state before devices and other library code",
     SWITCH(no_fpu_shelter)},
    {"forced-slow", NULL, "every memory access takes the slow path", SWITCH(translator.forced_slow)},
    {"exact-flags", NULL, "arithmetic flags are right even in frames of faults",
     SWITCH(translator.exact_flags)},
    {"no-decode-memo", NULL, "every translated instruction is decoded from scratch",
     SWITCH(translator.no_decode_memo)},
    {"flush-every", "N", "flush the code cache every N exits", .set = set_flush_every},
};

const struct option_group options_engines = {"Engines, and testing them", rows, ARRAY_SIZE(rows)};
