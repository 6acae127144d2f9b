/*
 * thunk_call(struct thunk_frame *frame): load the guest's general registers and arithmetic flags, call the thunk, store
 * them again. The guest's ESP is in r8, the memory operand at [r9]; r10 and r11 are the monitor's. Offsets: thunk.c.
 */
        .text
        .globl  thunk_call
        .type   thunk_call, @function
thunk_call:
        push    %rbx
        push    %rbp
        mov     %rdi, %r10
        mov     72(%r10), %r9
        mov     80(%r10), %r11
        mov     64(%r10), %rax
        add     $127, %al
        sahf
        mov     0(%r10), %rax
        mov     8(%r10), %rcx
        mov     16(%r10), %rdx
        mov     24(%r10), %rbx
        mov     32(%r10), %r8
        mov     40(%r10), %rbp
        mov     48(%r10), %rsi
        mov     56(%r10), %rdi
        call    *%r11
        mov     %rax, 0(%r10)
        mov     %rcx, 8(%r10)
        mov     %rdx, 16(%r10)
        mov     %rbx, 24(%r10)
        mov     %r8, 32(%r10)
        mov     %rbp, 40(%r10)
        mov     %rsi, 48(%r10)
        mov     %rdi, 56(%r10)
        lahf
        seto    %al
        mov     %rax, 64(%r10)
        pop     %rbp
        pop     %rbx
        ret

        /* The thunk's instruction raised #XM: the signal handler returns here instead of behind the instruction. */
        .globl  thunk_raised
thunk_raised:
        add     $8, %rsp                /* drop the thunk's return address */
        movb    $1, 88(%r10)
        pop     %rbp
        pop     %rbx
        ret
        .size   thunk_call, . - thunk_call
        .section .note.GNU-stack, "", @progbits
