/*
 * A guest for `ringer inspect`: it pages, and then reads and writes one page for ever. LONG 1: IA-32e mode, the page at
 * ffffffff80201000h, by four levels of tables; LONG 0: PAE paging, the page at c0201000h. The code runs at the identity.
 * SDM 3A 4.4, 4.5, 9.8.5.
 */
TABLES = 0x400000
.macro entry table, index, value
    mov dword ptr [TABLES + \table * 0x1000 + \index * 8], \value
.endm

    .intel_syntax noprefix
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    cli
    xor eax, eax
    mov edi, TABLES
    mov ecx, 0x6000 / 4
    rep stosd
.if LONG
    entry 0, 0, TABLES + 0x1003     # PML4
    entry 0, 511, TABLES + 0x2003
    entry 1, 0, TABLES + 0x3003     # the identity
    entry 2, 510, TABLES + 0x4003   # the last two gigabytes
.else
    entry 0, 0, TABLES + 0x3001     # PDPTEs
    entry 0, 3, TABLES + 0x4001
.endif
    entry 3, 0, 0x83                # 2 MB
    entry 4, 1, TABLES + 0x5003
    entry 5, 1, 0x300003            # the page: frame 300h
    mov eax, cr4
    or eax, 0x20                    # PAE
    mov cr4, eax
    mov eax, TABLES
    mov cr3, eax
.if LONG
    mov ecx, 0xc0000080             # EFER
    rdmsr
    or eax, 0x100                   # LME
    wrmsr
.endif
    mov eax, cr0
    or eax, 0x80000001
    mov cr0, eax
.if LONG
    lgdt [gdtr]
    .byte 0xea                      # JMP FAR, which assemblers write in many ways
    .long wide
    .word 8
gdt:
    .quad 0, 0x00209a0000000000     # 64-bit code
gdtr:
    .word 15
    .long gdt
    .code64
wide:
    mov rbx, 0xffffffff80201000
1:  inc dword ptr [rbx]
    jmp 1b
.else
    mov ebx, 0xc0201000
1:  inc dword ptr [ebx]
    jmp 1b
.endif
