/*
 * Hazard: a debugger's points that the guest can see, that are missed, or that hit at another address. tests/gdb runs
 * this kernel under a debugger; by itself it checks that it computes the same as without one. Code at the labels that are
 * .globl is where tests/gdb/points sets its points.
 */
#include "guest.inc"
#include "paging.inc"
GUEST(points)

LATE = 0x40000000  /* mapped late, then to another frame, to none, and again */
LATE_FRAME = 0x300000
LATE_OTHER = 0x301000

    .globl count, count_end, middle, patched, patch, late_unmapped, late_calls, blind, copy, watched, store, store_beside, push_there
    .globl string_there, read_there, add_there, user_store, faulting, all_done

guest_main:
    call counting
    call straight
    call rewritten
    call dead_flags
    call strings
    call watching
    call mapping
    call own_registers
    call own_bytes
all_done:
    ret

/* A function that is called often, and the function that it calls. */
counting:
    mov esi, 1000
    xor ebx, ebx
1:  call count
    dec esi
    jnz 1b
    CHECK_EQ(ebx, 500500)
    ret
count:
    add ebx, esi
count_end:
    ret

/* The middle of a block, reached from its start and by a jump. */
straight:
    mov ecx, 100
    xor eax, eax
1:  inc eax
    inc eax
middle:
    inc eax
    test cl, 1
    jz 2f
    inc eax
2:  dec ecx
    jz 3f
    test cl, 3
    jnz 1b
    jmp middle
3:  CHECK_EQ(eax, 302)
    ret

/* Code that changes under a point. */
rewritten:
    mov ecx, 10
    xor ebx, ebx
1:  mov [patched + 1], ecx
    call patched
    add ebx, eax
    dec ecx
    jnz 1b
    CHECK_EQ(ebx, 55)
    ret
patched:
    mov eax, 0
patch:
    ret

/* The flags of CMP are overwritten before any instruction reads them, so translated code may lose them; a debugger that stops
 * in between sees them. */
dead_flags:
    mov ecx, 3
1:  mov eax, 5
    cmp eax, 5
    jmp 2f
2:  mov ebx, 7
blind:
    mov edx, 8
    xor edx, edx
    dec ecx
    jnz 1b
    ret

strings:
    mov esi, offset bytes
    mov edi, offset bytes + 0x800
    mov ecx, 0x400
    cld
copy:
    rep movsb
    CHECK_EQ(ecx, 0)
    ret

/* Accesses of every kind to `watched`, and others to its page. */
watching:
    mov ecx, 200
1:  mov [watched + 8], ecx
store_beside:
    mov eax, [watched + 12]
    loop 1b
store:
    mov dword ptr [watched], 0x11
    nop
    mov ebx, esp
    mov esp, offset watched + 4
push_there:
    push 0x22
    mov esp, ebx
    mov edi, offset watched - 64
    mov eax, 0x33
    mov ecx, 40
string_there:
    rep stosd
read_there:
    mov eax, [watched]
    nop
add_there:
    add dword ptr [watched], 1
    nop
    CHECK_EQ([watched], 0x34)
    ret

/* LATE is not mapped when the point is set. Then it maps two frames in turns, and nothing in between. */
mapping:
    MAP_IDENTITY P + RW + US, P + RW + US
    mov dword ptr [directory + 4 * (LATE >> 22)], offset late_table + P + RW + US
    PAGING_ON CR0_PG
    mov edi, LATE_FRAME
    call plant
    mov edi, LATE_OTHER
    call plant
    mov ecx, 5
    xor ebx, ebx
1:  mov dword ptr [late_table], LATE_FRAME + P + RW + US
    invlpg [LATE]
late_calls:
    mov eax, LATE
    call eax
    mov dword ptr [late_table], 0
    invlpg [LATE]
late_unmapped:
    mov dword ptr [late_table], LATE_OTHER + P + RW + US
    invlpg [LATE]
    mov eax, LATE
    call eax
    dec ecx
    jnz 1b
    CHECK_EQ(ebx, 10)
    /* the point does not belong to the same code at its physical address */
    mov eax, LATE_FRAME
    call eax
    CHECK_EQ(ebx, 11)
    RUN_USER(in_user, 2)
    EXPECT_FAULT(VEC_PF, 2, mov byte ptr [0x50000000], 1)
faulting:
    PAGING_OFF
    ret
plant:
    mov esi, offset planted
    mov ecx, offset planted_end - planted
    rep movsb
    ret
planted:
    nop
    inc ebx
    nop
    ret
planted_end:

in_user:
    mov ecx, 50
1:  mov [watched + 8], ecx
    loop 1b
user_store:
    mov dword ptr [watched], 0x44
    int 0x80

/* The debugger's use of debug registers and TF is invisible to the guest. */
own_registers:
    mov eax, dr7
    and eax, 0xff
    CHECK_EQ(eax, 0)
    pushfd
    pop eax
    and eax, FL_TF
    CHECK_EQ(eax, 0)
    ret

/* The guest's code is unchanged where the debugger has its points. */
own_bytes:
    mov edi, offset count
    movzx eax, word ptr [edi]
    CHECK_EQ(eax, 0xf301)
    mov edi, offset middle
    movzx eax, byte ptr [edi]
    CHECK_EQ(eax, 0x40)
    mov edi, offset copy
    movzx eax, word ptr [edi]
    CHECK_EQ(eax, 0xa4f3)
    mov edi, offset planted
    movzx eax, word ptr [edi]
    CHECK_EQ(eax, 0x4390)
    movzx eax, byte ptr [LATE_OTHER + 1]
    CHECK_EQ(eax, 0x43)
    ret

/* Only a debugger that changes EIP gets here. ECX calls. */
spin_calls:
    call spin_called
    loop spin_calls
spin_called_end:
    jmp spin_called_end
spin_called:
    ret
spin:
    nop
    jmp spin

    .bss
    .balign 4096
directory: .skip 4096
identity: .skip 4 * 4096
late_table: .skip 4096
bytes: .skip 4096
    .skip 128
watched: .skip 4096
