/*
 * The nanobenchmarks' kernel: paging on, then one operation (operations.S) repeatedly, in rounds that are timed with RDTSC.
 *
 * Its command line ends with the operation's name and the number of operations in a round, in decimal. It prints
 *
 *     cycles NAME COUNT HEX      a line a round, time stamp counter ticks of the whole round as 16 hex digits
 *
 * on the debug console and ends as the kernels of tests/guest do. It uses their entry, traps and checks (lib.S).
 *
 * Linear memory: the first 16 MB are themselves, global pages, open to user code (the user code is our own). The 4 MB from
 * REGION on are frames from REGION_FRAMES on through one page table an address space.
 */
#include "nano.inc"

ROUNDS = 20

GUEST(nano)

CR4_PGE = 0x80
CR0_PG_WP = 0x80010000

guest_main:
    call parse
    call find_operation         /* EBP: its row */
    call make_tables
    call make_gates
    mov ebx, [ebp + 4]
    test ebx, ebx
    jz 1f
    call ebx                    /* set-up */
1:  mov dword ptr [rounds_left], ROUNDS
2:  mov ecx, [operation_count]
    push ebp
    rdtsc
    mov [began], eax
    mov [began + 4], edx
    call [ebp + 8]
    rdtsc
    pop ebp
    sub eax, [began]
    sbb edx, [began + 4]
    call report
    dec dword ptr [rounds_left]
    jnz 2b
    CHECK_EQ([rounds_left], 0)
    ret

report: /* EDX:EAX. Keeps EBP */
    push eax
    push edx
    mov esi, offset text_cycles
    call print
    mov esi, [ebp]
    call print
    mov al, ' '
    out 0xe9, al
    mov eax, [operation_count]
    call print_decimal
    mov al, ' '
    out 0xe9, al
    pop eax
    call print_hex
    pop eax
    call print_hex
    mov al, 10
    out 0xe9, al
    ret

/* --- the command line --- */

/* The last two words: [name, name + name_bytes), operation_count. */
parse:
    mov ebx, [boot_info]
    mov edi, [ebx + 16]         /* Multiboot 3.3: cmdline */
    xor eax, eax
    mov ecx, -1
    repne scasb
    dec edi                     /* at the 0 */
    call word_before
    mov esi, edx
    xor eax, eax
1:  movzx ecx, byte ptr [esi]
    sub ecx, '0'
    cmp ecx, 9
    ja 2f
    imul eax, eax, 10
    add eax, ecx
    inc esi
    jmp 1b
2:  mov [operation_count], eax
    mov edi, edx
    call word_before
    mov [name], edx
    sub edi, edx
    mov [name_bytes], edi
    ret

/* The word that ends before EDI, blanks between: EDX its start, EDI its end. Clobbers AL */
word_before:
    cmp byte ptr [edi - 1], ' '
    jne 1f
    dec edi
    jmp word_before
1:  mov edx, edi
2:  mov al, [edx - 1]
    cmp al, ' '
    jbe 3f
    dec edx
    jmp 2b
3:  ret

find_operation:
    mov ebp, offset operations
1:  mov esi, [ebp]
    test esi, esi
    jz 3f
    mov edi, [name]
    mov ecx, [name_bytes]
    repe cmpsb
    jne 2f
    cmp byte ptr [esi], 0
    je 4f
2:  add ebp, 12
    jmp 1b
3:  mov esi, offset text_unknown
    call print
    CHECK_EQ(0, 1)
    pop eax                     /* out of guest_main */
4:  ret

/* --- paging --- */

make_tables:
    mov ecx, 4096
    mov edi, offset low_tables
    mov eax, 0x107              /* G U W P */
1:  stosd
    add eax, 0x1000
    loop 1b
    mov edi, offset region_table
    mov ebx, offset other_region_table
    mov eax, REGION_FRAMES + 7
    mov ecx, 1024
2:  stosd
    mov [ebx], eax
    add ebx, 4
    add eax, 0x1000
    loop 2b
    mov ecx, 4
    mov eax, offset low_tables + 7
    mov edi, offset directory
    mov ebx, offset other_directory
3:  stosd
    mov [ebx], eax
    add ebx, 4
    add eax, 0x1000
    loop 3b
    mov dword ptr [directory + (REGION >> 20)], offset region_table + 7
    mov dword ptr [other_directory + (REGION >> 20)], offset other_region_table + 7
    mov eax, offset directory
    mov cr3, eax
    mov eax, cr4
    or eax, CR4_PGE
    mov cr4, eax
    mov eax, cr0
    or eax, CR0_PG_WP
    mov cr0, eax
    ret

/* --- user code --- */

make_gates:
    GATE_IDT(USER_DONE, KCODE, offset user_done, 0xee)
    ret

/* Run the user code at EAX with all other registers as they are; returns when it executes INT USER_DONE. */
    .globl run_user_loop
run_user_loop:
    pushad
    mov [kernel_esp], esp
    push UDATA
    push offset user_stack_top
    push 2
    push UCODE
    push eax
    jmp enter_user

user_done:
    mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov esp, [kernel_esp]
    popad
    ret

    .section .rodata
text_cycles: .asciz "cycles "
text_unknown: .asciz "nano: no such operation: the command line must end with a name and a count\n"

    .bss
    .globl directory, other_directory, region_table, other_region_table
    .balign 4096
directory: .skip 4096
other_directory: .skip 4096
low_tables: .skip 4 * 4096
region_table: .skip 4096
other_region_table: .skip 4096
began: .skip 8
rounds_left: .skip 4
operation_count: .skip 4
name: .skip 4
name_bytes: .skip 4
kernel_esp: .skip 4
