/*
 * The operations, in the manner of the nanobenchmarks of Adams & Agesen (ASPLOS 2006, table 4): each does one thing
 * that is dear or cheap under a virtual machine monitor, in a loop of its own. User code runs at CPL 3.
 */
#include "nano.inc"

    .section .data.operations
    .balign 4
    .globl operations
operations:

/* The loop itself. */
OPERATION(empty, 0)
1:  dec ecx
    jnz 1b
    ret

/* A user's arithmetic, three instructions and the loop: neither kernel nor memory. */
OPERATION(user_compute, 0)
    mov eax, offset 1f
    jmp run_user_loop
    .balign 64
1:  imul edx, edx, 69069
    add edx, 12345
    rol edx, 7
    dec ecx
    jnz 1b
    int USER_DONE

OPERATION(call_ret, 0)
1:  call 2f
    dec ecx
    jnz 1b
2:  ret

OPERATION(call_indirect, 0)
    mov eax, offset 2f
1:  call eax
    dec ecx
    jnz 1b
2:  ret

/* --- into the kernel and back --- */

/* INT 80h to a handler that returns at once. */
OPERATION(syscall_int, set_syscall_gate)
    mov eax, offset 1f
    jmp run_user_loop
    .balign 64
1:  int 0x80
    dec ecx
    jnz 1b
    int USER_DONE

set_syscall_gate:
    GATE_IDT(0x80, KCODE, offset return_at_once, 0xee)
    ret
return_at_once:
    iretd

/* SYSENTER to a SYSEXIT. */
OPERATION(syscall_sysenter, set_sysenter)
    mov eax, offset 1f
    jmp run_user_loop
    .balign 64
1:  mov esi, ecx
2:  mov ecx, esp
    mov edx, offset 3f
    sysenter
3:  dec esi
    jnz 2b
    int USER_DONE

set_sysenter:
    xor edx, edx
    mov eax, KCODE
    mov ecx, 0x174              /* IA32_SYSENTER_CS, ESP, EIP */
    wrmsr
    mov eax, offset trap_stack_top
    inc ecx
    wrmsr
    mov eax, offset exit_at_once
    inc ecx
    wrmsr
    ret
exit_at_once:
    sysexit

/* A user's DIV by zero; the handler skips the two bytes of the instruction. */
OPERATION(divide_by_zero, set_divide_gate)
    mov eax, offset 1f
    jmp run_user_loop
    .balign 64
1:  mov esi, ecx
    xor ecx, ecx
2:  div ecx
    dec esi
    jnz 2b
    int USER_DONE

set_divide_gate:
    GATE_IDT(VEC_DE, KCODE, offset skip_two, 0x8e)
    ret
skip_two:
    add dword ptr [esp], 2
    iretd

/* A user touches a page that is not present; the handler sets P. After 1024 pages the kernel clears P in all of them,
 * a store each, and loads CR3 once. (count is rounded down to a multiple of 1024.) */
OPERATION(page_fault, set_fault_gates)
    mov eax, offset 1f
    jmp run_user_loop
    .balign 64
1:  shr ecx, 10
2:  int 0x82
    mov esi, REGION
    mov edi, 1024
3:  mov eax, [esi]
    add esi, 4096
    dec edi
    jnz 3b
    dec ecx
    jnz 2b
    int USER_DONE

set_fault_gates:
    GATE_IDT(VEC_PF, KCODE, offset map_page, 0x8e)
    GATE_IDT(0x82, KCODE, offset unmap_all, 0xee)
    ret
map_page:
    push eax
    mov eax, cr2
    shr eax, 12
    and eax, 1023
    or dword ptr [region_table + eax * 4], 1
    pop eax
    add esp, 4                  /* the error code */
    iretd
unmap_all:
    push eax
    push ecx
    xor ecx, ecx
1:  and dword ptr [region_table + ecx * 4], ~0x61 /* D A P */
    inc ecx
    cmp ecx, 1024
    jb 1b
    mov eax, cr3
    mov cr3, eax
    pop ecx
    pop eax
    iretd

/* --- devices --- */

/* Reads a byte of the CMOS RAM. (Operating systems rarely do this. But the device is among the cheapest and reading
 * has no side effect, so the cost is that of IN.) */
OPERATION(in, 0)
    mov al, 0x0d
    out 0x70, al
1:  in al, 0x71
    dec ecx
    jnz 1b
    ret

/* Writes the interrupt mask of the PIC. */
OPERATION(out_pic, 0)
    mov al, 0xff
1:  out 0x21, al
    dec ecx
    jnz 1b
    ret

/* --- the local APIC: its page is the first of the region --- */

LAPIC = REGION
LAPIC_TPR = LAPIC + 0x80
LAPIC_EOI = LAPIC + 0xb0
LAPIC_SVR = LAPIC + 0xf0
LAPIC_ICR = LAPIC + 0x300
LAPIC_LVT_TIMER = LAPIC + 0x320
LAPIC_INITIAL_COUNT = LAPIC + 0x380
LAPIC_CURRENT_COUNT = LAPIC + 0x390

show_lapic:
    mov dword ptr [region_table], 0xfee00013    /* PCD W P */
    mov eax, cr3
    mov cr3, eax
    mov dword ptr [LAPIC_SVR], 0x1ff
    ret

/* The task priority. The paper writes it through CR8, which 32-bit processors do not have. */
OPERATION(lapic_priority, show_lapic)
    xor eax, eax
1:  mov [LAPIC_TPR], eax
    dec ecx
    jnz 1b
    ret

/* End of interrupt, with none in service. */
OPERATION(lapic_eoi, show_lapic)
    xor eax, eax
1:  mov [LAPIC_EOI], eax
    dec ecx
    jnz 1b
    ret

/* Sets the timer to a second or more, as a kernel without TSC-deadline mode does at the end of every tick. */
OPERATION(lapic_timer, start_timer)
    mov eax, -1
1:  mov [LAPIC_INITIAL_COUNT], eax
    dec ecx
    jnz 1b
    ret

start_timer:
    call show_lapic
    mov dword ptr [LAPIC_LVT_TIMER], 0x30
    ret

OPERATION(lapic_read, start_timer)
1:  mov eax, [LAPIC_SVR]
    dec ecx
    jnz 1b
    ret

/* The same in TSC-deadline mode. */
OPERATION(tsc_deadline, start_deadline)
    mov esi, ecx
    mov ecx, 0x6e0
1:  rdtsc
    add edx, 2
    wrmsr
    dec esi
    jnz 1b
    ret

start_deadline:
    call show_lapic
    mov dword ptr [LAPIC_LVT_TIMER], 0x40030
    ret

/* A whole interrupt: an IPI to oneself, its delivery, EOI and IRET. */
OPERATION(self_ipi, set_ipi_gate)
    mov eax, 0x40040            /* to self, fixed, vector 40h */
    sti
1:  mov [LAPIC_ICR], eax
    dec ecx
    jnz 1b
    cli
    ret

set_ipi_gate:
    call show_lapic
    GATE_IDT(0x40, KCODE, offset end_interrupt, 0x8e)
    ret
end_interrupt:
    mov dword ptr [LAPIC_EOI], 0
    iretd

/* --- system registers --- */

/* CR0.TS set and cleared, as a kernel that switches the FPU lazily does. */
OPERATION(cr0_ts, 0)
    mov eax, cr0
    or eax, 8
1:  mov cr0, eax
    clts
    dec ecx
    jnz 1b
    ret

OPERATION(cli_sti, 0)
1:  cli
    sti
    dec ecx
    jnz 1b
    cli
    ret

OPERATION(pushf_popf, 0)
1:  pushfd
    popfd
    dec ecx
    jnz 1b
    ret

OPERATION(rdtsc, 0)
1:  rdtsc
    dec ecx
    jnz 1b
    ret

/* The selector that the register holds already. An entry into a kernel does this four times. */
OPERATION(segment_same, 0)
    mov eax, KDATA
1:  mov ds, eax
    dec ecx
    jnz 1b
    ret

/* Another selector each time. */
OPERATION(segment_other, 0)
    mov eax, KDATA
1:  xor eax, KDATA ^ UDATA
    mov fs, eax
    dec ecx
    jnz 1b
    ret

/* --- memory management --- */

.macro read_16_pages /* clobbers EDX */
    .set page, 0
    .rept 16
    mov edx, [REGION + page * 4096]
    .set page, page + 1
    .endr
.endm

/* Two address spaces by turns. Global pages map the running code in both. */
OPERATION(cr3, 0)
    mov eax, offset directory
    mov ebx, eax
    xor ebx, offset other_directory
1:  xor eax, ebx
    mov cr3, eax
    dec ecx
    jnz 1b
    jmp first_space

/* The same, and each space touches 16 of its own pages. */
OPERATION(cr3_touch, 0)
    mov eax, offset directory
    mov ebx, eax
    xor ebx, offset other_directory
1:  xor eax, ebx
    mov cr3, eax
    read_16_pages
    dec ecx
    jnz 1b
first_space:
    mov eax, offset directory
    mov cr3, eax
    ret

/* The same by a program: the kernel switches spaces, and user code touches 16 pages of the space. */
OPERATION(cr3_touch_user, set_switch_gate)
    mov eax, offset 1f
    mov ebx, offset directory
    xor ebx, offset other_directory
    call run_user_loop
    jmp first_space
    .balign 64
1:  int 0x83
    read_16_pages
    dec ecx
    jnz 1b
    int USER_DONE

set_switch_gate:
    GATE_IDT(0x83, KCODE, offset switch_space, 0xee)
    ret
switch_space: /* EBX: the difference of the two directories' addresses. Clobbers EAX */
    mov eax, cr3
    xor eax, ebx
    mov cr3, eax
    iretd

/* Changes a bit of a PTE in use that only software reads. */
OPERATION(pte_write, 0)
    mov eax, [REGION + 5 * 4096]
1:  xor dword ptr [region_table + 5 * 4], 0x200
    dec ecx
    jnz 1b
    ret

/* The page moves to another frame: the entry, INVLPG, and a read that must see the other frame. */
OPERATION(pte_remap, set_marks)
    mov ebp, ecx
    xor edx, edx                /* checks all values read: the two marks by turns */
1:  xor dword ptr [region_table + 6 * 4], 0x1000
    invlpg [REGION + 6 * 4096]
    add edx, [REGION + 6 * 4096]
    dec ecx
    jnz 1b
    test ebp, 1
    jnz 2f
    shr ebp, 1
    imul ebp, ebp, 3
    CHECK_EQ(edx, ebp)
2:  ret

set_marks: /* frames 6 and 7 of the region */
    mov dword ptr [REGION_FRAMES + 6 * 4096], 1
    mov dword ptr [REGION_FRAMES + 7 * 4096], 2
    ret

/* --- string instructions --- */

OPERATION(rep_movs_4k, 0)
    mov ebp, ecx
1:  mov esi, REGION + 0x10000
    mov edi, REGION + 0x20000
    mov ecx, 1024
    rep movsd
    dec ebp
    jnz 1b
    ret

OPERATION(rep_stos_4k, 0)
    mov ebp, ecx
    xor eax, eax
1:  mov edi, REGION + 0x20000
    mov ecx, 1024
    rep stosd
    dec ebp
    jnz 1b
    ret

    .section .data.operations
    .long 0                     /* the end */
