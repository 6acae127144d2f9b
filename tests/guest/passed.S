/*
 * Hazard: a block that goes on behind a conditional jump has wrong flags, instruction counts, faults or changed code, at the target
 * of the jump or behind it. A block that goes on at the target of an unconditional jump loses count of the skipped instructions.
 */
#include "guest.inc"
GUEST(passed)

guest_main:
    mov ecx, 3          /* the second time everything is translated, the third time it is chained */
1:  push ecx
    call ways
    call flags
    call parked
    call faults
    call changed_target
    call changed_behind
    call followed
    call changed_over
    call into_gap
    call shadowed
    pop ecx
    dec ecx
    jnz 1b
    ret

/* All ways through eight jumps, more than one block contains */
ways:
    xor esi, esi
    xor eax, eax
1:  test esi, 1
    jnz 2f
    add eax, 1
2:  test esi, 2
    jz 3f
    add eax, 0x10
3:  test esi, 4
    jnz 4f
    add eax, 0x100
4:  test esi, 8
    jz 5f
    add eax, 0x1000
5:  test esi, 16
    jnz 6f
    add eax, 0x10000
6:  test esi, 32
    jz 7f
    add eax, 0x100000
7:  test esi, 64
    jnz 8f
    add eax, 0x1000000
8:  test esi, 128
    jz 9f
    add eax, 0x10000000
9:  add esi, 31
    and esi, 255
    jnz 1b
    CHECK_EQ(eax, (0x11111111 * 128) & 0xffffffff)
    ret

/* Flags read at the target, behind the jump, or at both */
flags:
    xor esi, esi
    xor edi, edi
    mov ecx, 4
1:  mov eax, ecx
    cmp eax, 3
    jb 2f
    adc esi, 0x10
    cmp eax, 4
    je 3f
    mov edx, 7
    sbb edi, 0
2:  adc esi, 0x100
    setbe dl
    movzx edx, dl
    add edi, edx
3:  lea ecx, [ecx - 1]
    jecxz 4f
    jmp 1b
4:  CHECK_EQ(esi, 0x323)
    CHECK_EQ(edi, -1)
    ret

/* The same with accesses in between, which park the flags */
parked:
    xor esi, esi
    mov ecx, 4
1:  cmp ecx, 3
    mov eax, [value]
    jb 2f
    mov edx, [value + 8]
    adc esi, [value]
    jmp 3f
2:  adc esi, [value + 4]
    mov [result], esi
3:  dec ecx
    jnz 1b
    CHECK_EQ(esi, 0x222)
    CHECK_EQ([result], 0x222)
    ret

faults:
    mov ecx, 1
    xor edi, edi
1:  mov dword ptr [resume_eip], offset 9f
    mov [resume_esp], esp
    mov dword ptr [trap_vector], -1
    mov eax, 5
    cmp eax, 6
    ja 7f
    xor edx, edx
    inc edi
    test ecx, ecx
    js 7f
2:  div ecx
    test ecx, ecx
    jnz 8f
7:  mov eax, 0x77
    jmp 8f
9:  CHECK_EQ([trap_vector], VEC_DE)
    CHECK_EQ([trap_eip], offset 2b)
    CHECK_EQ(edi, 2)
8:  CHECK_EQ(eax, 5)
    dec ecx
    jns 1b
    ret

/* Flags that were dead at the target become live there. */
changed_target:
    mov byte ptr [target], 0x31
    mov ecx, 4
1:  mov ebx, 1
    cmp ebx, 2
    jc 2f
    mov ebx, 3
    mov edx, 4
    jmp 2f
    .balign 64
2:
target:
    xor eax, eax
    cmp ecx, 2
    ja 3f
    CHECK_EQ(eax, -1)
3:  cmp ecx, 3
    jne 4f
    mov byte ptr [target], 0x19     /* SBB EAX, EAX */
4:  dec ecx
    jnz 1b
    ret

/* A store changes the code behind the jump in the same block. */
changed_behind:
    mov ecx, 5
    xor esi, esi
1:  mov [behind + 1], ecx
    cmp ecx, 9
    je 2f
behind:
    mov eax, 0x12345678
    add esi, eax
2:  dec ecx
    jnz 1b
    CHECK_EQ(esi, 15)
    ret

/* Jumps over nothing, over little, over as much as an instruction is long, and over much more. Then a fault, with the right EIP. */
followed:
    mov dword ptr [resume_eip], offset 9f
    mov [resume_esp], esp
    mov dword ptr [trap_vector], -1
    xor ecx, ecx
    stc
    jmp 1f
1:  adc ecx, 0x10
    jmp 2f
    .skip 3, 0xcc
2:  lea ecx, [ecx + 0x100]
    jmp 3f
    .skip 13, 0xcc
3:  lea ecx, [ecx + 0x1000]
    jmp 4f
    .skip 14, 0xcc
4:  lea ecx, [ecx + 0x10000]
    jmp 5f
    .skip 200, 0xcc
5:  lea ecx, [ecx + 0x100000]
    jmp 6f
    .skip 40, 0xcc
6:  xor edx, edx
    mov eax, [value + 8]
7:  div dword ptr [value + 8]
    jmp 8f
    .skip 100, 0xcc
8:  xor ecx, ecx
9:  CHECK_EQ(ecx, 0x111111)
    CHECK_EQ([trap_vector], VEC_DE)
    CHECK_EQ([trap_eip], offset 7b)
    ret

/* The code before a gap changes the code behind it. */
changed_over:
    mov ecx, 5
    xor esi, esi
1:  mov [over + 1], ecx
    jmp over
    .skip 60, 0xcc
over:
    mov eax, 0x12345678
    add esi, eax
    dec ecx
    jnz 1b
    CHECK_EQ(esi, 15)
    ret

/* The bytes of the gap may be executed, jumped into and changed. */
into_gap:
    mov ecx, 6
    xor esi, esi
1:  test ecx, 1
    jnz 2f
    jmp 3f
2:  mov [gap + 1], ecx
gap:
    mov eax, 0x12345678
    add esi, eax
3:  add esi, 0x100
    dec ecx
    jnz 1b
    CHECK_EQ(esi, 0x600 + 1 + 3 + 5)
    ret

/* STI's shadow reaches over a jump, to accesses that a hoisted check could cover. */
shadowed:
    lea ebx, [result]
    sti
    jmp 1f
    .skip 30, 0xcc
1:  mov [ebx], ebx
    mov [ebx + 4], ebx
    sti
    mov [ebx], ecx
    mov [ebx + 4], ecx
    cli
    CHECK_EQ([result], ecx)
    ret

    .data
value: .long 0x10, 0x100, 0
    .bss
result: .skip 8
