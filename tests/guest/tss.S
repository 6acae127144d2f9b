/*
 * Hazard: hardware task switches. Linux uses one for double faults; kernels of the time of OS/2 and hobby kernels use them for
 * everything. A wrong busy bit or NT flag raises #TS many switches later. SDM 3A 7.2, 7.3; 1 19.5.2 for the I/O bitmap.
 */
#include "guest.inc"
GUEST(tss)

TGATE = FREE
BADTSS = FREE + 8
TSS16 = FREE + 0x10

/* The expected busy bits of both descriptors: bit 0 KTSS, bit 1 ALTTSS */
.macro CHECK_BUSY mask
    movzx eax, byte ptr [gdt + KTSS + 5]
    shr eax, 1
    and eax, 1
    movzx edx, byte ptr [gdt + ALTTSS + 5]
    and edx, 2
    or eax, edx
    CHECK_EQ(eax, \mask)
.endm

.macro NEW_TASK entry
    call clean_task
    mov dword ptr [alt_tss + TSS_EIP], offset \entry
.endm

guest_main:
    CHECK_BUSY 1
    call by_call
    call by_jump
    call by_gate
    call refused
    call broken
    call trap_bit
    call user_task
    call task16
    call io_bitmap
    ret

clean_task:
    push edi
    push ecx
    push eax
    mov edi, offset alt_tss
    mov ecx, TSS_BYTES / 4
    xor eax, eax
    rep stosd
    mov word ptr [alt_tss + TSS_IOMAP], TSS_BYTES
    mov dword ptr [alt_tss + TSS_ESP], offset task_stack_top
    mov dword ptr [alt_tss + TSS_EFLAGS], 2
    mov dword ptr [alt_tss + TSS_CS], KCODE
    mov dword ptr [alt_tss + TSS_SS], KDATA
    mov dword ptr [alt_tss + TSS_DS], KDATA
    mov dword ptr [alt_tss + TSS_ES], KDATA
    and byte ptr [gdt + ALTTSS + 5], ~2
    pop eax
    pop ecx
    pop edi
    ret

by_call:
    NEW_TASK task_called
    mov dword ptr [alt_tss + TSS_EAX], 0xaaaa0001
    mov dword ptr [alt_tss + TSS_ECX], 0xaaaa0002
    mov dword ptr [alt_tss + TSS_EDX], 0xaaaa0003
    mov dword ptr [alt_tss + TSS_EBX], 0xaaaa0004
    mov dword ptr [alt_tss + TSS_EBP], 0xaaaa0005
    mov dword ptr [alt_tss + TSS_ESI], 0xaaaa0006
    mov dword ptr [alt_tss + TSS_EDI], 0xaaaa0007
    mov dword ptr [alt_tss + TSS_FS], UDATA
    mov dword ptr [alt_tss + TSS_EFLAGS], FL_CF + FL_SF + FL_OF + 2
    clts
    mov ebx, 0x1111
    mov ecx, 0x2222
    mov ebp, 0x3333
    mov eax, 0x4444
    mov edx, esp
    stc
    lcall ALTTSS, 0x12345678            /* the offset is ignored */
by_call_back:
    setc [seen_carry]
    CHECK_EQ(ebx, 0x1111)
    CHECK_EQ(ecx, 0x2222)
    CHECK_EQ(ebp, 0x3333)
    CHECK_EQ(eax, 0x4444)
    sub edx, esp
    CHECK_EQ(edx, 0)
    SKIP_ON_TCG 1f                      /* saves stale flags */
    CHECK_EQ([seen_carry], 1)           /* flags are the task's own */
1:
    CHECK_EQ([seen_link], KTSS)
    CHECK_EQ([seen_tr], ALTTSS)
    CHECK_EQ([seen_flags], FL_NT + FL_CF + FL_SF + FL_OF + 2)
    CHECK_EQ([seen_fs], UDATA)
    CHECK_EQ([seen_regs + 28], 0xaaaa0001)
    CHECK_EQ([seen_regs + 24], 0xaaaa0002)
    CHECK_EQ([seen_regs + 20], 0xaaaa0003)
    CHECK_EQ([seen_regs + 16], 0xaaaa0004)
    CHECK_EQ([seen_regs + 8], 0xaaaa0005)
    CHECK_EQ([seen_regs + 4], 0xaaaa0006)
    CHECK_EQ([seen_regs + 0], 0xaaaa0007)
    CHECK_EQ([seen_busy], 3)            /* the caller stays busy */
    CHECK_EQ([seen_ts], 8)              /* CR0.TS is set by every switch */
    CHECK_EQ([tss + TSS_EIP], offset by_call_back)
    CHECK_EQ([tss + TSS_EBX], 0x1111)
    CHECK_EQ([alt_tss + TSS_EIP], offset task_called_next)
    CHECK_BUSY 1
    str eax
    CHECK_EQ(eax, KTSS)
    pushfd
    pop eax
    and eax, FL_NT
    CHECK_EQ(eax, 0)
    mov eax, [alt_tss + TSS_EFLAGS]
    and eax, FL_NT
    CHECK_EQ(eax, 0)                    /* IRET clears NT in the image of the task it leaves */
    /* again: the task continues behind its IRET */
    mov dword ptr [seen_link], 0
    lcall ALTTSS, 0
    CHECK_EQ([seen_link], KTSS + 0x10000)
    clts
    ret

task_called:
    mov [seen_regs + 28], eax
    mov [seen_regs + 24], ecx
    mov [seen_regs + 20], edx
    mov [seen_regs + 16], ebx
    mov [seen_regs + 8], ebp
    mov [seen_regs + 4], esi
    mov [seen_regs + 0], edi
    pushfd
    pop dword ptr [seen_flags]
    mov eax, fs
    mov [seen_fs], eax
    movzx eax, word ptr [alt_tss + TSS_LINK]
    mov [seen_link], eax
    str eax
    mov [seen_tr], eax
    movzx eax, byte ptr [gdt + KTSS + 5]
    shr eax, 1
    and eax, 1
    movzx edx, byte ptr [gdt + ALTTSS + 5]
    and edx, 2
    or eax, edx
    mov [seen_busy], eax
    mov eax, cr0
    and eax, 8
    mov [seen_ts], eax
    iretd
task_called_next:
    movzx eax, word ptr [alt_tss + TSS_LINK]
    add eax, 0x10000
    mov [seen_link], eax
    iretd

by_jump:
    NEW_TASK task_jumped
    mov word ptr [alt_tss + TSS_LINK], 0x5555
    ljmp ALTTSS, 0
by_jump_back:
    CHECK_EQ([tss + TSS_EIP], offset by_jump_back)
    CHECK_EQ([seen_busy], 2)            /* the one left is free */
    CHECK_EQ([seen_flags], 2)           /* NT untouched */
    movzx eax, word ptr [alt_tss + TSS_LINK]
    CHECK_EQ(eax, 0x5555)               /* and so is the link */
    CHECK_BUSY 1
    clts
    ret
task_jumped:
    pushfd
    pop dword ptr [seen_flags]
    movzx eax, byte ptr [gdt + KTSS + 5]
    shr eax, 1
    and eax, 1
    movzx edx, byte ptr [gdt + ALTTSS + 5]
    and edx, 2
    or eax, edx
    mov [seen_busy], eax
    ljmp KTSS, 0
    ud2

by_gate:
    GATE_GDT(TGATE, ALTTSS, 0, 0xe5, 0)
    NEW_TASK task_called
    mov dword ptr [seen_link], 0
    lcall TGATE, 0
    CHECK_EQ([seen_link], KTSS)
    NEW_TASK task_jumped
    ljmp TGATE, 0
    CHECK_EQ([seen_busy], 2)
    /* as an interrupt handler, from CPL 3 */
    NEW_TASK task_called
    GATE_IDT(0x90, ALTTSS, 0, 0xe5)
    mov dword ptr [seen_link], 0
    EXPECT_USER(user_int90, 0x202, 0x80, 0, user_int90_done)
    CHECK_EQ([seen_link], KTSS)
    CHECK_EQ([tss + TSS_CS], UCODE)
    CHECK_EQ([tss + TSS_EIP], offset user_int90 + 2)
    /* by a far CALL from CPL 3: the gate's DPL counts, not the TSS's */
    NEW_TASK task_called
    mov dword ptr [seen_link], 0
    EXPECT_USER(user_call_gate, 0x202, 0x80, 0, user_call_gate_done)
    CHECK_EQ([seen_link], KTSS)
    EXPECT_USER(user_call_tss, 0x202, VEC_GP, ALTTSS, user_call_tss)
    clts
    ret
user_int90: int 0x90
    int 0x80
user_int90_done:
user_call_gate: lcall TGATE, 0
    int 0x80
user_call_gate_done:
user_call_tss: lcall ALTTSS, 0

/* Refused in the old task */
refused:
    NEW_TASK task_jumped
    EXPECT_FAULT(VEC_GP, KTSS, ljmp KTSS, 0)            /* busy */
    EXPECT_FAULT(VEC_GP, KTSS, lcall KTSS, 0)
    DESCRIPTOR(BADTSS, offset alt_tss, TSS_BYTES - 1, ACC_TSS32 & ~0x80)
    EXPECT_FAULT(VEC_NP, BADTSS, ljmp BADTSS, 0)
    DESCRIPTOR(BADTSS, offset alt_tss, TSS_BYTES - 2, ACC_TSS32)
    EXPECT_FAULT(VEC_TS, BADTSS, ljmp BADTSS, 0)        /* too short */
    GATE_GDT(TGATE, KDATA, 0, 0x85, 0)
    EXPECT_FAULT(VEC_GP, KDATA, ljmp TGATE, 0)
    GATE_GDT(TGATE, ALTTSS + 4, 0, 0x85, 0)             /* in the LDT */
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_GP, ALTTSS + 4, ljmp TGATE, 0)
1:
    GATE_GDT(TGATE, ALTTSS, 0, 0x05, 0)
    EXPECT_FAULT(VEC_NP, TGATE, lcall TGATE, 0)
    /* IRET with NT: the link must be a busy TSS */
    mov word ptr [tss + TSS_LINK], ALTTSS
    pushfd
    or dword ptr [esp], FL_NT
    popfd
    EXPECT_FAULT(VEC_TS, ALTTSS, iretd)
    mov word ptr [tss + TSS_LINK], KDATA
    pushfd
    or dword ptr [esp], FL_NT
    popfd
    EXPECT_FAULT(VEC_TS, KDATA, iretd)
    pushfd
    and dword ptr [esp], ~FL_NT
    popfd
    CHECK_BUSY 1
    ret

/* A bad data segment is refused after the new task's state has been loaded: the fault belongs to the new task, at its first
 * instruction. (LDT and SS are not tested, because without them there is no stack for the handler.) */
broken:
    mov [resume_esp], esp
    NEW_TASK task_first
    mov dword ptr [alt_tss + TSS_DS], KTSS
    mov dword ptr [resume_eip], offset 1f
    ljmp ALTTSS, 0
    jmp 2f
1:  CHECK_EQ([trap_vector], VEC_TS)
    CHECK_EQ([trap_error], KTSS)
    SKIP_ON_TCG 3f                      /* still has the old task's value */
    CHECK_EQ([trap_eip], offset task_first)
3:  str eax
    CHECK_EQ(eax, ALTTSS)
    CHECK_BUSY 2
    ljmp KTSS, 0
2:
    NEW_TASK task_first
    DESCRIPTOR(BADTSS, 0, 0xfffff, ACC_DATA32 & ~0x80)
    mov dword ptr [alt_tss + TSS_GS], BADTSS
    mov dword ptr [resume_eip], offset 1f
    mov dword ptr [trap_vector], -1
    ljmp ALTTSS, 0
    jmp 2f
1:  CHECK_EQ([trap_vector], VEC_NP)
    CHECK_EQ([trap_error], BADTSS)
    ljmp KTSS, 0
2:  clts
    CHECK_BUSY 1
    ret
task_first:
    ud2

/* T of the TSS: #DB with DR6.BT before the task's first instruction */
trap_bit:
    NEW_TASK task_traced
    mov byte ptr [alt_tss + TSS_TRAP], 1
    HOOK VEC_DB, traced
    xor eax, eax
    mov dr6, eax
    mov [seen_eip], eax
    mov [traced_ran], eax
    ljmp ALTTSS, 0
    UNHOOK VEC_DB
    SKIP_ON_TCG 1f
    CHECK_EQ([seen_eip], offset task_traced)
    mov eax, [seen_dr6]
    and eax, 0xe00f
    CHECK_EQ(eax, 0x8000)
1:  CHECK_EQ([traced_ran], 1)
    clts
    ret
task_traced:
    inc dword ptr [traced_ran]
    mov byte ptr [alt_tss + TSS_TRAP], 0
    ljmp KTSS, 0
traced:
    mov eax, [ebp + FRAME_EIP]
    mov [seen_eip], eax
    mov eax, dr6
    mov [seen_dr6], eax
    xor eax, eax
    ret

/* A task at CPL 3: its own inner stack, and a return by an interrupt that nests no task */
user_task:
    NEW_TASK user_task_code
    mov dword ptr [alt_tss + TSS_CS], UCODE
    mov dword ptr [alt_tss + TSS_SS], UDATA
    mov dword ptr [alt_tss + TSS_DS], UDATA
    mov dword ptr [alt_tss + TSS_ES], UDATA
    mov dword ptr [alt_tss + TSS_ESP], offset user_stack_top
    mov dword ptr [alt_tss + TSS_ESP0], offset task_stack_top
    mov dword ptr [alt_tss + TSS_SS0], KDATA
    mov dword ptr [resume_eip], offset 1f
    mov [resume_esp], esp
    mov dword ptr [trap_vector], -1
    lcall ALTTSS, 0
    jmp 2f
1:  CHECK_EQ([trap_vector], 0x80)
    CHECK_EQ([trap_cs], UCODE)
    CHECK_EQ([trap_frame_end], offset task_stack_top - 8)
    CHECK_EQ(ebx, 0x1234)
    pushfd                              /* the interrupt cleared NT; the saved flags have it */
    or dword ptr [esp], FL_NT
    popfd
    mov eax, [trap_eflags]
    and eax, FL_NT
    CHECK_EQ(eax, FL_NT)
    iretd
2:  CHECK_BUSY 1
    clts
    ret
user_task_code:
    mov ebx, 0x1234
    int 0x80

/* A 16-bit TSS (80286): registers are words. High halves are undefined, and only low halves are compared */
task16:
    DESCRIPTOR(TSS16, offset tss16, 43, ACC_TSS16)
    DESCRIPTOR(FREE + 0x18, offset task16_base, 0xffff, ACC_CODE32_BYTES)
    mov word ptr [tss16 + 14], 0        /* IP */
    mov word ptr [tss16 + 16], FL_CF + 2
    mov word ptr [tss16 + 18], 0x1234   /* AX */
    mov word ptr [tss16 + 26], 0x200    /* SP */
    mov word ptr [tss16 + 34], KDATA    /* ES CS SS DS */
    mov word ptr [tss16 + 36], FREE + 0x18
    mov word ptr [tss16 + 38], DATA16
    mov word ptr [tss16 + 40], KDATA
    lcall TSS16, 0
    movzx eax, word ptr [seen_regs]
    CHECK_EQ(eax, 0x1234)
    CHECK_EQ([seen_link], KTSS)
    mov eax, [seen_flags]
    and eax, FL_NT + FL_CF
    CHECK_EQ(eax, FL_NT + FL_CF)
    CHECK_BUSY 1
    clts
    ret
task16_base:
    mov [seen_regs], eax
    pushfd
    pop eax
    mov [seen_flags], eax
    movzx eax, word ptr [tss16]
    mov [seen_link], eax
    iretd

/* The I/O permission bitmap */
io_bitmap:
    DESCRIPTOR(KTSS, offset tss, TSS_BYTES + 64, ACC_TSS32)     /* ports 0-1FFh, and the byte of ones */
    mov eax, KTSS
    ltr ax
    mov edi, offset tss + TSS_BYTES
    mov ecx, 65
    mov al, 0xff
    rep stosb
    and byte ptr [tss + TSS_BYTES + 0x61 / 8], ~(1 << 1)        /* 61h */
    and byte ptr [tss + TSS_BYTES + 0x80 / 8], ~0x80            /* 87h */
    and byte ptr [tss + TSS_BYTES + 0x88 / 8], ~0x01            /* 88h */
    mov edx, 0x61
    EXPECT_USER(user_in8, 0x202, 0x80, 0, user_in8_done)
    EXPECT_USER(user_in16, 0x202, VEC_GP, 0, user_in16)
    EXPECT_USER(user_in32, 0x202, VEC_GP, 0, user_in32)
    EXPECT_USER(user_out8, 0x202, 0x80, 0, user_out8_done)
    mov edx, 0x60
    EXPECT_USER(user_in8, 0x202, VEC_GP, 0, user_in8)
    EXPECT_USER(user_in16, 0x202, VEC_GP, 0, user_in16)
    mov edx, 0x87
    EXPECT_USER(user_in16, 0x202, 0x80, 0, user_in16_done)      /* over a byte of the map */
    EXPECT_USER(user_in32, 0x202, VEC_GP, 0, user_in32)
    mov edx, 0x1000                                             /* beyond the map */
    EXPECT_USER(user_in8, 0x202, VEC_GP, 0, user_in8)
    EXPECT_USER(user_in8, 0x3202, 0x80, 0, user_in8_done)       /* IOPL 3: no map asked */
    mov edx, 0x61
    EXPECT_USER(user_insb, 0x202, 0x80, 0, user_insb_done)
    mov word ptr [tss + TSS_IOMAP], TSS_BYTES + 65              /* the map's base is beyond the limit: no port is allowed */
    EXPECT_USER(user_in8, 0x202, VEC_GP, 0, user_in8)
    ret
user_in8: in al, dx
    int 0x80
user_in8_done:
user_in16: in ax, dx
    int 0x80
user_in16_done:
user_in32: in eax, dx
    int 0x80
user_out8: out dx, al
    int 0x80
user_out8_done:
user_insb:
    mov edi, offset user_stack
    insb
    int 0x80
user_insb_done:

    .bss
    .balign 16
    .skip 4096
task_stack_top:
tss16: .skip 44
seen_regs: .skip 32
seen_flags: .skip 4
seen_fs: .skip 4
seen_carry: .skip 4
seen_link: .skip 4
seen_tr: .skip 4
seen_busy: .skip 4
seen_ts: .skip 4
seen_eip: .skip 4
seen_dr6: .skip 4
traced_ran: .skip 4
