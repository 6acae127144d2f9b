/*
 * Hazard: one check for several accesses allows an access that its own check would have refused, or refuses it at another time:
 * faults at the wrong instruction, accessed and dirty bits too early, unnoticed writes to a page table.
 */
#include "guest.inc"
#include "paging.inc"
GUEST(hoist)

WINDOW2 = WINDOW + 0x400000

guest_main:
    call enable
    mov esi, 3          /* the second time everything is translated, the third time it is chained */
1:  push esi
    call crossing
    call faults
    call read_only
    call flags
    call dirty
    call stack
    call pieces
    call values
    call wraps
    call long_block
    pop esi
    dec esi
    jnz 1b
    call page_table_in_group
    PAGING_OFF
    ret

enable:
    MAP_IDENTITY P+RW, P+RW
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + P + RW
    mov dword ptr [directory + 4 * (WINDOW2 >> 22)], offset page_table2 + P + RW
    PAGING_ON CR0_PG+CR0_WP
    ret

/* Two pages apart in memory, with these bits in their entries */
.macro MAP first, second
    mov dword ptr PTE(0), \first
    mov dword ptr PTE(1), \second
    mov eax, cr3
    mov cr3, eax
.endm

/* After a fault, continues at label 9. */
.macro CATCH
    mov dword ptr [resume_eip], offset 9f
    mov [resume_esp], esp
    mov dword ptr [trap_vector], -1
.endm

crossing:
    MAP FRAME0 + P + RW, FRAME2 + P + RW
    mov ebx, PAGE(0) + 0xff4
    mov edx, 4
1:  mov dword ptr [ebx], 0x10101010
    mov dword ptr [ebx + 4], 0x20202020
    mov dword ptr [ebx + 8], 0x30303030
    mov dword ptr [ebx + 12], 0x40404040
    mov eax, [ebx + 2]
    add ebx, 2
    dec edx
    jnz 1b
    CHECK_EQ(eax, 0x20201010)
    CHECK_EQ([FRAME0 + 0xffa], 0x10101010)
    CHECK_EQ([FRAME0 + 0xffc], 0x20201010)
    CHECK_EQ([FRAME2], 0x30302020)
    CHECK_EQ([FRAME2 + 6], 0x40404040)
    ret

faults:
    MAP FRAME0 + P + RW, 0
    mov dword ptr [FRAME0 + 0xff8], 0
    mov dword ptr [FRAME0 + 0xffc], 0
    CATCH
    mov ebx, PAGE(0) + 0xff8
    mov eax, 1
    mov [ebx], eax
    stc
    mov [ebx + 4], eax
    inc eax
2:  mov [ebx + 8], eax
    inc eax
    mov [ebx], eax
9:  CHECK_EQ([trap_vector], VEC_PF)
    CHECK_EQ([trap_error], 2)
    CHECK_EQ([trap_cr2], PAGE(1))
    CHECK_EQ([trap_eip], offset 2b)
    CHECK_EQ(eax, 2)
    CHECK_EQ([FRAME0 + 0xff8], 1)
    CHECK_EQ([FRAME0 + 0xffc], 1)
    ret

read_only:
    MAP FRAME0 + P, 0
    mov dword ptr [FRAME0], 0x1234
    mov dword ptr [FRAME0 + 4], 0x5678
    mov ecx, 2
1:  CATCH
    mov ebx, PAGE(0)
    mov eax, [ebx]
    mov edx, [ebx + 4]
2:  mov [ebx + 8], eax
    xor eax, eax
    mov edx, [ebx]
9:  CHECK_EQ([trap_vector], VEC_PF)
    CHECK_EQ([trap_error], 3)
    CHECK_EQ([trap_cr2], PAGE(0) + 8)
    CHECK_EQ([trap_eip], offset 2b)
    CHECK_EQ(eax, 0x1234)
    CHECK_EQ(edx, 0x5678)
    dec ecx
    jnz 1b
    ret

/* Flags stay in the host's flags between accesses that one check allowed. */
flags:
    MAP FRAME0 + P + RW, 0
    mov dword ptr [FRAME0 + 16], -1
    mov dword ptr [FRAME0 + 20], 0
    mov dword ptr [FRAME0 + 24], 0x7fffffff
    mov ebx, PAGE(0) + 16
    mov ecx, 1
    mov edx, 0
    add [ebx], ecx
    adc [ebx + 4], edx
    mov eax, [ebx + 4]
    adc [ebx + 8], eax
    mov eax, [ebx + 8]
    CHECK_CC(o)
    CHECK_EQ(eax, 0x80000000)
    CHECK_EQ([FRAME0 + 16], 0)
    CHECK_EQ([FRAME0 + 20], 1)
    ret

/* An exception before the write: the page is not dirty. */
dirty:
    MAP FRAME0 + P + RW, FRAME1 + P + RW
    mov dword ptr [FRAME0], 0
    CATCH
    mov ebx, PAGE(0)
    mov eax, [ebx]
    xor edx, edx
    div dword ptr [ebx]
    mov [ebx + 4], eax
    mov eax, [ebx + 8]
9:  CHECK_EQ([trap_vector], VEC_DE)
    CHECK_EQ(PTE(0), FRAME0 + P + RW + A)
    CATCH
    mov ebx, PAGE(0) + 0xffc /* and the next page is not accessed */
    mov eax, [ebx]
    mov edx, [ebx - 4]
    ud2
    mov ecx, [ebx + 4]
9:  CHECK_EQ([trap_vector], VEC_UD)
    CHECK_EQ(PTE(0), FRAME0 + P + RW + A)
    CHECK_EQ(PTE(1), FRAME1 + P + RW)
    ret

/* ESP moves by known amounts, EBP follows. */
stack:
    MAP FRAME0 + P + RW, FRAME2 + P + RW
    mov [saved_esp], esp
    mov ecx, 16
1:  lea esp, [PAGE(1) + 32 + ecx * 4]    /* sometimes over the edge */
    mov eax, 0x11
    mov edx, 0x22
    mov ebp, 0x33
    push eax
    push edx
    push ebp
    mov ebp, esp
    sub esp, 12
    mov [esp + 4], eax
    mov [ebp - 4], edx
    push dword ptr [ebp + 8]
    pushfd
    popfd
    call 2f
2:  pop esi
    pop edi
    mov ebx, [esp + 4]
    mov edx, [ebp - 4]
    mov [ebp - 12], edi
    add edx, [esp]
    leave
    pop ebx
    pop eax
    mov [esp - 4], eax
    mov esi, [esp - 4]
    mov eax, esp
    mov esp, [saved_esp]
    push ecx
    shl ecx, 2
    add ecx, PAGE(1) + 32
    CHECK_EQ(eax, ecx)
    pop ecx
    CHECK_EQ(ebp, 0x33)
    CHECK_EQ(ebx, 0x22)
    CHECK_EQ(esi, 0x11)
    CHECK_EQ(edi, 0x11)
    CHECK_EQ(edx, 0x33)
    sub ecx, 1
    cmp ecx, -16
    jne 1b
    ret

/* Operand sizes, and byte registers that host code with a REX prefix cannot name */
pieces:
    MAP FRAME0 + P + RW, 0
    mov ebx, PAGE(0) + 0x20
    mov eax, 0x11223344
    mov [ebx + 1], ah
    mov [ebx], al
    mov [ebx + 2], ax
    mov edx, [ebx]
    movzx ecx, byte ptr [ebx + 3]
    movsx esi, word ptr [ebx + 1]
    add ch, [ebx + 1]
    xchg [ebx + 5], dh
    mov dh, [ebx]
    bts dword ptr [ebx + 8], 3
    mov dword ptr [ebx + 12], 0x87654321
    inc byte ptr [ebx + 15]
    lock xadd [ebx + 12], eax
    CHECK_EQ(eax, 0x88654321)
    CHECK_EQ([FRAME0 + 0x20], 0x33443344)
    CHECK_EQ([FRAME0 + 0x2c], 0x99877665)
    CHECK_EQ(ecx, 0x3333)
    CHECK_EQ(esi, 0x4433)
    CHECK_EQ(edx, 0x33444444)
    ret

/* A register that has changed is no base any more, also where the change is implicit. */
values:
    MAP FRAME0 + P + RW, FRAME1 + P + RW
    mov dword ptr [FRAME0 + 0x40], 0xa0
    mov dword ptr [FRAME0 + 0x44], 0xa4
    mov dword ptr [FRAME1 + 0x40], 0xb0
    mov dword ptr [FRAME1 + 0x44], 0xb4
    mov eax, PAGE(0) + 0x40
    mov ecx, 0x1000
    mov edx, [eax]
    add eax, ecx
    mov edx, [eax + 4]
    CHECK_EQ(edx, 0xb4)
    mov eax, PAGE(0) + 0x40
    mov ecx, PAGE(1) + 0x40
    mov edx, [eax]
    xchg eax, ecx
    mov esi, [eax]
    mov edi, [ecx + 4]
    CHECK_EQ(esi, 0xb0)
    CHECK_EQ(edi, 0xa4)
    mov eax, PAGE(0) + 0x40
    mov ebx, [eax]
    mov esi, 1
    mul esi
    mov edi, [eax + 4]
    CHECK_EQ(edi, 0xa4)
    mov edx, PAGE(1) + 0x40
    mov eax, -1
    mov ebx, [edx]
    cdq
    mov edx, [edx + PAGE(0) + 0x45]
    CHECK_EQ(edx, 0xa4)
    mov ebx, PAGE(0)
    mov ecx, 16
    mov eax, [ebx + ecx * 4]
    mov edx, ecx
    shl ecx, 5
    shl ecx, 1
    mov edi, [ebx + ecx * 4 + 0x44]
    mov esi, [ebx + edx * 4 + 4]
    CHECK_EQ(esi, 0xa4)
    CHECK_EQ(edi, 0xb4)
    mov eax, PAGE(0) + 0x40
    mov edx, eax
    mov ebx, [eax]
    mov ax, (PAGE(1) + 0x40) & 0xffff
    mov esi, [eax + 4]
    mov edi, [edx + 4]
    CHECK_EQ(esi, 0xb4)
    CHECK_EQ(edi, 0xa4)
    mov edx, PAGE(0) + 0x40
    mov eax, PAGE(1) + 0x40
    mov ebx, [eax]
    cmpxchg ecx, edx        /* EAX = ECX */
    mov ecx, PAGE(0) + 0x40
    mov eax, ecx
    mov esi, [eax + 4]
    cmpxchg ecx, edx
    mov edi, [ecx + 4]
    CHECK_EQ(esi, 0xa4)
    CHECK_EQ(edi, 0xa4)
    CHECK_EQ(ebx, 0xb0)
    ret

/* Around the end of the address space; its last pages are not mapped */
wraps:
    mov dword ptr [4], 0x4444
    CATCH
    mov ebx, 4
    mov eax, [ebx]
2:  mov edx, [ebx - 8]
    mov eax, [ebx + 4]
9:  CHECK_EQ([trap_vector], VEC_PF)
    CHECK_EQ([trap_cr2], 0xfffffffc)
    CHECK_EQ([trap_eip], offset 2b)
    CHECK_EQ(eax, 0x4444)
    ret

/* A fault more than 256 bytes into a block */
long_block:
    MAP FRAME0 + P + RW, 0
    mov dword ptr [FRAME0 + 0x300], 0
    CATCH
    mov ebx, PAGE(0)
    jmp 1f
    .balign 1024
1:  .rept 40
    add dword ptr [ebx + 0x300], 0x12345678
    .endr
2:  mov eax, [ebx + 0x1000]
    nop
9:  CHECK_EQ([trap_vector], VEC_PF)
    CHECK_EQ([trap_eip], offset 2b)
    CHECK_EQ([FRAME0 + 0x300], (0x12345678 * 40) & 0xffffffff)
    ret

/* Another access of the block turns the page that was checked for writing into a page table. */
page_table_in_group:
    mov dword ptr [FRAME0 + 0x10], 0x1111
    mov dword ptr [FRAME1 + 0x10], 0x2222
    mov dword ptr [page_table2], 0
    jmp 1f
1:  mov ebx, offset page_table2
    mov dword ptr [ebx + 4], FRAME0 + P + RW + A + D
    mov ecx, [WINDOW2 + 0x1010]
    mov dword ptr [ebx + 4], FRAME1 + P + RW + A + D
    mov esi, [ebx + 8]
    invlpg [WINDOW2 + 0x1010]
    mov edx, [WINDOW2 + 0x1010]
    CHECK_EQ(ecx, 0x1111)
    CHECK_EQ(edx, 0x2222)
    ret

    .bss
    .balign 4096
directory: .skip 4096
page_table: .skip 4096
page_table2: .skip 4096
identity: .skip 4 * 4096
saved_esp: .skip 4
