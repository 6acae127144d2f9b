/*
 * A guest that does next to nothing but one loop: what a profile of it must say is known (see profile.sh).
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
