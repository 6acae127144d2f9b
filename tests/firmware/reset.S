/*
 * Hazard: resets. Programs for the 80286 leave protected mode by a reset of the CPU alone, and the BIOS continues at their
 * address (CMOS 0Fh, 0040:0067). A reset of the machine boots again: the BIOS is not shadowed, the chips are in their
 * power-on state, and RAM and CMOS keep their contents.
 */
#include "boot.inc"

SHUTDOWN   = 0x0f           /* in CMOS */
COUNT      = 0x50           /* number of starts; the firmware does not use this byte */
VECTOR     = 0x467
A20_CLOSED = 0xdd
A20_OPEN   = 0xdf
PULSE      = 0xfe
UNDEFINED  = 6 * 4          /* exception vector */
SCRATCH    = 0x6000

test:
    mov al, COUNT
    call get_cmos
    cmp al, 0xa5
    je second_start

    /* CPU alone, by the keyboard controller; code 0Ah: a plain jump */
    mov ebx, 0x0a
    mov eax, offset 1f
    mov edx, 0x64 << 16 | PULSE
    jmp reset_cpu
1:  call after_reset
    CHECK_EQ([SCRATCH], 0x11223344)
    /* with the A20 gate closed: the CPU starts 1 MB lower, and finds the same BIOS */
    push dword ptr [UNDEFINED]
    mov dword ptr [UNDEFINED], offset nothing_there
    mov al, A20_CLOSED
    out 0x64, al
    mov ebx, 0x0a
    mov eax, offset 4f
    mov edx, 0x64 << 16 | PULSE
    jmp reset_cpu
4:  call after_reset
    mov al, A20_OPEN
    out 0x64, al
    pop dword ptr [UNDEFINED]
    /* by port 92h; code 05h: an end of interrupt first */
    mov ebx, 0x05
    mov eax, offset 2f
    mov edx, 0x92 << 16 | 0x03
    jmp reset_cpu
2:  call after_reset
    inc dword ptr [SCRATCH]
    in al, 0x92
    and al, 0xfe
    out 0x92, al

    /* the machine */
    mov bl, 0xa5
    mov al, COUNT
    call set_cmos
    mov bl, 0
    mov al, SHUTDOWN
    call set_cmos
    mov eax, [checks]
    mov [SCRATCH + 4], eax
    mov eax, [failures]
    mov [SCRATCH + 8], eax
    mov al, 0xff            /* masks that a reset of the chips must clear */
    out 0x21, al
    mov dx, 0xcf9
    mov al, 2
    out dx, al
    mov al, 6
    out dx, al
    hlt
second_start:
    mov bl, 0
    mov al, COUNT
    call set_cmos
    mov eax, [SCRATCH + 4]
    mov [checks], eax
    mov eax, [SCRATCH + 8]
    mov [failures], eax
    CHECK_EQ([SCRATCH], 0x11223345)
    mov eax, [0x46c]        /* ticks come */
3:  hlt
    cmp eax, [0x46c]
    je 3b
    ret

/* EBX: the shutdown code; EAX: where to go on; EDX: port and value that reset. */
reset_cpu:
    cli
    mov [VECTOR], ax
    mov word ptr [VECTOR + 2], 0
    mov al, SHUTDOWN
    call set_cmos
    mov dword ptr [SCRATCH], 0x11223344
    mov [stack], sp
    mov eax, cr0            /* in protected mode, with a segment that real mode does not have */
    or al, 1
    mov cr0, eax
    mov al, dl
    shr edx, 16
    out dx, al
    hlt

nothing_there:
    inc dword ptr cs:[failures]
    iret

after_reset:
    pop dx
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, [stack]
    push dx
    sti
    mov eax, cr0
    and eax, 1
    CHECK_EQ(eax, 0)
    ret
stack: .word 0

get_cmos:
    out 0x70, al
    in al, 0x71
    ret
set_cmos:
    out 0x70, al
    mov al, bl
    out 0x71, al
    ret

    .org SECTORS * 512
