/*
 * Shadow return stacks: guest calls are host calls and guest returns host returns, so that the host's return
 * predictor serves the guest.
 *
 * While translated code runs, the host's stack pointer is in such a stack, one for supervisor and one for
 * user privilege. A guest CALL pushes its return address on the guest's stack, as it must, and goes on with a
 * host CALL. A guest RET pops the guest's EIP into r9d and executes a host RET, which leads to the code
 * behind the host CALL; that compares r9d with the EIP it stands for and goes on by an edge to the block
 * there. When they differ, or at the bottom of the stack, thunk_return_miss (entry.S) empties the stack and
 * looks the EIP up.
 *
 * Invariants
 * 1. What a stack holds are addresses behind host CALLs in the arena, above the address of thunk_return_miss.
 * 2. Every entry was pushed since the last whole flush, in the mode and the address space that are current
 *    when translated code runs, and no page has lost its exec entry since: so the page of the return address
 *    still maps the frame it mapped at the call, and an edge from there within the page is right without
 *    another look. Whatever breaks this happens in C code, and whoever goes from C code into translated code
 *    calls returns_select() first, which empties the stack then.
 * 3. A block that dies unlinks its edges: a return into it finds the way by translator_link().
 *
 * Full stacks run into a page without access; the signal handler empties the stack and lets the CALL push
 * again.
 */
#ifndef RINGER_TRANSLATOR_RETURNS_H
#define RINGER_TRANSLATOR_RETURNS_H

#include "cache/cache.h"
#include "cpu/vcpu.h"

struct return_stack {
    u8 *guard; /* the page without access; the stack proper is above it */
    u64 base;  /* where the stack pointer is when the stack is empty */
    u64 top;   /* and where it was when the other stack became current */
    /* For what it was filled. */
    u32 mode;
    const u32 *exec_table;
    u64 exec_drops, cache_flushes;
};

struct returns {
    struct return_stack stack[SHADOW_PRIVILEGES];
    struct return_stack *current;
};

/* Returns 0 or -errno. */
int returns_init(struct returns *returns);
void returns_destroy(struct returns *returns);

/* Make the stack of the current privilege the vCPU's, and empty it if it may be wrong. */
void returns_select(struct vcpu *v, struct returns *returns, const struct cache *cache);

/* A host access to `address` failed. Is that a full stack? Then empty it, and say where the stack pointer is
 * to be; else 0. */
u64 returns_overflow(struct vcpu *v, struct returns *returns, u64 address);

#endif
