/*
 * The paravirtual clock: the published formula gives the guest the machine's time, at any rate of the TSC, after the
 * guest has moved its TSC, and for any address of the structure.
 */
#include "cpu_fixture.h"

#include "cpu/cpuid.h"
#include "cpu/isa.h"
#include "cpu/pvclock.h"

static struct cpu_fixture fixture;
static struct time_sample machine_time;

static struct time_sample sample(void *machine)
{
    return machine_time;
}

static u64 machine_tsc(void *machine)
{
    return machine_time.tsc;
}

enum { TIME = 0x300ffc, WALL = 0x301100 }; /* TIME lies across a page boundary */

/* As a guest does it (Documentation/virt/kvm/x86/msr.rst). */
static u64 guest_now(u64 guest_tsc)
{
    const u8 *at = fixture.rig->phys.ram + TIME;
    u64 tsc, ns;
    u32 multiplier, version;
    memcpy(&version, at, 4);
    memcpy(&tsc, at + 8, 8);
    memcpy(&ns, at + 16, 8);
    memcpy(&multiplier, at + 24, 4);
    s8 shift = (s8)at[28];
    CHECK_EQ(version & 1, 0);
    CHECK_EQ(at[29], 1); /* stable */
    u64 ticks = guest_tsc - tsc;
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return ns + (u64)((unsigned __int128)ticks * multiplier >> 32);
}

static void pass(u64 ns)
{
    machine_time.ns += ns;
    machine_time.tsc += (u64)((unsigned __int128)ns * machine_time.tsc_hz / 1000000000u);
}

/* After hours the error may be as large as the 32 bits of the multiplier leave it: 2^-31. */
static void check_now(struct vcpu *v)
{
    s64 off = (s64)(guest_now(machine_time.tsc + v->tsc_offset) - machine_time.ns);
    s64 limit = (s64)(machine_time.ns >> 30) + 10;
    CHECK(off >= -limit && off <= limit);
}

static void test_time(void)
{
    struct vcpu *v = fixture.v;
    static const u64 rates[] = {1000000,    999999999,  1000000000, 1000000001, 2000000000,
                                2000000001, 2596122000, 3999999999, 4000000001, 12345678901};
    for (unsigned n = 0; n < ARRAY_SIZE(rates); n++) {
        machine_time = (struct time_sample){.tsc = 1ull << 60, .tsc_hz = rates[n], .ns = 12345};
        v->tsc_offset = n * 1000000007ull - (1ull << 60);
        u64 updates = fixture.rig->counters.pvclock_updates;
        msr_write(v, MSR_PVCLOCK_TIME, TIME | 1);
        CHECK_EQ(msr_read(v, MSR_PVCLOCK_TIME), TIME | 1);
        check_now(v);
        pass(1);
        pass(10000000000);
        check_now(v);
        msr_write(v, 0x10, 42); /* the guest moves its TSC: its clock does not jump */
        CHECK_EQ(machine_time.tsc + v->tsc_offset, 42);
        check_now(v);
        pass(3600000000000);
        check_now(v);
        msr_write(v, 0x3b, 0); /* IA32_TSC_ADJUST */
        check_now(v);
        CHECK_EQ(fixture.rig->counters.pvclock_updates - updates, 3);
        pvclock_guest_stopped(v);
        CHECK_EQ(fixture.rig->phys.ram[TIME + 29], 3);
        fixture.rig->phys.ram[TIME + 29] &= ~2; /* the guest clears it */
        check_now(v);
        msr_write(v, MSR_PVCLOCK_TIME, TIME); /* off */
        memset(fixture.rig->phys.ram + TIME, 0xee, 32);
        msr_write(v, 0x10, 0);
        pvclock_guest_stopped(v);
        CHECK_EQ(fixture.rig->phys.ram[TIME + 29], 0xee);
        CHECK_EQ(fixture.rig->phys.ram[TIME], 0xee);
    }
}

static void test_wall(void)
{
    struct vcpu *v = fixture.v;
    u32 wall[3];
    machine_time.wall_ns = 1704067200123456789;
    msr_write(v, MSR_PVCLOCK_WALL, WALL);
    memcpy(wall, fixture.rig->phys.ram + WALL, sizeof wall);
    CHECK_EQ(wall[0] & 1, 0);
    CHECK_EQ(wall[1], 1704067200);
    CHECK_EQ(wall[2], 123456789);
    /* An address without memory harms only the guest. */
    msr_write(v, MSR_PVCLOCK_WALL, 0xfffffffffffffffc);
    msr_write(v, MSR_PVCLOCK_TIME, 0xfffffffffffffffd);
    vcpu_reset(v);
    CHECK_EQ(msr_read(v, MSR_PVCLOCK_TIME) | msr_read(v, MSR_PVCLOCK_WALL), 0);
}

static bool signature_is(u32 leaf, const char *text)
{
    struct vcpu *v = fixture.v;
    v->gpr[REG_EAX] = leaf;
    cpuid(v);
    return !memcmp(&(u32[]){v->gpr[REG_EBX], v->gpr[REG_ECX], v->gpr[REG_EDX]}, text, 12);
}

/* The signature is in its leaf, and without the clock there is no signature. */
static void test_leaves(void)
{
    struct vcpu *v = fixture.v;
    machine_time.tsc_hz = 2596122000;
    CHECK(signature_is(0x40000000, "KVMKVMKVM\0\0"));
    CHECK_EQ(v->gpr[REG_EAX], 0x40000010);
    CHECK(signature_is(0x40000100, "RingerRinger"));
    CHECK_EQ(v->gpr[REG_EAX], 0x40000100);
    v->gpr[REG_EAX] = 0x40000001;
    cpuid(v);
    CHECK_EQ(v->gpr[REG_EAX], 1 << 0 | 1 << 1 | 1 << 3 | 1 << 24);
    CHECK_EQ(v->gpr[REG_EDX], 0); /* no hints */
    v->gpr[REG_EAX] = 0x40000010;
    cpuid(v);
    CHECK_EQ(v->gpr[REG_EAX], 2596122);

    fixture.rig->host.sample_time = NULL;
    CHECK(signature_is(0x40000000, "RingerRinger"));
    CHECK(!signature_is(0x40000100, "RingerRinger"));
    EXPECT_ERROR(&fixture, VEC_GP, 0, READ_MSR, MSR_PVCLOCK_TIME);
    EXPECT_ERROR(&fixture, VEC_GP, 0, WRITE_MSR, MSR_PVCLOCK_WALL, .value = WALL);
    fixture.rig->host.sample_time = sample;
    EXPECT_ERROR(&fixture, VEC_GP, 0, WRITE_MSR, MSR_PVCLOCK_TIME, .value = TIME | 3);
}

enum { REFUSED = 1 };

/* EAX after VMCALL or VMMCALL; REFUSED: #UD. */
static __attribute__((noinline)) u32 hypercall(const char *code, u32 number)
{
    struct vcpu *v = fixture.v;
    struct insn insn;
    CHECK_EQ(insn_decode(&insn, (const u8 *)code, 3, true), 3);
    CHECK(isa_exposed(v->model, &insn));
    if (FAULT_CATCH(v)) return v->fault.vector == VEC_UD ? REFUSED : 2;
    v->gpr[REG_EAX] = number;
    insn.row->execute(v, &insn);
    return (u32)v->gpr[REG_EAX];
}

/* As KVM answers without the features that most of them need (hypercalls.rst). */
static void test_hypercalls(void)
{
    static const char *const codes[] = {"\x0f\x01\xc1", "\x0f\x01\xd9"};
    struct vcpu *v = fixture.v;
    for (unsigned n = 0; n < ARRAY_SIZE(codes); n++) {
        fixture_protected(&fixture, 0);
        CHECK_EQ(hypercall(codes[n], 1), 0);          /* poll for interrupts: none is pending */
        CHECK_EQ(hypercall(codes[n], 5), (u32)-1000); /* kick a vCPU: ENOSYS */
        CHECK_EQ(hypercall(codes[n], 0x1234), (u32)-1000);
        fixture_protected(&fixture, 3);
        CHECK_EQ(hypercall(codes[n], 1), (u32)-1); /* EPERM */
        fixture.rig->host.sample_time = NULL;
        CHECK_EQ(hypercall(codes[n], 1), REFUSED);
        fixture.rig->host.sample_time = sample;
    }
    fixture_protected(&fixture, 0);
    EXPECT(&fixture, DONE, WRITE_MSR, MSR_PVCLOCK_OLD_TIME, .value = TIME | 1);
    CHECK_EQ(msr_read(v, MSR_PVCLOCK_TIME), TIME | 1);
    EXPECT(&fixture, DONE, WRITE_MSR, MSR_PVCLOCK_OLD_WALL, .value = WALL);
    EXPECT(&fixture, DONE, WRITE_MSR, MSR_PVCLOCK_TIME, .value = 0);
}

int main(void)
{
    fixture_init(&fixture);
    fixture.rig->host.sample_time = sample;
    fixture.rig->host.tsc = machine_tsc;
    test_time();
    test_wall();
    test_leaves();
    test_hypercalls();
    fixture_destroy(&fixture);
    return check_report();
}
