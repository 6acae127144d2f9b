/*
 * Hazard: virtual-8086 mode. dosemu, BIOS calls of old X servers and every DOS extender enter it by IRET and depend on
 * exact #GP faults and stack frames. SDM 3A chapter 20 (20.2 entering, 20.2.7 sensitive instructions, 20.3 interrupts).
 */
#include "guest.inc"
GUEST(vm86)

VM_BASE = 0x20000      /* where the 16-bit code is copied: segment 2000h, one segment for all */
VM_SEG = 0x2000

/* Run 16-bit code in vm86 mode with these EFLAGS (VM added) until it traps, and check how */
#define EXPECT_VM(label, eflags, vector, error, at) expect_vm_ __LINE__, label, STRING(eflags), STRING(vector), STRING(error), at
.macro expect_vm_ line, label, eflags, vector, error, at
    mov dword ptr [resume_eip], offset .Lto\@
    mov [resume_esp], esp
    mov dword ptr [trap_vector], -1
    push 0x4444                     /* GS FS DS ES */
    push 0x3333
    push VM_SEG
    push 0x2222
    push VM_SEG                     /* SS ESP */
    push 0xfff0
    push FL_VM + \eflags
    push VM_SEG
    push offset \label - vm_code
    iretd
.Lto\@:
    push \vector
    push \error
    push offset \at - vm_code
    push \line
    call check_user_trap
.endm

guest_main:
    mov esi, offset vm_code
    mov edi, VM_BASE
    mov ecx, offset vm_code_end - vm_code
    rep movsb

    /* INT n with IOPL 3 goes through the IDT to CPL 0, with the segment registers pushed and then null */
    HOOK 0x80, look
    EXPECT_VM(vm_int80, 0x3202, 0x80, 0, vm_int80_next)
    UNHOOK 0x80
    CHECK_EQ([trap_frame_end], offset trap_stack_top - 24)
    CHECK_EQ([trap_cs], VM_SEG)
    CHECK_EQ([trap_ss], VM_SEG)
    CHECK_EQ([trap_esp], 0xfff0)
    CHECK_EQ([seen_es], 0x2222)
    CHECK_EQ([seen_ds], VM_SEG)
    CHECK_EQ([seen_fs], 0x3333)
    CHECK_EQ([seen_gs], 0x4444)
    CHECK_EQ([seen_null], 0)
    mov eax, [trap_eflags]
    and eax, FL_VM + FL_IOPL3 + FL_IF
    CHECK_EQ(eax, FL_VM + FL_IOPL3 + FL_IF)

    /* a gate of DPL 0 */
    EXPECT_VM(vm_int81, 0x3202, VEC_GP, 0x81 * 8 + 2, vm_int81)
    /* below IOPL 3 these fault, for the monitor to emulate */
    EXPECT_VM(vm_int80, 0x0202, VEC_GP, 0, vm_int80)
    EXPECT_VM(vm_int80, 0x2202, VEC_GP, 0, vm_int80)
    EXPECT_VM(vm_cli, 0x0202, VEC_GP, 0, vm_cli)
    EXPECT_VM(vm_sti, 0x0202, VEC_GP, 0, vm_sti)
    EXPECT_VM(vm_pushf, 0x0202, VEC_GP, 0, vm_pushf)
    CHECK_EQ([trap_esp], 0xfff0)
    EXPECT_VM(vm_popf, 0x0202, VEC_GP, 0, vm_popf)
    EXPECT_VM(vm_iret, 0x0202, VEC_GP, 0, vm_iret)
    EXPECT_VM(vm_pushfd, 0x0202, VEC_GP, 0, vm_pushfd)
    /* IOPL does not matter to INT3, INTO and exceptions */
    EXPECT_VM(vm_int3, 0x0202, VEC_BP, 0, vm_int3_next)
    EXPECT_VM(vm_into, 0x0a02, VEC_OF, 0, vm_into_next)
    EXPECT_VM(vm_div, 0x0202, VEC_DE, 0, vm_div_at)
    CHECK_EQ(eax, 0x5678)
    EXPECT_VM(vm_ud2, 0x0202, VEC_UD, 0, vm_ud2)
    /* privileged at any IOPL */
    EXPECT_VM(vm_hlt, 0x3202, VEC_GP, 0, vm_hlt)
    EXPECT_VM(vm_lgdt, 0x3202, VEC_GP, 0, vm_lgdt)
    EXPECT_VM(vm_mov_cr0, 0x3202, VEC_GP, 0, vm_mov_cr0)
    EXPECT_VM(vm_clts, 0x3202, VEC_GP, 0, vm_clts)
    /* not recognized */
    EXPECT_VM(vm_arpl, 0x3202, VEC_UD, 0, vm_arpl)
    EXPECT_VM(vm_lar, 0x3202, VEC_UD, 0, vm_lar)
    EXPECT_VM(vm_sldt, 0x3202, VEC_UD, 0, vm_sldt)
    EXPECT_VM(vm_ltr, 0x3202, VEC_UD, 0, vm_ltr)
    EXPECT_VM(vm_verr, 0x3202, VEC_UD, 0, vm_verr)

    mov edi, offset vm_result - vm_code
    add edi, VM_BASE
    /* with IOPL 3 the code may change IF, but not IOPL and VM */
    EXPECT_VM(vm_flags, 0x3202, 0x80, 0, vm_flags_end)
    movzx eax, word ptr [edi]
    CHECK_EQ(eax, 0x3002)           /* after CLI */
    movzx eax, word ptr [edi + 2]
    CHECK_EQ(eax, 0x3202)           /* after STI */
    movzx eax, word ptr [edi + 4]
    CHECK_EQ(eax, 0x7ed7)  /* after POPF of nearly all flags with an IOPL of 0 */
    CHECK_EQ([trap_esp], 0xfff0)

    /* real-mode segments, 66h and 67h, far transfers, IRET within vm86 */
    EXPECT_VM(vm_segments, 0x3202, 0x80, 0, vm_segments_end)
    CHECK_EQ([edi], 0x12345678)
    CHECK_EQ([VM_BASE + 0x5004], 0xcafe1234)
    movzx eax, word ptr [edi + 4]
    CHECK_EQ(eax, VM_SEG + 0x10)
    movzx eax, word ptr [edi + 6]
    CHECK_EQ(eax, 0x1111)
    movzx eax, word ptr [edi + 8]
    CHECK_EQ(eax, 0x2222)

    /* a monitor that emulates CLI, STI and PUSHF at their #GP and continues by IRET */
    HOOK VEC_GP, monitor
    mov dword ptr [emulated], 0
    EXPECT_VM(vm_monitored, 0x0202, VEC_BP, 0, vm_monitored_end)
    UNHOOK VEC_GP
    CHECK_EQ([emulated], 200)
    CHECK_EQ(ecx, 0)

    /* I/O: the bitmap counts at every IOPL */
    EXPECT_VM(vm_in, 0x3202, VEC_GP, 0, vm_in)
    DESCRIPTOR(KTSS, offset tss, TSS_BYTES + 32, ACC_TSS32)
    mov eax, KTSS
    ltr ax
    mov edi, offset tss + TSS_BYTES
    mov ecx, 33
    mov al, 0xff
    rep stosb
    and byte ptr [tss + TSS_BYTES + 0x61 / 8], ~(1 << 1)
    EXPECT_VM(vm_in, 0x0202, VEC_BP, 0, vm_in_next)
    EXPECT_VM(vm_in60, 0x3202, VEC_GP, 0, vm_in60)

    /* limits of 64 KB */
    SKIP_ON_TCG 1f
    EXPECT_VM(vm_limit, 0x3202, VEC_GP, 0, vm_limit_at)
    EXPECT_VM(vm_limit32, 0x3202, VEC_GP, 0, vm_limit32_at)
    EXPECT_VM(vm_stack_limit, 0x3202, VEC_SS, 0, vm_stack_limit_at)
1:
    /* an interrupt gate to a segment that is not DPL 0 cannot leave vm86 mode */
    DESCRIPTOR(FREE, 0, 0xfffff, (ACC_CODE32_CONF | 0x8000))
    GATE_IDT(0x90, FREE, 0, 0xee)
    EXPECT_VM(vm_int90, 0x3202, VEC_GP, FREE, vm_int90)
    ret

look:
    mov eax, [ebp + FRAME_VM_ES]
    mov [seen_es], eax
    mov eax, [ebp + FRAME_VM_DS]
    mov [seen_ds], eax
    mov eax, [ebp + FRAME_VM_FS]
    mov [seen_fs], eax
    mov eax, [ebp + FRAME_VM_GS]
    mov [seen_gs], eax
    movzx eax, word ptr [ebp + FRAME_GS]
    movzx ecx, word ptr [ebp + FRAME_DS]
    or eax, ecx
    movzx ecx, word ptr [ebp + FRAME_ES]
    or eax, ecx
    movzx ecx, word ptr [ebp + FRAME_FS]
    or eax, ecx
    mov [seen_null], eax
    mov eax, 1
    ret

monitor:
    movzx eax, word ptr [ebp + FRAME_CS]
    shl eax, 4
    add eax, [ebp + FRAME_EIP]
    movzx ecx, byte ptr [eax]
    inc dword ptr [emulated]
    inc dword ptr [ebp + FRAME_EIP]
    xor eax, eax
    cmp ecx, 0xfa       /* CLI */
    je 1f
    cmp ecx, 0xfb       /* STI */
    je 1f
    mov eax, 1
1:  ret

    /* --- 16-bit code, copied to VM_SEG:0 --- */
    .code16
    .balign 16
vm_code:
vm_int80: int 0x80
vm_int80_next:
vm_int81: int 0x81
vm_int90: int 0x90
vm_cli: cli
vm_sti: sti
vm_pushf: pushf
vm_popf: popf
vm_iret: iret
vm_pushfd: pushfd
vm_int3: int3
vm_int3_next:
vm_into: into
vm_into_next:
vm_div:
    mov eax, 0x5678
    xor edx, edx
    xor cx, cx
vm_div_at:
    div cx
vm_ud2: ud2
vm_hlt: hlt
vm_lgdt: .byte 0x0f, 0x01, 0x16, 0, 0
vm_mov_cr0: mov eax, cr0
vm_clts: clts
vm_arpl: .byte 0x63, 0xc8
vm_lar: lar ax, cx
vm_sldt: sldt ax
vm_ltr: ltr ax
vm_verr: verr ax
vm_flags:
    xor ax, ax          /* known arithmetic flags: cleared by POPF below */
    push 0x3202
    popf
    cli
    pushf
    pop word ptr ds:[vm_result - vm_code]
    sti
    pushf
    pop word ptr ds:[vm_result - vm_code + 2]
    push 0x4ed7         /* NT OF DF IF, arithmetic; IOPL 0, no TF */
    popf
    pushf
    pop word ptr ds:[vm_result - vm_code + 4]
    push 0x0202
    popf
    int 0x80
vm_flags_end:
vm_segments:
    mov eax, 0x12345678
    mov ds:[vm_result - vm_code], eax
    mov ax, VM_SEG + 0x500
    mov es, ax
    mov ebx, 4
    mov eax, 0xcafe1234
    mov es:[ebx], eax
    push cs
    pop ax
    lcall VM_SEG - 0x10, vm_far - vm_code + 0x100
    push 0x3202
    push cs
    push vm_back - vm_code
    mov word ptr ds:[vm_result - vm_code + 6], 0x1111
    iret
    ud2
vm_back:
    mov word ptr ds:[vm_result - vm_code + 8], 0x2222
    int 0x80
vm_segments_end:
vm_far:
    add ax, 0x10
    mov ds:[vm_result - vm_code + 4], ax
    retf
vm_monitored:
    mov ecx, 100
1:  cli
    sti
    loop 1b
    int3
vm_monitored_end:
vm_in: in al, 0x61
    int3
vm_in_next:
vm_in60: in al, 0x60
vm_limit:
    mov bx, 0xffff
vm_limit_at:
    mov ax, [bx]
vm_limit32:
    mov ebx, 0x10000
vm_limit32_at:
    mov al, [ebx]
vm_stack_limit:
    mov sp, 1
vm_stack_limit_at:
    push eax            /* from FFFDh on: an instruction that wraps at 10000h */
    .balign 4
vm_result: .skip 16
vm_code_end:
    .code32

    .bss
    .balign 4
seen_es: .skip 4
seen_ds: .skip 4
seen_fs: .skip 4
seen_gs: .skip 4
seen_null: .skip 4
emulated: .skip 4
