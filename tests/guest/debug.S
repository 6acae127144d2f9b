/*
 * Hazard: single-step traps and breakpoints that come too early, too late, twice or never. gdb in the guest, kprobes and perf
 * depend on them. Translated code must raise them at each instruction too. SDM 3B 17.2-17.3, 3A 6.8.3.
 */
#include "guest.inc"
GUEST(debug)

DR6_MASK = 0xe00f      /* B0-B3 BD BS BT; the other bits are fixed or newer than these tests */

guest_main:
    mov eax, dr6
    CHECK_EQ(eax, 0xffff0ff0)
    mov eax, dr7
    CHECK_EQ(eax, 0x400)
    HOOK VEC_DB, on_debug
    call single_step
    call code_breakpoints
    call data_breakpoints
    call io_breakpoints
    call access_rules
    call shadows
    UNHOOK VEC_DB
    SKIP_ON_TCG 1f
    EXPECT_TRAP(VEC_DB, 0, .byte 0xf1)      /* ICEBP: a trap that leaves DR6 unchanged */
1:
    mov eax, dr6
    and eax, DR6_MASK
    CHECK_EQ(eax, 0)
    EXPECT_TRAP(VEC_DB, 0, int 1)
    ret

/* Counts, logs EIP and DR6, clears DR6 (the CPU never does), and sets RF so that a code breakpoint does not come again. */
on_debug:
    mov eax, [hits]
    cmp eax, 32
    jae 1f
    mov ecx, [ebp + FRAME_EIP]
    mov [hit_eip + eax * 4], ecx
    mov ecx, dr6
    and ecx, DR6_MASK
    mov [hit_dr6 + eax * 4], ecx
    mov ecx, [ebp + FRAME_ECX]
    mov [hit_ecx + eax * 4], ecx
1:  inc dword ptr [hits]
    mov eax, [ebp + FRAME_EFLAGS]
    mov [hit_eflags], eax
    xor eax, eax
    mov dr6, eax
    or dword ptr [ebp + FRAME_EFLAGS], FL_RF
    ret

clear_hits:
    mov dword ptr [hits], 0
    push eax
    xor eax, eax
    mov dr6, eax
    pop eax
    ret

.macro SET_TF
    pushfd
    or dword ptr [esp], FL_TF
    popfd
.endm
.macro CLEAR_TF
    pushfd
    and dword ptr [esp], ~FL_TF
    popfd
.endm

single_step:
    call clear_hits
    SET_TF              /* TF was clear at the start of POPFD: no trap after it */
step_1: nop
step_2: inc ebx
step_3: CLEAR_TF        /* three instructions, of which the last one still traps */
step_4:
    CHECK_EQ([hits], 5)
    CHECK_EQ([hit_eip], offset step_2)
    CHECK_EQ([hit_eip + 4], offset step_3)
    CHECK_EQ([hit_eip + 16], offset step_4)
    CHECK_EQ([hit_dr6], 0x4000)
    CHECK_EQ([hit_dr6 + 16], 0x4000)
    /* PUSHFD shows TF while it is on */
    call clear_hits
    SET_TF
    pushfd
    pop eax
    CLEAR_TF
    and eax, FL_TF
    CHECK_EQ(eax, FL_TF)
    CHECK_EQ([hits], 5)
    /* branches */
    call clear_hits
    SET_TF
    jmp 1f
    nop
1:  call step_function
    xor eax, eax
    jnz 1b
    CLEAR_TF
    CHECK_EQ([hits], 8)
    CHECK_EQ([hit_eip + 4], offset step_function)
    /* each iteration of a repeated string instruction */
    call clear_hits
    mov ecx, 5
    mov edi, offset buffer
    mov al, 0x5a
    SET_TF
step_rep: rep stosb
step_rep_next:
    CLEAR_TF
    CHECK_EQ([hits], 5 + 3)
    CHECK_EQ([hit_eip], offset step_rep)
    CHECK_EQ([hit_ecx], 4)
    CHECK_EQ([hit_eip + 12], offset step_rep)
    CHECK_EQ([hit_eip + 16], offset step_rep_next)
    CHECK_EQ([hit_ecx + 16], 0)
    /* INT n: the handler runs unstepped, and no trap comes between INT and handler */
    HOOK 0x81, empty_hook
    call clear_hits
    SET_TF
    int 0x81
    nop
step_after_int:
    CLEAR_TF
    CHECK_EQ([hits], 4)
    CHECK_EQ([hit_eip], offset step_after_int)
    UNHOOK 0x81
    /* a faulting instruction does not trap: the fault comes first, and the step after the restart */
    HOOK VEC_DE, fix_divide
    call clear_hits
    xor ecx, ecx
    mov eax, 6
    cdq
    SET_TF
    div ecx
step_after_div:
    CLEAR_TF
    CHECK_EQ([hits], 4)
    CHECK_EQ([hit_eip], offset step_after_div)
    CHECK_EQ(eax, 3)
    SKIP_ON_TCG 1f
    mov eax, [fault_eflags]
    and eax, FL_RF + FL_TF
    CHECK_EQ(eax, FL_RF + FL_TF)            /* RF: the restarted instruction must not hit its breakpoint again */
1:  UNHOOK VEC_DE
    /* IRET that sets TF: one instruction of the target runs first */
    call clear_hits
    pushfd
    or dword ptr [esp], FL_TF
    push cs
    push offset iret_target
    iretd
iret_target: nop
iret_target_2:
    CLEAR_TF
    CHECK_EQ([hits], 4)
    CHECK_EQ([hit_eip], offset iret_target_2)
    /* user code */
    call clear_hits
    EXPECT_USER(user_steps, 0x302, 0x80, 0, user_steps_end)
    CHECK_EQ([hits], 2)
    CHECK_EQ([hit_eip + 4], offset user_steps_int)
    mov eax, [trap_eflags]
    and eax, FL_TF
    CHECK_EQ(eax, FL_TF)
    /* a hot loop, stepped: the count is exact */
    call clear_hits
    mov ecx, 1000
    xor eax, eax
    SET_TF
1:  add eax, ecx
    dec ecx
    jnz 1b
    CLEAR_TF
    CHECK_EQ([hits], 3003)
    CHECK_EQ(eax, 500500)
    ret
step_function: ret
empty_hook:
    xor eax, eax
    ret
fix_divide:
    mov dword ptr [ebp + FRAME_ECX], 2
    mov eax, [ebp + FRAME_EFLAGS]
    mov [fault_eflags], eax
    xor eax, eax
    ret
user_steps: nop
    nop
user_steps_int: int 0x80
user_steps_end:

/* DR7: L0/G0 in bits 0-1, R/W0 in 16-17, LEN0 in 18-19; four bits further for each */
code_breakpoints:
    /* the block is hot before the breakpoint is set */
    mov ecx, 1000
1:  call watched
    loop 1b
    call clear_hits
    mov eax, offset watched_at
    mov dr0, eax
    mov eax, 0x401
    mov dr7, eax
    mov ecx, 3
    xor ebx, ebx
1:  call watched
    loop 1b
    xor eax, eax
    mov dr7, eax
    call watched
    CHECK_EQ([hits], 3)
    CHECK_EQ(ebx, 8)                        /* each pass executed it once */
    CHECK_EQ([hit_eip], offset watched_at)  /* a fault: before the instruction */
    CHECK_EQ([hit_eip + 8], offset watched_at)
    CHECK_EQ([hit_dr6], 1)
    mov eax, [hit_eflags]
    and eax, FL_RF
    CHECK_EQ(eax, 0)                        /* the frames of all other faults have RF; this handler sets it */
    /* DR3, global; only the first byte of an instruction counts */
    call clear_hits
    mov eax, offset watched_at
    mov dr3, eax
    xor eax, eax
    mov dr0, eax                            /* a match that is not enabled might set B0 */
    mov eax, offset watched_at + 1
    mov dr1, eax
    mov eax, 0x400 + 0x80 + 0x04
    mov dr7, eax
    call watched
    xor eax, eax
    mov dr7, eax
    CHECK_EQ([hits], 1)
    CHECK_EQ([hit_dr6], 8)
    /* on a REP instruction: once */
    SKIP_ON_TCG 1f
    call clear_hits
    mov eax, offset watched_rep
    mov dr0, eax
    mov eax, 0x401
    mov dr7, eax
    mov ecx, 8
    mov edi, offset buffer
watched_rep:
    rep stosb
    xor eax, eax
    mov dr7, eax
    CHECK_EQ([hits], 1)
    CHECK_EQ(ecx, 0)
    /* at CPL 3 */
1:  call clear_hits
    mov eax, offset user_steps + 1
    mov dr0, eax
    mov eax, 0x401
    mov dr7, eax
    EXPECT_USER(user_steps, 0x202, 0x80, 0, user_steps_end)
    CHECK_EQ([hits], 1)
    CHECK_EQ([hit_dr6], 1)
    xor eax, eax
    mov dr7, eax
    ret
watched:
    inc ebx
watched_at:
    add ebx, 1
    ret

.macro WATCH length_and_type
    mov eax, 0x401 + (\length_and_type << 16)
    mov dr7, eax
.endm
W1 = 1
W2 = 5
W4 = 13
RW4 = 15
data_breakpoints:
    mov eax, offset buffer + 8
    mov dr0, eax
    call clear_hits
    WATCH W4
    mov [buffer + 8], eax
data_1:
    mov ecx, [buffer + 8]       /* a read is no hit */
    mov [buffer + 4], eax       /* beside it */
    mov [buffer + 12], al
    mov byte ptr [buffer + 11], 7
data_2:
    mov [buffer + 6], eax       /* overlapping */
data_3:
    inc dword ptr [buffer + 8]
data_4:
    xor eax, eax
    mov dr7, eax
    mov [buffer + 8], eax
    CHECK_EQ([hits], 4)
    CHECK_EQ([hit_eip], offset data_1)
    CHECK_EQ([hit_eip + 4], offset data_2)
    CHECK_EQ([hit_eip + 8], offset data_3)
    CHECK_EQ([hit_eip + 12], offset data_4)
    CHECK_EQ([hit_dr6], 1)
    /* reads and writes */
    call clear_hits
    WATCH RW4
    mov ecx, [buffer + 8]
data_5:
    mov [buffer + 8], ecx
    cmp byte ptr [buffer + 10], 0
    push dword ptr [buffer + 8]
    pop dword ptr [buffer + 8]
    xor eax, eax
    mov dr7, eax
    CHECK_EQ([hits], 5)
    CHECK_EQ([hit_eip], offset data_5)
    /* a byte; the enclosing dword access hits it */
    call clear_hits
    mov eax, offset buffer + 9
    mov dr0, eax
    WATCH W1
    mov byte ptr [buffer + 8], 1
    mov byte ptr [buffer + 10], 1
    mov [buffer + 8], eax
    mov word ptr [buffer + 8], ax
    xor eax, eax
    mov dr7, eax
    CHECK_EQ([hits], 2)
    /* the stack */
    call clear_hits
    lea eax, [esp - 4]
    mov dr0, eax
    WATCH W4
    push ebx
data_6:
    xor eax, eax
    mov dr7, eax
    pop ebx
    CHECK_EQ([hits], 1)
    CHECK_EQ([hit_eip], offset data_6)
    /* in the middle of REP STOSB, after that iteration */
    SKIP_ON_TCG 1f
    call clear_hits
    mov eax, offset buffer + 4
    mov dr0, eax
    WATCH W1
    mov ecx, 16
    mov edi, offset buffer
data_rep:
    rep stosb
    xor eax, eax
    mov dr7, eax
    CHECK_EQ([hits], 1)
    CHECK_EQ([hit_eip], offset data_rep)
    CHECK_EQ([hit_ecx], 11)
    CHECK_EQ(ecx, 0)
1:  /* a hot loop that starts to hit when the breakpoint is enabled */
    mov eax, offset buffer + 8
    mov dr0, eax
    call clear_hits
    mov ecx, 2000
1:  mov [buffer + 8], ecx
    cmp ecx, 10
    jne 2f
    WATCH W4
2:  dec ecx
    jnz 1b
    xor eax, eax
    mov dr7, eax
    CHECK_EQ([hits], 9)
    ret

io_breakpoints:
    mov eax, cr4
    or eax, 8               /* DE */
    mov cr4, eax
    call clear_hits
    mov eax, 0x61
    mov dr1, eax
    mov eax, 0x404 + (2 << 20)
    mov dr7, eax
    in al, 0x61
io_1:
    in al, 0x60 + 2
    mov edx, 0x61
    in al, dx
    xor eax, eax
    mov dr7, eax
    CHECK_EQ([hits], 2)
    CHECK_EQ([hit_eip], offset io_1)
    CHECK_EQ([hit_dr6], 2)
    mov eax, cr4
    and eax, ~8
    mov cr4, eax
    ret

access_rules:
    /* DR4 and DR5 are DR6 and DR7, unless CR4.DE */
    UNHOOK VEC_DB
    .byte 0x0f, 0x21, 0xe8      /* MOV EAX, DR5 */
    CHECK_EQ(eax, 0x400)
    mov eax, cr4
    or eax, 8
    mov cr4, eax
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0x21, 0xe8)
    EXPECT_FAULT(VEC_UD, 0, .byte 0x0f, 0x23, 0xe0)
    mov eax, cr4
    and eax, ~8
    mov cr4, eax
    SKIP_ON_TCG 1f
    /* GD: any access to a debug register faults with BD; the handler has GD clear */
    mov eax, 0x2400
    mov dr7, eax
    EXPECT_FAULT(VEC_DB, 0, mov eax, dr0)
    mov eax, dr6
    and eax, DR6_MASK
    CHECK_EQ(eax, 0x2000)
    mov eax, dr7
    CHECK_EQ(eax, 0x400)
1:  xor eax, eax
    mov dr6, eax
    HOOK VEC_DB, on_debug
    ret

/* MOV SS and POP SS hold #DB off for one instruction (SDM 3A 6.8.3) */
shadows:
    SKIP_ON_TCG 1f
    call clear_hits
    mov edx, ss
    SET_TF
    mov ss, edx
    nop
shadow_1:
    CLEAR_TF
    CHECK_EQ([hits], 4)
    CHECK_EQ([hit_eip], offset shadow_1)
1:  ret

    .bss
    .balign 16
buffer: .skip 64
hits: .skip 4
hit_eflags: .skip 4
fault_eflags: .skip 4
hit_eip: .skip 128
hit_dr6: .skip 128
hit_ecx: .skip 128
