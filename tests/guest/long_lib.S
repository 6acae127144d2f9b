/*
 * The way into 64-bit mode and back, the page tables, gates and trap recorder of the kernels with 64-bit code (long.inc).
 */
#include "guest.inc"
#include "long.inc"

    .globl guest_main, leave64
    .globl pml4, pdpt_high, pd, pt, vendor, resume, resume_rsp, good_count, bad_count, bad_lines
    .globl seen_vector, seen_error, seen_rip, seen_cs, seen_rsp, seen_ss, seen_frame
    .globl stack64_top, stack0_top, ist1_top

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

    mov [saved_esp], esp
    mov eax, cr4
    or eax, 1 << 5
    mov cr4, eax
    mov eax, offset pml4
    mov cr3, eax
    set_efer 0x901              /* NXE, LME, SCE */
    mov eax, cr0
    or eax, 0x80010000          /* PG, WP */
    mov cr0, eax
    rdmsr
    and eax, 0xd01
    CHECK_EQ(eax, 0xd01)        /* LMA as well; this is compatibility mode */
    lidt [idt64_pointer]
    ljmp CODE64, offset main64
back:
    leave_paging64
    mov ecx, MSR_EFER
    rdmsr
    and eax, 0xd00
    CHECK_EQ(eax, 0x900)        /* LMA is gone */
    xor eax, eax
    wrmsr
    leave_pae
    lidt [idt_back]
    EXPECT_TRAP(VEC_BP, 0, int3)

    REPORT_NOTES
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
    jmp checks64

leave64: /* a far return to 32-bit code, which switches paging off */
    mov eax, KDATA
    mov ss, eax
    leave_code64 back

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

    .data
    .balign 16
idt64_pointer:
    .word 0x820 - 1
    .long idt64, 0
idt_back:
    .word 0x7ff
    .long idt

    .bss
    .balign 4096
pml4: .skip 4096
pdpt: .skip 4096
pdpt_high: .skip 4096
pd: .skip 4096
pt: .skip 4096
plain_page: .skip 4096
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
