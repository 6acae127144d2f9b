/*
 * Hazard: 64-bit code that is in two places. A translation is copied for another linear address of the same code (relocation), so all
 * ways in which code can find out its address must give the new one; and a store through any of the addresses must be seen.
 */
#include "guest.inc"
#include "long.inc"
GUEST(moved)

/* The pages 1003000h to 1006000h once more, and again. */
MOVED_1 = HIGH + 0x40000000 + 0x1003000
MOVED_2 = HIGH + 0x80000000 + 0x1003000
PATCHED_1 = HIGH + 0x40000000 + 0x1005000
PATCHED_2 = HIGH + 0x40000000 + 0x1006000

    .globl checks64
    .code64
checks64:
    mov dword ptr [pdpt_high + 8], offset pd + 7
    mov dword ptr [pdpt_high + 16], offset pd + 7
    mov dword ptr [pt + 24], offset moved + 7
    mov dword ptr [pt + 32], offset moved_far + 7
    mov dword ptr [pt + 40], offset patched + 7
    mov dword ptr [pt + 48], offset patched + 7

    /* code that is in two places; each but the first run is that of a copied translation, and the second of each with linked
     * edges */
    mov dword ptr [moved_mark], 0x11
    mov r15d, 3
1:  movabs rax, MOVED_1
    call rax
    movabs rax, MOVED_2
    call rax
    dec r15d
    jnz 1b
    mov eax, [moved_count]
    IS(6)
    /* the same with another second page */
    mov dword ptr [pt + 32], offset moved_elsewhere + 7
    mov rax, cr3
    mov cr3, rax
    mov dword ptr [moved_mark], 0x22
    movabs rax, MOVED_1
    call rax
    movabs rax, MOVED_2
    call rax

    /* code that is written through each of its addresses: translation takes the right to write from the TLB's entries of all
     * of them */
    movabs r12, PATCHED_1
    movabs r13, PATCHED_2
    mov r15d, 40                /* four less in each round */
1:  .irp at, patched, r12, r13
    .rept 3                     /* the first write ends the code, and the last one finds an entry */
    mov [patched + 1], r15d
    mov [r12 + 1], r15d
    mov [r13 + 1], r15d
    .endr
    call patched
    cmp eax, r15d
    note_ __LINE__
    dec r15d
    mov [\at + 1], r15d
    call patched
    cmp eax, r15d
    note_ __LINE__
    .endr
    dec r15d
    jnz 1b
    jmp leave64

/* All ways in which code can find out its address. RBX: where this page is. */
    .balign 4096
moved:
    push rbx
    lea rbx, [rip + moved]
    mov rax, [rsp + 16]         /* anything, so that the check of the stack is hoisted */
    call 1f
1:  pop rax
    sub rax, rbx
    IS(1b - moved)
    mov rax, [rip + moved_constant]
    IS(0x123456789abcdef0)
    inc dword ptr [rip + moved_near]
    mov eax, [rip + moved_near]
    lea rdx, [rip + moved_near]
    cmp eax, [rdx]
    note_ __LINE__
    mov ecx, 3
2:  lea r8, [rip + 3f]
    call r8
4:  sub rax, rbx
    cmp rax, 4b - moved
    note_ __LINE__
    smsw rax                    /* a callout */
    dec ecx
    jnz 2b
    call moved_far
5:  sub rax, rbx
    cmp rax, 5b - moved
    note_ __LINE__
    mov eax, r9d
    cmp eax, [moved_mark]
    note_ __LINE__
    lea rax, [rip + 6f]
    mov [resume], rax
    mov [resume_rsp], rsp
7:  ud2
6:  mov rsp, [resume_rsp]
    mov rax, [seen_rip]
    sub rax, rbx
    IS(7b - moved)
    lea eax, [rip + moved]      /* cut to 32 bits */
    cmp eax, ebx
    note_ __LINE__
    inc dword ptr [moved_count]
    pop rbx
    ret
3:  mov rax, [rsp]
    ret
moved_constant: .quad 0x123456789abcdef0
moved_near: .long 0
    .balign 4096
moved_far:
    mov rax, [rsp]
    mov r9d, 0x11
    ret
    .balign 4096
moved_elsewhere:
    mov rax, [rsp]
    mov r9d, 0x22
    ret
    .balign 4096
patched:
    mov eax, 0
    ret
    .balign 4096

    .bss
    .balign 8
moved_count: .skip 4
moved_mark: .skip 4
