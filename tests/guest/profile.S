/*
 * A guest that runs little else than one loop, so the result of a profile is known (see profile.sh).
 */
#include "guest.inc"

GUEST(profile)

    .globl hot_loop, hot_loop_end
guest_main:
    mov ecx, 400000000
hot_loop:
    dec ecx
    jnz hot_loop
hot_loop_end:
    CHECK_EQ(ecx, 0)
    ret
