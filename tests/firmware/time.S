/*
 * Hazard: the tick (IRQ 0, INT 8, INT 1Ch), HLT, the RTC's time and date, waiting (INT 15h AH=86h by the RTC's periodic
 * interrupt), alarms. Also the PCI BIOS, which uses INT 1Ah too.
 */
#include "boot.inc"

TICKS = 0x46c               /* in the BIOS data area */
IVT_1C = 4 * 0x1c

test:
    mov dword ptr [IVT_1C], offset user_tick
    /* ticks come while HLT waits for them, and INT 1Ch is called for each */
    mov eax, [TICKS]
1:  hlt
    cmp eax, [TICKS]
    je 1b
    mov edx, [TICKS]
    mov dword ptr [user_ticks], 0
2:  hlt
    mov eax, [TICKS]
    sub eax, edx
    cmp eax, 5
    jb 2b
    CHECK_EQ([user_ticks], 5)
    mov ah, 0
    int 0x1a
    movzx ecx, cx
    shl ecx, 16
    mov cx, dx
    mov eax, [TICKS]
    sub eax, ecx
    shr eax, 2              /* at most a few have passed in between */
    CHECK_EQ(eax, 0)
    call a_second
    call date
    call waits
    call alarm
    call pci
    ret

user_tick:
    inc dword ptr cs:[user_ticks]
    iret
user_ticks: .long 0

/* A second of the RTC has 18 or 19 ticks. (How many are seen depends on how busy the host is.) */
a_second:
    call next_second
    mov ebx, [TICKS]
    call next_second
    mov eax, [TICKS]
    sub eax, ebx
    cmp eax, 6
    jb 1f
    cmp eax, 60
    jbe 2f
1:  CHECK_EQ(eax, 18)
2:  ret

/* Waits until the second changes. Keeps EBX. */
next_second:
    mov ah, 2
    int 0x1a
    CHECK_NO_CARRY
    mov [second], dh
1:  hlt
    mov ah, 2
    int 0x1a
    cmp dh, [second]
    je 1b
    ret
second: .byte 0

date:
    mov ah, 4
    int 0x1a
    CHECK_NO_CARRY
    movzx eax, ch
    CHECK_EQ(eax, 0x20)     /* the century, BCD */
    cmp dh, 0x12
    ja 1f
    cmp dl, 0x31
    jbe 2f
1:  movzx eax, dx
    CHECK_EQ(eax, 0x0101)
2:  ret

/* 200 ms are 3 or 4 ticks, or more on a busy host. */
waits:
    mov ebx, [TICKS]
1:  hlt
    cmp ebx, [TICKS]
    je 1b
    mov ebx, [TICKS]
    mov cx, 200000 >> 16
    mov dx, 200000 & 0xffff
    mov ah, 0x86
    int 0x15
    CHECK_NO_CARRY
    mov eax, [TICKS]
    sub eax, ebx
    cmp eax, 3
    jb 2f
    cmp eax, 40
    jbe 3f
2:  CHECK_EQ(eax, 4)
3:  ret

/* An alarm in two seconds: INT 4Ah. */
alarm:
    mov dword ptr [4 * 0x4a], offset alarmed
    call next_second
    mov ah, 2
    int 0x1a
    mov al, dh
    add al, 2
    daa
    cmp al, 0x60
    jb 1f
    sub al, 0x60
    das
    xchg al, cl             /* the next minute: after 59 comes 0, and the test ignores the hour */
    add al, 1
    daa
    xchg al, cl
1:  mov dh, al
    mov ah, 6
    int 0x1a
    CHECK_NO_CARRY
    mov ebx, [TICKS]
2:  hlt
    cmp byte ptr [alarm_came], 0
    jne 3f
    mov eax, [TICKS]
    sub eax, ebx
    cmp eax, 80
    jb 2b
3:  movzx eax, byte ptr [alarm_came]
    CHECK_EQ(eax, 1)
    mov ah, 7
    int 0x1a
    ret
alarmed:
    inc byte ptr cs:[alarm_came]
    iret
alarm_came: .byte 0

pci:
    mov ax, 0xb101
    int 0x1a
    CHECK_NO_CARRY
    CHECK_EQ(edx, 0x20494350)
    movzx eax, ah
    CHECK_EQ(eax, 0)
    mov ax, 0xb102
    mov cx, 0x7113          /* power management */
    mov dx, 0x8086
    mov si, 0
    int 0x1a
    CHECK_NO_CARRY
    movzx eax, bx
    CHECK_EQ(eax, 1 << 3 | 3)
    mov ax, 0xb10a
    mov di, 0
    int 0x1a
    CHECK_NO_CARRY
    CHECK_EQ(ecx, 0x71138086)
    mov ax, 0xb108
    mov di, 0x3c
    int 0x1a
    CHECK_NO_CARRY
    movzx eax, cl
    CHECK_EQ(eax, 9)        /* the SCI */
    mov ax, 0xb102
    mov cx, 0x1234
    mov si, 0
    int 0x1a
    CHECK_CARRY
    movzx eax, ah
    CHECK_EQ(eax, 0x86)     /* no such device */
    ret

    .org SECTORS * 512
