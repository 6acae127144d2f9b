/*
 * Hazards: translations that are stale or grant too much; wrong error codes, CR2, accessed and dirty bits; page-crossing stores
 * that are half done. Copy-on-write, swapping and every fixup in a kernel depend on these. SDM 3A 4.3-4.10.
 *
 * Linear 0-16 MB is mapped identically, for the supervisor only except for the user text and stack. Tests map pages at WINDOW.
 */
#include "guest.inc"
#include "paging.inc"
GUEST(paging)

WINDOW = 0x40000000
#define PAGE(n) (WINDOW + 0x1000 * (n))
#define PTE(n) [page_table + 4 * (n)]
FRAME0 = 0x800000      /* free physical memory */
FRAME1 = 0x801000
FRAME2 = 0x802000


guest_main:
    call enable
    call accessed_dirty
    call error_codes
    call write_protect
    call write_intent
    call alignment_first
    call directory_rights
    call invalidation
    call crossing
    call precise
    call fetches
    call implicit
    call large_pages
    call global_pages
    call recursive
    call nested_faults
    call supervisor_modes
    call disable
    call pae
    ret

enable:
    MAP_IDENTITY P+RW, P+RW+US
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + P + RW + US
    mov eax, offset user_text
    shr eax, 12
    or dword ptr [identity + eax * 4], US
    mov eax, offset user_stack
    shr eax, 12
    or dword ptr [identity + eax * 4], US
    or dword ptr [identity + eax * 4 + 4], US
    or dword ptr [identity + eax * 4 + 8], US
    or dword ptr [identity + eax * 4 + 12], US
    PAGING_ON CR0_PG
    ret

disable:
    PAGING_OFF
    ret

flush: /* keeps registers */
    push eax
    mov eax, cr3
    mov cr3, eax
    pop eax
    ret

clear_window:
    push edi
    push ecx
    push eax
    mov edi, offset page_table
    mov ecx, 1024
    xor eax, eax
    rep stosd
    call flush
    pop eax
    pop ecx
    pop edi
    ret

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

/* Rights are the AND of both levels */
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

/* Accesses over a page boundary: nothing is written unless all of it can be; CR2 is the byte that failed */
crossing:
    call clear_window
    mov dword ptr PTE(0), FRAME0 + P + RW
    mov dword ptr PTE(2), FRAME2 + P + RW
    call fill
    mov eax, 0x55667788
    EXPECT_FAULT(VEC_PF, 2, mov [PAGE(1) - 2], eax)
    CHECK_EQ([trap_cr2], PAGE(1))
    CHECK_EQ([FRAME0 + 0xffc], 0x11111111)
    EXPECT_FAULT(VEC_PF, 2, mov [PAGE(1) - 1], ax)
    CHECK_EQ([FRAME0 + 0xffc], 0x11111111)
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(1) - 3])
    CHECK_EQ([trap_cr2], PAGE(1))
    CHECK_EQ(eax, 0x55667788)
    EXPECT_FAULT(VEC_PF, 2, mov [PAGE(2) - 2], eax)
    CHECK_EQ([trap_cr2], PAGE(2) - 2)
    CHECK_EQ([FRAME2], 0x33333333)
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_PF, 2, add [PAGE(1) - 2], eax)
    EXPECT_FAULT(VEC_PF, 2, xchg [PAGE(1) - 2], eax)
1:  CHECK_EQ([FRAME0 + 0xffc], 0x11111111)
    CHECK_EQ(eax, 0x55667788)
    EXPECT_FAULT(VEC_PF, 2, fstp qword ptr [PAGE(1) - 4])
    CHECK_EQ([FRAME0 + 0xffc], 0x11111111)
    mov [saved_esp], esp
    /* PUSH and CALL over the boundary; the lower page is present */
    mov dword ptr PTE(1), FRAME1 + P
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax
    mov eax, 0x55667788
    EXPECT_FAULT(VEC_PF, 3, mov [PAGE(1) - 2], eax)
    CHECK_EQ([trap_cr2], PAGE(1))
    CHECK_EQ([FRAME0 + 0xffc], 0x11111111)
    /* frames that are not neighbours, all present */
    mov dword ptr PTE(1), FRAME2 + P + RW
    call flush
    mov [PAGE(1) - 1], eax
    CHECK_EQ([FRAME0 + 0xffc], 0x88111111)
    CHECK_EQ([FRAME2], 0x33556677)
    CHECK_EQ([PAGE(1) - 1], 0x55667788)
    CHECK_EQ([PAGE(1) - 2], 0x66778811)
    add dword ptr [PAGE(1) - 1], 0x01010101
    CHECK_EQ([PAGE(1) - 1], 0x56677889)
    CHECK_EQ([FRAME2], 0x33566778)
    mov dword ptr [FRAME1], 0x44444444
    CHECK_EQ([FRAME1], 0x44444444)
    mov eax, cr0
    and eax, ~CR0_WP
    mov cr0, eax
    ret
fill:
    mov dword ptr [FRAME0 + 0xffc], 0x11111111
    mov dword ptr [FRAME1], 0x22222222
    mov dword ptr [FRAME1 + 0xffc], 0x22222222
    mov dword ptr [FRAME2], 0x33333333
    ret

/* Stack instructions that fault leave ESP unchanged; those with several operands leave their registers unchanged */
precise:
    call clear_window
    mov dword ptr PTE(0), FRAME0 + P + RW + US
    mov dword ptr PTE(2), FRAME2 + P + RW + US
    call fill
    EXPECT_FAULT(VEC_PF, 0, push dword ptr [PAGE(1)])
    EXPECT_FAULT(VEC_PF, 2, pop dword ptr [PAGE(1)])
    mov ebx, PAGE(1) + 8
    mov ecx, 0x1234
    mov eax, 0x99
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_PF, 2, xadd [ebx], ecx)
    CHECK_EQ(ecx, 0x1234)
1:
    EXPECT_FAULT(VEC_PF, 0, xlatb)
    CHECK_EQ(eax, 0x99)
    mov esi, PAGE(1)
    mov edi, PAGE(0)
    EXPECT_FAULT(VEC_PF, 0, lodsd)
    CHECK_EQ(esi, PAGE(1))
    EXPECT_FAULT(VEC_PF, 0, movsd)
    CHECK_EQ(edi, PAGE(0))
    EXPECT_FAULT(VEC_PF, 0, cmpsd)
    mov esi, PAGE(0)
    mov edi, PAGE(1)
    EXPECT_FAULT(VEC_PF, 2, movsd)
    EXPECT_FAULT(VEC_PF, 2, stosb)
    EXPECT_FAULT(VEC_PF, 0, scasb)
    EXPECT_FAULT(VEC_PF, 2, insb)
    CHECK_EQ(edi, PAGE(1))
    CHECK_EQ(esi, PAGE(0))
    EXPECT_FAULT(VEC_PF, 0, call dword ptr [PAGE(1)])
    EXPECT_FAULT(VEC_PF, 0, ljmp [PAGE(1)])
    EXPECT_FAULT(VEC_PF, 0, bound eax, [PAGE(1)])
    EXPECT_USER(user_push, 0x202, VEC_PF, 6, user_push_at)
    CHECK_EQ([trap_esp], PAGE(2) + 2)
    CHECK_EQ([trap_cr2], PAGE(2) - 2)
    EXPECT_USER(user_call, 0x202, VEC_PF, 6, user_call_at)
    CHECK_EQ([trap_esp], PAGE(2))
    CHECK_EQ([trap_cr2], PAGE(2) - 4)
    EXPECT_USER(user_pusha, 0x202, VEC_PF, 6, user_pusha_at)
    CHECK_EQ([trap_esp], PAGE(2) + 16)
    EXPECT_USER(user_popa, 0x202, VEC_PF, 4, user_popa_at)
    CHECK_EQ([trap_esp], PAGE(1) - 8)
    SKIP_ON_TCG 1f
    CHECK_EQ(esi, 0x5151)
1:
    EXPECT_USER(user_ret, 0x202, VEC_PF, 4, user_ret_at)
    CHECK_EQ([trap_esp], PAGE(1))
    EXPECT_USER(user_leave, 0x202, VEC_PF, 4, user_leave_at)
    CHECK_EQ(ebp, PAGE(1))
    EXPECT_USER(user_enter, 0x202, VEC_PF, 6, user_enter_at)
    CHECK_EQ(ebp, 0x77)
    CHECK_EQ([trap_esp], PAGE(2) + 2)
    ret

/* Instructions over a page boundary */
fetches:
    call clear_window
    mov dword ptr PTE(0), FRAME0 + P + RW + US
    mov dword ptr [FRAME0 + 0xffd], 0xb8909090  /* two NOPs... then MOV EAX, imm32 with its immediate beyond */
    mov byte ptr [FRAME0 + 0xfff], 0xb8
    mov dword ptr [FRAME1], 0x12345678
    mov byte ptr [FRAME1 + 4], 0xcd             /* INT 80h */
    mov byte ptr [FRAME1 + 5], 0x80
    mov esi, PAGE(0) + 0xffd
    EXPECT_USER(user_jump, 0x202, VEC_PF, 4, PAGE(0) + 0xfff)
    CHECK_EQ([trap_cr2], PAGE(1))
    mov dword ptr PTE(1), FRAME1 + P + US
    EXPECT_USER(user_jump, 0x202, 0x80, 0, PAGE(1) + 6)
    CHECK_EQ(eax, 0x12345678)
    /* the second page gets another frame: the crossing instruction is another one now */
    mov dword ptr [FRAME2], 0x87654321
    mov byte ptr [FRAME2 + 4], 0xcd
    mov byte ptr [FRAME2 + 5], 0x80
    mov dword ptr PTE(1), FRAME2 + P + US
    invlpg [PAGE(1)]
    EXPECT_USER(user_jump, 0x202, 0x80, 0, PAGE(1) + 6)
    CHECK_EQ(eax, 0x87654321)
    mov dword ptr PTE(1), 0
    invlpg [PAGE(1)]
    EXPECT_USER(user_jump, 0x202, VEC_PF, 4, PAGE(0) + 0xfff)
    /* the same linear address, another frame, whole */
    mov dword ptr [FRAME0], 0x80cd9090
    mov dword ptr [FRAME1], 0x9080cd90
    mov dword ptr PTE(3), FRAME0 + P + US
    mov esi, PAGE(3)
    EXPECT_USER(user_jump, 0x202, 0x80, 0, PAGE(3) + 4)
    mov dword ptr PTE(3), FRAME1 + P + US
    invlpg [PAGE(3)]
    EXPECT_USER(user_jump, 0x202, 0x80, 0, PAGE(3) + 3)
    mov dword ptr PTE(3), FRAME1 + P
    invlpg [PAGE(3)]
    EXPECT_USER(user_jump, 0x202, VEC_PF, 5, PAGE(3))
    ret

/* Descriptor tables and the inner stack are reached as the supervisor, at any CPL (SDM 3A 4.6.1) */
implicit:
    call clear_window
    mov esi, offset gdt
    mov edi, FRAME0
    mov ecx, GDT_BYTES / 4
    rep movsd
    mov dword ptr PTE(0), FRAME0 + P + RW
    mov dword ptr [pseudo + 2], PAGE(0)
    mov word ptr [pseudo], GDT_BYTES - 1
    lgdt [pseudo]
    and byte ptr [FRAME0 + (UDATA & ~7) + 5], ~1
    mov dword ptr PTE(0), FRAME0 + P + RW
    call flush
    mov eax, UDATA
    EXPECT_USER(user_load_fs, 0x202, 0x80, 0, user_load_fs_done)
    movzx eax, byte ptr [FRAME0 + (UDATA & ~7) + 5]
    CHECK_EQ(eax, 0xf3)         /* accessed again, written by the processor */
    mov eax, PTE(0)
    and eax, A + D
    CHECK_EQ(eax, A + D)
    /* a page fault of an implicit access has U clear, even at CPL 3 */
    mov eax, FREE + 0xe00 + 3
    mov word ptr [pseudo], 0x1fff
    lgdt [pseudo]
    EXPECT_USER(user_load_fs, 0x202, VEC_GP, FREE + 0xe00, user_load_fs)
    mov eax, 0x1000 + 3
    EXPECT_USER(user_load_fs, 0x202, VEC_PF, 0, user_load_fs)
    CHECK_EQ([trap_cr2], PAGE(1))
    lgdt [gdt_pointer]
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

/* A page fault while another fault is delivered (SDM 3A table 6-5) */
nested_faults:
    call clear_window
    /* contributory, then #PF: the #PF is delivered */
    mov esi, offset idt
    mov edi, FRAME0
    mov ecx, 512
    rep movsd
    mov dword ptr PTE(0), FRAME0 + P + RW
    mov dword ptr [pseudo + 2], PAGE(1) - 8     /* vector 0 in a page, vector 1 on in the next: not there */
    mov word ptr [pseudo], 256 * 8 - 1
    mov edi, FRAME0 + 0xff8
    mov esi, offset idt
    movsd
    movsd
    mov edi, FRAME1
    mov ecx, 510
    rep movsd
    mov dword ptr PTE(2), FRAME1 + P + RW
    mov dword ptr PTE(3), FRAME2 + P + RW
    /* the other way round: all vectors but that of #DE are reachable */
    mov dword ptr PTE(0), 0
    mov dword ptr PTE(1), FRAME1 + P + RW
    call flush
    lidt [pseudo]
    xor ecx, ecx
    EXPECT_FAULT(VEC_PF, 0, div ecx)
    CHECK_EQ([trap_cr2], PAGE(1) - 8)
    lidt [idt_pointer]

    /* #PF during #PF: the user's trap finds no inner stack. Double fault, through a task gate */
    ALT_TASK df_task
    mov dword ptr [alt_tss + TSS_CR3], offset directory2
    mov esi, offset directory
    mov edi, offset directory2
    mov ecx, 1024
    rep movsd
    push dword ptr [idt + VEC_DF * 8]
    push dword ptr [idt + VEC_DF * 8 + 4]
    GATE_IDT(VEC_DF, ALTTSS, 0, 0x85)
    mov dword ptr [tss + TSS_ESP0], PAGE(9)
    mov dword ptr [tss + TSS_CR3], offset directory
    RUN_USER(user_trap, 0x202)
    CHECK_EQ([df_seen], 1)
    CHECK_EQ([df_error], 0)
    CHECK_EQ([df_cr3], offset directory2)
    CHECK_EQ([df_eip], offset user_trap)
    CHECK_EQ([df_cs], UCODE)
    mov eax, cr3
    CHECK_EQ(eax, offset directory)
    mov dword ptr [tss + TSS_ESP0], offset trap_stack_top
    pop dword ptr [idt + VEC_DF * 8 + 4]
    pop dword ptr [idt + VEC_DF * 8]
    ret
df_task:
    inc dword ptr [df_seen]
    pop dword ptr [df_error]
    mov eax, cr3
    mov [df_cr3], eax
    mov eax, [tss + TSS_EIP]
    mov [df_eip], eax
    mov eax, [tss + TSS_CS]
    mov [df_cs], eax
    RESUME_TASK
    iretd

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

/* Three levels of 8-byte entries, 2 MB pages, no-execute, reserved bits */
#define PAE_PTE(n) [page_table + 8 * (n)]
pae:
    mov edi, offset directory
    mov ecx, 1024
    xor eax, eax
    rep stosd
    mov edi, offset directory2
    mov ecx, 1024
    rep stosd
    mov edi, offset page_table
    mov ecx, 1024
    rep stosd
    mov eax, P + RW + PS + US           /* 16 MB in 2 MB pages, in the first GB */
    mov edi, offset directory
1:  mov [edi], eax
    add edi, 8
    add eax, 0x200000
    cmp eax, 0x1000000
    jb 1b
    mov dword ptr [directory2], offset page_table + P + RW + US   /* the second GB, from WINDOW on */
    mov dword ptr [pdpt], offset directory + P
    mov dword ptr [pdpt + 8], offset directory2 + P
    mov eax, cr4
    or eax, 0x20                        /* PAE */
    mov cr4, eax
    mov eax, offset pdpt
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax

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
    mov dword ptr [page_table + 8 * 2 + 4], 0x00100000
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_PF, 9, mov eax, [PAGE(2)])
    mov dword ptr [page_table + 8 * 2 + 4], 0x80000000
    EXPECT_FAULT(VEC_PF, 9, mov eax, [PAGE(2)])
    EXPECT_FAULT(VEC_PF, 11, mov [PAGE(2)], eax)
    /* MOV CR3 checks a PDPTE's reserved bits: #GP(0), and CR3 keeps its value */
    mov dword ptr [pdpt2], offset directory + P + RW
    mov eax, offset pdpt2
    EXPECT_FAULT(VEC_GP, 0, mov cr3, eax)
    mov eax, cr3
    CHECK_EQ(eax, offset pdpt)
    /* PDPTEs are loaded then, and not read again */
    push dword ptr [pdpt + 8]
    mov dword ptr [pdpt + 8], 0
    invlpg [PAGE(0)]
    CHECK_EQ([PAGE(0)], 11)
    pop dword ptr [pdpt + 8]
1:
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 20
    jz 9f
    mov ecx, 0xc0000080
    rdmsr
    or eax, 1 << 11
    wrmsr
    mov dword ptr [FRAME0], 0x9080cdc3              /* RET; INT 80h */
    mov dword ptr PAE_PTE(2), FRAME0 + P + RW + US
    mov dword ptr [page_table + 8 * 2 + 4], 0x80000000
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
    mov dword ptr [page_table + 8 * 2 + 4], 0
    invlpg [PAGE(2)]
    mov esi, PAGE(2) + 1
    EXPECT_USER(user_jump, 0x202, 0x80, 0, PAGE(2) + 3)
    EXPECT_NONE(call ebx)
    mov dword ptr [page_table + 8 * 2 + 4], 0x80000000
    invlpg [PAGE(2)]
    EXPECT_USER(user_jump, 0x202, VEC_PF, 0x15, PAGE(2) + 1)
    /* the directory's XD bit counts too */
    mov dword ptr [page_table + 8 * 2 + 4], 0
    mov dword ptr [directory2 + 4], 0x80000000
    call flush
    EXPECT_USER(user_jump, 0x202, VEC_PF, 0x15, PAGE(2) + 1)
    mov dword ptr [directory2 + 4], 0
    call flush
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~(1 << 11)
    wrmsr
9:  call disable
    mov eax, cr4
    and eax, ~0x20
    mov cr4, eax
    CHECK_EQ([FRAME0], 0x9080cdc3)
    ret

    /* --- what runs at CPL 3: ESI is the address --- */
    .balign 4096
user_text:
user_read: mov eax, [esi]
    int 0x80
user_read_done:
user_write: mov [esi], eax
    int 0x80
user_write_done:
user_cmpxchg: cmpxchg [esi], ecx
    int 0x80
user_lock_or: lock or dword ptr [esi], 0
    int 0x80
user_jump: jmp esi
user_jump_ret: call esi
    int 0x80
user_jump_ret_done:
user_trap: int 0x80
user_load_fs: mov fs, eax
    int 0x80
user_load_fs_done:
user_push: mov esp, PAGE(2) + 2
user_push_at: push eax
user_call: mov esp, PAGE(2)
user_call_at: call user_push
user_pusha: mov esp, PAGE(2) + 16
user_pusha_at: pushad
user_popa: mov esp, PAGE(1) - 8
    mov esi, 0x5151
user_popa_at: popad
user_ret: mov esp, PAGE(1)
user_ret_at: ret
user_leave: mov ebp, PAGE(1)
user_leave_at: leave
user_enter: mov esp, PAGE(2) + 2
    mov ebp, 0x77
user_enter_at: enter 8, 0
    .balign 4096

    .bss
    .balign 4096
directory: .skip 4096
directory2: .skip 4096
page_table: .skip 4096
page_table2: .skip 4096
identity: .skip 4 * 4096
pdpt: .skip 32
pdpt2: .skip 32
saved_esp: .skip 4
pseudo: .skip 8
df_seen: .skip 4
df_error: .skip 4
df_cr3: .skip 4
df_eip: .skip 4
df_cs: .skip 4
