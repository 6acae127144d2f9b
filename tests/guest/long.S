/*
 * Hazard: IA-32e mode. Switches into it and out of it, four-level paging with 1 GB pages and NX, gates with IST, returns in all
 * directions, SYSCALL and SYSRET, SWAPGS, compatibility mode, faults of addresses that are not canonical. SDM 3A 4.5,
 * 5.8.7, 6.14, 9.8.5; SDM 2 IRET, SYSCALL, SYSRET, SWAPGS.
 *
 * The checks run in 64-bit mode and note the lines that fail; guest_main reports them when the CPU is back in 32-bit
 * mode. A fault in 64-bit mode is recorded in seen_*, and execution goes on at `resume` in ring 0.
 */
#include "guest.inc"
GUEST(long)

/* In the order that STAR requires. */
CODE64 = FREE               /* ring 0; SS of SYSCALL is the next */
DATA64 = FREE + 8
UCODE32 = FREE + 16 + 3     /* ring 3; SYSRET: SS is the next, 64-bit code the one after that */
UDATA64 = FREE + 24 + 3
UCODE64 = FREE + 32 + 3
TSS64 = FREE + 40           /* 16 bytes */
GATE64 = FREE + 56          /* 16 bytes */

ACC_CODE64 = 0xa09a
MSR_EFER = 0xc0000080
MSR_STAR = 0xc0000081
MSR_LSTAR = 0xc0000082
MSR_CSTAR = 0xc0000083
MSR_FMASK = 0xc0000084
MSR_FS_BASE = 0xc0000100
MSR_GS_BASE = 0xc0000101
MSR_KERNEL_GS = 0xc0000102

HIGH = 0x8000000000         /* the first 512 GB again, where 1 GB pages map it */
UNMAPPED = 0xffff800000001000
MOVED_1 = HIGH + 0x40000000 + 0x1003000     /* the page `moved` once more, and again */
MOVED_2 = HIGH + 0x80000000 + 0x1003000
PCID_1 = HIGH + 0x140000000 /* pages that two address spaces map differently, and one that is global */
PCID_2 = PCID_1 + 0x1000
PATCHED_1 = HIGH + 0x40000000 + 0x1005000   /* the page `patched`, likewise */
PATCHED_2 = HIGH + 0x40000000 + 0x1006000

/* --- macros of 64-bit code: they keep all registers but RAX, and no flags --- */

/* RAX must be this. */
#define IS(value) is_ __LINE__, STRING(value)
.macro is_ line, value
    push rbx
    movabs rbx, \value
    cmp rax, rbx
    pop rbx
    note_ \line
.endm
/* ZF must be set. */
.macro note_ line
    jz .Lgood\@
    push rbx
    mov ebx, [bad_count]
    mov dword ptr [bad_lines + rbx * 4], \line
    inc dword ptr [bad_count]
    pop rbx
    jmp .Lend\@
.Lgood\@:
    inc dword ptr [good_count]
.Lend\@:
.endm
/* The same for an address. */
#define IS_AT(address) is_at_ __LINE__, STRING(address)
.macro is_at_ line, address
    cmp rax, offset \address
    note_ \line
.endm
#define LOADED_IS_AT(at, address) loaded_is_at_ __LINE__, STRING(at), STRING(address)
.macro loaded_is_at_ line, at, address
    mov rax, \at
    is_at_ \line, "\address"
.endm
#define LOADED_IS(at, value) loaded_is_ __LINE__, STRING(at), STRING(value)
.macro loaded_is_ line, at, value
    mov rax, \at
    is_ \line, "\value"
.endm

/* The instruction must fault, at itself. */
#define FAULTS(vector, error, ...) faults_ __LINE__, vector, error, STRING(__VA_ARGS__)
.macro faults_ line, vector, error, insn
    mov dword ptr [seen_vector], -1
    mov qword ptr [seen_error], 0
    mov dword ptr [resume], offset .Lto\@
    mov [resume_rsp], rsp
.Lat\@:
    \insn
.Lto\@:
    mov rsp, [resume_rsp]
    mov eax, [seen_vector]
    is_ \line, \vector
    mov rax, [seen_error]
    is_ \line, \error
    mov rax, [seen_rip]
    sub rax, offset .Lat\@
    is_ \line, 0
.endm

/* Runs `target` in ring 3 until it traps, and continues behind the macro. */
.macro user_ target, cs, flags
    mov dword ptr [seen_vector], -1
    mov dword ptr [resume], offset .Lto\@
    mov [resume_rsp], rsp
    push UDATA64
    push offset user_stack_top
    push \flags
    push \cs
    push offset \target
    iretq
.Lto\@:
    mov rsp, [resume_rsp]
.endm

/* Load CR3: `kept` is bit 63. */
.macro space_ base, pcid, kept=0
    mov eax, offset \base + \pcid
    .if \kept
    bts rax, 63
    .endif
    mov cr3, rax
.endm
/* Both rings must find, and run, the page with this number at this address. */
.macro page_is_ at, number
    movabs rbx, \at
    mov eax, [rbx]
    IS(\number << 8 | 0xb8)
    call rbx
    IS(\number)
    user_ user_page, UCODE64, 0x202
    LOADED_IS([user_result], \number << 40 | 0xb8 << 32 | \number)
.endm

.macro write_msr msr, low, high=0
    mov ecx, \msr
    mov eax, \low
    mov edx, \high
    wrmsr
.endm
.macro read_msr msr
    mov ecx, \msr
    rdmsr
    shl rdx, 32
    or rax, rdx
.endm

/* --- 32-bit mode --- */

guest_main:
    pushad
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    CHECK_CC(c)                 /* run it with a 64-bit CPU model */
    jnc 9f
    mov [features], edx
    xor eax, eax
    cpuid
    mov [vendor], ebx

    DESCRIPTOR(CODE64, 0, 0xfffff, ACC_CODE64)
    DESCRIPTOR(DATA64, 0, 0xfffff, ACC_DATA32)
    DESCRIPTOR((UCODE32 - 3), 0, 0xfffff, ACC_CODE32 + DPL3)
    DESCRIPTOR((UDATA64 - 3), 0, 0xfffff, ACC_DATA32 + DPL3)
    DESCRIPTOR((UCODE64 - 3), 0, 0xfffff, ACC_CODE64 + DPL3)
    DESCRIPTOR(TSS64, offset tss64, 103, ACC_TSS32)
    mov dword ptr [gdt + TSS64 + 8], 0
    mov dword ptr [gdt + TSS64 + 12], 0
    GATE_GDT(GATE64, CODE64, offset gate_target, 0x8c, 0)
    mov dword ptr [gdt + GATE64 + 8], 0
    mov dword ptr [gdt + GATE64 + 12], 0
    mov dword ptr [tss64 + 4], offset stack0_top
    mov dword ptr [tss64 + 36], offset ist1_top
    mov word ptr [tss64 + 102], 104

    /* gates: vector n to stubs64 + 16 n, ring 0 but for 80h, IST 1 for 81h and #DF */
    xor ecx, ecx
1:  mov eax, ecx
    shl eax, 4
    lea edi, [eax + idt64]
    add eax, offset stubs64
    mov edx, eax
    and eax, 0xffff
    or eax, CODE64 << 16
    mov dx, 0x8e00
    cmp ecx, 0x80
    jb 2f
    mov dx, 0xee00
    je 2f
    mov dl, 1
2:  mov [edi], eax
    mov [edi + 4], edx
    inc ecx
    cmp ecx, 0x82
    jne 1b
    mov byte ptr [idt64 + 16 * VEC_DF + 4], 1

    /* identity by 2 MB pages, for all rings; from HIGH on one page of 1 GB, if the CPU has it */
    mov dword ptr [pml4], offset pdpt + 7
    mov dword ptr [pml4 + 8], offset pdpt_high + 7
    mov dword ptr [pdpt], offset pd + 7
    xor ecx, ecx
3:  mov eax, ecx
    shl eax, 21
    or eax, 0x87
    mov [pd + ecx * 8], eax
    inc ecx
    cmp ecx, 8
    jne 3b
    mov dword ptr [pdpt_high], 0x83
    test dword ptr [features], 1 << 26
    jnz 4f
    mov dword ptr [pdpt_high], offset pd + 7
4:  /* 1000000h: a page table with an NX page, one for the supervisor, and one with a reserved bit */
    mov dword ptr [pd + 8 * 8], offset pt + 7
    mov dword ptr [pt], offset plain_page + 7
    mov dword ptr [pt + 4], 0x80000000
    mov dword ptr [pt + 8], offset plain_page + 3
    mov dword ptr [pt + 16], offset plain_page + 7
    mov dword ptr [pt + 20], 0x80000
    mov byte ptr [plain_page], 0xc3
    /* two more names for the first gigabyte, for code that is in two places; its pages are 1003000h and 1004000h */
    mov dword ptr [pdpt_high + 8], offset pd + 7
    mov dword ptr [pdpt_high + 16], offset pd + 7
    mov dword ptr [pt + 24], offset moved + 7
    mov dword ptr [pt + 32], offset moved_far + 7
    mov dword ptr [pt + 40], offset patched + 7
    mov dword ptr [pt + 48], offset patched + 7

    mov [saved_esp], esp
    mov eax, cr4
    or eax, 1 << 5
    mov cr4, eax
    mov eax, offset pml4
    mov cr3, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, 0x901               /* NXE, LME, SCE */
    wrmsr
    mov eax, cr0
    or eax, 0x80010000          /* PG, WP */
    mov cr0, eax
    rdmsr
    and eax, 0xd01
    CHECK_EQ(eax, 0xd01)        /* LMA as well; this is compatibility mode */
    lidt [idt64_pointer]
    ljmp CODE64, offset main64
back:
    mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, [saved_esp]
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, MSR_EFER
    rdmsr
    and eax, 0xd00
    CHECK_EQ(eax, 0x900)        /* LMA is gone */
    xor eax, eax
    wrmsr
    mov eax, cr4
    and eax, ~(1 << 5)
    mov cr4, eax
    lidt [idt_back]
    EXPECT_TRAP(VEC_BP, 0, int3)

    mov ecx, [good_count]
5:  push 0
    call check_passed
    dec ecx
    jnz 5b
    xor esi, esi
6:  cmp esi, [bad_count]
    je 9f
    push dword ptr [bad_lines + esi * 4]
    call check_failed
    inc esi
    jmp 6b
9:  popad
    ret

/* --- 64-bit mode --- */

    .code64
main64:
    mov eax, DATA64
    mov ss, eax
    mov eax, UDATA64            /* of ring 3, so that a return there does not drop them */
    mov ds, eax
    mov es, eax
    mov rsp, offset stack64_top
    mov eax, TSS64
    ltr ax

    /* registers, immediates, RIP-relative and 67h addresses */
    movabs rax, 0x1122334455667788
    mov r15, rax
    mov eax, r15d
    IS(0x55667788)
    mov rax, [rip + constant]
    IS(0x123456789abcdef0)
    mov r8, offset constant
    bts r8, 40
    mov rax, [r8d]
    IS(0x123456789abcdef0)
    movsxd rax, dword ptr [rip + constant]
    IS(0xffffffff9abcdef0)
    mov rax, -1
    mov ax, 1
    IS(0xffffffffffff0001)
    mov rbx, -1
    mov sil, 5
    movzx eax, sil
    IS(5)
    mov rax, 1
    mov rdx, 2
    mov qword ptr [pair], 1
    mov qword ptr [pair + 8], 2
    mov rbx, 3
    mov rcx, 4
    cmpxchg16b [pair]
    note_ __LINE__
    LOADED_IS([pair], 3)
    LOADED_IS([pair + 8], 4)
    FAULTS(VEC_GP, 0, cmpxchg16b [pair + 8])

    /* instructions that 64-bit mode does not have */
    FAULTS(VEC_UD, 0, .byte 0x06)
    FAULTS(VEC_UD, 0, .byte 0x27)
    FAULTS(VEC_UD, 0, .byte 0x60)

    /* canonical addresses */
    movabs rbx, 0x0000800000000000
    FAULTS(VEC_GP, 0, mov eax, [rbx])
    FAULTS(VEC_GP, 0, mov eax, [rbx - 2])
    movabs rbp, 0xffff7fffffffffff
    FAULTS(VEC_SS, 0, mov eax, [rbp])
    FAULTS(VEC_GP, 0, jmp rbx)
    FAULTS(VEC_GP, 0, call rbx)
    mov rcx, rsp
    mov rsp, rbx
    mov dword ptr [seen_vector], -1
    mov dword ptr [resume], offset 1f
    mov [resume_rsp], rcx
    push rax                    /* #SS: its frame cannot be pushed either */
1:  mov rsp, [resume_rsp]
    mov eax, [seen_vector]
    IS(VEC_DF)

    /* page faults */
    movabs rbx, UNMAPPED
    FAULTS(VEC_PF, 0, mov eax, [rbx])
    mov rax, cr2
    IS(UNMAPPED)
    FAULTS(VEC_PF, 2, mov [rbx + 8], eax)
    mov rbx, 0x1000000
    mov al, [rbx]
    mov dword ptr [seen_vector], -1
    mov qword ptr [seen_error], 0
    mov dword ptr [resume], offset 1f
    mov [resume_rsp], rsp
    call rbx                    /* NX: the fault is at the target */
1:  mov rsp, [resume_rsp]
    LOADED_IS([seen_error], 0x11)
    LOADED_IS([seen_rip], 0x1000000)
    mov rbx, 0x1001000
    call rbx
    mov rbx, 0x1002000
    FAULTS(VEC_PF, 9, mov eax, [rbx])   /* a reserved bit */
    mov eax, [pt + 8]
    and eax, 0x60
    IS(0x20)                    /* accessed, not dirty */
    mov rbx, 0x1001000
    mov [rbx + 8], eax
    mov eax, [pt + 8]
    and eax, 0x60
    IS(0x60)
    /* the alias at 512 GB, and INVLPG of a large page */
    movabs rbx, HIGH
    mov rax, [rbx + constant]
    IS(0x123456789abcdef0)
    mov qword ptr [pdpt_high], 0
    invlpg [rbx + 0x100000]
    movabs rbx, HIGH + 0x100000
    FAULTS(VEC_PF, 0, mov eax, [rbx])

    /* control registers and MSRs */
    mov rax, cr3
    bts rax, 60
    FAULTS(VEC_GP, 0, mov cr3, rax)
    mov rax, cr0
    btr rax, 31
    FAULTS(VEC_GP, 0, mov cr0, rax)     /* not in 64-bit mode */
    mov rax, cr0
    bts rax, 32
    FAULTS(VEC_GP, 0, mov cr0, rax)
    mov rax, cr4
    btr rax, 5
    FAULTS(VEC_GP, 0, mov cr4, rax)
    mov ecx, MSR_EFER
    xor edx, edx
    mov eax, 0x801
    FAULTS(VEC_GP, 0, wrmsr)
    mov ecx, MSR_LSTAR
    mov edx, 0x8000
    FAULTS(VEC_GP, 0, wrmsr)
    mov eax, 7
    mov cr8, rax
    xor eax, eax
    mov rax, cr8
    IS(7)
    mov eax, 16
    FAULTS(VEC_GP, 0, mov cr8, rax)
    xor eax, eax
    mov cr8, rax
    mov rax, dr7
    bts rax, 40
    FAULTS(VEC_GP, 0, mov dr7, rax)

    /* FS, GS, SWAPGS */
    write_msr MSR_FS_BASE, "offset constant"
    mov rax, fs:[0]
    IS(0x123456789abcdef0)
    write_msr MSR_GS_BASE, 0x1111, 0xffff8000
    write_msr MSR_KERNEL_GS, "offset constant"
    swapgs
    mov rax, gs:[0]
    IS(0x123456789abcdef0)
    read_msr MSR_KERNEL_GS
    IS(0xffff800000001111)
    swapgs
    mov ecx, MSR_GS_BASE
    mov edx, 0x8000
    FAULTS(VEC_GP, 0, wrmsr)
    mov eax, UDATA64
    mov fs, eax                 /* loads a selector: the base comes from the descriptor */
    read_msr MSR_FS_BASE
    IS(0)

    /* SS may be null in ring 0 */
    xor eax, eax
    mov ss, eax
    push rax
    pop rax
    mov eax, DATA64
    mov ss, eax

    /* gates: the stack is aligned, SS and RSP are in the frame, IST */
    lea rbx, [rsp - 5]
    mov [resume_rsp], rsp
    mov rsp, rbx
    mov dword ptr [resume], offset 1f
    int3
1:  mov rsp, [resume_rsp]
    LOADED_IS_AT([seen_rsp], stack64_top - 5)
    LOADED_IS([seen_ss], DATA64)
    mov rax, [seen_frame]
    and eax, 15
    IS(8)                       /* five words and the vector, below an aligned address: the stub has pushed two */
    mov dword ptr [resume], offset 1f
    int 0x81
1:  mov rsp, [resume_rsp]
    LOADED_IS_AT([seen_frame], ist1_top - 56)

    /* a call gate in the same ring */
    mov rbx, rsp
    lcall [gate_pointer]
    mov rax, rsp
    sub rax, rbx
    IS(0)
    LOADED_IS([gate_seen], 0x77)

    /* ring 3: 64-bit mode, and compatibility mode */
    user_ user64, UCODE64, 0x202
    LOADED_IS([seen_vector], 0x80)
    LOADED_IS([seen_cs], UCODE64)
    LOADED_IS([seen_ss], UDATA64)
    LOADED_IS_AT([seen_rsp], user_stack_top - 8)
    LOADED_IS_AT([seen_frame], stack0_top - 56)
    movabs r12, 0x1234567812345678
    user_ user32, UCODE32, 0x202
    LOADED_IS([seen_vector], 0x80)
    LOADED_IS([seen_cs], UCODE32)
    LOADED_IS_AT([seen_rsp], user_stack_top - 4)
    LOADED_IS([user_result], 0x55)
    mov rax, r12
    IS(0x1234567812345678)
    user_ user_privileged, UCODE64, 0x202
    LOADED_IS([seen_vector], VEC_GP)
    LOADED_IS_AT([seen_rip], user_privileged)
    user_ user_supervisor_page, UCODE64, 0x202
    LOADED_IS([seen_vector], VEC_PF)
    LOADED_IS([seen_error], 5)
    mov eax, 1
    cpuid
    bt ecx, 17
    jnc 1f
    call pcids
1:

    /* IRETQ to an address that is not canonical, and to ring 3 with a null SS */
    push DATA64
    push rsp
    push 2
    push CODE64
    movabs rax, 0x0000800000000000
    push rax
    FAULTS(VEC_GP, 0, iretq)
    push 3
    push rsp
    push 2
    push UCODE64
    push offset user64
    FAULTS(VEC_GP, 0, iretq)
    mov rsp, offset stack64_top

    /* SYSCALL and SYSRET */
    write_msr MSR_STAR, 0, "(UCODE32 << 16) + CODE64"
    write_msr MSR_LSTAR, "offset syscall64"
    write_msr MSR_CSTAR, "offset syscall32"
    write_msr MSR_FMASK, FL_DF + FL_CF
    user_ user_syscall, UCODE64, 0x203
    LOADED_IS([seen_vector], 0x80)
    LOADED_IS([seen_cs], UCODE64)
    LOADED_IS([seen_ss], UDATA64)
    LOADED_IS_AT([syscall_rcx], user_syscall_next)
    LOADED_IS([syscall_cs], CODE64)
    LOADED_IS([syscall_ss], DATA64)
    mov rax, [syscall_r11]
    and eax, FL_CF + FL_IF
    IS(FL_CF + FL_IF)
    mov rax, [syscall_flags]
    and eax, FL_CF + FL_IF
    IS(FL_IF)
    /* The trap of TF follows the flags behind SYSCALL and SYSRET, not those before. */
    write_msr MSR_FMASK, FL_DF + FL_CF + FL_TF
    user_ user_syscall, UCODE64, 0x202 + FL_TF
    LOADED_IS([seen_vector], VEC_DB)
    LOADED_IS([seen_cs], UCODE64)
    LOADED_IS_AT([seen_rip], user_syscall_next)
    write_msr MSR_FMASK, FL_DF + FL_CF
    user_ user_syscall, UCODE64, 0x202 + FL_TF
    LOADED_IS([seen_vector], VEC_DB)
    LOADED_IS([seen_cs], CODE64)
    LOADED_IS_AT([seen_rip], syscall64)
    mov dword ptr [syscall_to32], 1
    user_ user_syscall, UCODE64, 0x202
    LOADED_IS([seen_vector], 0x80)
    LOADED_IS([seen_cs], UCODE32)
    user_ user_syscall32, UCODE32, 0x202
    mov eax, [seen_vector]
    cmp dword ptr [vendor], 0x68747541  /* "Auth" */
    je 1f
    IS(VEC_UD)
    movabs rcx, 0x0000800000000000
    FAULTS(VEC_GP, 0, sysretq)
    jmp 2f
1:  IS(0x80)
    LOADED_IS_AT([syscall_rcx], user_syscall32_next)
2:  mov ecx, MSR_EFER
    rdmsr
    and eax, ~1
    wrmsr
    FAULTS(VEC_UD, 0, syscall)

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

    /* a far return to 32-bit code, which switches paging off */
    mov eax, KDATA
    mov ss, eax
    push KCODE
    push offset back
    rex.W retf

gate_target:
    mov dword ptr [gate_seen], 0x77
    rex.W retf

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

syscall64:
    mov [syscall_rcx], rcx
    mov [syscall_r11], r11
    mov ecx, cs
    mov [syscall_cs], ecx
    mov ecx, ss
    mov [syscall_ss], ecx
    mov r10, rsp
    mov rsp, offset stack0_top
    pushfq
    pop qword ptr [syscall_flags]
    mov rsp, r10
    mov rcx, [syscall_rcx]
    cmp dword ptr [syscall_to32], 0
    jne 1f
    sysretq
1:  mov rcx, offset user_back32
    .byte 0x0f, 0x07            /* SYSRET without REX.W, for which the assembler has no name */
syscall32:
    mov [syscall_rcx], rcx
    mov rcx, offset user_back32
    .byte 0x0f, 0x07            /* SYSRET without REX.W, for which the assembler has no name */

/* PCIDs (SDM 3A 4.10): entries of one used under another, entries that outlive what drops them. */
CR4_PGE_PCIDE = 1 << 7 | 1 << 17
pcids:
    mov dword ptr [page_one], 0x1111b8          /* mov eax, 0x1111; ret */
    mov word ptr [page_one + 4], 0xc300
    mov dword ptr [page_two], 0x2222b8
    mov word ptr [page_two + 4], 0xc300
    mov dword ptr [pml4_b], offset pdpt + 7
    mov dword ptr [pml4_b + 8], offset pdpt_b + 7
    mov dword ptr [pdpt_high + 40], offset pd_a + 7
    mov dword ptr [pdpt_b + 40], offset pd_b + 7
    mov dword ptr [pd_a], offset pt_a + 7
    mov dword ptr [pd_b], offset pt_b + 7
    mov dword ptr [pt_a], offset page_one + 7
    mov dword ptr [pt_b], offset page_two + 7
    mov dword ptr [pt_a + 8], offset page_one + 0x107
    mov dword ptr [pt_b + 8], offset page_one + 0x107
    mov rax, cr3
    bts rax, 63
    FAULTS(VEC_GP, 0, mov cr3, rax)             /* without CR4.PCIDE */
    space_ pml4, 8
    mov rcx, cr4
    or rcx, CR4_PGE_PCIDE
    FAULTS(VEC_GP, 0, mov cr4, rcx)             /* the low bits of CR3 are not 0 */
    space_ pml4, 0
    mov cr4, rcx
    mov rax, cr4
    and eax, CR4_PGE_PCIDE
    IS(CR4_PGE_PCIDE)
    space_ pml4, 1
    mov rax, cr3
    IS_AT(pml4 + 1)
    page_is_ PCID_1, 0x1111
    space_ pml4_b, 2
    page_is_ PCID_1, 0x2222
    mov r13d, 3
2:  space_ pml4, 1, 1
    mov rax, cr3
    IS_AT(pml4 + 1)                             /* bit 63 is not kept */
    page_is_ PCID_1, 0x1111
    space_ pml4_b, 2, 1
    page_is_ PCID_1, 0x2222
    space_ pml4_b, 9, 1
    page_is_ PCID_1, 0x2222
    dec r13d
    jnz 2b
    mov dword ptr [pt_a], offset page_two + 7
    space_ pml4, 1
    page_is_ PCID_1, 0x2222
    mov dword ptr [pt_a], offset page_one + 7
    invlpg [rbx]
    page_is_ PCID_1, 0x1111
    /* a global page: INVLPG under one PCID drops it under all */
    page_is_ PCID_2, 0x1111
    space_ pml4_b, 2, 1
    page_is_ PCID_2, 0x1111
    mov dword ptr [pt_a + 8], offset page_two + 0x107
    mov dword ptr [pt_b + 8], offset page_two + 0x107
    invlpg [rbx]
    page_is_ PCID_2, 0x2222
    space_ pml4, 1, 1
    page_is_ PCID_2, 0x2222
    /* without CR4.PCIDE all is dropped */
    space_ pml4_b, 2, 1
    mov dword ptr [pt_a], offset page_two + 7
    mov rcx, cr4
    btr rcx, 17
    mov cr4, rcx
    page_is_ PCID_1, 0x2222
    space_ pml4, 0
    page_is_ PCID_1, 0x2222
    bts rcx, 17
    mov cr4, rcx
    space_ pml4, 1, 1
    page_is_ PCID_1, 0x2222
    and ecx, ~CR4_PGE_PCIDE
    mov cr4, rcx
    space_ pml4, 0
    ret

user64:
    push rax
    int 0x80
user_privileged:
    swapgs
user_supervisor_page:
    mov eax, [0x1001000]
user_page:
    call rbx
    mov [user_result], eax
    mov eax, [rbx]
    mov [user_result + 4], eax
    int 0x80
user_syscall:
    syscall
user_syscall_next:
    int 0x80

    .code32
user32:
    push eax
    mov eax, 0x50
    mov ecx, offset user_result
    add eax, 5
    mov [ecx], eax
    int 0x80
user_syscall32:
    syscall
user_syscall32_next:
user_back32:
    int 0x80
    .code64

/* The frame from `rsp` on: error code, RIP, CS, RFLAGS, RSP, SS; the vector below it. */
common64:
    push rax
    lea rax, [rsp + 8]
    mov [seen_frame], rax
    mov rax, [rsp + 8]
    mov [seen_vector], rax
    mov rax, [rsp + 16]
    mov [seen_error], rax
    mov rax, [rsp + 24]
    mov [seen_rip], rax
    mov rax, [rsp + 32]
    mov [seen_cs], rax
    mov rax, [rsp + 48]
    mov [seen_rsp], rax
    mov rax, [rsp + 56]
    mov [seen_ss], rax
    mov rax, cr2
    mov [seen_cr2], rax
    pop rax
    mov rsp, offset stack0_top
    push DATA64
    push offset stack64_top
    push 2
    push CODE64
    push qword ptr [resume]
    iretq

    .balign 16
stubs64:
    .set vector, 0
    .rept 0x82
    .balign 16
    .if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)
    push 0
    .endif
    .if vector < 0x80
    push vector
    .else
    .byte 0x68
    .long vector
    .endif
    jmp common64
    .set vector, vector + 1
    .endr
    .code32

    .data
    .balign 16
pair: .skip 16
constant: .long 0x9abcdef0, 0x12345678
idt64_pointer:
    .word 0x820 - 1
    .long idt64, 0
idt_back:
    .word 0x7ff
    .long idt
gate_pointer:
    .long 0
    .word GATE64

    .bss
    .balign 4096
pml4: .skip 4096
pdpt: .skip 4096
pdpt_high: .skip 4096
pd: .skip 4096
pt: .skip 4096
plain_page: .skip 4096
pml4_b: .skip 4096
pdpt_b: .skip 4096
pd_a: .skip 4096
pd_b: .skip 4096
pt_a: .skip 4096
pt_b: .skip 4096
page_one: .skip 4096
page_two: .skip 4096
    .skip 4096
stack64_top:
    .skip 4096
stack0_top:
    .skip 4096
ist1_top:
idt64: .skip 0x820
tss64: .skip 104
    .balign 8
saved_esp: .skip 8
moved_count: .skip 4
features: .skip 4
vendor: .skip 4
good_count: .skip 4
bad_count: .skip 4
bad_lines: .skip 4 * 256
resume: .skip 8
resume_rsp: .skip 8
seen_vector: .skip 8
seen_error: .skip 8
seen_rip: .skip 8
seen_cs: .skip 8
seen_rsp: .skip 8
seen_ss: .skip 8
seen_cr2: .skip 8
seen_frame: .skip 8
gate_seen: .skip 8
user_result: .skip 8
syscall_rcx: .skip 8
syscall_r11: .skip 8
syscall_cs: .skip 8
syscall_ss: .skip 8
syscall_flags: .skip 8
syscall_to32: .skip 8
moved_mark: .skip 4
