/*
 * Hazard: stale entries that were derived from page tables. Page tables change in every way: without INVLPG where SDM 3A 4.10.4.3
 * allows it, in spaces that are not loaded, by every kind of store, and a page is table and data in turns. There are more spaces
 * than the shadow remembers, spaces share tables and have the same CR3, and paging's mode bits change. Every change that the rules
 * make visible must be seen.
 */
#include "guest.inc"
#include "paging.inc"
GUEST(tables)

ALL = P + RW + US
DIRECTORIES = 0x600000 /* directories of SPACES spaces, each with a page table behind it */
SPACES = 100
CR4_PGE = 1 << 7

guest_main:
    NUMBER_FRAMES
    call enable
    call more_rights
    call kinds_of_stores
    call not_loaded
    call shared_table
    call rotation
    call reused_root
    call table_or_data
    call directory_or_data
    call split_and_merge
    call accessed_dirty
    call mode_bits
    PAGING_OFF
    mov eax, cr4
    and eax, ~0x10
    mov cr4, eax
    ret

enable:
    MAP_IDENTITY P+RW+US, ALL
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + ALL
    PAGING_ON CR0_PG+CR0_WP
    ret

    WINDOW_FUNCTIONS

more_rights: /* absent to present, read-only to writable, supervisor to user: no INVLPG needed */
    call clear_window
    xor ebx, ebx
1:  lea esi, [ebx * 8]
    shl esi, 9
    add esi, WINDOW
    EXPECT_FAULT(VEC_PF, 0, mov eax, [esi])
    mov eax, ebx
    shl eax, 12
    lea eax, [eax + FRAME + P]
    mov PTE(ebx), eax
    CHECK_EQ([esi], ebx)
    EXPECT_FAULT(VEC_PF, 3, mov [esi + 4], ebx)
    EXPECT_USER(user_read, 0x202, VEC_PF, 5, user_read)
    or dword ptr PTE(ebx), RW
    EXPECT_NONE(mov [esi + 4], ebx)
    or byte ptr PTE(ebx), US
    RUN_USER(user_read, 0x202)
    CHECK_EQ(eax, ebx)
    EXPECT_USER(user_write, 0x202, 0x80, 0, user_write_done)
    inc ebx
    cmp ebx, 64
    jne 1b
    /* the directory entry too */
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + P
    call flush
    EXPECT_FAULT(VEC_PF, 3, mov [PAGE(3) + 4], eax)
    mov esi, PAGE(3)
    EXPECT_USER(user_read, 0x202, VEC_PF, 5, user_read)
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + ALL
    EXPECT_NONE(mov [PAGE(3) + 4], eax)
    EXPECT_USER(user_read, 0x202, 0x80, 0, user_read_done)
    ret

kinds_of_stores: /* PTE 0 changes from frame 1 to frame 2, each time in another way */
.macro store_ line, with
    mov dword ptr PTE(0), FRAME + 0x1000 + ALL
    mov dword ptr PTE(1), FRAME + 0x3000 + ALL
    invlpg [PAGE(0)]
    invlpg [PAGE(1)]
    sees_ \line, 1
    CHECK_EQ([PAGE(1)], 3)
    \with
    invlpg [PAGE(0)]
    invlpg [PAGE(1)]
    sees_ \line, 2
.endm
#define STORE(...) store_ __LINE__, STRING(__VA_ARGS__)
    call clear_window
    mov ebx, FRAME + 0x2000 + ALL
    STORE(mov PTE(0), ebx)
    STORE(mov byte ptr [page_table + 1], 0x20)
    STORE(add dword ptr PTE(0), 0x1000)
    STORE(xor byte ptr [page_table + 1], 0x30)
    STORE(xchg PTE(0), ebx)
    mov ebx, FRAME + 0x2000 + ALL
    STORE(mov eax, PTE(0); lock cmpxchg PTE(0), ebx)
    STORE(mov eax, 0x1000; lock xadd PTE(0), eax)
    STORE(btr dword ptr PTE(0), 12; bts dword ptr PTE(0), 13)
    STORE(mov edi, offset page_table; mov eax, ebx; stosd)
    STORE(push dword ptr PTE(0); mov dword ptr [esp], FRAME + 0x2000 + ALL; pop dword ptr PTE(0))
    STORE(mov edx, esp; lea esp, [page_table + 4]; push ebx; mov esp, edx)
    STORE(mov [source], ebx; mov esi, offset source; mov edi, offset page_table; movsd)
    STORE(mov [source], ebx; mov dword ptr [source + 4], 0; fild qword ptr [source]; fistp qword ptr PTE(0))
    /* both words at once: the change of the second must be seen too */
    STORE(mov eax, PTE(0); mov edx, PTE(1); mov ecx, FRAME + 0x4000 + ALL; cmpxchg8b PTE(0))
    CHECK_EQ([PAGE(1)], 4)
    /* over the boundary of two entries: the upper half of one, the lower half of the other */
    mov dword ptr PTE(0), FRAME + 0x1000 + ALL
    mov dword ptr PTE(1), FRAME + 0x3000 + ALL
    call flush
    CHECK_EQ([PAGE(0)], 1)
    CHECK_EQ([PAGE(1)], 3)
    mov dword ptr [page_table + 2], (0x2000 + ALL) << 16 | (FRAME + 0x100000) >> 16
    mov dword ptr [FRAME + 0x101000], 0x77
    invlpg [PAGE(0)]
    invlpg [PAGE(1)]
    CHECK_EQ([PAGE(0)], 0x77)
    CHECK_EQ([PAGE(1)], 2)
    mov dword ptr [FRAME + 0x101000], 0
    /* over the boundary of the table and the page before it */
    mov dword ptr PTE(0), FRAME + 0x1000 + ALL
    invlpg [PAGE(0)]
    SEES(1)
    mov dword ptr [page_table - 2], (0x2000 + ALL) << 16 | 0x1234
    invlpg [PAGE(0)]
    SEES(2)
    /* by a device: the mask of the interrupt controller, 10h, becomes the frame's lower bits */
    mov dword ptr PTE(0), FRAME + ALL
    invlpg [PAGE(0)]
    SEES(0)
    mov al, 0x10
    out 0x21, al
    mov dx, 0x21
    mov edi, offset page_table + 1
    insb
    mov al, 0xff
    out 0x21, al
    invlpg [PAGE(0)]
    SEES(1)
    /* many entries at once, by string instructions up, down, and byte by byte */
    mov ebp, 20
1:  mov edi, FRAME + 0x80000            /* a table in the making */
    lea eax, [ebp * 8]
    shl eax, 9
    add eax, FRAME + ALL
    mov ecx, 16
2:  stosd
    add eax, 0x1000
    loop 2b
    mov esi, FRAME + 0x80000
    mov edi, offset page_table
    mov ecx, 16
    test ebp, 1
    jz 3f
    shl ecx, 2
    rep movsb
    jmp 4f
3:  add esi, 4 * 15
    add edi, 4 * 15
    std
    rep movsd
    cld
4:  call flush
    xor ebx, ebx
5:  mov eax, ebx
    shl eax, 12
    mov eax, [eax + WINDOW]
    sub eax, ebx
    cmp eax, ebp
    jne 6f
    inc ebx
    cmp ebx, 16
    jne 5b
6:  CHECK_EQ(ebx, 16)
    dec ebp
    jnz 1b
    mov edi, offset page_table
    mov ecx, 64
    xor eax, eax
    rep stosb
    call flush
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(0)])
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(15)])
    ret

/* Directory EAX (an address): the kernel's entries, and PAGE(0) by page table EDX. Keeps registers. */
make_space:
    pushad
    mov esi, offset directory
    mov edi, eax
    mov ecx, 1024
    rep movsd
    add edx, ALL
    mov [eax + 4 * (WINDOW >> 22)], edx
    popad
    ret

not_loaded: /* the tables of a space change while another space is loaded */
    call clear_window
    mov eax, DIRECTORIES
    mov edx, DIRECTORIES + 0x1000
    call make_space
    mov edi, edx
    mov ecx, 1024
    xor eax, eax
    rep stosd
    mov ebx, 50
1:  mov ecx, ebx
    shl ecx, 12
    lea ecx, [ecx + FRAME + ALL]
    mov [DIRECTORIES + 0x1000], ecx
    lea ecx, [ecx + 0x1000]
    mov PTE(0), ecx
    mov eax, DIRECTORIES
    mov cr3, eax
    SEES(ebx)
    mov dword ptr PTE(0), FRAME + 0x5000 + ALL     /* changes the other space's table from this one */
    mov eax, offset directory
    mov cr3, eax
    SEES(5)
    dec ebx
    jnz 1b
    /* taken away */
    mov dword ptr [DIRECTORIES + 0x1000], 0
    mov eax, DIRECTORIES
    mov cr3, eax
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(0)])
    mov esi, PAGE(0)
    EXPECT_USER(user_read, 0x202, VEC_PF, 4, user_read)
    mov eax, offset directory
    mov cr3, eax
    ret

shared_table: /* two spaces share a page table, at the same linear address and at another */
    call clear_window
    mov eax, DIRECTORIES
    mov edx, offset page_table
    call make_space
    mov dword ptr [DIRECTORIES + 4 * (WINDOW >> 22) + 4], offset page_table + ALL
    mov ebx, 40
1:  mov ecx, ebx
    shl ecx, 12
    lea ecx, [ecx + FRAME + ALL]
    mov PTE(0), ecx
    mov eax, DIRECTORIES
    mov cr3, eax
    SEES(ebx)
    CHECK_EQ([WINDOW + 0x400000], ebx)
    add dword ptr PTE(0), 0x1000
    invlpg [PAGE(0)]
    invlpg [WINDOW + 0x400000]
    lea edi, [ebx + 1]
    SEES(edi)
    CHECK_EQ([WINDOW + 0x400000], edi)
    mov eax, offset directory
    mov cr3, eax
    SEES(edi)
    dec ebx
    jnz 1b
    ret

rotation: /* each of many spaces sees its own frame, as supervisor and as user, and writes only to it */
    mov ebx, SPACES
1:  dec ebx
    mov eax, ebx
    shl eax, 13
    lea eax, [eax + DIRECTORIES]
    lea edx, [eax + 0x1000]
    call make_space
    mov edi, edx
    mov ecx, 1024
    xor eax, eax
    rep stosd
    mov eax, ebx
    shl eax, 12
    lea eax, [eax + FRAME + ALL]
    mov [edx], eax
    test ebx, ebx
    jnz 1b
    mov ebp, 3 * SPACES
2:  imul eax, ebp, 37
    xor edx, edx
    mov ecx, SPACES
    div ecx
    mov ebx, edx
    shl edx, 13
    add edx, DIRECTORIES
    mov cr3, edx
    SEES(ebx)
    mov [PAGE(0) + 4], ebp
    mov eax, ebx
    shl eax, 12
    CHECK_EQ([eax + FRAME + 4], ebp)
    /* in every seventh turn the space gets another frame, and its own again the next time */
    mov eax, ebp
    xor edx, edx
    mov ecx, 7
    div ecx
    test edx, edx
    jnz 3f
    mov ecx, ebx
    shl ecx, 13
    add ecx, DIRECTORIES + 0x1000
    push dword ptr [ecx]
    mov dword ptr [ecx], FRAME + 200 * 0x1000 + ALL
    invlpg [PAGE(0)]
    SEES(200)
    pop dword ptr [ecx]
    invlpg [PAGE(0)]
3:  dec ebp
    jnz 2b
    mov eax, offset directory
    mov cr3, eax
    ret

reused_root: /* a directory at the address of an earlier one, with other tables */
    mov ebx, 60
1:  mov eax, offset directory
    mov cr3, eax
    mov eax, DIRECTORIES
    mov edx, ebx
    and edx, 3
    shl edx, 13
    add edx, DIRECTORIES + 0x1000
    call make_space
    mov ecx, ebx
    shl ecx, 12
    lea ecx, [ecx + FRAME + ALL]
    mov [edx], ecx
    mov eax, DIRECTORIES
    mov cr3, eax
    SEES(ebx)
    dec ebx
    jnz 1b
    mov eax, offset directory
    mov cr3, eax
    ret

table_or_data: /* a page is a table, then data with many writes, then a table again */
    call clear_window
    mov ebp, 20
1:  mov edi, DIRECTORIES
    mov ecx, 1024
    xor eax, eax
    rep stosd
    mov eax, ebp
    shl eax, 12
    lea eax, [eax + FRAME + ALL]
    mov [DIRECTORIES], eax
    mov dword ptr [directory + 4 * (WINDOW >> 22)], DIRECTORIES + ALL
    call flush
    SEES(ebp)
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + ALL
    mov dword ptr PTE(0), DIRECTORIES + ALL         /* now the same page is mapped there */
    call flush
    mov ecx, 500
2:  mov [PAGE(0)], ecx
    inc dword ptr [DIRECTORIES + 8]
    cmp [DIRECTORIES], ecx
    jne 3f
    loop 2b
3:  CHECK_EQ(ecx, 0)
    CHECK_EQ([PAGE(0) + 8], 500)
    SEES(1)
    /* and written through that mapping while it is a table */
    mov dword ptr [directory + 4 * (WINDOW >> 22) + 4], DIRECTORIES + ALL
    mov ecx, 100
4:  mov eax, ecx
    shl eax, 12
    lea eax, [eax + FRAME + ALL]
    mov [PAGE(0)], eax
    invlpg [WINDOW + 0x400000]
    cmp [WINDOW + 0x400000], ecx
    jne 5f
    loop 4b
5:  CHECK_EQ(ecx, 0)
    mov dword ptr [directory + 4 * (WINDOW >> 22) + 4], 0
    dec ebp
    jnz 1b
    ret

directory_or_data: /* the same for directories; and a table that is its own directory's directory */
    call clear_window
    mov dword ptr PTE(0), FRAME + 0x9000 + ALL
    mov ebp, 40
1:  mov eax, DIRECTORIES
    mov edx, offset page_table
    call make_space
    mov cr3, eax
    SEES(9)
    mov dword ptr [DIRECTORIES + 4 * (WINDOW >> 22)], 0
    call flush
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(0)])
    mov dword ptr [DIRECTORIES + 4 * (WINDOW >> 22)], offset page_table + ALL
    SEES(9)
    mov eax, offset directory
    mov cr3, eax
    mov edi, DIRECTORIES
    mov ecx, 100
    mov eax, ebp
    rep stosd
    mov ecx, 50
2:  mov [DIRECTORIES + ecx * 4], ecx
    loop 2b
    CHECK_EQ([DIRECTORIES + 200], 50)
    dec ebp
    jnz 1b
    /* it maps itself, on both levels, and is changed through that mapping */
    mov dword ptr [directory + 4 * 1023], offset directory + P + RW
    mov ebx, 0xffc00000 + (WINDOW >> 10)            /* PTE(0), seen through it */
    mov ecx, 60
3:  mov eax, ecx
    shl eax, 12
    lea eax, [eax + FRAME + ALL]
    mov [ebx], eax
    invlpg [PAGE(0)]
    cmp [PAGE(0)], ecx
    jne 4f
    test ecx, 3
    jnz 5f
    mov dword ptr [0xfffff000 + 4 * (WINDOW >> 22)], 0     /* the directory entry, in the same way */
    call flush
    EXPECT_FAULT(VEC_PF, 0, mov eax, [PAGE(0)])
    EXPECT_FAULT(VEC_PF, 0, mov eax, [ebx])
    mov dword ptr [0xfffff000 + 4 * (WINDOW >> 22)], offset page_table + ALL
    cmp [PAGE(0)], ecx
    jne 4f
5:  dec ecx
    jnz 3b
4:  CHECK_EQ(ecx, 0)
    mov dword ptr [directory + 4 * 1023], 0
    call flush
    ret

split_and_merge: /* 4 MB pages to tables and back; INVLPG of one address takes the whole large page */
    mov eax, cr4
    or eax, 0x10
    mov cr4, eax
    call clear_window
    mov edi, offset page_table
    mov eax, 0x800000 + ALL             /* the same frames, but for PAGE(0) and PAGE(77) */
    mov ecx, 1024
1:  stosd
    add eax, 0x1000
    loop 1b
    mov dword ptr PTE(0), FRAME + 0x6000 + ALL
    mov dword ptr PTE(77), FRAME + 0x7000 + ALL
    mov ebp, 20
2:  mov dword ptr [directory + 4 * (WINDOW >> 22)], 0x800000 + ALL + PS
    invlpg [PAGE(3)]
    call flush
    SEES(0)
    CHECK_EQ([PAGE(77)], 77)
    CHECK_EQ([PAGE(200)], 200)
    mov [PAGE(100) + 4], ebp
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + ALL
    invlpg [PAGE(100)]
    SEES(6)
    CHECK_EQ([PAGE(77)], 7)
    CHECK_EQ([PAGE(200)], 200)
    CHECK_EQ([PAGE(100) + 4], ebp)
    dec ebp
    jnz 2b
    ret

accessed_dirty: /* A and D bits that the guest clears are set again, also in tables that two spaces use */
    call clear_window
    mov eax, DIRECTORIES
    mov edx, offset page_table
    call make_space
    mov ebp, 30
1:  mov dword ptr PTE(0), FRAME + ALL
    call flush
    SEES(0)
    CHECK_EQ(PTE(0), FRAME + ALL + A)
    and dword ptr PTE(0), ~A
    invlpg [PAGE(0)]
    mov eax, [PAGE(0)]
    CHECK_EQ(PTE(0), FRAME + ALL + A)
    mov esi, PAGE(0)
    mov eax, 0
    RUN_USER(user_write, 0x202)
    CHECK_EQ(PTE(0), FRAME + ALL + A + D)
    and dword ptr PTE(0), ~(A + D)
    mov eax, DIRECTORIES
    mov cr3, eax
    mov eax, 0
    RUN_USER(user_write, 0x202)
    CHECK_EQ(PTE(0), FRAME + ALL + A + D)
    mov byte ptr PTE(0), ALL
    invlpg [PAGE(0)]
    inc dword ptr [PAGE(0)]
    CHECK_EQ(PTE(0), FRAME + ALL + A + D)
    mov dword ptr [PAGE(0)], 0
    mov eax, offset directory
    mov cr3, eax
    dec ebp
    jnz 1b
    ret

mode_bits: /* CR0.WP, CR4.PGE */
    call clear_window
    mov dword ptr PTE(0), FRAME + 0x3000 + P + US
    mov dword ptr PTE(1), FRAME + 0x4000 + ALL + G
    mov ebp, 20
1:  mov eax, cr0
    and eax, ~CR0_WP
    mov cr0, eax
    SEES(3)
    EXPECT_NONE(mov [PAGE(0) + 4], ebp)
    mov esi, PAGE(0)
    EXPECT_USER(user_write, 0x202, VEC_PF, 7, user_write)
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax
    SEES(3)
    EXPECT_FAULT(VEC_PF, 3, mov [PAGE(0) + 4], ebp)
    mov eax, cr4
    or eax, CR4_PGE
    mov cr4, eax
    CHECK_EQ([PAGE(1)], 4)
    mov dword ptr PTE(1), FRAME + 0x5000 + ALL + G
    mov eax, cr4
    and eax, ~CR4_PGE
    mov cr4, eax
    CHECK_EQ([PAGE(1)], 5)
    mov dword ptr PTE(1), FRAME + 0x4000 + ALL + G
    invlpg [PAGE(1)]
    dec ebp
    jnz 1b
    ret

    /* --- at CPL 3: ESI is the address --- */
    USER_ACCESSES

    .bss
    .balign 4096
directory: .skip 4096
before_table: .skip 4096
page_table: .skip 4096
identity: .skip 4 * 4096
source: .skip 8
expected: .skip 4
