/*
 * Interrupts through the APICs. Hazards: an interrupt that is taken against priority, twice, or never (after EOI, after TPR, a
 * level that stays); a timer that stops or fires early; the 8259 pair masked or unmasked wrongly; the register page mapped at a
 * wrong address, or RAM lost under it. SDM 3A chapter 10; 82093AA datasheet; MP Specification 3.6.2.2.
 */
#include "guest.inc"
GUEST(apic)

LAPIC = 0xfee00000
ID = 0x20
VERSION = 0x30
TPR = 0x80
PPR = 0xa0
EOI = 0xb0
LDR = 0xd0
SVR = 0xf0
ISR = 0x100
IRR = 0x200
ESR = 0x280
ICR = 0x300
ICR_HIGH = 0x310
LVT_TIMER = 0x320
LVT_LINT0 = 0x350
LVT_LINT1 = 0x360
LVT_ERROR = 0x370
INITIAL = 0x380
CURRENT = 0x390
DIVIDE = 0x3e0

MASKED = 0x10000
PERIODIC = 0x20000
DEADLINE = 0x40000
SELF = 0x40000
NMI = 0x400
EXTINT = 0x700
LEVEL = 0x8000
REMOTE_IRR = 0x4000

IOAPIC = 0xfec00000
IOAPIC_WINDOW = IOAPIC + 0x10

APIC_BASE = 0x1b
TSC_DEADLINE = 0x6e0

COM1 = 0x3f8
IRQ0 = 0x20
TIMER = 0x30
PIN = 0x60

guest_main:
    mov dword ptr [LAPIC + SVR], 0x1ff
    call identity
    call priorities
    call nesting
    call timer
    call deadline
    call pin_edge
    call pin_level
    call virtual_wire
    call nmis
    call nmi_in_nmi
    call errors
    call disabling
    call moving
    ret

identity:
    mov ecx, APIC_BASE
    rdmsr
    CHECK_EQ(eax, LAPIC + 0x900)        /* enabled, boot processor */
    CHECK_EQ(edx, 0)
    mov eax, 1
    cpuid
    test edx, 1 << 9
    CHECK_CC(nz)
    shr ebx, 24
    mov eax, [LAPIC + ID]
    shr eax, 24
    CHECK_EQ(eax, ebx)
    CHECK_EQ([LAPIC + VERSION], 0x50014)
    SKIP_ON_TCG 1f
    movzx eax, byte ptr [LAPIC + VERSION]
    CHECK_EQ(eax, 0x14)
1:  cmp dword ptr [LAPIC + SVR], 0x1ff  /* not a MOV */
    CHECK_CC(e)
    mov dword ptr [LAPIC + TPR], 0x23
    push dword ptr [LAPIC + TPR]
    pop eax
    CHECK_EQ(eax, 0x23)
    add dword ptr [LAPIC + TPR], 0x10
    CHECK_EQ([LAPIC + PPR], 0x33)
    xor eax, eax
    xchg [LAPIC + TPR], eax
    CHECK_EQ(eax, 0x33)
    ret

/* Records its vector, in the order of arrival, and ends the interrupt. */
on_vector:
    mov eax, [seen_count]
    mov ecx, [ebp + FRAME_VECTOR]
    mov [seen + eax], cl
    inc dword ptr [seen_count]
    mov dword ptr [LAPIC + EOI], 0
    xor eax, eax
    ret

/* Everything that was sent before has arrived here (QEMU's TCG tests for interrupts only between its blocks). */
.macro SETTLE
    jmp .Lsettled\@
.Lsettled\@:
    nop
.endm

.macro IPI vector
    mov dword ptr [LAPIC + ICR], SELF + \vector
.endm

/* All at once: the highest comes first, and those that TPR holds back come when it is lowered. */
priorities:
    HOOK 0x41, on_vector
    HOOK 0x51, on_vector
    HOOK 0x52, on_vector
    HOOK 0x61, on_vector
    mov dword ptr [seen_count], 0
    IPI 0x51
    IPI 0x61
    IPI 0x41
    IPI 0x52
    IPI 0x51
    CHECK_EQ([LAPIC + IRR + 0x20], 0x60002)      /* 41h, 51h, 52h */
    mov dword ptr [LAPIC + TPR], 0x5f
    sti
    nop
    cli
    CHECK_EQ([seen_count], 1)
    mov dword ptr [LAPIC + TPR], 0x4f
    sti                                  /* STI's shadow, then both */
    nop
    cli
    CHECK_EQ([seen_count], 3)
    sti
    mov dword ptr [LAPIC + TPR], 0      /* with interrupts enabled: at once */
    SETTLE
    cli
    CHECK_EQ([seen_count], 4)
    CHECK_EQ([seen], 0x41515261)
    CHECK_EQ([LAPIC + IRR + 0x20], 0)
    CHECK_EQ([LAPIC + PPR], 0)
    /* Many times in a loop of one block: the loop notices each at once. */
    SKIP_ON_TCG 3f
    mov ecx, 1000
    mov dword ptr [seen_count], 0
    sti
1:  mov dword ptr [seen_count], 0
    IPI 0x41
    nop
    cmp dword ptr [seen_count], 1
    jne 2f
    dec ecx
    jnz 1b
2:  cli
    CHECK_EQ(ecx, 0)
3:  ret

/* An interrupt of a higher class interrupts the handler of a lower one; one of the same class waits for the handler's end. */
nesting:
    HOOK 0x41, on_outer
    HOOK 0x4f, on_vector
    HOOK 0x51, on_vector
    mov dword ptr [seen_count], 0
    mov dword ptr [seen], 0
    sti
    IPI 0x41
    SETTLE
    cli
    CHECK_EQ([seen_count], 3)
    CHECK_EQ([seen], 0x4f4151)
    CHECK_EQ([LAPIC + ISR + 0x20], 0)
    ret
on_outer:
    sti
    IPI 0x4f
    SETTLE
    mov edx, [LAPIC + PPR]
    IPI 0x51
    SETTLE
    cli
    CHECK_EQ(edx, 0x40)
    CHECK_EQ([seen_count], 1)
    jmp on_vector

/* --- the timer --- */

on_timer:
    inc dword ptr [ticks]
    mov dword ptr [LAPIC + EOI], 0
    xor eax, eax
    ret

wait_tick:
    sti
1:  cmp dword ptr [ticks], 0
    je 1b
    cli
    ret

timer:
    HOOK TIMER, on_timer
    mov dword ptr [LAPIC + DIVIDE], 0xb
    mov dword ptr [LAPIC + LVT_TIMER], TIMER
    mov dword ptr [ticks], 0
    mov dword ptr [LAPIC + INITIAL], 100000
    cmp dword ptr [LAPIC + CURRENT], 100000
    CHECK_CC(be)
    sti                                  /* from HLT */
    hlt
    cli
    CHECK_EQ([ticks], 1)
    CHECK_EQ([LAPIC + CURRENT], 0)
    CHECK_EQ([LAPIC + INITIAL], 100000)
    mov dword ptr [ticks], 0
    mov dword ptr [LAPIC + INITIAL], 20000
    call wait_tick                       /* into a loop */
    CHECK_EQ([ticks], 1)
    mov dword ptr [LAPIC + INITIAL], 1000000000
    mov eax, [LAPIC + CURRENT]           /* it counts down, not up */
    mov ecx, 1000
1:  mov edx, [LAPIC + CURRENT]
    cmp edx, eax
    ja 2f
    mov eax, edx
    dec ecx
    jnz 1b
2:  CHECK_EQ(ecx, 0)
    cmp edx, 1000000000
    CHECK_CC(b)
    mov dword ptr [ticks], 0
    mov dword ptr [LAPIC + LVT_TIMER], PERIODIC + TIMER
    mov dword ptr [LAPIC + INITIAL], 50000
    sti
3:  cmp dword ptr [ticks], 5
    jb 3b
    cli
    mov dword ptr [LAPIC + LVT_TIMER], MASKED + PERIODIC + TIMER
    mov dword ptr [LAPIC + INITIAL], 0
    sti                                  /* an interrupt may be pending */
    nop
    cli
    mov dword ptr [ticks], 0
    mov ecx, 100000
    sti
4:  loop 4b
    cli
    CHECK_EQ([ticks], 0)
    CHECK_EQ([LAPIC + CURRENT], 0)
    ret

/* Not before the TSC reaches the deadline. */
deadline:
    mov eax, 1
    cpuid
    test ecx, 1 << 24
    jz 2f
    mov dword ptr [LAPIC + LVT_TIMER], DEADLINE + TIMER
    mov ecx, TSC_DEADLINE
    xor eax, eax
    xor edx, edx
    EXPECT_NONE(wrmsr)
    mov dword ptr [rounds], 20
1:  mov dword ptr [ticks], 0
    rdtsc
    add eax, 50000
    adc edx, 0
    mov ebx, eax
    mov edi, edx
    mov ecx, TSC_DEADLINE
    wrmsr
    sti
    hlt
    cli
    rdtsc
    sub eax, ebx
    sbb edx, edi
    CHECK_CC(ae)
    CHECK_EQ([ticks], 1)
    rdmsr
    CHECK_EQ(eax, 0)
    CHECK_EQ(edx, 0)
    dec dword ptr [rounds]
    jnz 1b
    mov dword ptr [ticks], 0            /* in the past: at once */
    mov eax, 1
    xor edx, edx
    sti
    wrmsr
    nop
    cli
    CHECK_EQ([ticks], 1)
    mov dword ptr [LAPIC + LVT_TIMER], MASKED
    ret
2:  SKIP_ON_TCG 3f
    mov ecx, TSC_DEADLINE
    EXPECT_FAULT(VEC_GP, 0, rdmsr)
3:  ret

/* --- the I/O APIC --- */

.macro REDIRECT pin, low
    mov dword ptr [IOAPIC], 0x11 + 2 * \pin
    mov dword ptr [IOAPIC_WINDOW], 0
    mov dword ptr [IOAPIC], 0x10 + 2 * \pin
    mov dword ptr [IOAPIC_WINDOW], \low
.endm

start_pit:
    mov al, 0x34                /* counter 0, rate generator, about 10 kHz */
    out 0x43, al
    mov al, 119
    out 0x40, al
    mov al, 0
    out 0x40, al
    ret

pin_edge: /* IRQ 0 is on pin 2 */
    HOOK PIN, on_timer
    mov dword ptr [IOAPIC], 1
    mov eax, [IOAPIC_WINDOW]
    shr eax, 16
    CHECK_EQ(eax, 23)
    mov dword ptr [ticks], 0
    REDIRECT 2, PIN
    call start_pit
    sti
1:  cmp dword ptr [ticks], 10
    jb 1b
    hlt
    cli
    REDIRECT 2, MASKED + PIN
    sti
    nop
    cli
    mov dword ptr [ticks], 0
    mov ecx, 1000000
    sti
2:  loop 2b
    cli
    CHECK_EQ([ticks], 0)
    ret

/* The serial port's interrupt, level-triggered: it comes again after EOI as long as the port requests one. */
pin_level:
    HOOK PIN, on_level
    mov dx, COM1 + 1
    xor eax, eax
    out dx, al
    mov dx, COM1 + 4
    mov al, 8                   /* OUT2: on a PC it connects the interrupt line */
    out dx, al
    mov dx, COM1 + 2
    in al, dx
    mov dword ptr [levels_left], 5
    mov dword ptr [ticks], 0
    REDIRECT 4, LEVEL + PIN
    sti
    mov dx, COM1 + 1
    mov al, 2                   /* transmitter empty */
    out dx, al
    nop
1:  cmp dword ptr [ticks], 5
    jb 1b
    mov ecx, 10000
2:  loop 2b
    cli
    CHECK_EQ([ticks], 5)
    CHECK_EQ([seen_count], REMOTE_IRR)
    mov dword ptr [IOAPIC], 0x10 + 2 * 4
    mov eax, [IOAPIC_WINDOW]
    and eax, REMOTE_IRR
    CHECK_EQ(eax, 0)
    REDIRECT 4, MASKED
    mov dx, COM1 + 1
    xor eax, eax
    out dx, al
    ret
on_level:
    inc dword ptr [ticks]
    mov dword ptr [IOAPIC], 0x10 + 2 * 4
    mov eax, [IOAPIC_WINDOW]
    and eax, REMOTE_IRR
    mov [seen_count], eax
    dec dword ptr [levels_left]
    jnz 1f
    mov dx, COM1 + 2
    in al, dx                   /* it requests no more */
1:  mov dword ptr [LAPIC + EOI], 0
    xor eax, eax
    ret

/* --- the 8259 pair --- */

on_pic:
    inc dword ptr [ticks]
    mov al, 0x20
    out 0x20, al
    xor eax, eax
    ret

virtual_wire:
    HOOK IRQ0, on_pic
    mov dword ptr [LAPIC + LVT_LINT0], EXTINT
    mov dword ptr [LAPIC + TPR], 0xff   /* without effect here */
    call ten_pic_ticks
    CHECK_EQ([LAPIC + ISR + 0x10], 0)
    mov dword ptr [LAPIC + TPR], 0
    mov dword ptr [LAPIC + LVT_LINT0], MASKED + EXTINT
    mov dword ptr [ticks], 0
    mov ecx, 1000000
    sti
1:  loop 1b
    cli
    CHECK_EQ([ticks], 0)
    /* The other way: pin 0 of the I/O APIC. */
    SKIP_ON_TCG 2f
    REDIRECT 0, EXTINT
    call ten_pic_ticks
    REDIRECT 0, MASKED
2:  ret

/* IRQ 0 through the 8259 pair, ten times; then it is masked. */
ten_pic_ticks:
    mov dword ptr [ticks], 0
    call start_pit
    mov al, 0xfe
    out 0x21, al
    sti
1:  cmp dword ptr [ticks], 10
    jb 1b
    hlt
    cli
    mov al, 0xff
    out 0x21, al
    mov dword ptr [ticks], 0
    ret

/* --- NMI --- */

on_nmi:
    inc dword ptr [ticks]
    xor eax, eax
    ret

nmis:
    HOOK VEC_NMI, on_nmi
    mov dword ptr [ticks], 0
    mov dword ptr [LAPIC + ICR_HIGH], 0
    mov dword ptr [LAPIC + ICR], NMI    /* with interrupts disabled */
    SETTLE
    CHECK_EQ([ticks], 1)
    /* The 8259 pair's output as NMI: it wakes a processor that has interrupts disabled. */
    mov dword ptr [LAPIC + LVT_LINT0], NMI
    mov al, 0x0a                /* read IRR */
    out 0x20, al
    mov al, 0xfe
    out 0x21, al
    call start_pit
    hlt
    cmp dword ptr [ticks], 2
    CHECK_CC(ae)
    mov dword ptr [LAPIC + LVT_LINT0], MASKED
    mov al, 0xff
    out 0x21, al
    ret

/* An NMI that comes while the handler of another one halts waits for that handler's end. */
on_outer_nmi:
    inc dword ptr [ticks]
    cmp dword ptr [ticks], 1
    jne 1f
    mov dword ptr [LAPIC + ICR], NMI
    mov dword ptr [LAPIC + DIVIDE], 0xb
    mov dword ptr [LAPIC + LVT_TIMER], TIMER
    mov dword ptr [LAPIC + INITIAL], 100000
    sti
    hlt
    cli
    mov eax, [ticks]
    mov [seen_count], eax
1:  xor eax, eax
    ret

nmi_in_nmi:
    HOOK VEC_NMI, on_outer_nmi
    HOOK TIMER, on_lapic_timer
    mov dword ptr [ticks], 0
    mov dword ptr [LAPIC + ICR_HIGH], 0
    mov dword ptr [LAPIC + ICR], NMI
    SETTLE
    CHECK_EQ([ticks], 2)
    mov dword ptr [LAPIC + LVT_TIMER], MASKED
    ret

on_lapic_timer:
    mov dword ptr [LAPIC + EOI], 0
    xor eax, eax
    ret

/* --- what no operating system does on purpose --- */

errors:
    SKIP_ON_TCG 1f
    HOOK 0x52, on_vector
    mov dword ptr [seen_count], 0
    mov dword ptr [LAPIC + LVT_ERROR], 0x52
    sti
    IPI 5
    nop
    cli
    CHECK_EQ([seen_count], 1)
    mov dword ptr [LAPIC + ESR], 0
    CHECK_EQ([LAPIC + ESR], 0x20)
    mov dword ptr [LAPIC + ESR], 0
    CHECK_EQ([LAPIC + ESR], 0)
    mov dword ptr [LAPIC + LVT_ERROR], MASKED
    mov ecx, APIC_BASE
    mov eax, LAPIC + 0xd00      /* x2APIC: CPUID does not report it */
    xor edx, edx
    EXPECT_FAULT(VEC_GP, 0, wrmsr)
    mov eax, LAPIC + 0x900
    mov edx, 1
    EXPECT_FAULT(VEC_GP, 0, wrmsr)
1:  ret

/* Disabled by software: LVT entries are masked. Disabled globally: there is no page and no CPUID bit, and only the 8259 pair
 * is left. */
disabling:
    SKIP_ON_TCG 1f
    mov dword ptr [LAPIC + LVT_TIMER], TIMER
    mov dword ptr [LAPIC + SVR], 0xff
    CHECK_EQ([LAPIC + LVT_TIMER], MASKED + TIMER)
    mov dword ptr [LAPIC + LVT_TIMER], TIMER
    CHECK_EQ([LAPIC + LVT_TIMER], MASKED + TIMER)
    mov ecx, APIC_BASE
    mov eax, LAPIC + 0x100
    xor edx, edx
    wrmsr
    CHECK_EQ([LAPIC + VERSION], -1)
    mov eax, 1
    cpuid
    test edx, 1 << 9
    CHECK_CC(z)
    call ten_pic_ticks
    mov ecx, APIC_BASE
    mov eax, LAPIC + 0x900
    xor edx, edx
    wrmsr
    CHECK_EQ([LAPIC + VERSION], 0x50014)
    CHECK_EQ([LAPIC + SVR], 0xff)
    mov dword ptr [LAPIC + SVR], 0x1ff
1:  ret

/* Move the page over RAM and away again: RAM is unchanged, and so is code in it. */
ELSEWHERE = 0xe00000

moving:
    SKIP_ON_TCG 1f
    mov dword ptr [ELSEWHERE + VERSION], 0x12345678
    mov dword ptr [ELSEWHERE + 0x800], 0xc3c03190       /* NOP; XOR EAX, EAX; RET */
    mov eax, offset ELSEWHERE + 0x800
    call eax
    CHECK_EQ(eax, 0)
    mov ecx, APIC_BASE
    mov eax, ELSEWHERE + 0x900
    xor edx, edx
    wrmsr
    CHECK_EQ([ELSEWHERE + VERSION], 0x50014)
    CHECK_EQ([LAPIC + VERSION], -1)
    mov dword ptr [ELSEWHERE + TPR], 0x40
    mov dword ptr [ELSEWHERE + 0x1000 + TPR], 0x40      /* the next page is RAM */
    CHECK_EQ([ELSEWHERE + PPR], 0x40)
    mov dword ptr [ELSEWHERE + TPR], 0
    mov eax, LAPIC + 0x900
    xor edx, edx
    wrmsr
    CHECK_EQ([ELSEWHERE + VERSION], 0x12345678)
    CHECK_EQ([LAPIC + VERSION], 0x50014)
    mov eax, offset ELSEWHERE + 0x800
    call eax
    CHECK_EQ(eax, 0)
1:  ret

    .bss
    .balign 4
seen: .skip 64
seen_count: .skip 4
ticks: .skip 4
rounds: .skip 4
levels_left: .skip 4
