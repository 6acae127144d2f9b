/*
 * What translated code keeps in the vCPU for itself (translator/frame.h describes the registers). None of it is
 * guest state: the guest cannot see it, and the lockstep does not compare it.
 */
#ifndef RINGER_CPU_VCPU_SCRATCH_H
#define RINGER_CPU_VCPU_SCRATCH_H

#include "base/types.h"

struct translator_scratch {
    u64 thunk[15];       /* entry points that translated code calls */
    u64 window_delta;    /* of the window of 64-bit code: host address - linear address (mmu/long_window.h) */
    u64 jump_tag;        /* mode number << 56; 0: the jump table is not used */
    u64 jump_table;      /* struct jump_entry[65536], by the low 16 bits of EIP */
    u64 long_jump_table; /* struct long_jump_entry[65536] of the mode, by the low 16 bits of RIP */
    u32 remaining;       /* guest instructions of the block that follow the one to be interpreted */
    u32 slow_scratch;    /* a value that is kept across a second slow access */
    u64 hoisted[3];      /* host addresses that the hoisted checks of a block found (translator/hoist.c) */
    u64 parked_flags;    /* AH: SF ZF AF PF CF, AL: OF */
    u64 window_negated;  /* 0 - shadow->window */
    u64 c_stack;         /* the monitor's stack pointer while translated code runs */
    u64 return_top;      /* stack pointer of this privilege's shadow return stack while C code runs */
    u64 return_base;     /* the same when that stack is empty */
    u64 return_misses;   /* guest returns to another address than that stack predicted */
    /* Why translated code was last left: written only while a profiler is attached (translator/sample.h) */
    u32 exit_cause;    /* THUNK_... */
    u32 exit_argument; /* r11d */
    u64 exit_site;     /* host address behind the call, if it was left by a call */
};

#endif
