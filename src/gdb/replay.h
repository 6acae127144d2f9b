/*
 * Reverse execution in deterministic mode, by replay from the start. The keeper (keeper.h) starts a new machine with
 * the same options. It is at power-on, runs the same instructions, and stops where the debugger wants to be.
 *
 *   bs at instruction N    the new machine runs to N - 1, and answers
 *   bc at instruction N    a machine runs to N and notes the last hit of a point, at H; a second one runs to H, and
 *                          answers
 *
 *   0 ---------- H ------------ N
 *   +--------------------------->  REPLAY_SEARCH
 *   +----------->                  REPLAY_ARRIVE
 *
 * What must survive is in struct replay, which goes from machine to machine by way of the keeper: the debugger's
 * connection and its points. Output to terminals and sockets is left out up to the latest instruction that has been
 * executed, because it was written before. A file is written anew.
 *
 * A run with input, networks, shared folders or writable images would not repeat, and is refused in one sentence.
 */
#ifndef RINGER_GDB_REPLAY_H
#define RINGER_GDB_REPLAY_H

#include "agent.h"
#include "cpu/debug_points.h"

struct gdb;
struct options;

enum replay_goal {
    REPLAY_SEARCH, /* run to `target`, and note hits before it */
    REPLAY_ARRIVE, /* run to `target`, and answer */
};

struct replay {
    enum replay_goal goal;
    u64 target;  /* instructions */
    u64 seen_ns; /* the latest guest time of all runs */
    /* the last hit in front of the target */
    bool found;
    bool data;
    u64 found_at;
    struct data_point hit;
    /* the connection */
    int client;
    bool acknowledges, physical;
    unsigned step_bits;
    /* points */
    u32 codes, datas;
    u64 code[CODE_POINTS_MAX];
    struct data_point point[DATA_POINTS_MAX];
    struct conditions conditions;
};

/* Before any file is opened and any thread started: makes a deterministic run repeatable. Where a debugger may go
 * backwards, this process becomes the keeper, and the call returns in the process of each machine. */
void replay_begin(struct options *options);

/* Packets bs and bc: does not return if it succeeds. Otherwise the reason, in one sentence. */
const char *replay_backward(struct gdb *gdb, bool step);
/* The stub has its chardev: go on with the inherited connection. */
void replay_adopt(struct gdb *gdb);
/* The machine is about to run. */
void replay_start(struct gdb *gdb);

#endif
