/*
 * Hazard: the shadow return stack. Calls and returns need not pair: return addresses are changed, popped, pushed by hand, left
 * behind by a longjmp, swapped with a stack. The code behind a call is modified while the call runs, or its page is mapped
 * elsewhere. Recursion is deeper than any predictor. Flags must survive all of this. Also the inline caches of indirect
 * branches: targets that change, that are modified, that move.
 */
#include "guest.inc"
GUEST(returns)

guest_main:
    call unpaired
    call flags_across
    call deep
    call long_jumps
    call two_stacks
    call modified_behind
    call faulting_callee
    call changing_targets
    call modified_target
    call flags_ahead
    call remapped
    ret

unpaired: /* return addresses that are changed, popped or pushed by hand; RET n; position-independent code */
    mov ebp, 200
1:  xor ebx, ebx
    call change_return
    or ebx, 0x100                       /* skipped */
unpaired_2:
    call pop_return
    or ebx, 0x200                       /* skipped: the return goes to its caller's caller */
unpaired_3:
    push offset 2f
    ret
    or ebx, 0x400
2:  push 1
    push 2
    mov edi, esp
    call release
    sub edi, esp
    cmp edi, -8
    jne 4f
    call 3f
3:  pop eax
    cmp eax, offset 3b
    jne 4f
    cmp ebx, 7
    jne 4f
    dec ebp
    jnz 1b
4:  CHECK_EQ(ebx, 7)
    CHECK_EQ(ebp, 0)
    ret
change_return:
    or ebx, 1
    mov dword ptr [esp], offset unpaired_2
    ret
pop_return:
    call 1f
    or ebx, 0x800
1:  or ebx, 2
    add esp, 8
    jmp unpaired_3
release:
    or ebx, 4
    ret 8

flags_across: /* every flag, over a return that belongs to a call and over one that does not */
    mov esi, 300
1:  imul eax, esi, 0x9e3779b1
    and eax, FL_ARITH
    or eax, 2
    mov ebx, eax
    push eax
    popfd
    call just_return
    pushfd
    pop eax
    and eax, FL_ARITH | 2
    cmp eax, ebx
    jne 3f
    push ebx
    popfd
    call return_elsewhere
    xor ebx, -1
2:  pushfd
    pop eax
    and eax, FL_ARITH | 2
    cmp eax, ebx
    jne 3f
    push ebx
    popfd
    push offset flags_back
    ret
flags_back:
    pushfd
    pop eax
    and eax, FL_ARITH | 2
    cmp eax, ebx
    jne 3f
    dec esi
    jnz 1b
3:  CHECK_EQ(esi, 0)
    CHECK_EQ(eax, ebx)
    ret
just_return:
    ret
return_elsewhere:
    mov dword ptr [esp], offset 2b
    ret

deep: /* 60000 frames, twice: the second time starts with a stack that is not empty */
    mov ecx, 60000
    xor eax, eax
    mov ebx, esp
    mov esp, offset deep_top
    call recurse
    CHECK_EQ(eax, 60000)
    mov ecx, 60000
    call recurse
    mov esp, ebx
    CHECK_EQ(eax, 120000)
    ret
recurse:
    dec ecx
    js 1f
    call recurse
    inc eax
1:  ret

long_jumps: /* 100000 calls that are never returned from */
    mov ecx, 100000
    mov ebx, esp
1:  call 2f
    ud2
2:  call 3f
    ud2
3:  mov esp, ebx
    dec ecx
    jnz 1b
    CHECK_EQ(ecx, 0)
    ret

two_stacks: /* coroutines: each RET belongs to the other's CALL */
    mov dword ptr [other], offset other_top - 4
    mov dword ptr [other_top - 4], offset co_start
    xor eax, eax
    mov ecx, 1000
1:  add eax, 1
    call switch
    dec ecx
    jnz 1b
    CHECK_EQ(eax, 3000)
    ret
co_start:
    add eax, 2
    call switch
    jmp co_start
switch:
    xchg esp, [other]
    ret

modified_behind: /* the callee changes the code behind its call */
    mov esi, 500
1:  mov ecx, esi
    call patch_behind
behind:
    mov eax, 0x11111111
    cmp eax, esi
    jne 2f
    dec esi
    jnz 1b
2:  CHECK_EQ(esi, 0)
    /* also with a block in between that is killed too */
    mov esi, 200
3:  mov byte ptr [turned], 0x40         /* INC EAX */
    xor eax, eax
    call turn
turned:
    inc eax
    cmp eax, -1
    jne 4f
    dec esi
    jnz 3b
4:  CHECK_EQ(esi, 0)
    ret
patch_behind:
    mov [behind + 1], ecx
    ret
turn:
    mov byte ptr [turned], 0x48         /* DEC EAX */
    ret

faulting_callee: /* an exception handler calls and returns in between */
    mov dword ptr [trap_hook + VEC_UD * 4], offset skip_ud2
    mov ecx, 300
    xor eax, eax
1:  call 2f
    inc eax
    dec ecx
    jnz 1b
    jmp 3f
2:  call 4f
    ret
4:  ud2
    ret
3:  mov dword ptr [trap_hook + VEC_UD * 4], 0
    CHECK_EQ(eax, 300)
    ret
skip_ud2:
    call just_return
    add dword ptr [ebp + FRAME_EIP], 2
    xor eax, eax
    ret

changing_targets: /* one site: one target for a long time, then many, then one */
    mov esi, 1000
    xor eax, eax
1:  mov ebx, 0
    cmp esi, 400
    ja 2f
    cmp esi, 100
    jb 2f
    mov ebx, esi
    and ebx, 15
2:  mov edi, ebx
    shl ebx, 2
    add ebx, offset adders
    call ebx
    sub eax, edi
    add ebx, adders_jump - adders
    jmp ebx
adders_jump:
    .rept 16
    nop
    jmp 3f
    nop
    .endr
3:  dec esi
    jnz 1b
    CHECK_EQ(eax, 0)
    ret
    .balign 64
adders: /* four bytes each: ADD EAX, n; RET */
    .set n, 0
    .rept 16
    add eax, n
    ret
    .set n, n + 1
    .endr

modified_target: /* code is modified to which an indirect call and an indirect jump always go */
    mov esi, 300
    mov ebx, offset target_code
1:  mov [target_code + 1], esi
    call ebx
    cmp eax, esi
    jne 2f
    dec esi
    jnz 1b
2:  CHECK_EQ(esi, 0)
    ret
target_code:
    mov eax, 0
    ret

flags_ahead: /* the target overwrites the flags; then it is modified and reads them */
    mov esi, 100
    xor edi, edi
1:  mov word ptr [ahead], 0xc031        /* XOR EAX, EAX */
    call pass_flags
    CHECK_EQ(eax, 0)
    mov word ptr [ahead], 0xc019        /* SBB EAX, EAX */
    call pass_flags
    CHECK_EQ(eax, -1)
    dec esi
    jnz 1b
    ret
pass_flags:
    mov eax, 7
    cmp eax, 8                          /* CF */
    mov [ahead_data], eax               /* a check that would lose them */
    jmp ahead
    nop
ahead:
    xor eax, eax
    ret

/* --- the page behind the call is mapped to another frame while the call runs --- */

WINDOW = 0x40000000

remapped:
    /* page directory: the first 4 MB, and a table with one page, code_a or code_b */
    mov dword ptr [directory], offset table + 3
    mov dword ptr [directory + (WINDOW >> 22) * 4], offset window_table + 3
    xor ecx, ecx
1:  mov eax, ecx
    shl eax, 12
    or eax, 3
    mov [table + ecx * 4], eax
    inc ecx
    cmp ecx, 1024
    jne 1b
    mov dword ptr [window_table], offset code_a + 3
    mov eax, offset directory
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax

    mov esi, 100
2:  mov dword ptr [window_table], offset code_a + 3
    invlpg [WINDOW]
    mov edi, offset map_b
    mov eax, WINDOW
    call eax                            /* calls map_b, which returns into code_b */
    cmp eax, 0xb
    jne 3f
    mov edi, offset just_return
    mov eax, WINDOW
    call eax                            /* code_b now */
    cmp eax, 0xb
    jne 3f
    dec esi
    jnz 2b
3:  CHECK_EQ(esi, 0)
    CHECK_EQ(eax, 0xb)
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret
map_b:
    mov dword ptr [window_table], offset code_b + 3
    invlpg [WINDOW]
    ret

    .balign 4096
code_a:
    call edi
    mov eax, 0xa
    ret
    .balign 4096
code_b:
    call edi
    mov eax, 0xb
    ret
    .balign 4096

    .bss
    .balign 4096
directory: .skip 4096
table: .skip 4096
window_table: .skip 4096
other: .skip 4
ahead_data: .skip 4
    .skip 4096
other_top:
    .skip 60010 * 4
deep_top:
