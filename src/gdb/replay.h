/*
 * Reverse execution in deterministic mode, by replay from the start. The program executes itself anew with the same command line: the new
 * machine is at power-on, runs the same instructions, and stops where the debugger wants to be.
 *
 *   bs at instruction N    the new machine runs to N - 1, and answers
 *   bc at instruction N    a machine runs to N and notes the last hit of a point, at H; a second one runs to H, and answers
 *
 *   0 ---------- H ------------ N
 *   +--------------------------->  REPLAY_SEARCH
 *   +----------->                  REPLAY_ARRIVE
 *
 * What must survive is in struct replay, which goes from program to program in a memfd: the debugger's connection, its points, and
 * the time at power-on. Output to terminals and sockets is left out up to the latest instruction that has been executed, because it was
 * written before. A file is written anew.
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
    u32 bytes; /* of this structure */
    enum replay_goal goal;
    u64 target;   /* instructions */
    u64 seen_ns;  /* the latest guest time of all runs */
    s64 rtc_base; /* Unix time at power-on */
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

/* Before the machine is made: makes a deterministic run repeatable, and takes over what a former program has left. */
void replay_begin(struct options *options);

/* Packets bs and bc: does not return if it succeeds. Otherwise the reason, in one sentence. */
const char *replay_backward(struct gdb *gdb, bool step);
/* The stub has its chardev: go on with the inherited connection. */
void replay_adopt(struct gdb *gdb);
/* The machine is about to run. */
void replay_start(struct gdb *gdb);

#endif
