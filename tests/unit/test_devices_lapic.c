/*
 * The local APIC: which messages it accepts and when it interrupts, by the tables of SDM 3A chapter 10; and random
 * writes of a hostile guest.
 */
#include "lapic_rig.h"

static void test_power_on(void)
{
    power_on();
    CHECK_EQ(in(ID), 0);
    CHECK_EQ(in(VERSION), 0x50014);
    CHECK_EQ(in(TPR), 0);
    CHECK_EQ(in(PPR), 0);
    CHECK_EQ(in(LDR), 0);
    CHECK_EQ(in(DFR), 0xffffffff);
    CHECK_EQ(in(SVR), 0xff);
    for (u32 at = ISR; at < ESR; at += 16)
        CHECK_EQ(in(at), 0);
    CHECK_EQ(in(LVT_TIMER), MASKED);
    CHECK_EQ(in(LVT_LINT0), DELIVER_EXTINT); /* the 8259 pair gets through */
    CHECK_EQ(in(LVT_LINT1), MASKED);
    CHECK_EQ(in(LVT_ERROR), MASKED);
    CHECK_EQ(in(INITIAL), 0);
    CHECK_EQ(in(CURRENT), 0);
    CHECK(!fixed(0x40)); /* software-disabled: nothing fixed is accepted, */
    out(LVT_TIMER, 0x30);
    CHECK_EQ(in(LVT_TIMER), MASKED | 0x30); /* and no LVT entry unmasked */
    CHECK(send(0, APIC_NMI, 0, false, false));
    CHECK_EQ(nmis, 1);
    CHECK(!intr);
    out(LDR, 0x12345678), out(DFR, 0x12345678), out(ID, 0x12345678);
    CHECK_EQ(in(LDR), 0x12000000);
    CHECK_EQ(in(DFR), 0x1fffffff);
    CHECK_EQ(in(ID), 0x12000000);
    CHECK_EQ(retries, 3);
    lapic_reset(&lapic);
    CHECK_EQ(in(LDR), 0);
    CHECK_EQ(in(ID), 0x12000000); /* INIT keeps it */
}

/* 10.8.3.1: by class, the task's and that of what is in service; within a class the higher vector first. */
static void test_priority(void)
{
    ready();
    CHECK(fixed(0x51) && fixed(0x5f) && fixed(0x41));
    CHECK(intr && in_set(IRR, 0x51) && in_set(IRR, 0x5f) && in_set(IRR, 0x41));
    CHECK_EQ(in(APR), 0x50);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x5f);
    CHECK(!intr && in_set(ISR, 0x5f) && !in_set(IRR, 0x5f));
    CHECK_EQ(in(PPR), 0x50);
    CHECK(fixed(0x60) && intr);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x60);
    CHECK_EQ(in(PPR), 0x60);
    out(EOI, 0);
    CHECK_EQ(in(PPR), 0x50);
    CHECK(!intr); /* 51h is of the class in service */
    out(EOI, 0);
    CHECK(intr);
    out(TPR, 0x52);
    CHECK(!intr);
    CHECK_EQ(in(PPR), 0x52);
    CHECK_EQ(in(APR), 0x52);
    out(TPR, 0x4f);
    CHECK(intr);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x51);
    CHECK_EQ(in(PPR), 0x50);
    out(EOI, 0);
    CHECK(!intr);
    out(TPR, 0x3f);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x41);
    out(EOI, 0), out(EOI, 0); /* one too many */
    CHECK_EQ(in(PPR), 0x3f);
    out(TPR, 0);
    CHECK(fixed(0x41) && fixed(0x41)); /* two before they are served are one */
    CHECK_EQ(lapic_acknowledge(&lapic), 0x41);
    CHECK(fixed(0x41)); /* but one more waits for the end of the first */
    CHECK(!intr);
    out(EOI, 0);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x41);
    out(EOI, 0);
    for (unsigned vector = 16; vector < 256; vector++)
        CHECK(fixed((u8)vector));
    for (int n = 15; n > 0; n--) { /* the highest of each class; the others are held back */
        CHECK_EQ(lapic_acknowledge(&lapic), 16 * n + 15);
        CHECK_EQ(in(PPR), 16 * n);
        out(EOI, 0);
        while (intr && (in(IRR + 16 * ((unsigned)n / 2)) >> (n % 2 * 16) & 0xffff)) {
            lapic_acknowledge(&lapic);
            out(EOI, 0);
        }
    }
    CHECK(!intr);
}

static void test_spurious(void)
{
    ready();
    out(SVR, 0x1f7);
    CHECK_EQ(lapic_acknowledge(&lapic), 0xf7);
    for (u32 at = ISR; at < ESR; at += 16)
        CHECK_EQ(in(at), 0);
    CHECK(fixed(0x50));
    out(TPR, 0x60); /* raised between INTR and its acknowledge */
    CHECK_EQ(lapic_acknowledge(&lapic), 0xf7);
    CHECK(in_set(IRR, 0x50));
    out(TPR, 0);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x50);
}

static void test_software_disable(void)
{
    ready();
    out(LVT_TIMER, 0x30), out(LVT_LINT0, DELIVER_EXTINT), out(LVT_ERROR, 0xfe);
    pin(0, true);
    CHECK(intr);
    CHECK(fixed(0x77));
    out(SVR, 0xff);
    CHECK_EQ(in(LVT_TIMER), MASKED | 0x30);
    CHECK_EQ(in(LVT_LINT0), MASKED | DELIVER_EXTINT);
    CHECK_EQ(in(LVT_ERROR), MASKED | 0xfe);
    CHECK(intr && in_set(IRR, 0x77)); /* what was accepted is held */
    CHECK(!fixed(0x78));
    CHECK_EQ(lapic_acknowledge(&lapic), 0x77);
    CHECK(!intr);
    retries = 0;
    out(SVR, 0x1ff);
    CHECK_EQ(retries, 1);
    CHECK_EQ(in(LVT_TIMER), MASKED | 0x30); /* it stays masked */
}

static void test_global_disable(void)
{
    ready();
    out(LVT_LINT0, MASKED);
    CHECK(fixed(0x40));
    lapic_enable(&lapic, false);
    CHECK(!intr);
    CHECK(!fixed(0x41) && !send(0, APIC_NMI, 0, false, false));
    pin(0, true);
    CHECK(intr); /* LINT0 is INTR */
    CHECK_EQ(lapic_acknowledge(&lapic), LAPIC_EXTINT);
    pin(1, true);
    CHECK_EQ(nmis, 1); /* LINT1 is NMI */
    pin(1, false), pin(0, false);
    CHECK(!intr);
    lapic_enable(&lapic, true);
    CHECK_EQ(in(SVR), 0xff);
    CHECK(!in_set(IRR, 0x40));
}

static void test_destinations(void)
{
    ready();
    out(ID, 3u << 24), out(LDR, 0x04u << 24);
    CHECK(send(0x40, APIC_FIXED, 3, false, false) && !send(0x40, APIC_FIXED, 4, false, false));
    CHECK(send(0x40, APIC_FIXED, 0xff, false, false)); /* all */
    CHECK(send(0x40, APIC_FIXED, 0x0c, true, false) && !send(0x40, APIC_FIXED, 0x0b, true, false));
    CHECK(send(0x40, APIC_LOWEST_PRIORITY, 0xff, true, false));
    CHECK(!send(0x40, APIC_FIXED, 0, true, false));
    out(DFR, 0), out(LDR, 0x24u << 24); /* cluster 2, member 2 */
    CHECK(send(0x40, APIC_FIXED, 0x2c, true, false) && !send(0x40, APIC_FIXED, 0x2b, true, false));
    CHECK(!send(0x40, APIC_FIXED, 0x14, true, false) && send(0x40, APIC_FIXED, 0xff, true, false));
}

static void test_ipis(void)
{
    ready();
    out(ICR, TO_SELF | 0x81);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x81);
    out(EOI, 0);
    CHECK_EQ(in(ICR), TO_SELF | 0x81); /* idle again at once */
    out(ICR, TO_OTHERS | 0x82);
    CHECK(!intr);
    out(ICR, TO_ALL | 0x83);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x83);
    out(EOI, 0);
    out(ICR_HIGH, 0x05ffffff);
    CHECK_EQ(in(ICR_HIGH), 0x05000000);
    out(ICR, 0x84); /* to APIC 5, which is not there */
    CHECK(!intr);
    out(ICR_HIGH, 0), out(ICR, 0x85);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x85);
    out(EOI, 0);
    out(LDR, 1u << 24), out(ICR_HIGH, 1u << 24), out(ICR, LOGICAL | 0x86);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x86);
    out(EOI, 0);
    out(ICR_HIGH, 0), out(ICR, DELIVER_NMI);
    CHECK_EQ(nmis, 1);
    out(ICR, TO_SELF | DELIVER_NMI); /* no legal combination */
    CHECK_EQ(nmis, 1);
    out(ICR, TO_OTHERS | DELIVER_INIT | 1 << 14),
        out(ICR, TO_OTHERS | 6 << 8 | 0x9a); /* INIT, start-up: there is no other CPU */
    CHECK_EQ(inits, 0);
    out(ICR, DELIVER_INIT | LEVEL_TRIGGERED); /* de-assert */
    CHECK_EQ(inits, 0);
    out(ICR, DELIVER_INIT | LEVEL_TRIGGERED | 1 << 14);
    CHECK_EQ(inits, 1);
    out(ICR, TO_SELF | DELIVER_INIT | 1 << 14);
    CHECK_EQ(inits, 2);
    CHECK(!intr);
}

static void test_errors(void)
{
    ready();
    out(LVT_ERROR, 0xfe);
    out(ICR, TO_SELF | 0x0f);
    CHECK_EQ(lapic_acknowledge(&lapic), 0xfe);
    out(EOI, 0);
    CHECK_EQ(in(ESR), 0);
    out(ESR, 0);
    CHECK_EQ(in(ESR), 0x20); /* send illegal vector */
    CHECK(fixed(3));
    CHECK_EQ(lapic_acknowledge(&lapic), 0xfe);
    out(EOI, 0);
    CHECK_EQ(in(0x3f0), 0);
    CHECK_EQ(lapic_acknowledge(&lapic), 0xfe);
    out(EOI, 0);
    CHECK_EQ(in(ESR), 0x20);
    out(ESR, 0xffffffff);
    CHECK_EQ(in(ESR), 0x40 | 0x80); /* received illegal vector, illegal register */
    out(ESR, 0);
    CHECK_EQ(in(ESR), 0);
    out(LVT_ERROR, 5); /* an error about errors */
    out(0x40, 1);
    CHECK(!intr);
    out(ESR, 0);
    CHECK_EQ(in(ESR), 0x40 | 0x80);
}

static void test_external(void)
{
    ready();
    out(LVT_LINT0, DELIVER_EXTINT);
    pin(0, true);
    CHECK(intr);
    out(TPR, 0xff);
    CHECK(intr); /* it has no priority */
    CHECK_EQ(lapic_acknowledge(&lapic), LAPIC_EXTINT);
    CHECK(intr); /* as long as the wire is up */
    pin(0, false);
    CHECK(!intr);
    out(TPR, 0);
    pin(0, true);
    CHECK(fixed(0x40));
    CHECK_EQ(lapic_acknowledge(&lapic), 0x40);
    CHECK_EQ(lapic_acknowledge(&lapic), LAPIC_EXTINT);
    out(LVT_LINT0, DELIVER_EXTINT | MASKED);
    CHECK(!intr);
    out(LVT_LINT0, DELIVER_EXTINT);
    CHECK(intr);
    pin(0, false);
    out(EOI, 0);
    CHECK(send(0, APIC_EXTINT, 0, false, false));
    CHECK(intr);
    CHECK_EQ(lapic_acknowledge(&lapic), LAPIC_EXTINT);
    CHECK(!intr); /* a message is one interrupt */
}

static void test_local_pins(void)
{
    ready();
    out(LVT_LINT1, DELIVER_NMI);
    pin(1, true);
    CHECK_EQ(nmis, 1);
    pin(1, true), pin(1, false);
    CHECK_EQ(nmis, 1);
    out(LVT_LINT1, DELIVER_NMI | ACTIVE_LOW | MASKED);
    pin(1, true), pin(1, false);
    CHECK_EQ(nmis, 1);
    out(LVT_LINT1, DELIVER_NMI | ACTIVE_LOW);
    pin(1, true);
    CHECK_EQ(nmis, 1);
    pin(1, false);
    CHECK_EQ(nmis, 2);

    out(LVT_LINT0, 0x45); /* fixed, edge */
    pin(0, true);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x45);
    CHECK(!in_set(TMR, 0x45));
    out(EOI, 0);
    CHECK(!intr);
    pin(0, false);

    out(LVT_LINT0, LEVEL_TRIGGERED | 0x46);
    pin(0, true);
    CHECK_EQ(in(LVT_LINT0), LEVEL_TRIGGERED | REMOTE_IRR | 0x46);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x46);
    CHECK(in_set(TMR, 0x46));
    out(EOI, 0);
    CHECK(intr); /* the wire is still up */
    CHECK_EQ(lapic_acknowledge(&lapic), 0x46);
    pin(0, false);
    out(EOI, 0);
    CHECK(!intr);
    CHECK_EQ(in(LVT_LINT0), LEVEL_TRIGGERED | 0x46);
    CHECK(!lapic_lint0_is_nmi(&lapic));
    out(LVT_LINT0, DELIVER_NMI);
    CHECK(lapic_lint0_is_nmi(&lapic));
    pin(0, true);
    CHECK_EQ(nmis, 3);
}

/* Only the end of a level-triggered interrupt is reported to the I/O APICs. */
static void test_eoi_messages(void)
{
    ready();
    CHECK(send(0x61, APIC_FIXED, 0, false, true) && in_set(TMR, 0x61));
    CHECK_EQ(lapic_acknowledge(&lapic), 0x61);
    CHECK(fixed(0x71));
    CHECK_EQ(lapic_acknowledge(&lapic), 0x71);
    out(EOI, 0);
    CHECK_EQ(eois, 0);
    out(EOI, 0);
    CHECK_EQ(eois, 1);
    CHECK_EQ(eoi_vector, 0x61);
    CHECK(fixed(0x61) && !in_set(TMR, 0x61));
}

static void test_widths(void)
{
    ready();
    CHECK_EQ(lapic_ops.read(&lapic, VERSION + 2, 1) & 0xff, 5);
    CHECK_EQ(lapic_ops.read(&lapic, VERSION, 2) & 0xffff, 0x14);
    CHECK_EQ(lapic_ops.read(&lapic, VERSION + 4, 4), 0);
    lapic_ops.write(&lapic, TPR, 1, 0x40);
    lapic_ops.write(&lapic, TPR + 4, 4, 0x40);
    CHECK_EQ(in(TPR), 0);
}

/* Everything everywhere. */
static void test_hostile(void)
{
    ready();
    u64 random = 88172645463325252ull;
    for (unsigned n = 0; n < 300000; n++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        u32 offset = random & 0xfff, value = (u32)(random >> 32);
        switch (random >> 12 & 7) {
        case 0: lapic_ops.read(&lapic, offset, 1); break;
        case 1: in(offset & 0xffc); break;
        case 2:
            if (intr) lapic_acknowledge(&lapic);
            break;
        case 3:
            pin(random >> 20 & 1, random >> 21 & 1);
            send((u8)value, value >> 8 & 7, value & 0x800 ? 0xff : 0, value >> 12 & 1, value >> 13 & 1);
            break;
        case 4: lapic_set_deadline(&lapic, random); break;
        case 5:
            fake.now += value % 100000;
            clock_run(&fake.clock);
            break;
        default: out(offset & 0xff0, value); break;
        }
    }
    lapic_reset(&lapic);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
}

int main(void)
{
    test_power_on();
    test_priority();
    test_spurious();
    test_software_disable();
    test_global_disable();
    test_destinations();
    test_ipis();
    test_errors();
    test_external();
    test_local_pins();
    test_eoi_messages();
    test_widths();
    test_hostile();
    return check_report();
}
