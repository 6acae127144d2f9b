/*
 * native64_enter(const struct native64_entry *entry) loads the state of a test and enters its code by IRETQ. There are two ways back:
 *
 * - The code jumps to native64_exit, which saves the state in native64_saved and native64_image. No kernel is involved, so this is
 *   fast.
 * - The handler of a signal calls native64_leave() on the alternate stack. The flags of the entry have TF if the code branches. IRETQ
 *   with TF traps after the next instruction, which is the test's.
 */
    .intel_syntax noprefix
    .text

    .globl native64_enter
    .type native64_enter, @function
native64_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [rip + host_rsp], rsp
    mov eax, [rip + native64_components]
    xor edx, edx
    test eax, eax
    jz 1f
    xrstor64 [rip + native64_image]
    jmp 2f
1:  fxrstor64 [rip + native64_image]
2:  mov rsp, rdi
    pop rax                     /* by number: struct native64_entry */
    pop rcx
    pop rdx
    pop rbx
    lea rsp, [rsp + 8]
    pop rbp
    pop rsi
    pop rdi
    pop r8
    pop r9
    pop r10
    pop r11
    pop r12
    pop r13
    pop r14
    pop r15
    iretq
    .size native64_enter, . - native64_enter

    .globl native64_exit
    .type native64_exit, @function
native64_exit:
    mov [rip + native64_saved + 4 * 8], rsp
    lea rsp, [rip + native64_saved + 17 * 8]
    pushfq
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rdi
    push rsi
    push rbp
    lea rsp, [rsp - 8]
    push rbx
    push rdx
    push rcx
    push rax
    cld
    mov eax, [rip + native64_components]
    xor edx, edx
    test eax, eax
    jz 1f
    xsave64 [rip + native64_image]
    vzeroupper
    jmp 2f
1:  fxsave64 [rip + native64_image]
2:  fninit
    ldmxcsr [rip + mxcsr]
    /* fall through */

    .globl native64_leave
    .type native64_leave, @function
native64_leave:
    mov rsp, [rip + host_rsp]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
    .size native64_exit, . - native64_exit

    .section .rodata
    .balign 4
mxcsr:
    .long 0x1f80                /* as after reset */

    .local host_rsp
    .comm host_rsp, 8, 8
    .section .note.GNU-stack, "", @progbits
