/*
 * Hazard: 16-bit code. Boot loaders, a kernel's real-mode trampoline and BIOS code drop to real mode and back, use 32-bit
 * operands and addresses there, wrap SP and IP, and keep big segment limits ("unreal mode"). SDM 3A 9.9, chapter 20.1.
 *
 * The 16-bit code is copied to LOW. It runs first in 16-bit protected mode and then in real mode, and writes its results to an
 * array that 32-bit code checks.
 */
#include "guest.inc"
GUEST(real)

LOW = 0x8000           /* linear; in real mode segment 0 with these offsets */
SCRATCH = 0x6000
#define HERE(label) (label - low_start + LOW)
#define RESULT(n) [LOW + 4 * (n)]   /* the findings come first */

guest_main:
    mov esi, offset low_start
    mov edi, LOW
    mov ecx, offset low_end - low_start
    rep movsb
    mov [saved_esp], esp

    /* an IVT at 0, with the vectors that are used */
    xor edi, edi
    mov ecx, 256
    mov eax, HERE(real_unexpected)
    rep stosd
    mov dword ptr [4 * VEC_DE], HERE(real_divide)
    mov dword ptr [4 * VEC_GP], HERE(real_general)
    mov dword ptr [4 * VEC_BP], HERE(real_breakpoint)
    mov dword ptr [4 * VEC_UD], HERE(real_undefined)
    mov dword ptr [4 * 0x40], HERE(real_int40)

    DESCRIPTOR(FREE, offset target32, 0xffff, ACC_CODE32_BYTES)
    ljmp CODE16, HERE(protected16)

/* the 16-bit code returns here, in 32-bit mode with DS and SS restored */
back:
    mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov ss, eax
    mov esp, [saved_esp]
    lidt [idt_pointer]

    /* 16-bit protected mode */
    CHECK_EQ(RESULT(0), 0xffd4)             /* PUSHA and PUSHAD on SP */
    CHECK_EQ(RESULT(1), 0x56780002)         /* 16-bit POP leaves the high half; MOV r16 too */
    CHECK_EQ(RESULT(2), 0x12345678)
    CHECK_EQ(RESULT(3), 2)                  /* near CALL pushes 2 bytes */
    CHECK_EQ(RESULT(4), 4)                  /* with 66h: 4 */
    CHECK_EQ(RESULT(5), 0x00001233)         /* LEA truncated to 16 */
    CHECK_EQ(RESULT(6), 0x00011233)         /* with 67h, 66h */
    CHECK_EQ(RESULT(7), 5)                  /* LOOP counts CX, */
    CHECK_EQ(RESULT(8), 0x10000)            /* and leaves the high half of ECX */
    CHECK_EQ(RESULT(9), 0xfffe)             /* SP wrapped */
    CHECK_EQ(RESULT(10), 0xabcd1111)        /* far call from 16- to 32-bit code and back */
    CHECK_EQ(RESULT(11), 0x00050001)        /* REP MOVSW: SI wrapped in 16 bits, CX done */
    CHECK_EQ(RESULT(12), 0x2211)
    /* real mode */
    CHECK_EQ(RESULT(16), 0x40)              /* INT 40h came, */
    CHECK_EQ(RESULT(17), 6)                 /* pushed 6 bytes, */
    CHECK_EQ(RESULT(18), 0)                 /* cleared IF, */
    CHECK_EQ(RESULT(19), HERE(real_after_int))
    CHECK_EQ(RESULT(20), HERE(real_divides)) /* #DE saves the DIV's own IP, no error code */
    CHECK_EQ(RESULT(21), 6)
    CHECK_EQ(RESULT(22), HERE(real_after_int3))
    CHECK_EQ(RESULT(23), HERE(real_ud2))
    CHECK_EQ(RESULT(24), 0x0010)            /* CR0.PE read back as 0 */
    CHECK_EQ(RESULT(25), 0xdeadbeef)        /* segment << 4 */
    CHECK_EQ(RESULT(26), 0xcafe)            /* 1 MB + through unreal FS */
    CHECK_EQ(RESULT(27), 0x7777)            /* far CALL through memory */
    CHECK_EQ(RESULT(28), 0x355)             /* AAM AAD DAA */
    CHECK_EQ(RESULT(29), 1)                 /* LIDT moved the IVT */
    CHECK_EQ(RESULT(31), 0xffff000f)        /* 66h RET/RETF, MOVZX mix */
    SKIP_ON_TCG 1f
    CHECK_EQ(RESULT(30), HERE(real_overlimit)) /* #GP beyond 64 KB by 67h */
1:  ret

target32:
    mov eax, 0xabcd1111
    retfw              /* called with a 16-bit far CALL */

    .data
    .balign 16
    .code16
low_start:
results: .skip 4 * 32
protected16:
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0
    pusha
    pushad
    pop eax
    xor eax, eax
    mov ax, sp          /* 0 - 16 - 32 + 4 */
    mov ds:[HERE(results)], eax

    mov esp, 0x7000
    mov eax, 0x56781234
    push 2
    pop ax
    mov ds:[HERE(results) + 4], eax
    mov ebx, SCRATCH
    mov dword ptr [ebx], 0x12345678
    mov eax, [bx]
    mov ds:[HERE(results) + 8], eax
    mov bp, sp
    call 1f
1:  sub bp, sp
    movzx eax, bp
    mov ds:[HERE(results) + 12], eax
    mov sp, 0x7000
    mov bp, sp
    .byte 0x66, 0xe8    /* CALL rel32 */
    .long 0
    sub bp, sp
    movzx eax, bp
    mov ds:[HERE(results) + 16], eax
    mov sp, 0x7000
    mov ebx, 0x00011234
    xor eax, eax
    lea ax, [bx - 1]
    mov ds:[HERE(results) + 20], eax
    lea eax, [ebx - 1]
    mov ds:[HERE(results) + 24], eax
    mov ecx, 0x10005
    xor eax, eax
1:  inc ax
    loop 1b
    mov ds:[HERE(results) + 28], eax
    mov ds:[HERE(results) + 32], ecx
    mov esp, 0
    push ax
    movzx eax, sp
    mov ds:[HERE(results) + 36], eax
    mov esp, 0x7000
    lcall FREE, 0       /* a descriptor of 32-bit code at target32 */
    mov ds:[HERE(results) + 40], eax
    /* REP MOVSW at the end of the segment: SI wraps between elements */
    mov word ptr ds:[0xfffd], 0x1100
    mov byte ptr ds:[0xffff], 0x22
    mov word ptr ds:[0xfffe], 0x2211
    mov esi, 0x0005fffe
    mov edi, 0x0005e000
    mov ecx, 0x00050001
    rep movsw
    mov eax, esi        /* 0005_0000 */
    add ax, 1
    mov ds:[HERE(results) + 44], eax
    movzx eax, word ptr ds:[0xe000]
    mov ds:[HERE(results) + 48], eax

    /* FS keeps its 4 GB limit on the way to real mode */
    mov ax, KDATA
    mov fs, ax
    mov word ptr fs:[HERE(real_memory)], 0
    lidt ds:[HERE(real_idt)]
    mov eax, cr0
    and eax, ~1
    mov cr0, eax
    ljmp 0, HERE(real_mode)

real_mode:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    push 0x0202
    popf
    int 0x40
real_after_int:
    cli
    mov bp, sp
    xor edx, edx
    xor cx, cx
    mov ax, 5
real_divides:
    div cx
    int3
real_after_int3:
real_ud2:
    ud2
    smsw eax
    and eax, 0x11
    mov ds:[HERE(results) + 96], eax
    mov ax, 0x600
    mov es, ax
    mov dword ptr es:[4], 0xdeadbeef
    mov eax, ds:[SCRATCH + 4]
    mov ds:[HERE(results) + 100], eax
    mov ebx, 0x00800000
    mov word ptr fs:[ebx], 0xcafe
    movzx eax, word ptr fs:[ebx]
    mov ds:[HERE(results) + 104], eax
    lcall ds:[HERE(real_far)]
    mov ds:[HERE(results) + 108], eax
    xor eax, eax
    mov al, 38
    aam                 /* 0308 */
    mov bx, ax
    aad                 /* 0026h */
    add al, 0x29
    daa                 /* 4Fh: 55h */
    mov ah, bh
    mov ds:[HERE(results) + 112], eax
    lidt ds:[HERE(moved_idt)]
    mov dword ptr ds:[0x1000 + 4 * 5], HERE(real_moved)
    xor eax, eax
    int 5
    mov ds:[HERE(results) + 116], eax
    lidt ds:[HERE(real_idt)]
    /* 66h RETF pops 8 bytes; MOVZX and MOVSX of mixed sizes */
    pushd 0
    pushd HERE(1f)
    .byte 0x66
    retf
1:  mov al, 0xff
    movsx eax, al
    and al, 0x0f
    mov ah, 0
    mov ds:[HERE(results) + 124], eax
    /* beyond the 64 KB limit of DS */
    mov ebx, 0x10000
    xor eax, eax
real_overlimit:
    mov al, ds:[ebx]
real_after_limit:

    /* back to protected mode */
    cli
    lgdt ds:[HERE(gdt_again)]
    mov eax, cr0
    or eax, 1
    mov cr0, eax
    .byte 0x66, 0xea    /* JMP ptr16:32 */
    .long back
    .word KCODE

real_int40:
    mov word ptr ds:[HERE(results) + 64], 0x40
    mov bp, sp
    mov ax, 0x7000
    sub ax, bp
    mov ds:[HERE(results) + 68], ax
    pushf
    pop ax
    and ax, 0x300
    mov ds:[HERE(results) + 72], ax
    mov ax, [bp]
    mov ds:[HERE(results) + 76], ax
    iret
real_divide:
    mov ax, bp
    sub ax, sp
    mov ds:[HERE(results) + 84], ax
    mov bp, sp
    mov ax, [bp]
    mov ds:[HERE(results) + 80], ax
    add word ptr [bp], 2
    iret
real_breakpoint:
    mov bp, sp
    mov ax, [bp]
    mov ds:[HERE(results) + 88], ax
    iret
real_undefined:
    mov bp, sp
    mov ax, [bp]
    mov ds:[HERE(results) + 92], ax
    add word ptr [bp], 2
    iret
real_general:
    mov bp, sp
    mov ax, [bp]
    mov ds:[HERE(results) + 120], ax
    mov word ptr [bp], HERE(real_after_limit)
    iret
real_unexpected:
    mov dx, 0xf4
    mov al, 19
    out dx, al
    hlt
real_moved:
    inc ax
    iret
real_far_target:
    mov eax, 0x7777
    retf

    .balign 4
real_far: .word HERE(real_far_target), 0
real_idt: .word 0x3ff
    .long 0
moved_idt: .word 0x3ff
    .long 0x1000
gdt_again: .word GDT_BYTES - 1
    .long gdt
real_memory: .long 0
low_end:
    .code32
    .bss
    .balign 4
saved_esp: .skip 4
