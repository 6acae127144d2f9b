/*
 * Shadow return stacks. Guest calls are host calls and guest returns are host returns, so that the host's return
 * predictor serves the guest.
 *
 * While translated code runs, the host's stack pointer is in a shadow return stack. There is one for supervisor and one
 * for user privilege. A guest CALL pushes its return address on the guest's stack and then executes a host CALL. A
 * guest RET pops the EIP into r9d and executes a host RET, which leads to the code behind the host CALL. That code
 * compares r9d with its own EIP and goes on by an edge to the block there. If they differ, or at the bottom of the
 * stack, thunk_return_miss (entry.S) empties the stack and looks up the EIP.
 *
 * Invariants
 * 1. A stack holds addresses behind host CALLs in the arena. Its first word, at `base`, is the address of
 *    thunk_return_miss.
 * 2. Every address was pushed since code was freed last (cache.turns), in the current mode and address space, and no
 *    page has lost its exec entry since. So the page of the return address still maps the same frame as at the call,
 *    and an edge within that page needs no test. Only C code can break this. Before C code enters translated code it
 *    calls returns_select(), which empties the stack if something changed.
 * 3. A block that dies unlinks its edges, so a return into it goes on by translator_link().
 *
 * A full stack runs into a page without access. The signal handler empties the stack, and the CALL pushes again.
 */
#ifndef RINGER_TRANSLATOR_RETURNS_H
#define RINGER_TRANSLATOR_RETURNS_H

#include "cache/cache.h"
#include "cpu/vcpu.h"

struct return_stack {
    u8 *guard; /* the page without access; the stack proper is above it */
    u64 base;  /* the stack pointer of the empty stack */
    u64 top;   /* the stack pointer when the other stack became current */
    /* The state in which it was filled. */
    u32 mode;
    const u32 *exec_table;
    u64 exec_drops, turns;
};

struct returns {
    struct return_stack stack[SHADOW_PRIVILEGES];
    struct return_stack *current;
};

/* Returns 0 or -errno. */
int returns_init(struct returns *returns);
void returns_destroy(struct returns *returns);

/* Give the vCPU the stack of its current privilege, emptied if its state differs from the current one. */
void returns_select(struct vcpu *v, struct returns *returns, const struct cache *cache);

/* Aborts unless each return address of the current stack is behind a host CALL in the cache. */
void returns_check(const struct vcpu *v, const struct cache *cache);

/* A host access to `address` failed. If that is the guard page of the current stack, returns the stack pointer of
 * the empty stack; else 0. */
u64 returns_overflow(struct vcpu *v, struct returns *returns, u64 address);

#endif
