/*
 * Hazards: an instruction that a page fault leaves half done; page-crossing accesses and code; the processor's own accesses to
 * descriptor tables and stacks; page faults while another fault is delivered. Every fixup in a kernel depends on these. SDM 3A 4.6.1,
 * 4.7, 6.15.
 */
#include "guest.inc"
#include "paging.inc"
GUEST(page_faults)

guest_main:
    ENABLE_FOR_SUPERVISOR
    call crossing
    call precise
    call fetches
    call implicit
    call nested_faults
    PAGING_OFF
    ret

    WINDOW_FUNCTIONS

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

    /* --- what runs at CPL 3: ESI is the address --- */
    .balign 4096
user_text:
    USER_ACCESSES
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
identity: .skip 4 * 4096
saved_esp: .skip 4
pseudo: .skip 8
df_seen: .skip 4
df_error: .skip 4
df_cr3: .skip 4
df_eip: .skip 4
df_cs: .skip 4
