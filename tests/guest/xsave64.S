/*
 * Hazards of the extended states with AVX-512, in 64-bit and compatibility mode: a component that is lost, or loaded or stored where
 * the mask, XSTATE_BV or the mode says that it is not; places in the compacted format; combinations of XCR0 that must not be; sizes
 * that CPUID tells; areas that lie in two pages. What all CPUs with XSAVE have is in xsave.S. SDM 1 13.1-13.11; SDM 2 CPUID.
 *
 * The state comes from areas that are written by hand and goes to others, which are compared. Instructions of AVX-512 have a test at
 * the end. On a host without AVX-512 nothing is tested.
 */
#include "guest.inc"
#include "long.inc"
GUEST(xsave64)

X87 = 0x01
SSE = 0x02
AVX = 0x04
OPMASK = 0x20
HI256 = 0x40                /* the upper halves of ZMM0 to ZMM15 */
HI16 = 0x80                 /* ZMM16 to ZMM31 */
ALL = 0xe7

/* offsets in an area of the standard format */
MXCSR_AT = 24
ST_AT = 32
XMM_AT = 160
HEADER = 512
XCOMP_BV = 520
YMM_AT = 576
OPMASK_AT = 832
ZMM_AT = 896
ZMM16_AT = 1408
AREA_BYTES = 2432

MXCSR_INITIAL = 0x1f80
FILL = 0xa5a5a5a5

WINDOW = 0x1003000          /* the fourth page of `pt`, and the fifth */
WINDOW_AREA = WINDOW + 0x1000 - 1024

/* EDX:EAX for the instructions. */
.macro ask mask
    mov eax, \mask
    xor edx, edx
.endm
.macro set_xcr0 mask
    ask \mask
    xor ecx, ecx
    xsetbv
.endm
/* Which area a component must be equal to: if asked for and in XSTATE_BV; if asked for only; if not asked for. */
.macro sources has, initial, other
    mov dword ptr [if_has], offset \has
    mov dword ptr [if_initial], offset \initial
    mov dword ptr [if_other], offset \other
.endm
/* All components of the state must be those of this area. Clobbers R12 to R14. */
#define STATE_IS(area) state_is_ __LINE__, area
.macro state_is_ line, area
    sources \area, \area, \area
    call save_all
    call judge
    note_ \line
.endm

    .globl checks64
    .code64
checks64:
    mov eax, 1
    xor ecx, ecx
    cpuid
    bt ecx, 26              /* XSAVE */
    jnc leave64
    mov eax, 7
    xor ecx, ecx
    cpuid
    bt ebx, 16              /* AVX512F */
    jnc leave64
    mov rax, cr4
    or eax, 0x40600         /* OSXSAVE, OSXMMEXCPT, OSFXSR */
    mov cr4, rax
    call leaf_d
    call combinations
    call make_areas
    mov r8, offset area
    call masks
    call headers
    call disabled
    call compatibility
    mov r8, offset area_across
    call masks
    call two_pages
    call instructions
    xor r13d, r13d          /* 32-bit mode does not keep what it does not have */
    call load_a
    jmp leave64

/* --- CPUID, XCR0 --- */

#define LEAF_IS(subleaf, a, b, c) leaf_is_ __LINE__, subleaf, a, b, c
.macro leaf_is_ line, subleaf, a, b, c
    mov eax, 0xd
    mov ecx, \subleaf
    cpuid
    cmp eax, \a
    note_ \line
    cmp ebx, \b
    note_ \line
    cmp ecx, \c
    note_ \line
    test edx, edx
    note_ \line
.endm
leaf_d:
    LEAF_IS(0, ALL, 576, AREA_BYTES)    /* XCR0 has x87 only */
    LEAF_IS(1, 7, 576, 0)
    LEAF_IS(2, 256, YMM_AT, 0)
    LEAF_IS(5, 64, OPMASK_AT, 0)
    LEAF_IS(6, 512, ZMM_AT, 0)
    LEAF_IS(7, 1024, ZMM16_AT, 0)
    .irp subleaf, 3, 4, 8, 9, 34, 37, 0x80000005
    LEAF_IS(\subleaf, 0, 0, 0)
    .endr
    set_xcr0 X87+SSE+AVX
    LEAF_IS(0, ALL, 832, AREA_BYTES)
    LEAF_IS(1, 7, 832, 0)
    set_xcr0 ALL
    LEAF_IS(0, ALL, AREA_BYTES, AREA_BYTES)
    LEAF_IS(1, 7, AREA_BYTES, 0)
    ret

/* All values of the low byte: XSETBV takes four, and after the others XCR0 is what it was. */
combinations:
    xor r12d, r12d
1:  set_xcr0 X87
    mov r13d, -1
    mov ebx, X87
    .irp legal, X87, X87+SSE, X87+SSE+AVX, ALL
    cmp r12d, \legal
    je 2f
    .endr
    mov r13d, VEC_GP
    jmp 3f
2:  mov ebx, r12d
3:  mov dword ptr [seen_vector], -1
    mov dword ptr [resume], offset 4f
    mov [resume_rsp], rsp
    ask r12d
    xor ecx, ecx
    xsetbv
4:  mov rsp, [resume_rsp]
    cmp [seen_vector], r13d
    note_ __LINE__
    xor ecx, ecx
    xgetbv
    cmp eax, ebx
    note_ __LINE__
    inc r12d
    cmp r12d, 256
    jb 1b
    set_xcr0 ALL
    ret

/* --- areas --- */

/* R8: an area of the standard format; R14: XCOMP_BV for it if it shall be compacted. */

/* The two patterns, what an initial state looks like, and one that is filled. */
make_areas:
    mov edi, offset pattern_a
    mov eax, 0x1234567
    call make_pattern
    mov dword ptr [pattern_a], 0x027f           /* FSW, FCW */
    mov dword ptr [pattern_a + MXCSR_AT], 0x5f80
    mov edi, offset pattern_b
    mov eax, 0x89abcdf
    call make_pattern
    mov dword ptr [pattern_b], 0x0f7f
    mov dword ptr [pattern_b + MXCSR_AT], 0x3f80
    mov dword ptr [initial], 0x037f
    mov dword ptr [initial + MXCSR_AT], MXCSR_INITIAL
    mov edi, offset filled
    mov ecx, AREA_BYTES / 8
    mov rax, [fill]
    rep stosq
    ret
/* EAX: the seed. No quadword is 0 but those of the header and the reserved bytes. */
make_pattern:
    mov rsi, rdi
    mov ecx, AREA_BYTES / 4
1:  imul eax, eax, 1664525
    add eax, 1013904223
    or eax, 1
    stosd
    loop 1b
    lea rdi, [rsi + HEADER]
    xor eax, eax
    mov ecx, 8
    rep stosq
    mov dword ptr [rsi + HEADER], ALL
    mov qword ptr [rsi], 0
    mov byte ptr [rsi + 4], 0xff                /* no x87 register is empty */
    mov qword ptr [rsi + 8], 0                  /* the pointers */
    mov qword ptr [rsi + 16], 0
    mov ecx, 8
2:  mov word ptr [rsi + ST_AT + 10], 0
    mov dword ptr [rsi + ST_AT + 12], 0
    add rsi, 16
    loop 2b
    ret

/* The area and what follows it, with a header of zeros. Clobbers RAX, RCX and RDI. */
fill_area:
    mov rdi, r8
    mov ecx, AREA_BYTES / 8 + 1
    mov rax, [fill]
    rep stosq
    lea rdi, [r8 + HEADER]
    xor eax, eax
    mov ecx, 8
    rep stosq
    ret

/* The state to the area. Sets R12 to R14 for judge: all components. */
save_all:
    call fill_area
    mov r12d, ALL
    mov r13d, ALL
    mov r14d, ALL
    ask ALL
    xsave [r8]
    ret

/* The state becomes that of pattern A as far as R13 has it, and otherwise initial; MXCSR is that of the pattern. */
load_a:
    mov [pattern_a + HEADER], r13
    ask -1
    xrstor [pattern_a]
    mov qword ptr [pattern_a + HEADER], ALL
    ret

/* ZF: what the area has at the place of each component is as `sources` says, where R12 tells what was asked for and R13 what XSTATE_BV
 * had. R14: the components that have a place in the area; nothing was written behind the last. Clobbers RAX, RCX, RSI, RDI and R9 to
 * R11. */
judge:
    mov r9d, offset components
    mov r10d, YMM_AT                            /* the next place behind the header */
    xor r11d, r11d                              /* differences */
1:  mov eax, [r9]
    mov edi, [r9 + 4]
    mov ecx, [r9 + 8]
    mov esi, [if_other]
    test r12d, eax
    jz 2f
    mov esi, [if_initial]
    test r13d, eax
    jz 2f
    mov esi, [if_has]
2:  add esi, edi
    cmp edi, YMM_AT
    jb 3f
    test r14d, eax
    jz 4f
    mov edi, r10d
    add r10d, ecx
3:  add rdi, r8
    shr ecx, 3
    repe cmpsq
    setne al
    or r11b, al
4:  add r9d, 12
    cmp r9d, offset components_end
    jb 1b
    mov rax, [fill]
    cmp [r8 + r10], rax
    setne al
    or r11b, al
    ret

/* --- all masks --- */

/* R13: what the state or the area has, of `some`; R12: what the instruction asks for. */
masks:
    mov r15d, offset some
1:  xor r12d, r12d
2:  mov r13d, [r15]
    call xsave_mask
    call xsaveopt_mask
    call xsavec_mask
    call xrstor_mask
    call xrstor_compacted_mask
    cmp dword ptr [bad_count], 64               /* enough */
    ja 9f
    inc r12d
    cmp r12d, 256
    jb 2b
    mov r13d, [r15]
    call load_a
    mov ecx, 1
    xgetbv                                      /* what is in use */
    cmp eax, r13d
    note_ __LINE__
    test edx, edx
    note_ __LINE__
    add r15d, 4
    cmp r15d, offset some_end
    jb 1b
9:  ret

/* Stores what is initial, too. */
xsave_mask:
    call load_a
    call fill_area
    mov qword ptr [r8 + HEADER], ALL
    mov r14d, ALL
    sources pattern_a, initial, filled
    ask r12d
    xsave [r8]
    call judge
    note_ __LINE__
    mov eax, r13d
    mov ecx, r12d
    and eax, ecx
    not ecx
    and ecx, ALL
    or eax, ecx                                 /* bits that are not asked for stay */
    cmp [r8 + HEADER], rax
    note_ __LINE__
    cmp qword ptr [r8 + XCOMP_BV], 0
    note_ __LINE__
    mov ecx, FILL
    test r12d, SSE + AVX
    cmovnz ecx, [pattern_a + MXCSR_AT]
    cmp [r8 + MXCSR_AT], ecx
    note_ __LINE__
    ret

xsaveopt_mask:
    call load_a
    call fill_area
    mov r14d, ALL
    sources pattern_a, filled, filled
    ask r12d
    xsaveopt [r8]
    call judge
    note_ __LINE__
    mov eax, r13d
    and eax, r12d
    cmp [r8 + HEADER], rax
    note_ __LINE__
    ret

/* MXCSR is initial, because it would be a reason to store SSE. */
xsavec_mask:
    push [pattern_a + MXCSR_AT]
    mov dword ptr [pattern_a + MXCSR_AT], MXCSR_INITIAL
    call load_a
    call fill_area
    mov r14d, r12d
    sources pattern_a, filled, filled
    ask r12d
    xsavec [r8]
    pop [pattern_a + MXCSR_AT]
    call judge
    note_ __LINE__
    mov eax, r13d
    and eax, r12d
    cmp [r8 + HEADER], rax
    note_ __LINE__
    mov eax, r12d
    and eax, ALL
    bts rax, 63
    cmp [r8 + XCOMP_BV], rax
    note_ __LINE__
    ret

/* Pattern B on top of A. */
xrstor_mask:
    push r12
    push r13
    mov r13d, ALL
    call load_a
    mov r13, [rsp]
    mov esi, offset pattern_b
    mov rdi, r8
    mov ecx, AREA_BYTES / 8
    rep movsq
    mov [r8 + HEADER], r13
    ask r12d
    xrstor [r8]
    sources pattern_b, initial, pattern_a
    call save_all
    pop r13
    pop r12
    call judge
    note_ __LINE__
    mov ecx, [pattern_a + MXCSR_AT]
    test r12d, SSE + AVX
    cmovnz ecx, [pattern_b + MXCSR_AT]
    cmp [r8 + MXCSR_AT], ecx
    note_ __LINE__
    ret

/* The same with an area that has places for the components of the mask, and some of them in it; three masks for XRSTOR. */
xrstor_compacted_mask:
    test r12d, ~ALL & 0xff
    jnz 9f
    mov ebx, offset restored
1:  mov r14d, r12d
    push r12
    push r13
    mov r13d, ALL
    call load_a
    pop r13
    push r13
    and r13d, r14d
    call compact_b
    mov r12d, [rbx]
    ask r12d
    xrstor [r8]
    push r12
    push r13
    sources pattern_b, initial, pattern_a
    call save_all
    pop r13
    pop r12
    call judge
    note_ __LINE__
    mov ecx, [pattern_a + MXCSR_AT]
    test r12d, SSE
    jz 2f
    mov ecx, MXCSR_INITIAL
    test r13d, SSE
    cmovnz ecx, [pattern_b + MXCSR_AT]
2:  cmp [r8 + MXCSR_AT], ecx
    note_ __LINE__
    pop r13
    pop r12
    add ebx, 4
    cmp ebx, offset restored_end
    jb 1b
9:  ret

/* Pattern B as a compacted area with places for R14 and XSTATE_BV = R13. */
compact_b:
    call fill_area
    mov esi, offset pattern_b
    mov rdi, r8
    mov ecx, HEADER / 8
    rep movsq
    mov [r8 + HEADER], r13
    mov eax, r14d
    bts rax, 63
    mov [r8 + XCOMP_BV], rax
    mov r9d, offset components_extended
    lea rdi, [r8 + YMM_AT]
1:  test r14d, [r9]
    jz 2f
    mov esi, [r9 + 4]
    add esi, offset pattern_b
    mov ecx, [r9 + 8]
    shr ecx, 3
    rep movsq
2:  add r9d, 12
    cmp r9d, offset components_end
    jb 1b
    ret

/* --- headers, XCR0 without AVX-512 --- */

headers:
    /* places by hand: without AVX the opmask registers are the first, and without the upper halves ZMM16 comes next */
    mov r13d, ALL
    call load_a
    call fill_area
    ask X87+OPMASK+HI16
    xsavec [r8]
    mov rax, [r8 + 576]
    cmp rax, [pattern_a + OPMASK_AT]
    note_ __LINE__
    mov rax, [r8 + 640]
    cmp rax, [pattern_a + ZMM16_AT]
    note_ __LINE__
    mov rax, [r8 + 640 + 1024]
    cmp rax, [fill]
    note_ __LINE__

    ask -1
    .irp bit, 3, 4, 8, 9, 17, 63
    mov rax, [pattern_b + HEADER]
    bts rax, \bit
    mov [pattern_b + HEADER], rax
    ask -1
    FAULTS(VEC_GP, 0, xrstor [pattern_b])
    mov qword ptr [pattern_b + HEADER], ALL
    .endr
    mov r14d, X87+AVX+OPMASK+HI256
    mov r13d, OPMASK
    call compact_b
    bts qword ptr [r8 + XCOMP_BV], 4
    ask -1
    FAULTS(VEC_GP, 0, xrstor [r8])
    btr qword ptr [r8 + XCOMP_BV], 4
    mov dword ptr [r8 + HEADER], HI16           /* it has no place */
    ask -1
    FAULTS(VEC_GP, 0, xrstor [r8])
    STATE_IS(pattern_a)
    ret

/* What XCR0 does not have, an area cannot have, and the state keeps. */
disabled:
    mov r13d, ALL
    call load_a
    set_xcr0 X87+SSE+AVX
    ask -1
    FAULTS(VEC_GP, 0, xrstor [pattern_b])
    mov r14d, X87+SSE+AVX+OPMASK
    mov r13d, AVX
    call compact_b
    ask -1
    FAULTS(VEC_GP, 0, xrstor [r8])
    mov qword ptr [pattern_b + HEADER], X87+SSE+AVX
    ask -1
    xrstor [pattern_b]
    mov qword ptr [pattern_b + HEADER], ALL
    call fill_area
    ask -1
    xsave [r8]
    cmp qword ptr [r8 + HEADER], X87+SSE+AVX
    note_ __LINE__
    mov rax, [r8 + OPMASK_AT]
    cmp rax, [fill]
    note_ __LINE__
    mov ecx, 1
    xgetbv
    cmp eax, X87+SSE+AVX
    note_ __LINE__
    set_xcr0 ALL
    sources pattern_b, pattern_b, pattern_a
    call save_all
    mov r12d, X87+SSE+AVX
    call judge
    note_ __LINE__
    ret

/* --- compatibility mode --- */

/* Calls 32-bit code, which returns by a jump to `from32`. */
.macro call32 target
    mov dword ptr [return64], offset .Lto\@
    push KCODE
    push offset \target
    rex.W retf
.Lto\@:
.endm
/* The qwords from `at` on must be those of this area. */
#define QUADS_ARE(at, bytes, area) quads_are_ __LINE__, STRING(at), STRING(bytes), area
.macro quads_are_ line, at, bytes, area
    lea rdi, [r8 + \at]
    mov esi, offset \area + \at
    mov ecx, (\bytes) / 8
    repe cmpsq
    note_ \line
.endm
/* The first eight registers are `low`'s, the others `high`'s. */
.macro eight_registers low, high
    QUADS_ARE(XMM_AT, 8 * 16, \low)
    QUADS_ARE(XMM_AT + 8 * 16, 8 * 16, \high)
    QUADS_ARE(YMM_AT, 8 * 16, \low)
    QUADS_ARE(YMM_AT + 8 * 16, 8 * 16, \high)
    QUADS_ARE(OPMASK_AT, 64, \low)
    QUADS_ARE(ZMM_AT, 8 * 32, \low)
    QUADS_ARE(ZMM_AT + 8 * 32, 8 * 32, \high)
    QUADS_ARE(ZMM16_AT, 16 * 64, \high)
.endm

/* Twice, so that the second time finds the area's page. */
compatibility:
    mov ebx, 2
1:  mov r13d, ALL
    call load_a
    call fill_area
    call32 xsave32
    eight_registers pattern_a, filled
    call fill_area
    call32 xsavec32
    QUADS_ARE(ZMM16_AT, 16 * 64, filled)
    lea rdi, [r8 + YMM_AT]                      /* opmask, half of the upper halves, nothing of ZMM16 */
    mov esi, offset pattern_a + OPMASK_AT
    mov ecx, (64 + 8 * 32) / 8
    repe cmpsq
    note_ __LINE__
    mov rax, [fill]
    cmp [rdi], rax
    note_ __LINE__
    cmp [r8 + 576 + 64 + 512], rax
    note_ __LINE__
    call32 xrstor32
    call save_all
    eight_registers pattern_b, pattern_a
    call load_a
    mov qword ptr [pattern_b + HEADER], 0       /* all initial */
    call32 xrstor32
    mov qword ptr [pattern_b + HEADER], ALL
    call save_all
    eight_registers initial, pattern_a
    /* compacted: the places are the same in all modes */
    call load_a
    mov r14d, OPMASK+HI256+HI16
    call compact_b
    mov qword ptr [r8 + HEADER], OPMASK+HI256+HI16
    call32 xrstor_area32
    mov r13d, ALL
    call save_all
    QUADS_ARE(OPMASK_AT, 64, pattern_b)
    QUADS_ARE(ZMM_AT, 8 * 32, pattern_b)
    QUADS_ARE(ZMM_AT + 8 * 32, 8 * 32, pattern_a)
    QUADS_ARE(ZMM16_AT, 16 * 64, pattern_a)
    QUADS_ARE(XMM_AT + 8 * 16, 8 * 16, pattern_a)
    dec ebx
    jnz 1b
    ret

    .code32
xsave32:
    ask -1
    xsave [area]
    jmp from32
xsavec32:
    ask OPMASK+HI256+HI16
    xsavec [area]
    jmp from32
xrstor32:
    ask -1
    xrstor [pattern_b]
    jmp from32
xrstor_area32:
    ask OPMASK+HI256+HI16
    xrstor [area]
from32:
    ljmp CODE64, offset 1f
    .code64
1:  mov eax, [return64]
    jmp rax

/* --- areas in two pages that lie apart --- */

two_pages:
    mov dword ptr [pt + 24], offset frame_1 + 3
    mov dword ptr [pt + 32], offset frame_2 + 3
    mov r8d, WINDOW_AREA
    invlpg [r8]
    invlpg [r8 + 1024]
    call masks
    mov r8d, WINDOW_AREA - 1024                 /* some of ZMM16 to ZMM31 in the second */
    call masks
    mov r8d, WINDOW_AREA
    /* the second is absent: nothing changes */
    mov r13d, ALL
    call load_a
    call fill_area
    mov dword ptr [pt + 32], 0
    invlpg [r8 + 1024]
    mov r15d, 2
1:  .irp insn, xsave, xsaveopt, xsavec
    ask -1
    FAULTS(VEC_PF, 2, \insn [r8])
    mov rax, cr2
    and rax, -0x1000
    IS(WINDOW + 0x1000)
    .endr
    dec r15d
    jnz 1b
    QUADS_ARE(0, HEADER, filled)
    QUADS_ARE(YMM_AT, 1024 - YMM_AT, filled)
    mov dword ptr [r8 + MXCSR_AT], MXCSR_INITIAL
    mov dword ptr [r8 + HEADER], ALL
    ask -1
    FAULTS(VEC_PF, 0, xrstor [r8])
    ask -1
    FAULTS(VEC_PF, 0, xrstor [r8])
    /* an area that ends before it */
    ask X87+SSE+AVX+OPMASK
    xsave [r8]
    QUADS_ARE(OPMASK_AT, 64, pattern_a)
    mov r8d, offset area
    STATE_IS(pattern_a)
    ret

/* --- instructions of AVX-512 --- */

instructions:
    /* the same code with XCR0 as it was, without AVX-512, and with it again */
    mov ebx, 3
1:  mov dword ptr [seen_vector], -1
    mov dword ptr [resume], offset 2f
    mov [resume_rsp], rsp
    kmovq k1, [pattern_b]
    jmp 3f
2:  mov rsp, [resume_rsp]
3:  mov r13d, -1
    mov ecx, VEC_UD
    cmp ebx, 2
    cmove r13d, ecx
    cmp [seen_vector], r13d
    note_ __LINE__
    set_xcr0 X87+SSE+AVX
    cmp ebx, 3
    je 4f
    set_xcr0 ALL
4:  dec ebx
    jnz 1b

    mov r13d, ALL
    call load_a
loaded: /* tests/gdb/avx */
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    kmovq [registers + \n * 8], k\n
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu64 [registers + 64 + \n * 64], zmm\n
    .endr
    .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    vmovdqu64 [registers + 64 + \n * 64], zmm\n
    .endr
    mov r8d, offset registers
    lea rdi, [r8]
    mov esi, offset pattern_a + OPMASK_AT
    mov ecx, 8
    repe cmpsq
    note_ __LINE__
    lea rdi, [r8 + 64 + 16 * 64]
    mov esi, offset pattern_a + ZMM16_AT
    mov ecx, 16 * 8
    repe cmpsq
    note_ __LINE__
    xor ebx, ebx
    lea rdi, [r8 + 64]
5:  mov edx, ebx
    shl edx, 4
    lea rsi, [rdx + pattern_a + XMM_AT]
    mov ecx, 2
    repe cmpsq
    note_ __LINE__
    lea rsi, [rdx + pattern_a + YMM_AT]
    mov ecx, 2
    repe cmpsq
    note_ __LINE__
    lea rsi, [rdx * 2 + pattern_a + ZMM_AT]
    mov ecx, 4
    repe cmpsq
    note_ __LINE__
    inc ebx
    cmp ebx, 16
    jb 5b

    /* the other way */
    mov r8d, offset area
    xor r13d, r13d
    call load_a
    STATE_IS(initial)
    ask X87
    xrstor [pattern_a]
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    kmovq k\n, [registers + \n * 8]
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu64 zmm\n, [registers + 64 + \n * 64]
    .endr
    .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    vmovdqu64 zmm\n, [registers + 64 + \n * 64]
    .endr
    STATE_IS(pattern_a)

    /* zeros by instructions: what the last XSAVE stored is not stored again */
    mov ebx, 2
7:  mov r13d, ALL
    call load_a
    call save_all
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    kxorq k\n, k\n, k\n
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqa ymm\n, ymm\n
    .endr
    .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    vpxorq zmm\n, zmm\n, zmm\n
    .endr
    call save_all
    QUADS_ARE(YMM_AT, 256, pattern_a)
    QUADS_ARE(OPMASK_AT, AREA_BYTES - OPMASK_AT, initial)
    cmp qword ptr [r8 + HEADER], X87+SSE+AVX
    note_ __LINE__
    dec ebx
    jnz 7b

    /* what 32-bit code does not load is in registers that changed after the last XSAVE */
    mov ebx, 2
6:  mov r13d, ALL
    call load_a
    call save_all
    vmovdqu64 zmm9, [registers + 64]
    vmovdqu64 zmm31, [registers + 128]
    call32 xrstor32
    call save_all
    mov esi, offset registers + 64
    lea rdi, [r8 + XMM_AT + 9 * 16]
    mov ecx, 2
    repe cmpsq
    note_ __LINE__
    lea rdi, [r8 + YMM_AT + 9 * 16]
    mov ecx, 2
    repe cmpsq
    note_ __LINE__
    lea rdi, [r8 + ZMM_AT + 9 * 32]
    mov ecx, 4
    repe cmpsq
    note_ __LINE__
    lea rdi, [r8 + ZMM16_AT + 15 * 64]
    mov ecx, 8
    repe cmpsq
    note_ __LINE__
    QUADS_ARE(ZMM16_AT, 15 * 64, pattern_a)
    QUADS_ARE(ZMM_AT, 8 * 32, pattern_b)
    dec ebx
    jnz 6b
    ret

    .data
    .balign 8
fill:
    .quad 0xa5a5a5a5a5a5a5a5
/* mask bit, place in the standard format, bytes */
components:
    .long X87, 0, 8
    .long X87, ST_AT, XMM_AT - ST_AT
    .long SSE, XMM_AT, 256
components_extended:
    .long AVX, YMM_AT, 256
    .long OPMASK, OPMASK_AT, 64
    .long HI256, ZMM_AT, 512
    .long HI16, ZMM16_AT, 1024
components_end:
some:
    .long ALL, 0, OPMASK, HI256, HI16, X87+SSE+OPMASK+HI16, AVX+HI256, X87+HI256+HI16
some_end:
restored:
    .long ALL, AVX+OPMASK+HI16, X87+SSE+HI256
restored_end:

    .bss
    .balign 4096
frame_1:
    .skip 4096
frame_between:
    .skip 4096
frame_2:
    .skip 4096
area:
    .skip 4096
    .skip 4096 - 1024
area_across:
    .skip 1024 + 4096
    .balign 64
pattern_a:
    .skip AREA_BYTES
    .balign 64
pattern_b:
    .skip AREA_BYTES
    .balign 64
initial:
    .skip AREA_BYTES
    .balign 64
filled:
    .skip AREA_BYTES
    .balign 64
registers:
    .skip 64 + 32 * 64
if_has:
    .skip 4
if_initial:
    .skip 4
if_other:
    .skip 4
return64:
    .skip 4
