/*
 * Hazards: translations that are stale or grant too much; wrong error codes, CR2, accessed and dirty bits. Copy-on-write, swapping and
 * page aging in a kernel depend on these. SDM 3A 4.3-4.10.
 */
#include "guest.inc"
#include "paging.inc"
GUEST(paging)

guest_main:
    ENABLE_FOR_SUPERVISOR
    call accessed_dirty
    call error_codes
    call write_protect
    call write_intent
    call alignment_first
    call directory_rights
    call invalidation
    call large_pages
    call global_pages
    call recursive
    call supervisor_modes
    PAGING_OFF
    ret

    WINDOW_FUNCTIONS

accessed_dirty:
    call clear_window
    mov dword ptr PTE(0), FRAME0 + P + RW
    mov dword ptr PTE(1), FRAME1 + P + RW
    mov dword ptr PTE(2), FRAME2 + P + RW
    and dword ptr [directory + 4 * (WINDOW >> 22)], ~A
    call flush
    mov eax, [PAGE(0)]
    CHECK_EQ(PTE(0), FRAME0 + P + RW + A)
    CHECK_EQ(PTE(1), FRAME1 + P + RW)
    mov eax, [directory + 4 * (WINDOW >> 22)]
    and eax, A
    CHECK_EQ(eax, A)
    mov [PAGE(0)], eax          /* it was read before, so only D is missing */
    CHECK_EQ(PTE(0), FRAME0 + P + RW + A + D)
    mov [PAGE(1)], eax
    CHECK_EQ(PTE(1), FRAME1 + P + RW + A + D)
    cmp [PAGE(2)], eax
    CHECK_EQ(PTE(2), FRAME2 + P + RW + A)
    add [PAGE(2)], eax
    CHECK_EQ(PTE(2), FRAME2 + P + RW + A + D)
    /* cleared bits are set again after INVLPG, which page aging and dirty tracking need */
    mov dword ptr PTE(0), FRAME0 + P + RW
    invlpg [PAGE(0)]
    mov [PAGE(0) + 8], eax
    CHECK_EQ(PTE(0), FRAME0 + P + RW + A + D)
    mov dword ptr PTE(0), FRAME0 + P + RW
    call flush
    mov al, [PAGE(0) + 4095]
    CHECK_EQ(PTE(0), FRAME0 + P + RW + A)
    /* a refused access does not set D */
    mov dword ptr PTE(1), FRAME1 + P
    call flush
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax
    EXPECT_FAULT(VEC_PF, 3, mov [PAGE(1)], eax)
    mov eax, PTE(1)
    and eax, D
    CHECK_EQ(eax, 0)
    mov eax, cr0
    and eax, ~CR0_WP
    mov cr0, eax
    ret

/* P=1 W=2 U=4 (SDM 3A 4.7) */
error_codes:
    call clear_window
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(0) + 0x123])
    CHECK_EQ([trap_cr2], PAGE(0) + 0x123)
    EXPECT_FAULT(VEC_PF, 2, mov [PAGE(0) + 0x124], eax)
    CHECK_EQ([trap_cr2], PAGE(0) + 0x124)
    EXPECT_FAULT(VEC_PF, 0, cmp dword ptr [PAGE(0) + 0x128], 1)
    /* read-modify-write reads for ownership: W is set (seen on hardware), TCG reads first */
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_PF, 2, add dword ptr [PAGE(0) + 0x128], 1)
    EXPECT_FAULT(VEC_PF, 2, xadd [PAGE(0)], eax)
    EXPECT_FAULT(VEC_PF, 2, btr [PAGE(0)], eax)
    EXPECT_FAULT(VEC_PF, 2, shl dword ptr [PAGE(0)], 0)
    EXPECT_FAULT(VEC_PF, 2, xchg [PAGE(0)], eax)
    EXPECT_FAULT(VEC_PF, 2, cmpxchg [PAGE(0)], ecx)
    EXPECT_FAULT(VEC_PF, 2, cmpxchg8b [PAGE(0)])
1:
    EXPECT_FAULT(VEC_PF, 2, setc [PAGE(0)])
    EXPECT_FAULT(VEC_PF, 2, fst dword ptr [PAGE(0)])
    EXPECT_FAULT(VEC_PF, 0, fld dword ptr [PAGE(0)])
    EXPECT_FAULT(VEC_PF, 2, sgdt [PAGE(0)])
    EXPECT_FAULT(VEC_PF, 0, lgdt [PAGE(0)])
    EXPECT_FAULT(VEC_PF, 0, mov eax, [0xfffffff0])               /* no page table either */
    CHECK_EQ([trap_cr2], 0xfffffff0)
    mov dword ptr PTE(1), FRAME1 + P + RW
    mov dword ptr PTE(2), FRAME2 + P + US
    mov esi, PAGE(0) + 4
    EXPECT_USER(user_read, 0x202, VEC_PF, 4, user_read)
    CHECK_EQ([trap_cr2], PAGE(0) + 4)
    EXPECT_USER(user_write, 0x202, VEC_PF, 6, user_write)
    mov esi, PAGE(1)
    EXPECT_USER(user_read, 0x202, VEC_PF, 5, user_read)
    EXPECT_USER(user_write, 0x202, VEC_PF, 7, user_write)
    mov eax, [PAGE(1)]      /* an entry filled for the supervisor does not serve the user */
    mov [PAGE(1)], eax
    EXPECT_USER(user_read, 0x202, VEC_PF, 5, user_read)
    EXPECT_USER(user_write, 0x202, VEC_PF, 7, user_write)
    mov esi, PAGE(2)
    EXPECT_USER(user_read, 0x202, 0x80, 0, user_read_done)
    EXPECT_USER(user_write, 0x202, VEC_PF, 7, user_write)
    CHECK_EQ([trap_cr2], PAGE(2))
    EXPECT_USER(user_cmpxchg, 0x202, VEC_PF, 7, user_cmpxchg)    /* writes even when unequal */
    EXPECT_USER(user_lock_or, 0x202, VEC_PF, 7, user_lock_or)
    mov esi, PAGE(1)
    EXPECT_USER(user_jump, 0x202, VEC_PF, 5, PAGE(1))            /* no I bit without NX */
    CHECK_EQ([trap_cr2], PAGE(1))
    ret

write_protect:
    call clear_window
    mov dword ptr PTE(0), FRAME0 + P
    mov dword ptr PTE(1), FRAME1 + P + US
    EXPECT_NONE(mov [PAGE(0)], eax)         /* WP clear: the supervisor writes anywhere */
    EXPECT_NONE(mov [PAGE(1)], eax)
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax
    EXPECT_FAULT(VEC_PF, 3, mov [PAGE(0)], eax)
    EXPECT_FAULT(VEC_PF, 3, mov [PAGE(1)], eax)
    EXPECT_NONE(mov eax, [PAGE(0)])
    /* copy-on-write: the fault maps another frame writable, then the instruction is restarted */
    mov dword ptr [FRAME1], 0x1111
    mov dword ptr [FRAME2], 0x1111
    HOOK VEC_PF, copy_on_write
    mov eax, 5
    add [PAGE(1)], eax
    UNHOOK VEC_PF
    CHECK_EQ([FRAME1], 0x1111)
    CHECK_EQ([FRAME2], 0x1116)
    CHECK_EQ([PAGE(1)], 0x1116)
    mov eax, cr0
    and eax, ~CR0_WP
    mov cr0, eax
    EXPECT_NONE(mov [PAGE(0)], eax)
    ret
copy_on_write:
    mov dword ptr PTE(1), FRAME2 + P + RW + US
    invlpg [PAGE(1)]
    xor eax, eax
    ret

/* Instructions that write only sometimes: ARPL needs write access if it raises RPL; CMPXCHG and CMPXCHG8B always need it. */
write_intent:
    call clear_window
    mov dword ptr PTE(0), FRAME0 + P + US
    mov dword ptr [FRAME0], 3
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax
    call flush
    mov esi, WINDOW
    mov ecx, 3
    or eax, 1               /* ZF = 0 */
    cmp eax, eax            /* ZF = 1 */
    arpl [esi], cx
    CHECK_CC(nz)
    mov dword ptr [FRAME0], 0
    cmp esp, 0
    EXPECT_FAULT(VEC_PF, 3, arpl [esi], cx)
    CHECK_CC(nz)
    CHECK_EQ([FRAME0], 0)
    mov eax, 1              /* differs */
    EXPECT_FAULT(VEC_PF, 3, cmpxchg [esi], ecx)
    EXPECT_FAULT(VEC_PF, 3, cmpxchg8b [esi])
    CHECK_EQ(eax, 1)
    mov eax, cr0
    and eax, ~CR0_WP
    mov cr0, eax
    ret

/* An operand of 16 bytes that is not aligned raises #GP, even if its page is not present: #GP comes before #PF (SDM 3A table 6-2). */
alignment_first:
    call clear_window
    mov dword ptr PTE(0), FRAME0 + P + US
    mov eax, cr4
    or eax, 0x200           /* OSFXSR */
    mov cr4, eax
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax
    call flush
    mov esi, WINDOW
    movntdq [FRAME0], xmm0
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_GP, 0, movntdq [esi + 8], xmm0)
    EXPECT_FAULT(VEC_GP, 0, movntps [esi + 1], xmm0)
    EXPECT_FAULT(VEC_GP, 0, movntpd [esi + 4], xmm0)
    EXPECT_FAULT(VEC_GP, 0, movaps [esi + 8], xmm0)
    EXPECT_FAULT(VEC_GP, 0, movdqa [WINDOW + 8], xmm0)
    EXPECT_FAULT(VEC_GP, 0, movdqa xmm0, [esi + 0x1008])    /* not present */
    EXPECT_FAULT(VEC_GP, 0, addps xmm0, [esi + 0xff8])      /* present and not */
    EXPECT_FAULT(VEC_GP, 0, fxsave [esi + 8])
    EXPECT_FAULT(VEC_GP, 0, fxrstor [esi + 0x1008])
1:  EXPECT_FAULT(VEC_PF, 3, movntdq [esi], xmm0)
    EXPECT_FAULT(VEC_PF, 3, movups [esi + 8], xmm0)
    EXPECT_FAULT(VEC_PF, 0, movups xmm0, [esi + 0x1008])
    EXPECT_FAULT(VEC_PF, 0, movups xmm0, [esi + 0xff8])
    mov eax, cr2
    CHECK_EQ(eax, WINDOW + 0x1000)
    EXPECT_FAULT(VEC_PF, 3, fxsave [esi])
    mov eax, cr0
    and eax, ~CR0_WP
    mov cr0, eax
    ret

/* Rights are the AND of both levels. */
directory_rights:
    call clear_window
    mov dword ptr PTE(0), FRAME0 + P + RW + US
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + P + US
    call flush
    mov esi, PAGE(0)
    EXPECT_USER(user_read, 0x202, 0x80, 0, user_read_done)
    EXPECT_USER(user_write, 0x202, VEC_PF, 7, user_write)
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + P + RW
    call flush
    EXPECT_USER(user_read, 0x202, VEC_PF, 5, user_read)
    mov dword ptr [directory + 4 * (WINDOW >> 22)], 0
    call flush
    EXPECT_USER(user_read, 0x202, VEC_PF, 4, user_read)
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + P + RW + US
    EXPECT_USER(user_write, 0x202, 0x80, 0, user_write_done)
    ret

invalidation:
    call clear_window
    mov dword ptr [FRAME0], 10
    mov dword ptr [FRAME1], 11
    /* not present to present needs no flush */
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(3)])
    mov dword ptr PTE(3), FRAME0 + P
    EXPECT_NONE(mov eax, [PAGE(3)])
    CHECK_EQ(eax, 10)
    /* another frame; INVLPG of any address in the page */
    mov dword ptr PTE(3), FRAME1 + P
    invlpg [PAGE(3) + 0xabc]
    CHECK_EQ([PAGE(3)], 11)
    mov dword ptr PTE(3), FRAME0 + P
    call flush
    CHECK_EQ([PAGE(3)], 10)
    mov dword ptr PTE(3), 0
    invlpg [PAGE(3)]
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(3)])
    /* rights taken away */
    mov dword ptr PTE(3), FRAME0 + P + RW + US
    mov esi, PAGE(3)
    EXPECT_USER(user_write, 0x202, 0x80, 0, user_write_done)
    mov dword ptr PTE(3), FRAME0 + P + US
    invlpg [PAGE(3)]
    EXPECT_USER(user_write, 0x202, VEC_PF, 7, user_write)
    /* another address space by MOV CR3, and back */
    mov esi, offset directory
    mov edi, offset directory2
    mov ecx, 1024
    rep movsd
    mov dword ptr [directory2 + 4 * (WINDOW >> 22)], offset page_table2 + P + RW + US
    mov dword ptr [page_table2 + 4 * 3], FRAME1 + P
    CHECK_EQ([PAGE(3)], 10)
    mov eax, offset directory2
    mov cr3, eax
    CHECK_EQ([PAGE(3)], 11)
    mov eax, offset directory
    mov cr3, eax
    CHECK_EQ([PAGE(3)], 10)
    /* two linear pages of one frame see each other's writes */
    mov dword ptr PTE(4), FRAME1 + P + RW
    mov dword ptr PTE(5), FRAME1 + P + RW
    mov dword ptr [PAGE(4) + 8], 0x77
    CHECK_EQ([PAGE(5) + 8], 0x77)
    mov dword ptr [PAGE(5) + 8], 0x78
    CHECK_EQ([PAGE(4) + 8], 0x78)
    ret

large_pages:
    mov eax, cr4
    or eax, 0x10            /* PSE */
    mov cr4, eax
    mov dword ptr [FRAME1 + 0x10], 0x5151
    mov dword ptr [directory + 4 * ((WINDOW >> 22) + 1)], 0x800000 + PS + P + RW + US
    CHECK_EQ([WINDOW + 0x400000 + 0x1010], 0x5151)
    CHECK_EQ([directory + 4 * ((WINDOW >> 22) + 1)], 0x800000 + PS + P + RW + US + A)
    mov dword ptr [WINDOW + 0x400000 + 0x1010], 0x5252
    CHECK_EQ([FRAME1 + 0x10], 0x5252)
    CHECK_EQ([directory + 4 * ((WINDOW >> 22) + 1)], 0x800000 + PS + P + RW + US + A + D)
    /* one INVLPG anywhere drops all of it */
    mov eax, [WINDOW + 0x400000]
    mov eax, [WINDOW + 0x7ff000]
    mov dword ptr [directory + 4 * ((WINDOW >> 22) + 1)], 0
    invlpg [WINDOW + 0x555000]
    EXPECT_FAULT(VEC_PF, 0, mov eax, [WINDOW + 0x400000])
    EXPECT_FAULT(VEC_PF, 0, mov eax, [WINDOW + 0x401010])
    EXPECT_FAULT(VEC_PF, 2, mov [WINDOW + 0x7ff000], eax)
    /* read-only and supervisor-only large pages */
    mov dword ptr [directory + 4 * ((WINDOW >> 22) + 1)], 0x800000 + PS + P + US
    mov esi, WINDOW + 0x600000
    EXPECT_USER(user_read, 0x202, 0x80, 0, user_read_done)
    EXPECT_USER(user_write, 0x202, VEC_PF, 7, user_write)
    mov dword ptr [directory + 4 * ((WINDOW >> 22) + 1)], 0x800000 + PS + P + RW
    call flush
    EXPECT_USER(user_read, 0x202, VEC_PF, 5, user_read)
    /* reserved: bit 21 of a 4 MB entry */
    mov dword ptr [directory + 4 * ((WINDOW >> 22) + 1)], 0xa00000 + PS + P + RW
    call flush
    SKIP_ON_TCG 1f          /* P is set in the error code together with RSVD, but not if the page is absent */
    EXPECT_FAULT(VEC_PF, 9, mov eax, [WINDOW + 0x400000])
1:
    /* without CR4.PSE the bit means nothing and the entry names a page table */
    mov dword ptr [directory + 4 * ((WINDOW >> 22) + 1)], offset page_table2 + PS + P + RW
    mov dword ptr [page_table2 + 4], FRAME1 + P
    mov eax, cr4
    and eax, ~0x10
    mov cr4, eax
    CHECK_EQ([WINDOW + 0x401010], 0x5252)
    mov dword ptr [directory + 4 * ((WINDOW >> 22) + 1)], 0
    call flush
    ret

global_pages:
    call clear_window
    mov dword ptr [FRAME0], 10
    mov dword ptr [FRAME1], 11
    mov eax, cr4
    or eax, 0x80            /* PGE */
    mov cr4, eax
    mov dword ptr PTE(0), FRAME0 + P + G
    CHECK_EQ([PAGE(0)], 10)
    mov dword ptr PTE(0), FRAME1 + P + G
    invlpg [PAGE(0)]        /* drops global ones too */
    CHECK_EQ([PAGE(0)], 11)
    mov dword ptr PTE(0), FRAME0 + P + G
    mov eax, cr4
    and eax, ~0x80          /* and so does switching PGE */
    mov cr4, eax
    CHECK_EQ([PAGE(0)], 10)
    ret

/* Page tables that map themselves, edited through that mapping */
recursive:
    call clear_window
    mov dword ptr [directory + 4 * 1023], offset directory + P + RW
    mov ebx, 0xffc00000 + (WINDOW >> 10)        /* the PTE of PAGE(0) */
    mov dword ptr [ebx], FRAME0 + P + RW
    CHECK_EQ([PAGE(0)], 10)
    CHECK_EQ([ebx], FRAME0 + P + RW + A)
    CHECK_EQ([0xfffff000 + 4 * 1023], offset directory + P + RW + A)
    mov dword ptr [ebx], FRAME1 + P + RW
    invlpg [PAGE(0)]
    CHECK_EQ([PAGE(0)], 11)
    mov dword ptr [PAGE(0)], 12
    CHECK_EQ([ebx], FRAME1 + P + RW + A + D)
    /* a table that maps itself as a leaf: the write makes its own mapping */
    mov dword ptr PTE(7), offset page_table + P + RW
    mov dword ptr [PAGE(7) + 4 * 8], FRAME1 + P + RW
    CHECK_EQ([PAGE(8)], 12)
    mov dword ptr [directory + 4 * 1023], 0
    call flush
    ret

/* SMEP and SMAP, where CPUID has them */
supervisor_modes:
    call clear_window
    xor eax, eax
    cpuid
    cmp eax, 7
    jb 9f
    mov eax, 7
    xor ecx, ecx
    cpuid
    mov edi, ebx
    mov dword ptr [FRAME0], 0xc3
    mov dword ptr PTE(0), FRAME0 + P + RW + US
    mov dword ptr PTE(1), FRAME1 + P + RW
    call flush
    mov ebx, PAGE(0)
    EXPECT_NONE(call ebx)
    test edi, 1 << 7
    jz 1f
    mov eax, cr4
    or eax, 1 << 20
    mov cr4, eax
    mov dword ptr [resume_eip], offset 2f
    mov [resume_esp], esp
    mov dword ptr [trap_vector], -1
    call ebx
2:  CHECK_EQ([trap_vector], VEC_PF)
    CHECK_EQ([trap_error], 0x11)
    CHECK_EQ([trap_eip], PAGE(0))
    mov esi, PAGE(0)
    EXPECT_USER(user_jump_ret, 0x202, 0x80, 0, user_jump_ret_done)
    mov eax, cr4
    and eax, ~(1 << 20)
    mov cr4, eax
1:  test edi, 1 << 20
    jz 9f
    mov eax, cr4
    or eax, 1 << 21
    mov cr4, eax
    EXPECT_FAULT(VEC_PF, 1, mov eax, [PAGE(0)])
    EXPECT_FAULT(VEC_PF, 3, mov [PAGE(0) + 8], eax)
    EXPECT_NONE(mov [PAGE(1)], eax)
    .byte 0x0f, 0x01, 0xcb /* STAC */
    EXPECT_NONE(mov [PAGE(0) + 8], eax)
    .byte 0x0f, 0x01, 0xca /* CLAC */
    EXPECT_FAULT(VEC_PF, 3, mov [PAGE(0) + 8], eax)
    mov eax, cr4
    and eax, ~(1 << 21)
    mov cr4, eax
    EXPECT_NONE(mov eax, [PAGE(0)])
9:  ret

    /* --- what runs at CPL 3: ESI is the address --- */
    .balign 4096
user_text:
    USER_ACCESSES
user_cmpxchg: cmpxchg [esi], ecx
    int 0x80
user_lock_or: lock or dword ptr [esi], 0
    int 0x80
user_jump_ret: call esi
    int 0x80
user_jump_ret_done:
    .balign 4096

    .bss
    .balign 4096
directory: .skip 4096
directory2: .skip 4096
page_table: .skip 4096
page_table2: .skip 4096
identity: .skip 4 * 4096
