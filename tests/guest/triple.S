/*
 * Hazard: a triple fault that hangs or crashes the monitor. There is no IDT at all: the machine must report that and stop (or
 * reset). There is no pass message: the run must end with the status for "the guest cannot go on".
 */
#include "guest.inc"
GUEST(triple)

guest_main:
    mov esi, offset text
    call print
    mov dword ptr [nothing], 0
    lidt [nothing]
    ud2

    .section .rodata
text: .asciz "triple: going down\n"
    .bss
nothing: .skip 8
