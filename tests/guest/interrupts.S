/*
 * Hazard: an interrupt lost, taken where it must not be, or noticed too late. A lost wakeup between STI and HLT hangs
 * the idle loop; an unnoticed one in a chained loop of one block hangs the machine; one taken in an STI or MOV SS
 * shadow breaks the stack. SDM 3A 6.8; 2B STI; 8259A and 8254 datasheets.
 */
#include "guest.inc"
GUEST(interrupts)

IRQ0 = 0x20

guest_main:
    HOOK IRQ0, on_tick
    mov al, 0xfe                /* IRQ 0 only */
    out 0x21, al
    mov al, 0x34                /* counter 0, rate generator, about 10 kHz */
    out 0x43, al
    mov al, 119
    out 0x40, al
    mov al, 0
    out 0x40, al

    call tight_loops
    call long_strings
    call from_user
    call shadows
    call wakeups
    call controller
    ret

/* Counts; after [stop_after] ticks sends the interrupted code to [stop_eip] */
on_tick:
    inc dword ptr [ticks]
    mov eax, [ebp + FRAME_EIP]
    mov [tick_eip], eax
    mov eax, [ebp + FRAME_ECX]
    mov [tick_ecx], eax
    mov eax, [ebp + FRAME_CS]
    mov [tick_cs], eax
    mov ecx, [hook_extra]
    test ecx, ecx
    jz 1f
    call ecx
1:  dec dword ptr [stop_after]
    jnz 2f
    mov eax, [stop_eip]
    mov [ebp + FRAME_EIP], eax
    and dword ptr [ebp + FRAME_EFLAGS], ~FL_IF  /* no late tick may come in between */
2:  mov al, 0x20
    out 0x20, al
    xor eax, eax
    ret

/* The tick comes although the loop never leaves its one translated block */
#define UNTIL_TICKS(n, ...) until_ticks_ __LINE__, n, STRING(__VA_ARGS__)
.macro until_ticks_ line, n, insns
    mov dword ptr [stop_after], \n
    mov dword ptr [stop_eip], offset .Lout\@
    mov dword ptr [ticks], 0
    mov [saved_esp], esp
    sti
1:  \insns
.Lout\@:
    cli
    mov esp, [saved_esp]        /* whatever is on the loop's stack at that moment */
    push [ticks]
    push \n
    push \line
    call check_equal
.endm

tight_loops:
    UNTIL_TICKS(3, jmp 1b)
    xor eax, eax
    UNTIL_TICKS(3, inc eax; jmp 1b)
    CHECK_CC(nz)
    UNTIL_TICKS(3, inc dword ptr [memory]; jmp 1b)
    UNTIL_TICKS(3, cmp dword ptr [never], 0; je 1b)
    UNTIL_TICKS(3, mov ecx, 1000; 2: loop 2b; jmp 1b)
    mov ecx, 1
    UNTIL_TICKS(2, mov ecx, 2; loop 1b)
    mov ebx, offset 3f
3:  UNTIL_TICKS(2, mov ebx, offset 1b; jmp ebx)
    UNTIL_TICKS(2, call function; jmp 1b)
    UNTIL_TICKS(2, push offset 1b; ret)
    UNTIL_TICKS(2, jmp 5f; 4: jmp 1b; 5: jmp 4b)
    UNTIL_TICKS(2, push offset 1b; push offset function; push offset function; push offset function; ret)
    UNTIL_TICKS(2, call calling; jmp 1b)
    UNTIL_TICKS(2, call dword ptr [pointer]; jmp 1b)
    UNTIL_TICKS(2, pushfd; popfd; jmp 1b)
    UNTIL_TICKS(2, pause; jmp 1b)
    UNTIL_TICKS(2, cli; nop; sti; nop; jmp 1b)
    UNTIL_TICKS(2, cli; pushfd; nop; popfd; sti; jmp 1b)
    UNTIL_TICKS(2, hlt; jmp 1b)
    UNTIL_TICKS(2, mov ecx, 64; mov edi, offset area; rep stosd; jmp 1b)
    UNTIL_TICKS(2, in al, 0x61; jmp 1b)
    /* flags survive an interrupt at any instruction */
    mov dword ptr [stop_after], -1
    mov dword ptr [ticks], 0
    sti
4:  mov eax, 0x7fffffff
    add eax, 1              /* OF SF AF PF */
    nop
    nop
    pushfd
    pop ecx
    and ecx, FL_ARITH
    cmp ecx, FL_OF + FL_SF + FL_AF + FL_PF
    jne 5f
    stc
    nop
    jnc 5f
    cmp dword ptr [ticks], 10
    jb 4b
5:  cli
    CHECK_EQ(ecx, FL_OF + FL_SF + FL_AF + FL_PF)
    ret
function: ret
calling:
    call function
    call function
    ret

/* REP MOVS of megabytes, interrupted in the middle and continued */
AREA1 = 0x400000
AREA2 = 0x800000
long_strings:
    mov edi, AREA1
    mov ecx, 0x400000 / 4
    xor eax, eax
1:  mov [edi], eax
    add eax, 0x01030507
    add edi, 4
    dec ecx
    jnz 1b
    mov dword ptr [stop_after], -1
    mov dword ptr [hook_extra], offset look_string
    mov dword ptr [ticks], 0
    mov dword ptr [wrong], 0
    mov dword ptr [inside], 0
    sti
    /* until it was interrupted inside twice, or often not at all: how fast it is, is not the question, and where time
     * is counted in instructions it takes none */
    mov ebx, 100
2:  mov esi, AREA1
    mov edi, AREA2
    mov ecx, 0x400000 / 4
string_at:
    rep movsd
string_next:
    cmp dword ptr [inside], 2
    jae 3f
    dec ebx
    jnz 2b
3:  cli
    mov dword ptr [hook_extra], 0
    CHECK_EQ([wrong], 0)
    CHECK_EQ(ecx, 0)
    CHECK_EQ(esi, AREA1 + 0x400000)
    CHECK_EQ(edi, AREA2 + 0x400000)
    mov esi, AREA1
    mov edi, AREA2
    mov ecx, 0x400000 / 4
    repe cmpsd
    CHECK_CC(e)
    ret
look_string: /* ESI - AREA1 must equal EDI - AREA2 and agree with ECX */
    cmp dword ptr [ebp + FRAME_EIP], offset string_at
    jne 1f
    mov eax, [ebp + FRAME_ECX]
    cmp eax, 0x400000 / 4
    je 1f
    inc dword ptr [inside]
    shl eax, 2
    add eax, [ebp + FRAME_ESI]
    cmp eax, AREA1 + 0x400000
    jne 2f
    mov eax, [ebp + FRAME_EDI]
    sub eax, [ebp + FRAME_ESI]
    cmp eax, AREA2 - AREA1
    je 1f
2:  inc dword ptr [wrong]
1:  ret

from_user:
    mov dword ptr [stop_after], 3
    mov dword ptr [stop_eip], offset user_out
    mov dword ptr [ticks], 0
    EXPECT_USER(user_spin, 0x202, 0x80, 0, user_out_next)
    CHECK_EQ([ticks], 3)
    CHECK_EQ([tick_cs], UCODE)
    CHECK_EQ([tick_eip], offset user_spin)
    ret
user_spin: jmp user_spin
user_out: int 0x80
user_out_next:

/* Exactly one interrupt: starts a one-shot, and waits with IF clear until the interrupt request register shows it. */
wait_request:
    push eax
    mov al, 0x30            /* counter 0, interrupt on terminal count */
    out 0x43, al
    mov al, 20
    out 0x40, al
    mov al, 0
    out 0x40, al
1:  mov al, 0x0a
    out 0x20, al
    in al, 0x20
    test al, 1
    jz 1b
    pop eax
    ret

/* At which instruction exactly a pending interrupt is taken */
#define TAKEN_AT(label) CHECK_EQ([ticks], 1); CHECK_EQ([tick_eip], offset label)
shadows:
    mov dword ptr [stop_after], -1
    call wait_request
    sti                     /* whatever the rate generator has left */
    nop
    nop
    cli
    call wait_request
    mov dword ptr [ticks], 0
    sti
    cli                     /* STI; CLI opens no window */
    nop
    CHECK_EQ([ticks], 0)
    sti
    nop
at_sti:
    cli
    TAKEN_AT(at_sti)

    call wait_request
    mov dword ptr [ticks], 0
    pushfd
    or dword ptr [esp], FL_IF
    popfd                   /* POPF has no shadow */
at_popf:
    cli
    TAKEN_AT(at_popf)

    call wait_request
    mov dword ptr [ticks], 0
    pushfd
    or dword ptr [esp], FL_IF
    push cs
    push offset at_iret
    iretd
at_iret:
    cli
    TAKEN_AT(at_iret)

    /* STI; RET: taken at the return address */
    call wait_request
    mov dword ptr [ticks], 0
    call sti_ret
at_ret:
    cli
    TAKEN_AT(at_ret)

    /* after POPF; MOV SS it would come behind the POPF; with STI; MOV SS; NOP it comes behind the NOP */
    mov edx, ss
    call wait_request
    mov dword ptr [ticks], 0
    sti
    mov ss, edx
    nop
at_mov_ss:
    cli
    SKIP_ON_TCG 1f
    TAKEN_AT(at_mov_ss)
1:  CHECK_EQ([ticks], 1)

    /* a second STI does not prolong the shadow */
    call wait_request
    mov dword ptr [ticks], 0
    sti
    sti
at_sti2:
    cli
    TAKEN_AT(at_sti2)

    /* a fault in the shadow: the handler runs with IF clear, and the interrupt waits for the handler's IRET */
    call wait_request
    mov dword ptr [ticks], 0
    HOOK VEC_UD, skip_ud2
    sti
    ud2
at_ud2:
    cli
    UNHOOK VEC_UD
    TAKEN_AT(at_ud2)
    CHECK_EQ([ticks_in_hook], 0)
    ret
sti_ret:
    sti
    ret
skip_ud2:
    mov eax, [ticks]
    mov [ticks_in_hook], eax
    add dword ptr [ebp + FRAME_EIP], 2
    xor eax, eax
    ret

/* One-shots against STI; HLT: a single lost wakeup hangs here. The delays sweep over the instructions around HLT. */
wakeups:
    mov al, 0xff
    out 0x21, al
    mov dword ptr [stop_after], -1
    mov dword ptr [ticks], 0
    mov ebx, 1
1:  cli
    mov al, 0x30            /* counter 0, interrupt on terminal count */
    out 0x43, al
    mov al, bl
    and al, 31
    add al, 2
    out 0x40, al
    xor eax, eax
    out 0x40, al
    mov al, 0xfe
    out 0x21, al
    mov eax, [ticks]
    mov ecx, ebx
    and ecx, 63
2:  dec ecx
    jns 2b
3:  cmp eax, [ticks]        /* the idle loop: tests with IF clear, then sleeps */
    jne 4f
    sti
    hlt
at_hlt:
    cli
    jmp 3b
4:  inc ebx
    cmp ebx, 300
    jb 1b
    CHECK_EQ([ticks], 299)
    CHECK_EQ([tick_eip], offset at_hlt)
    ret

/* Masking, EOI, and a level that causes no second interrupt */
controller:
    cli
    call wait_request
    mov al, 0xff
    out 0x21, al
    mov dword ptr [ticks], 0
    sti
    nop
    nop
    cli
    CHECK_EQ([ticks], 0)    /* masked, but requested */
    mov al, 0xfe
    out 0x21, al
    sti
    nop
    cli
    CHECK_EQ([ticks], 1)
    sti
    nop
    nop
    cli
    CHECK_EQ([ticks], 1)    /* once */
    mov al, 0x0b
    out 0x20, al
    in al, 0x20             /* the in-service register is empty after the EOI */
    movzx eax, al
    CHECK_EQ(eax, 0)
    in al, 0x21
    movzx eax, al
    CHECK_EQ(eax, 0xfe)
    mov al, 0xff
    out 0x21, al
    ret

    .data
    .balign 4
pointer: .long function
never: .long 0
    .bss
    .balign 4
ticks: .skip 4
saved_esp: .skip 4
ticks_in_hook: .skip 4
tick_eip: .skip 4
tick_ecx: .skip 4
tick_cs: .skip 4
stop_after: .skip 4
stop_eip: .skip 4
hook_extra: .skip 4
memory: .skip 4
wrong: .skip 4
inside: .skip 4
area: .skip 256
