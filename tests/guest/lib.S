/*
 * What the guest kernels share: Multiboot entry, GDT, IDT and TSS, the trap recorder, the debug console and the checks. Kernels
 * use it through the macros in guest.inc.
 */
#include "guest.inc"

/* Values for the debug exit port. The status of the program is twice the value plus one: 33 is a pass and 35 a failure. (1
 * means that the guest could not go on.) */
EXIT_PASS = 16
EXIT_FAIL = 17

    .section .multiboot, "ax"
    .balign 4
    .long 0x1badb002, 0, -0x1badb002

    .text
    .globl _start
_start:
    cli
    cld
    mov esp, offset stack_top
    push 0
    popfd
    lgdt [gdt_pointer]
    ljmp KCODE, offset 1f
1:  mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov ss, eax
    mov [boot_info], ebx

    /* 256 interrupt gates to the stubs: DPL 0, except for the vectors that user code may raise by INT */
    xor ecx, ecx
2:  mov eax, ecx
    shl eax, 4
    add eax, offset stubs
    mov edx, eax
    and eax, 0xffff
    or eax, KCODE << 16
    mov dx, 0x8e00
    cmp ecx, 0x80
    je 3f
    cmp ecx, VEC_BP
    je 3f
    cmp ecx, VEC_OF
    jne 4f
3:  mov dx, 0xee00
4:  mov [idt + ecx * 8], eax
    mov [idt + ecx * 8 + 4], edx
    inc ecx
    cmp ecx, 256
    jne 2b
    lidt [idt_pointer]
    fninit              /* RESET leaves all exceptions unmasked and all registers used */

    mov dword ptr [tss + TSS_ESP0], offset trap_stack_top
    mov dword ptr [tss + TSS_SS0], KDATA
    mov word ptr [tss + TSS_IOMAP], TSS_BYTES
    mov word ptr [alt_tss + TSS_IOMAP], TSS_BYTES
    DESCRIPTOR(KTSS, offset tss, TSS_BYTES - 1, ACC_TSS32)
    DESCRIPTOR(ALTTSS, offset alt_tss, TSS_BYTES - 1, ACC_TSS32)
    mov eax, KTSS
    ltr ax

    /* both PICs: ICW1-4, vectors 20h and 28h, everything masked */
    mov al, 0x11
    out 0x20, al
    out 0xa0, al
    mov al, 0x20
    out 0x21, al
    mov al, 0x28
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xff
    out 0x21, al
    out 0xa1, al

    mov eax, 0x40000000
    cpuid
    cmp ebx, 0x54474354 /* "TCGT" */
    sete [on_tcg]

    call guest_main

finish:
    mov esi, offset guest_name
    call print
    mov esi, offset text_colon
    call print
    mov eax, [checks]
    call print_decimal
    mov esi, offset text_checks
    call print
    mov eax, [failures]
    call print_decimal
    mov esi, offset text_failed
    call print
    mov eax, EXIT_PASS
    cmp dword ptr [failures], 0
    je 1f
    mov eax, EXIT_FAIL
1:  cmp dword ptr [checks], 0
    jne 2f
    mov eax, EXIT_FAIL
2:  mov edx, 0xf4
    out dx, eax
3:  hlt
    jmp 3b

/* --- text: the debug console at port E9h --- */

    .globl print, print_hex, print_decimal
print: /* ESI: text. Clobbers AL ESI */
    cld
1:  lodsb
    test al, al
    jz 2f
    out 0xe9, al
    jmp 1b
2:  ret

print_hex: /* EAX. Clobbers EAX ECX EDX */
    mov edx, eax
    mov ecx, 8
1:  rol edx, 4
    mov al, dl
    and al, 15
    cmp al, 10
    jb 2f
    add al, 'a' - '0' - 10
2:  add al, '0'
    out 0xe9, al
    loop 1b
    ret

print_decimal: /* EAX. Clobbers EAX ECX EDX EBX */
    mov ebx, 10
    xor ecx, ecx
1:  xor edx, edx
    div ebx
    push edx
    inc ecx
    test eax, eax
    jnz 1b
2:  pop eax
    add al, '0'
    out 0xe9, al
    loop 2b
    ret

/* "name:line: what" for a failed check; EAX line, ESI what. Clobbers like the others. */
complain:
    push esi
    push eax
    inc dword ptr [failures]
    mov esi, offset text_fail
    call print
    mov esi, offset guest_name
    call print
    mov al, ':'
    out 0xe9, al
    pop eax
    call print_decimal
    mov al, ':'
    out 0xe9, al
    mov al, ' '
    out 0xe9, al
    pop esi
    jmp print

/* "label value" */
.macro SHOW text, value
    mov esi, offset \text
    call print
    mov eax, \value
    call print_hex
.endm
newline:
    mov al, 10
    out 0xe9, al
    ret

/* --- checks: all keep registers and flags and pop their own arguments --- */

    .globl check_equal, check_failed, check_passed, check_trap, check_user_trap, check_no_trap

.macro ENTER_CHECK
    pushfd
    pushad
    cld
    inc dword ptr [checks]
.endm
.macro LEAVE_CHECK bytes
    popad
    popfd
    ret \bytes
.endm
ARGS = 40 /* above PUSHAD, PUSHFD and the return address */

check_equal: /* a, b, line */
    ENTER_CHECK
    mov eax, [esp + ARGS + 8]
    cmp eax, [esp + ARGS + 4]
    je 1f
    mov eax, [esp + ARGS]
    mov esi, offset text_got
    call complain
    mov eax, [esp + ARGS + 8]
    call print_hex
    SHOW text_expected, [esp + ARGS + 4]
    call newline
1:  LEAVE_CHECK 12

check_failed: /* line */
    pushfd
    pushad
    mov eax, [esp + ARGS]
    mov esi, offset text_condition
    call complain
    call newline
    LEAVE_CHECK 4

check_passed: /* line */
    ENTER_CHECK
    LEAVE_CHECK 4

check_no_trap: /* line */
    ENTER_CHECK
    mov dword ptr [resume_eip], 0
    cmp dword ptr [trap_vector], -1
    je 1f
    mov eax, [esp + ARGS]
    mov esi, offset text_unexpected
    call complain
    call show_trap
1:  LEAVE_CHECK 4

check_trap: /* vector, error, eip, line */
    ENTER_CHECK
    lea eax, [esp + ARGS + 16] /* ESP before the arguments were pushed: that of the instruction */
    cmp eax, [trap_esp]
    je trap_compare
    cmp dword ptr [trap_vector], -1
    je trap_compare
    jmp trap_wrong
check_user_trap:
    ENTER_CHECK
trap_compare:
    mov dword ptr [resume_eip], 0
    mov eax, [esp + ARGS + 12]
    cmp eax, [trap_vector]
    jne trap_wrong
    mov eax, [esp + ARGS + 8]
    cmp eax, [trap_error]
    jne trap_wrong
    mov eax, [esp + ARGS + 4]
    cmp eax, [trap_eip]
    jne trap_wrong
    LEAVE_CHECK 16
trap_wrong:
    mov dword ptr [resume_eip], 0
    mov eax, [esp + ARGS]
    mov esi, offset text_wanted
    call complain
    mov eax, [esp + ARGS + 12]
    call print_hex
    SHOW text_error, [esp + ARGS + 8]
    SHOW text_eip, [esp + ARGS + 4]
    mov esi, offset text_but
    call print
    call show_trap
    LEAVE_CHECK 16

show_trap:
    SHOW text_vector, [trap_vector]
    SHOW text_error, [trap_error]
    SHOW text_eip, [trap_eip]
    SHOW text_esp, [trap_esp]
    SHOW text_cr2, [trap_cr2]
    jmp newline

/* --- descriptors: arguments on the stack, registers kept --- */

    .globl set_descriptor, set_gate
set_descriptor: /* selector, base, limit, access */
    pushad
    mov edi, [esp + 48]
    and edi, 0xfff8
    add edi, offset gdt
    mov eax, [esp + 40] /* limit */
    mov ebx, [esp + 44] /* base */
    mov edx, [esp + 36] /* access */
    mov [edi], ax
    mov [edi + 2], bx
    shr ebx, 16
    mov [edi + 4], bl
    mov [edi + 7], bh
    mov [edi + 5], dl
    shr eax, 16
    and al, 15
    and dh, 0xf0
    or al, dh
    mov [edi + 6], al
    popad
    ret 16

set_gate: /* selector, offset, type, params, address */
    pushad
    mov edi, [esp + 36]
    mov eax, [esp + 48] /* offset */
    mov [edi], ax
    shr eax, 16
    mov [edi + 6], ax
    mov eax, [esp + 52]
    mov [edi + 2], ax
    mov eax, [esp + 40]
    mov [edi + 4], al
    mov eax, [esp + 44]
    mov [edi + 5], al
    popad
    ret 20

/* --- traps --- */

    .globl enter_user
enter_user: /* a frame for IRET is on the stack; GPRs are to be kept */
    push eax
    mov eax, UDATA
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    pop eax
    iretd

    .globl stubs
    .balign 16
stubs: /* 16 bytes each */
vector = 0
    .rept 256
    .balign 16
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21
    push 0
    .endif
    push vector
    jmp trap_common
vector = vector + 1
    .endr

trap_common:
    pushad
    push ds
    push es
    push fs
    push gs
    mov ebp, esp
    cld
    mov eax, KDATA
    mov ds, eax
    mov es, eax
    inc dword ptr [trap_count]
    mov ebx, [ebp + FRAME_VECTOR]
    mov ecx, [trap_hook + ebx * 4]
    test ecx, ecx
    jz 1f
    call ecx
    test eax, eax
    jnz 1f
    pop gs
    pop fs
    pop es
    pop ds
    popad
    add esp, 8
    iretd
1:  mov ebx, [ebp + FRAME_VECTOR]
    mov [trap_vector], ebx
    mov eax, [ebp + FRAME_ERROR]
    mov [trap_error], eax
    mov eax, [ebp + FRAME_EIP]
    mov [trap_eip], eax
    mov eax, [ebp + FRAME_CS]
    mov [trap_cs], eax
    mov edx, [ebp + FRAME_EFLAGS]
    mov [trap_eflags], edx
    mov eax, [ebp + FRAME_EAX]
    mov [trap_eax], eax
    mov eax, cr2
    mov [trap_cr2], eax
    lea eax, [ebp + FRAME_ESP]
    mov [trap_frame_end], eax
    test byte ptr [ebp + FRAME_CS], 3
    jnz 2f
    test edx, FL_VM
    jz 3f
2:  mov cx, [ebp + FRAME_SS]
    mov [trap_ss], cx
    mov eax, [eax]
3:  mov [trap_esp], eax
    cmp dword ptr [resume_eip], 0
    jne 4f
    /* no handler is set for this one */
    mov eax, KDATA
    mov ss, eax
    mov esp, offset stack_top
    xor eax, eax
    mov esi, offset text_unexpected
    call complain
    call show_trap
    mov esi, offset text_return
    jmp finish
4:  mov edi, [ebp + FRAME_EDI]
    mov esi, [ebp + FRAME_ESI]
    mov ebx, [ebp + FRAME_EBX]
    mov edx, [ebp + FRAME_EDX]
    mov ecx, [ebp + FRAME_ECX]
    mov eax, [ebp + FRAME_EAX]
    mov ebp, [ebp + FRAME_EBP]
    mov eax, KDATA
    mov ss, eax
    mov esp, [resume_esp]
    mov eax, [trap_eax]
    jmp dword ptr [resume_eip]

    .section .rodata
text_colon: .asciz ": "
text_checks: .asciz " checks, "
text_failed: .asciz " failed\n"
text_fail: .asciz "FAIL "
text_got: .asciz "got "
text_expected: .asciz " expected "
text_condition: .asciz "condition does not hold"
text_wanted: .asciz "wanted vector "
text_but: .asciz " but"
text_vector: .asciz " vector "
text_error: .asciz " error "
text_eip: .asciz " eip "
text_esp: .asciz " esp "
text_cr2: .asciz " cr2 "
text_unexpected: .asciz "unexpected trap"
text_return: .asciz ""

    .data
    .globl gdt, idt, gdt_pointer, idt_pointer, tss, alt_tss
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cffb000000ffff
    .quad 0x00cff3000000ffff
    .quad 0, 0
    .quad 0x00009b000000ffff
    .quad 0x000093000000ffff
    .fill GDT_BYTES - (. - gdt), 1, 0
gdt_pointer:
    .word GDT_BYTES - 1
    .long gdt
idt_pointer:
    .word 256 * 8 - 1
    .long idt

    .bss
    .globl trap_vector, trap_error, trap_eip, trap_cs, trap_eflags, trap_esp, trap_ss, trap_eax, trap_cr2, trap_count
    .globl trap_frame_end, trap_hook, resume_eip, resume_esp, on_tcg, stack_top, trap_stack_top, user_stack_top
    .globl user_stack, checks, failures, boot_info
    .balign 4096
tss: .skip 4096       /* room for an I/O bitmap when a test extends the limit */
alt_tss: .skip 256
    .balign 8
idt: .skip 256 * 8
trap_hook: .skip 256 * 4
trap_vector: .skip 4
trap_error: .skip 4
trap_eip: .skip 4
trap_cs: .skip 4
trap_eflags: .skip 4
trap_esp: .skip 4      /* of the interrupted code */
trap_ss: .skip 4       /* if the trap came from an outer ring */
trap_eax: .skip 4
trap_cr2: .skip 4
trap_count: .skip 4
trap_frame_end: .skip 4
resume_eip: .skip 4
resume_esp: .skip 4
checks: .skip 4
failures: .skip 4
boot_info: .skip 4     /* the Multiboot information structure */
on_tcg: .skip 4
    .balign 4096
    .skip 16384
stack_top:
    .skip 16384
trap_stack_top:
user_stack:
    .skip 16384
user_stack_top:
