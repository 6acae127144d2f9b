/*
 * Hazard: IA-32e mode. Switches into it and out of it, four-level paging with 1 GB pages and NX, gates with IST, returns in all
 * directions, SYSCALL and SYSRET, SWAPGS, compatibility mode, faults of addresses that are not canonical. SDM 3A 4.5,
 * 5.8.7, 6.14, 9.8.5; SDM 2 IRET, SYSCALL, SYSRET, SWAPGS.
 */
#include "guest.inc"
#include "long.inc"
GUEST(long)

UNMAPPED = 0xffff800000001000
PCID_1 = HIGH + 0x140000000 /* pages that two address spaces map differently, and one that is global */
PCID_2 = PCID_1 + 0x1000

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

/* INVPCID with this type and descriptor. */
.macro invpcid_ type, pcid=0, at=0
    mov dword ptr [invpcid_descriptor], \pcid
    movabs rbx, \at
    mov [invpcid_descriptor + 8], rbx
    mov eax, \type
    invpcid rax, [invpcid_descriptor]
.endm

    .globl checks64
    .code64
checks64:
    mov eax, offset gate_target
    mov [gdt + GATE64], ax
    mov word ptr [gdt + GATE64 + 2], CODE64
    mov word ptr [gdt + GATE64 + 4], 0x8c00     /* present, a call gate (SDM 3A 5.8.3.1) */
    shr eax, 16
    mov [gdt + GATE64 + 6], ax
    mov qword ptr [gdt + GATE64 + 8], 0

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
    /* An operand that must be aligned, is not, and lies beyond them: alignment first. FXSAVE looks at its first byte before. */
    FAULTS(VEC_GP, 0, cmpxchg16b [rbp])
    FAULTS(VEC_GP, 0, lock cmpxchg16b [rbp])
    FAULTS(VEC_SS, 0, cmpxchg16b [rbp - 15])
    FAULTS(VEC_SS, 0, fxsave [rbp])
    FAULTS(VEC_SS, 0, fxrstor [rbp])
    movabs rbp, 0x00007ffffffffff8
    FAULTS(VEC_GP, 0, fxsave [rbp])
    FAULTS(VEC_GP, 0, fxrstor [rbp])
    /* All of the operand that has the bit is accessed, not only the half with the bit. */
    xor edx, edx
    FAULTS(VEC_SS, 0, bt [rbp + 4], rdx)
    FAULTS(VEC_SS, 0, bts [rbp + 4], rdx)
    FAULTS(VEC_PF, 0, bt [rbp + 4], edx)
    FAULTS(VEC_PF, 0, bt [rbp], rdx)
    FAULTS(VEC_PF, 2, bts [rbp], rdx)
    mov edx, 64
    FAULTS(VEC_SS, 0, bt [rbp], rdx)
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
    jmp leave64

gate_target:
    mov dword ptr [gate_seen], 0x77
    rex.W retf

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
    mov eax, [pml4]
    mov [pml4_b], eax
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
    /* INVPCID: of a page, of a PCID, of all PCIDs, of global pages */
    space_ pml4, 1, 1
    page_is_ PCID_1, 0x1111
    space_ pml4_b, 2, 1
    mov dword ptr [pt_a], offset page_two + 7
    invpcid_ 0, 1, PCID_1
    page_is_ PCID_1, 0x2222
    space_ pml4, 1, 1
    page_is_ PCID_1, 0x2222
    space_ pml4_b, 2, 1
    mov dword ptr [pt_a], offset page_one + 7
    invpcid_ 1, 1
    space_ pml4, 1, 1
    page_is_ PCID_1, 0x1111
    space_ pml4_b, 2, 1
    mov dword ptr [pt_a], offset page_two + 7
    invpcid_ 3
    space_ pml4, 1, 1
    page_is_ PCID_1, 0x2222
    mov dword ptr [pt_a], offset page_one + 7
    invpcid_ 1, 1
    page_is_ PCID_1, 0x1111
    mov dword ptr [pt_a + 8], offset page_one + 0x107
    mov dword ptr [pt_b + 8], offset page_one + 0x107
    invpcid_ 2
    page_is_ PCID_2, 0x1111
    space_ pml4_b, 2, 1
    page_is_ PCID_2, 0x1111
    mov ecx, 4
    FAULTS(VEC_GP, 0, invpcid rcx, [invpcid_descriptor])        /* no such type */
    mov dword ptr [invpcid_descriptor + 12], 0x800000
    mov ecx, 0
    FAULTS(VEC_GP, 0, invpcid rcx, [invpcid_descriptor])        /* not canonical */
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

    .data
    .balign 16
pair: .skip 16
constant: .long 0x9abcdef0, 0x12345678
gate_pointer:
    .long 0
    .word GATE64

    .bss
    .balign 4096
pml4_b: .skip 4096
pdpt_b: .skip 4096
pd_a: .skip 4096
pd_b: .skip 4096
pt_a: .skip 4096
pt_b: .skip 4096
page_one: .skip 4096
page_two: .skip 4096
    .balign 8
gate_seen: .skip 8
user_result: .skip 8
invpcid_descriptor: .skip 16
syscall_rcx: .skip 8
syscall_r11: .skip 8
syscall_cs: .skip 8
syscall_ss: .skip 8
syscall_flags: .skip 8
syscall_to32: .skip 8
