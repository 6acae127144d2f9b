/*
 * Hazard: an exception with the wrong vector, error code, saved EIP or ESP. Linux decodes all of these (fixup tables,
 * vm86, ptrace), and a wrong one shows up far away. Here: every vector that needs no paging and no odd segment, gates that
 * must be refused, and double faults (SDM 3A 6.12, 6.13, 6.15).
 */
#include "guest.inc"
GUEST(exceptions)

guest_main:
    /* #DE: zero divisor, quotient too large, AAM 0 */
    mov eax, 7
    xor edx, edx
    xor ecx, ecx
    EXPECT_FAULT(VEC_DE, 0, div ecx)
    CHECK_EQ(eax, 7)
    EXPECT_FAULT(VEC_DE, 0, div cl)
    EXPECT_FAULT(VEC_DE, 0, idiv dword ptr [zero])
    mov ecx, -1
    mov edx, 0x80000000
    xor eax, eax
    SKIP_ON_TCG 1f      /* QEMU's TCG aborts at this one */
    EXPECT_FAULT(VEC_DE, 0, idiv ecx)
1:  mov eax, 0x80000000
    cdq
    EXPECT_FAULT(VEC_DE, 0, idiv ecx)
    mov ax, 0x8000
    mov cl, 0xff
    EXPECT_FAULT(VEC_DE, 0, idiv cl)
    CHECK_EQ(eax, 0x80008000)
    EXPECT_FAULT(VEC_DE, 0, .byte 0xd4, 0)
    CHECK_EQ(eax, 0x80008000)
    /* the same behind a jump that a block follows, and behind an access, with short instructions after it */
    mov ebx, offset zero
    mov eax, 0x80000000
    cdq
    mov ecx, -1
    mov dword ptr [resume_eip], offset behind_jump_end
    mov [resume_esp], esp
    mov dword ptr [trap_vector], -1
    jmp behind_jump
    .skip 40, 0x90
behind_jump:
    mov esi, [ebx]
behind_jump_divides:
    idiv ecx
    .rept 16
    inc esi
    .endr
behind_jump_end:
    push VEC_DE
    push 0
    push offset behind_jump_divides
    push __LINE__
    call check_trap

    /* #BP and #OF are traps, in their short forms and by INT n */
    EXPECT_TRAP(VEC_BP, 0, int3)
    EXPECT_TRAP(VEC_BP, 0, .byte 0xcd, 3)
    mov al, 0x7f
    add al, 1
    EXPECT_TRAP(VEC_OF, 0, into)
    xor eax, eax
    EXPECT_NONE(into)
    EXPECT_TRAP(0x80, 0, int 0x80)
    EXPECT_TRAP(0xff, 0, int 0xff)

    /* #BR */
    mov eax, 9
    EXPECT_NONE(bound eax, [bounds])
    mov eax, 10
    EXPECT_FAULT(VEC_BR, 0, bound eax, [bounds])
    mov eax, -6
    EXPECT_FAULT(VEC_BR, 0, bound eax, [bounds])
    mov eax, -5
    EXPECT_NONE(bound eax, [bounds])

    /* #UD: instructions that are undefined, or undefined with this operand or prefix */
    EXPECT_FAULT(VEC_UD, 0, ud2)
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0xff, 0xc0) /* UD0 */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0xb9, 0xc0) /* UD1 */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x8e, 0xc8)       /* MOV CS, EAX */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x8e, 0xf0)       /* MOV segment register 6 */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x8c, 0xf8)       /* MOV from segment register 7 */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x8d, 0xc0)       /* LEA from a register */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0xb2, 0xc0) /* LSS from a register */
    EXPECT_FAULT(VEC_UD, 0, .byte 0xff, 0xd8)       /* far CALL to a register */
    EXPECT_FAULT(VEC_UD, 0, .byte 0xff, 0xe8)       /* far JMP to a register */
    EXPECT_FAULT(VEC_UD, 0, .byte 0xff, 0xf8)       /* group 5 /7 */
    EXPECT_FAULT(VEC_UD, 0, .byte 0xfe, 0xd0)       /* group 4 /2 */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0x01, 0xe8) /* group 7 /5 */
    EXPECT_FAULT(VEC_UD, 0, .byte 0xf0, 0x90)       /* LOCK NOP */
    EXPECT_FAULT(VEC_UD, 0, .byte 0xf0, 0x01, 0xc0) /* LOCK ADD EAX, EAX */
    EXPECT_FAULT(VEC_UD, 0, .byte 0xf0, 0x03, 0x05; .long zero) /* LOCK ADD EAX, [zero] */
    EXPECT_FAULT(VEC_UD, 0, .byte 0xf0, 0x39, 0x05; .long zero) /* LOCK CMP */
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_UD, 0, .byte 0xf0, 0x89, 0x05; .long zero) /* LOCK MOV */
1:
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0x20, 0xc8) /* MOV EAX, CR1 */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0x22, 0xe8) /* MOV CR5, EAX */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0xc7, 0xc8) /* CMPXCHG8B of a register */
    /* any instruction longer than 15 bytes raises #GP(0) */
    EXPECT_FAULT(VEC_GP, 0, .fill 15, 1, 0x66; nop)
    EXPECT_NONE(.fill 14, 1, 0x66; nop)

    call device_not_available
    call gates
    call frames
    call user
    call double_fault
    ret

/* #NM by TS, EM and MP (SDM 3A table 2-2) */
device_not_available:
    mov ebx, cr0
    and ebx, ~0xe
    mov eax, ebx
    or eax, 8           /* TS */
    mov cr0, eax
    EXPECT_FAULT(VEC_NM, 0, fnop)
    EXPECT_FAULT(VEC_NM, 0, fld1)
    EXPECT_NONE(fwait)
    EXPECT_FAULT(VEC_NM, 0, .byte 0x0f, 0x6f, 0xc0) /* MOVQ MM0, MM0 */
    mov eax, ebx
    or eax, 0xa         /* TS MP */
    mov cr0, eax
    EXPECT_FAULT(VEC_NM, 0, fwait)
    EXPECT_FAULT(VEC_NM, 0, fninit)
    clts
    EXPECT_NONE(fwait)
    EXPECT_NONE(fninit)
    mov eax, ebx
    or eax, 4           /* EM */
    mov cr0, eax
    EXPECT_FAULT(VEC_NM, 0, fld1)
    EXPECT_NONE(fwait)
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0x6f, 0xc0)
    mov cr0, ebx
    EXPECT_NONE(fld1)
    fninit
    ret

/* Gates that must be refused. The error code of a bad gate is vector * 8 + 2, with EXT where no INT n asked for it. */
GATE = 0x90
gates:
    GATE_IDT(GATE, KCODE, offset stub, 0x0e)         /* not present */
    EXPECT_FAULT(VEC_NP, GATE * 8 + 2, int GATE)
    GATE_IDT(GATE, KCODE, offset stub, 0x92)         /* a data segment's type */
    EXPECT_FAULT(VEC_GP, GATE * 8 + 2, int GATE)
    GATE_IDT(GATE, KCODE, offset stub, 0x8c)         /* a call gate */
    EXPECT_FAULT(VEC_GP, GATE * 8 + 2, int GATE)
    GATE_IDT(GATE, 0, offset stub, 0x8e)             /* null code selector */
    EXPECT_FAULT(VEC_GP, 0, int GATE)
    GATE_IDT(GATE, KDATA, offset stub, 0x8e)         /* no code segment */
    EXPECT_FAULT(VEC_GP, KDATA, int GATE)
    GATE_IDT(GATE, GDT_BYTES, offset stub, 0x8e)     /* beyond the GDT */
    EXPECT_FAULT(VEC_GP, GDT_BYTES, int GATE)
    GATE_IDT(GATE, 0xc, offset stub, 0x8e)           /* in the LDT, which does not exist */
    EXPECT_FAULT(VEC_GP, 0xc, int GATE)
    DESCRIPTOR(FREE, 0, 0xfffff, ACC_CODE32 & ~0x80)
    GATE_IDT(GATE, FREE, offset stub, 0x8e)          /* code segment not present */
    EXPECT_FAULT(VEC_NP, FREE, int GATE)
    DESCRIPTOR(FREE, 0, 0xfffff, ACC_CODE32 + DPL3)
    GATE_IDT(GATE, FREE, offset stub, 0x8e)          /* an outer ring's code segment */
    EXPECT_FAULT(VEC_GP, FREE, int GATE)
    DESCRIPTOR(FREE, 0, 0x10, ACC_CODE32_BYTES)
    SKIP_ON_TCG 1f                                  /* checks the offsets of gates, but reports another EIP */
    GATE_IDT(GATE, FREE, offset stub, 0x8e)          /* offset beyond the code segment's limit */
    EXPECT_FAULT(VEC_GP, 0, int GATE)
1:  GATE_IDT(GATE, KDATA, 0, 0x85)                   /* a task gate that names no TSS */
    EXPECT_FAULT(VEC_GP, KDATA, int GATE)
    GATE_IDT(GATE, KTSS, 0, 0x85)                    /* a task gate to a busy TSS */
    EXPECT_FAULT(VEC_GP, KTSS, int GATE)

    /* IDT limit */
    mov word ptr [short_idt], GATE * 8 + 6
    mov dword ptr [short_idt + 2], offset idt
    lidt [short_idt]
    EXPECT_FAULT(VEC_GP, GATE * 8 + 2, int GATE)
    EXPECT_FAULT(VEC_GP, 0xff * 8 + 2, int 0xff)
    EXPECT_TRAP(0x80, 0, int 0x80)
    lidt [idt_pointer]

    /* an exception, not INT n: EXT is set; #UD is benign, so the second one is delivered */
    push dword ptr [idt + VEC_UD * 8 + 4]
    mov byte ptr [idt + VEC_UD * 8 + 5], 0x0e
    SKIP_ON_TCG 1f      /* leaves EXT clear */
    EXPECT_FAULT(VEC_NP, VEC_UD * 8 + 3, ud2)
1:
    EXPECT_FAULT(VEC_NP, VEC_UD * 8 + 2, int VEC_UD)
    pop dword ptr [idt + VEC_UD * 8 + 4]
    EXPECT_FAULT(VEC_UD, 0, ud2)
    ret

/* What interrupt and trap gates do to EFLAGS, and 16-bit gates */
frames:
    HOOK GATE, frame_hook
    GATE_IDT(GATE, KCODE, offset stubs + 16 * GATE, 0x8f)
    push FL_IF + FL_NT + FL_CF + FL_AC
    popfd
    int GATE
    cli
    CHECK_EQ([seen_flags], FL_IF + FL_CF + FL_AC + 2) /* trap gate: NT TF RF VM cleared, IF kept */
    CHECK_EQ([saved_flags], FL_IF + FL_NT + FL_CF + FL_AC + 2)
    pushfd
    pop eax
    CHECK_EQ(eax, FL_NT + FL_CF + FL_AC + 2)
    mov byte ptr [idt + GATE * 8 + 5], 0x8e
    push FL_IF + FL_NT + FL_CF
    popfd
    int GATE
    cli
    CHECK_EQ([seen_flags], FL_CF + 2)                 /* interrupt gate: IF cleared too */
    CHECK_EQ([saved_flags], FL_IF + FL_NT + FL_CF + 2)
    push 2
    popfd
    UNHOOK GATE

    /* a 16-bit interrupt gate pushes words, so the interrupted IP must fit into a word: a segment with a base */
    DESCRIPTOR(FREE, offset gate16_base, 0xffff, ACC_CODE32_BYTES)
    GATE_IDT(GATE, FREE, 0x0, 0x86)
    mov eax, esp
    lcall FREE, offset gate16_user - gate16_base
    CHECK_EQ([seen_bytes], 6)
    CHECK_EQ(esp, eax)
    ret

frame_hook:
    mov eax, [ebp + FRAME_EFLAGS]
    mov [saved_flags], eax
    /* flags at entry: only IF and NT are still what they were, the arithmetic ones have changed since */
    pushfd
    pop eax
    and eax, FL_IF + FL_NT + FL_AC + FL_TF
    mov edx, [ebp + FRAME_EFLAGS]
    and edx, FL_CF
    or eax, edx
    or eax, 2
    mov [seen_flags], eax
    xor eax, eax
    ret

gate16_base: /* EAX: ESP before */
    push eax
    sub eax, esp
    sub eax, 12         /* the far CALL's and this PUSH's */
    mov [seen_bytes], eax
    pop eax
    iretw
gate16_user:
    int GATE
    retf

/* From CPL 3: gates by DPL, privileged instructions */
user:
    EXPECT_USER(user_int80, 0x202, 0x80, 0, user_int80_next)
    CHECK_EQ([trap_cs], UCODE)
    CHECK_EQ([trap_ss], UDATA)
    CHECK_EQ([trap_esp], offset user_stack_top)
    CHECK_EQ([trap_frame_end], offset trap_stack_top - 8)
    EXPECT_USER(user_int81, 0x202, VEC_GP, 0x81 * 8 + 2, user_int81)
    EXPECT_USER(user_int3, 0x202, VEC_BP, 0, user_int3_next)
    EXPECT_USER(user_int3_long, 0x202, VEC_BP, 0, user_int3_long_next)
    and byte ptr [idt + VEC_BP * 8 + 5], ~DPL3
    EXPECT_USER(user_int3, 0x202, VEC_GP, VEC_BP * 8 + 2, user_int3)
    or byte ptr [idt + VEC_BP * 8 + 5], DPL3
    EXPECT_USER(user_into, 0xa02, VEC_OF, 0, user_into_next)
    and byte ptr [idt + VEC_OF * 8 + 5], ~DPL3
    EXPECT_USER(user_into, 0xa02, VEC_GP, VEC_OF * 8 + 2, user_into)
    or byte ptr [idt + VEC_OF * 8 + 5], DPL3
    EXPECT_USER(user_ud2, 0x202, VEC_UD, 0, user_ud2)   /* the gate's DPL does not matter to a true exception */
    EXPECT_USER(user_int6, 0x202, VEC_GP, VEC_UD * 8 + 2, user_int6)

#define PRIVILEGED(label) EXPECT_USER(label, 0x202, VEC_GP, 0, label)
    PRIVILEGED(user_hlt)
    PRIVILEGED(user_cli)
    PRIVILEGED(user_sti)
    PRIVILEGED(user_in)
    PRIVILEGED(user_out)
    PRIVILEGED(user_ins)
    PRIVILEGED(user_read_cr0)
    PRIVILEGED(user_write_cr3)
    PRIVILEGED(user_read_dr7)
    PRIVILEGED(user_lgdt)
    PRIVILEGED(user_lidt)
    PRIVILEGED(user_lldt)
    PRIVILEGED(user_ltr)
    PRIVILEGED(user_lmsw)
    PRIVILEGED(user_clts)
    PRIVILEGED(user_invd)
    PRIVILEGED(user_wbinvd)
    PRIVILEGED(user_invlpg)
    PRIVILEGED(user_rdmsr)
    PRIVILEGED(user_wrmsr)
    PRIVILEGED(user_sysexit)

    /* sensitive instructions that do not trap (Robin & Irvine) must show the guest's state, not the host's */
    RUN_USER(user_sensitive, 0x202)
    CHECK_EQ([trap_vector], 0x80)
    CHECK_EQ([stored_gdtr + 2], offset gdt)
    CHECK_EQ([stored_idtr + 2], offset idt)
    movzx eax, word ptr [stored_gdtr]
    CHECK_EQ(eax, GDT_BYTES - 1)
    movzx eax, word ptr [stored_idtr]
    CHECK_EQ(eax, 256 * 8 - 1)
    movzx eax, word ptr [stored_tr]
    CHECK_EQ(eax, KTSS)
    movzx eax, word ptr [stored_ldtr]
    CHECK_EQ(eax, 0)
    mov eax, cr0
    CHECK_EQ([stored_msw], eax)

    /* #AC: by CR0.AM and EFLAGS.AC at CPL 3 only, and not where misalignment raises #GP */
    mov eax, cr0
    or eax, 1 << 18
    mov cr0, eax
    EXPECT_USER(user_int80, 0x202 + FL_AC, 0x80, 0, user_int80_next)
    RUN_USER(user_unaligned, 0x202)
    CHECK_EQ([trap_vector], 0x80)
    SKIP_ON_TCG 1f
    EXPECT_USER(user_unaligned, 0x202 + FL_AC, VEC_AC, 0, user_unaligned_at)
    EXPECT_USER(user_unaligned16, 0x202 + FL_AC, VEC_AC, 0, user_unaligned16_at)
    EXPECT_USER(user_unaligned_push, 0x202 + FL_AC, VEC_AC, 0, user_unaligned_push_at)
    pushfd
    or dword ptr [esp], FL_AC
    popfd
    EXPECT_NONE(mov eax, [zero + 1]) /* CPL 0 */
    push 2
    popfd
1:  mov eax, cr0
    and eax, ~(1 << 18)
    mov cr0, eax
    ret

user_int80: int 0x80
user_int80_next:
user_int81: int 0x81
user_int3: int3
user_int3_next:
user_int3_long: .byte 0xcd, 3
user_int3_long_next:
user_into: into
user_into_next:
user_ud2: ud2
user_int6: int 6
user_hlt: hlt
user_cli: cli
user_sti: sti
user_in: in al, 0x61
user_out: out 0xe9, al
user_ins: insb
user_read_cr0: mov eax, cr0
user_write_cr3: mov cr3, eax
user_read_dr7: mov eax, dr7
user_lgdt: lgdt [gdt_pointer]
user_lidt: lidt [idt_pointer]
user_lldt: lldt ax
user_ltr: ltr ax
user_lmsw: lmsw ax
user_clts: clts
user_invd: invd
user_wbinvd: wbinvd
user_invlpg: invlpg [zero]
user_rdmsr: rdmsr
user_wrmsr: wrmsr
user_sysexit: sysexit
user_sensitive:
    sgdt [stored_gdtr]
    sidt [stored_idtr]
    str word ptr [stored_tr]
    sldt word ptr [stored_ldtr]
    smsw eax
    mov [stored_msw], eax
    int 0x80
user_unaligned:
    mov eax, offset zero
user_unaligned_at:
    mov ebx, [eax + 1]
    int 0x80
user_unaligned16:
    mov eax, offset zero
    mov bl, [eax + 1]
    mov bx, [eax + 2]
user_unaligned16_at:
    mov bx, [eax + 3]
    int 0x80
user_unaligned_push:
    dec esp
user_unaligned_push_at:
    push eax
    int 0x80

/* Double faults: one contributory exception after another; through an interrupt gate, then through a task gate */
double_fault:
    push dword ptr [idt + VEC_DE * 8 + 4]
    mov byte ptr [idt + VEC_DE * 8 + 5], 0x0e     /* not present */
    xor ecx, ecx
    EXPECT_FAULT(VEC_DF, 0, div ecx)

    ALT_TASK df_task
    push dword ptr [idt + VEC_DF * 8]
    push dword ptr [idt + VEC_DF * 8 + 4]
    GATE_IDT(VEC_DF, ALTTSS, 0, 0x85)
    mov ebx, 0x1234
    mov eax, esp
df_here:
    div ecx
df_next:
    CHECK_EQ([df_seen], 1)
    CHECK_EQ(ebx, 0x1234)
    CHECK_EQ(esp, eax)
    CHECK_EQ([df_error], 0)
    CHECK_EQ([df_esp], offset stack_top - 8192 - 4)
    CHECK_EQ([df_eip], offset df_here)
    CHECK_EQ([df_link], KTSS)
    pushfd
    pop eax
    and eax, FL_NT
    CHECK_EQ(eax, 0)
    pop dword ptr [idt + VEC_DF * 8 + 4]
    pop dword ptr [idt + VEC_DF * 8]
    pop dword ptr [idt + VEC_DE * 8 + 4]
    EXPECT_FAULT(VEC_DE, 0, div ecx)
    ret

df_task:
    inc dword ptr [df_seen]
    mov [df_esp], esp
    pop dword ptr [df_error]
    mov eax, [tss + TSS_EIP]
    mov [df_eip], eax
    movzx eax, word ptr [alt_tss + TSS_LINK]
    mov [df_link], eax
    mov dword ptr [tss + TSS_EIP], offset df_next
    iretd

stub:
    ud2

    .data
    .balign 4
bounds: .long -5, 9
zero: .long 0, 0
    .bss
    .balign 4
seen_flags: .skip 4
saved_flags: .skip 4
seen_bytes: .skip 4
short_idt: .skip 8
stored_gdtr: .skip 8
stored_idtr: .skip 8
stored_tr: .skip 4
stored_ldtr: .skip 4
stored_msw: .skip 4
df_seen: .skip 4
df_esp: .skip 4
df_error: .skip 4
df_eip: .skip 4
df_link: .skip 4
