/*
 * Hazards of page tables with entries of 8 bytes (PAE): PDPTEs that are registers, reserved bits, no-execute, entries that are written
 * in halves, 2 MB pages that are split and merged. SDM 3A 4.4, 4.6, 4.7, 4.10.
 */
#include "guest.inc"
#include "paging.inc"
GUEST(pae)

#define PAE_PTE(n) [page_table + 8 * (n)]
#define PAE_PTE_HIGH(n) [page_table + 8 * (n) + 4]
XD = 0x80000000             /* in the upper half of an entry */
ALL = P + RW + US
CR4_PAE = 1 << 5
MSR_EFER = 0xc0000080
EFER_NXE = 1 << 11

guest_main:
    call enable
    call entries
    call no_execute
    NUMBER_FRAMES
    call clear_window
    call halves
    call boundary
    call pdpte_registers
    call self_mapped
    call no_execute_or_reserved
    PAGING_OFF
    mov eax, cr4
    and eax, ~CR4_PAE
    mov cr4, eax
    ret

enable:
    mov eax, ALL + PS                   /* 16 MB in 2 MB pages, in the first GB */
    mov edi, offset directory
1:  mov [edi], eax
    add edi, 8
    add eax, 0x200000
    cmp eax, 0x1000000
    jb 1b
    mov dword ptr [directory2], offset page_table + ALL     /* the second GB, from WINDOW on */
    mov dword ptr [pdpt], offset directory + P
    mov dword ptr [pdpt + 8], offset directory2 + P
    mov dword ptr [pdpt2], offset directory + P             /* another root with the same directories */
    mov dword ptr [pdpt2 + 8], offset directory2 + P
    mov eax, cr4
    or eax, CR4_PAE
    mov cr4, eax
    mov eax, offset pdpt
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    ret

    WINDOW_FUNCTIONS

/* ZF = 0 if the CPU has no-execute. EAX, EBX, ECX and EDX are lost. */
has_no_execute:
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 20
    ret

.macro SET_NXE
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_NXE
    wrmsr
.endm
.macro CLEAR_NXE
    mov ecx, MSR_EFER
    rdmsr
    and eax, ~EFER_NXE
    wrmsr
.endm

entries:
    mov dword ptr [FRAME0], 10
    mov dword ptr PAE_PTE(0), FRAME0 + P + RW + US
    CHECK_EQ([PAGE(0)], 10)
    CHECK_EQ(PAE_PTE(0), FRAME0 + P + RW + US + A)
    mov dword ptr [PAGE(0)], 11
    CHECK_EQ(PAE_PTE(0), FRAME0 + P + RW + US + A + D)
    mov eax, [directory + 8 * 4]        /* the 2 MB page of FRAME0 */
    and eax, A + D
    CHECK_EQ(eax, A + D)
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(1)])
    EXPECT_FAULT(VEC_PF, 0, mov eax, [0xc0000000])    /* no PDPTE */
    EXPECT_FAULT(VEC_PF, 2, mov [0x3f000000], eax)    /* no PDE */
    /* reserved: bit 62-52, and bit 63 while EFER.NXE is clear */
    mov dword ptr PAE_PTE(2), FRAME0 + P + RW
    mov dword ptr PAE_PTE_HIGH(2), 0x00100000
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_PF, 9, mov eax, [PAGE(2)])
    mov dword ptr PAE_PTE_HIGH(2), XD
    EXPECT_FAULT(VEC_PF, 9, mov eax, [PAGE(2)])
    EXPECT_FAULT(VEC_PF, 11, mov [PAGE(2)], eax)
    /* MOV CR3 checks a PDPTE's reserved bits: #GP(0), and CR3 keeps its value */
    mov dword ptr [bad_pdpt], offset directory + P + RW
    mov eax, offset bad_pdpt
    EXPECT_FAULT(VEC_GP, 0, mov cr3, eax)
    mov eax, cr3
    CHECK_EQ(eax, offset pdpt)
    /* PDPTEs are loaded then, and not read again */
    push dword ptr [pdpt + 8]
    mov dword ptr [pdpt + 8], 0
    invlpg [PAGE(0)]
    CHECK_EQ([PAGE(0)], 11)
    pop dword ptr [pdpt + 8]
1:  ret

no_execute:
    call has_no_execute
    jz 9f
    SET_NXE
    mov dword ptr [FRAME0], 0x9080cdc3              /* RET; INT 80h */
    mov dword ptr PAE_PTE(2), FRAME0 + P + RW + US
    mov dword ptr PAE_PTE_HIGH(2), XD
    EXPECT_NONE(mov eax, [PAGE(2)])
    mov dword ptr [resume_eip], offset 2f
    mov [resume_esp], esp
    mov dword ptr [trap_vector], -1
    mov ebx, PAGE(2)
    call ebx
2:  CHECK_EQ([trap_vector], VEC_PF)
    CHECK_EQ([trap_error], 0x11)
    CHECK_EQ([trap_cr2], PAGE(2))
    CHECK_EQ([trap_eip], PAGE(2))
    mov esi, PAGE(2) + 1
    EXPECT_USER(user_jump, 0x202, VEC_PF, 0x15, PAGE(2) + 1)
    mov esi, PAGE(3)
    EXPECT_USER(user_jump, 0x202, VEC_PF, 0x14, PAGE(3))   /* I is set also if the page is absent */
    mov esi, PAGE(3)
    EXPECT_USER(user_read, 0x202, VEC_PF, 4, user_read)
    mov dword ptr PAE_PTE_HIGH(2), 0
    invlpg [PAGE(2)]
    mov esi, PAGE(2) + 1
    EXPECT_USER(user_jump, 0x202, 0x80, 0, PAGE(2) + 3)
    EXPECT_NONE(call ebx)
    mov dword ptr PAE_PTE_HIGH(2), XD
    invlpg [PAGE(2)]
    EXPECT_USER(user_jump, 0x202, VEC_PF, 0x15, PAGE(2) + 1)
    /* the directory's XD bit counts too */
    mov dword ptr PAE_PTE_HIGH(2), 0
    mov dword ptr [directory2 + 4], XD
    call flush
    EXPECT_USER(user_jump, 0x202, VEC_PF, 0x15, PAGE(2) + 1)
    mov dword ptr [directory2 + 4], 0
    call flush
    CLEAR_NXE
    CHECK_EQ([FRAME0], 0x9080cdc3)
9:  ret

/* An entry is written by halves and by CMPXCHG8B, in turns. */
halves:
    mov ebp, 40
1:  mov eax, ebp
    shl eax, 12
    lea ebx, [eax + FRAME + ALL]
    test ebp, 1
    jz 2f
    mov PAE_PTE(0), ebx
    jmp 3f
2:  mov eax, PAE_PTE(0)
    mov edx, PAE_PTE_HIGH(0)
    xor ecx, ecx
    lock cmpxchg8b PAE_PTE(0)
3:  invlpg [PAGE(0)]
    SEES(ebp)
    mov eax, offset pdpt2
    mov cr3, eax
    SEES(ebp)
    add dword ptr PAE_PTE(0), 0x1000
    mov eax, offset pdpt
    mov cr3, eax
    lea edi, [ebp + 1]
    SEES(edi)
    dec ebp
    jnz 1b
    ret

/* A store over the boundary of two entries. */
boundary:
    mov dword ptr PAE_PTE(0), FRAME + 0x1000 + ALL
    mov dword ptr PAE_PTE(1), FRAME + 0x3000 + ALL
    call flush
    SEES(1)
    CHECK_EQ([PAGE(1)], 3)
    mov dword ptr [page_table + 6], (0x2000 + ALL) << 16
    invlpg [PAGE(1)]
    CHECK_EQ([PAGE(1)], 2)
    SEES(1)
    ret

/* A PDPTE is cleared and set again: only a load of CR3 makes it take effect. */
pdpte_registers:
    mov ebp, 20
1:  SEES(1)
    mov dword ptr [pdpt + 8], 0
    SKIP_ON_TCG 2f
    invlpg [PAGE(0)]
    SEES(1)                             /* the PDPTE register is unchanged */
2:  call flush
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(0)])
    mov esi, PAGE(0)
    EXPECT_USER(user_read, 0x202, VEC_PF, 4, user_read)
    mov dword ptr [pdpt + 8], offset directory2 + P
    call flush
    SEES(1)
    mov dword ptr [pdpt + 8], offset directory3 + P        /* another directory at the same CR3 */
    mov dword ptr [directory3], offset page_table2 + ALL
    mov dword ptr [page_table2], FRAME + 0x8000 + ALL
    call flush
    SEES(8)
    mov dword ptr [page_table2], FRAME + 0xa000 + ALL
    invlpg [PAGE(0)]
    SEES(10)
    mov dword ptr [pdpt + 8], offset directory2 + P
    call flush
    dec ebp
    jnz 1b
    ret

/* The directory is one of its own tables, and 2 MB pages are split and merged. */
self_mapped:
    mov dword ptr [directory2 + 8 * 5], offset directory2 + P + RW
    mov ebx, WINDOW + 5 * 0x200000      /* maps the pages that the directory's entries name, the page table first */
    mov ecx, 40
1:  mov eax, ecx
    shl eax, 12
    lea eax, [eax + FRAME + ALL]
    mov [ebx], eax                      /* PTE 0, by way of it */
    invlpg [PAGE(0)]
    cmp [PAGE(0)], ecx
    jne 2f
    mov dword ptr [ebx + 0x5000], FRAME + ALL + PS         /* PDE 0 */
    call flush
    cmp dword ptr [PAGE(0)], 0
    jne 2f
    cmp dword ptr [PAGE(9)], 9
    jne 2f
    mov dword ptr [ebx + 0x5000], offset page_table + ALL
    invlpg [PAGE(9)]
    cmp [PAGE(0)], ecx
    jne 2f
    dec ecx
    jnz 1b
2:  CHECK_EQ(ecx, 0)
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(9)])
    ret

/* Bit 63 is no-execute with EFER.NXE, and reserved without. */
no_execute_or_reserved:
    call has_no_execute
    jz 9f
    mov ebp, 10
1:  mov dword ptr PAE_PTE(0), FRAME + 0x1000 + ALL
    mov dword ptr PAE_PTE_HIGH(0), XD
    SET_NXE
    invlpg [PAGE(0)]
    SEES(1)
    mov esi, PAGE(0)
    EXPECT_USER(user_jump, 0x202, VEC_PF, 0x15, PAGE(0))
    CLEAR_NXE
    SKIP_ON_TCG 2f
    EXPECT_FAULT(VEC_PF, 9, mov eax, [PAGE(0)])
    EXPECT_USER(user_read, 0x202, VEC_PF, 0xd, user_read)
2:  mov dword ptr PAE_PTE_HIGH(0), 0
    invlpg [PAGE(0)]
    SEES(1)
    dec ebp
    jnz 1b
9:  ret

    /* --- at CPL 3: ESI is the address --- */
    USER_ACCESSES

    .bss
    .balign 4096
directory: .skip 4096
directory2: .skip 4096
directory3: .skip 4096
page_table: .skip 4096
page_table2: .skip 4096
pdpt: .skip 32
pdpt2: .skip 32
bad_pdpt: .skip 32
expected: .skip 4
