/*
 * Hazard: stale code. Kernels patch themselves (alternatives, static keys, ftrace), JITs write next to running code, and
 * modules are loaded to pages that had other code. On x86 the next instruction sees a store (SDM 3A 8.1.3), and bytes next
 * to code are only data.
 */
#include "guest.inc"
GUEST(smc)

WINDOW = 0x40000000

guest_main:
    call next_instruction
    call own_block
    call loop_body
    call boundary
    call beside
    call call_patched
    call by_many_stores
    call patched_branch
    call alias
    ret

next_instruction:
    mov ecx, 3
    xor ebx, ebx
1:  mov [2f + 1], cl
2:  mov al, 0
    movzx eax, al
    add ebx, eax
    dec ecx
    jnz 1b
    CHECK_EQ(ebx, 6)
    /* the very next byte, through a register that also counts */
    mov edi, offset 3f
    mov al, 0x40 /* INC EAX */
    stosb
3:  nop
    movzx eax, al
    CHECK_EQ(eax, 0x41)
    mov byte ptr [3b], 0x90
    ret

own_block: /* ahead in the same block, and an instruction turned into another of another length */
    mov eax, 1
    mov ebx, 0
    mov word ptr [1f], 0xc343           /* INC EBX; RET */
    nop
    nop
    call 1f
    CHECK_EQ(ebx, 1)
    mov dword ptr [1f], 0xc3434343
    call 1f
    CHECK_EQ(ebx, 4)
    jmp 2f
1:  nop
    nop
    nop
    nop
2:  ret

loop_body: /* changed in every pass of a hot loop */
    xor eax, eax
    xor ebx, ebx
    mov ecx, 1000
1:  add eax, 0x11111111
2:  mov [2b - 4], ecx                   /* the ADD's immediate, for the next pass */
    dec ecx
    jnz 1b
    /* the first pass adds 11111111h, then 1000, 999, ... 2 */
    CHECK_EQ(eax, 0x11111111 + 500500 - 1)
    mov dword ptr [2b - 4], 0x11111111
    ret

boundary: /* an instruction that crosses pages: change its first part, its second part, then all of it */
    call straddle
    CHECK_EQ(eax, 0x44332211)
    mov byte ptr [straddle_immediate], 0x55
    call straddle
    CHECK_EQ(eax, 0x44332255)
    mov byte ptr [straddle_immediate + 3], 0x66
    call straddle
    CHECK_EQ(eax, 0x66332255)
    mov dword ptr [straddle_immediate], 0x01020304  /* a store over the boundary */
    call straddle
    CHECK_EQ(eax, 0x01020304)
    mov ecx, 200
1:  mov [straddle_immediate + 2], cx
    call straddle
    shr eax, 16
    cmp eax, ecx
    jne 2f
    loop 1b
2:  CHECK_EQ(ecx, 0)
    ret

beside: /* data in the page of the loop that writes it: must be right, and must not crawl */
    mov ecx, 200000
    xor eax, eax
1:  inc dword ptr [beside_data]
    add eax, [beside_data]
    dec ecx
    jnz 1b
    CHECK_EQ([beside_data], 200000)
    ret
beside_data: .long 0

call_patched: /* the JIT's way: write a function, call it, many times */
    mov ecx, 3000
    xor ebx, ebx
    mov edi, offset jit_area
1:  mov byte ptr [edi], 0xb8
    mov [edi + 1], ecx
    mov byte ptr [edi + 5], 0xc3
    call edi
    cmp eax, ecx
    jne 2f
    inc ebx
    mov byte ptr [edi], 0x8d            /* LEA EAX, [ECX + disp8] */
    mov word ptr [edi + 1], 0x0541
    mov byte ptr [edi + 3], 0xc3
    call edi
    lea edx, [ecx + 5]
    cmp eax, edx
    jne 2f
    dec ecx
    jnz 1b
2:  CHECK_EQ(ebx, 3000)
    CHECK_EQ(ecx, 0)
    ret

by_many_stores: /* every kind of store reaches code */
    mov edi, offset jit_area
    mov dword ptr [edi], 0x000000b8     /* MOV EAX, 0; RET */
    mov word ptr [edi + 4], 0xc300
    call edi
    CHECK_EQ(eax, 0)
    inc byte ptr [edi + 1]
    call edi
    CHECK_EQ(eax, 1)
    mov eax, 0x22
    xchg [edi + 1], eax
    call edi
    CHECK_EQ(eax, 0x22)
    mov eax, 0x22
    mov ecx, 0x33
    lock cmpxchg [edi + 1], ecx
    call edi
    CHECK_EQ(eax, 0x33)
    bts dword ptr [edi + 1], 31
    call edi
    CHECK_EQ(eax, 0x80000033)
    mov eax, 0x10
    xadd [edi + 1], eax
    call edi
    CHECK_EQ(eax, 0x80000043)
    push edi
    mov ecx, 1
    mov eax, 0x77
    inc edi
    rep stosb
    pop edi
    call edi
    CHECK_EQ(eax, 0x80000077)
    mov ebx, esp                        /* by PUSH */
    lea esp, [edi + 5]
    push 0x12345678
    mov esp, ebx
    call edi
    CHECK_EQ(eax, 0x12345678)
    lea esp, [edi + 5]                  /* by CALL: the return address becomes the immediate */
    call 1f
1:  mov esp, ebx
    call edi
    CHECK_EQ(eax, offset 1b)
    fld1
    fstp dword ptr [edi + 1]
    call edi
    CHECK_EQ(eax, 0x3f800000)
    mov esi, offset replacement
    push edi
    mov ecx, 6
    rep movsb                           /* by REP MOVS, whole */
    pop edi
    call edi
    CHECK_EQ(eax, 0x99)
    setz [edi + 1]
    pop dword ptr [saved]
    push dword ptr [saved]
    push 0x31415926
    pop dword ptr [edi + 1]
    call edi
    CHECK_EQ(eax, 0x31415926)
    mov ebx, offset stack_top
    /* REP STOSB over what comes next in this very block */
    mov edi, offset 2f
    mov ecx, 10
    mov al, 0x90
    rep stosb
2:  mov ebx, 5                          /* never: five bytes each */
    mov ebx, 6
    CHECK_EQ(ebx, offset stack_top)
    ret
replacement:
    mov eax, 0x99
    ret

patched_branch: /* a direct branch that was chained is turned elsewhere, and back: static keys */
    xor ebx, ebx
    mov ecx, 1000
1:  call key
    test cl, 7
    jnz 3f
    mov eax, 0x90909090                 /* toggle between JMP rel8 and NOPs */
    xor eax, [key]
    jz 2f
    mov dword ptr [key], 0x90909090
    jmp 3f
2:  mov dword ptr [key], 0x909005eb     /* JMP over the ADD */
3:  dec ecx
    jnz 1b
    CHECK_EQ(ebx, 1000 + 10 * 497)    /* the first, then every other eight */
    ret
    .balign 4
key:
    .long 0x90909090
    add ebx, 10
    inc ebx
    ret

alias: /* the same frame at another linear address; then a page remapped to other code */
    FILL_TABLE page_table
    mov dword ptr [directory], offset page_table + 3
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset window_table + 3
    mov eax, offset jit_area
    and eax, 0xfffff000
    or eax, 3
    mov [window_table], eax
    mov dword ptr [window_table + 4], 0x300000 + 3
    mov eax, offset directory
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax

    mov edi, offset jit_area
    and edi, 0xfff
    add edi, WINDOW                     /* the alias of jit_area */
    mov esi, offset jit_area
    mov ebx, 500
    xor ebp, ebp
2:  mov byte ptr [edi], 0xb8            /* written by the alias, run at the original */
    mov [edi + 1], ebx
    mov byte ptr [edi + 5], 0xc3
    call serialize
    call esi
    cmp eax, ebx
    jne 3f
    inc dword ptr [esi + 1]             /* written at the original, run by the alias */
    call serialize
    call edi
    sub eax, 1
    cmp eax, ebx
    jne 3f
    inc ebp
    dec ebx
    jnz 2b
3:  CHECK_EQ(ebp, 500)

    /* the same linear address, two frames in turns */
    mov byte ptr [0x300000], 0xb8
    mov dword ptr [0x300001], 1
    mov byte ptr [0x300005], 0xc3
    mov byte ptr [0x301000], 0xb8
    mov dword ptr [0x301001], 2
    mov byte ptr [0x301005], 0xc3
    mov edi, WINDOW + 0x1000
    mov ecx, 100
    xor ebx, ebx
4:  mov dword ptr [window_table + 4], 0x300000 + 3
    invlpg [WINDOW + 0x1000]
    call edi
    add ebx, eax
    mov dword ptr [window_table + 4], 0x301000 + 3
    mov eax, cr3
    mov cr3, eax
    call edi
    add ebx, eax
    dec ecx
    jnz 4b
    CHECK_EQ(ebx, 300)
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    ret
serialize:
    push ebx
    xor eax, eax
    cpuid
    pop ebx
    ret

    .balign 4096
    .skip 4096 - 3
straddle: mov eax, 0x44332211
straddle_immediate = . - 4
    ret
    .balign 64
jit_area: .skip 64, 0x90

    .bss
    .balign 4096
directory: .skip 4096
page_table: .skip 4096
window_table: .skip 4096
saved: .skip 4
