/*
 * A board without a CPU and without a machine: guest memory, a clock that the test moves, and a record of the board's
 * requests to its host.
 */
#ifndef RINGER_TESTS_BOARD_RIG_H
#define RINGER_TESTS_BOARD_RIG_H

#include "board/board.h"
#include "board/drives.h"
#include "check.h"
#include "mmu/phys.h"

#include <stdlib.h>
#include <string.h>

struct board_rig {
    struct clock clock; /* first: its callback finds the rest */
    u64 now_ns;
    struct board board;
    struct board_options options;
    struct phys phys;
    struct mailbox mailbox;
    struct drives drives;
    /* the host's */
    bool intr;
    unsigned nmis, resets, memory_changes;
    u32 gpr[8];
    bool stopped;
    enum stop_cause cause;
    int status;
};

static u64 rig_now(const struct clock *clock)
{
    return ((const struct board_rig *)clock)->now_ns;
}
static void rig_intr(void *machine, bool level)
{
    ((struct board_rig *)machine)->intr = level;
}
static void rig_nmi(void *machine)
{
    ((struct board_rig *)machine)->nmis++;
}
static void rig_init(void *machine) {}
static u64 rig_tsc(void *machine)
{
    return ((struct board_rig *)machine)->now_ns;
}
static u64 rig_hz(void *machine)
{
    return 1000000000u;
}
static void rig_memory_changed(void *machine, u64 gpa, u64 bytes)
{
    ((struct board_rig *)machine)->memory_changes++;
}
static void rig_reset(void *machine, bool hard)
{
    ((struct board_rig *)machine)->resets++;
}
static void rig_stop(void *machine, enum stop_cause cause, int status, const char *sentence)
{
    struct board_rig *rig = machine;
    if (rig->stopped) return;
    rig->stopped = true;
    rig->cause = cause;
    rig->status = status;
}

/* `options` may be NULL: the defaults. */
static inline struct board_rig *board_rig_new(u64 ram_bytes, const struct board_options *options)
{
    static const struct board_host host = {.intr = rig_intr,
                                           .nmi = rig_nmi,
                                           .init = rig_init,
                                           .tsc = rig_tsc,
                                           .tsc_hz = rig_hz,
                                           .apic_timer_hz = rig_hz,
                                           .memory_changed = rig_memory_changed,
                                           .reset = rig_reset,
                                           .stop = rig_stop};
    struct board_rig *rig = calloc(1, sizeof(*rig));
    if (!rig || phys_init(&rig->phys, ram_bytes)) abort();
    if (options) rig->options = *options;
    rig->phys.a20_mask = ~0ull;
    rig->clock.now_ns = rig_now;
    rig->board.options = &rig->options;
    rig->board.host = &host;
    rig->board.machine = rig;
    rig->board.deterministic = true;
    rig->board.clock = &rig->clock;
    rig->board.memory = &rig->phys;
    rig->board.dma = phys_dma(&rig->phys);
    rig->board.mailbox = &rig->mailbox;
    rig->board.drives = &rig->drives;
    board_init(&rig->board);
    return rig;
}

static inline void board_rig_free(struct board_rig *rig)
{
    phys_destroy(&rig->phys);
    free(rig);
}

#endif
