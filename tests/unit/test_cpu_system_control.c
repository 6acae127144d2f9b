/*
 * Control and debug registers, MSRs, CPUID, port permissions and the mode key. Hazards: a value that the CPU model
 * forbids is accepted; translations stay although the write has made them invalid.
 */
#include "cpu/mode.h"
#include "cpu_fixture.h"

static struct cpu_fixture fixture;

static void test_control_registers(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    static const struct {
        unsigned cr;
        u32 value;
        int vector;
        u32 reads;
        bool flushes;
    } rows[] = {
        {0, CR0_PG, VEC_GP, 0, false},          /* paging needs protection */
        {0, CR0_PE | CR0_NW, VEC_GP, 0, false}, /* NW needs CD */
        {0, CR0_PE | CR0_WP, DONE, CR0_PE | CR0_WP | CR0_ET, false},
        {0, CR0_PE | CR0_WP | CR0_TS | 0x40, DONE, CR0_PE | CR0_WP | CR0_TS | CR0_ET, false},
        {0, CR0_PE, DONE, CR0_PE | CR0_ET, true},
        {0, CR0_PE | CR0_PG, DONE, CR0_PE | CR0_PG | CR0_ET, true},
        {3, 0x10000, DONE, 0x10000, true},
        {4, 1u << 14, VEC_GP, 0, false}, /* VMXE: not in any model */
        {4, CR4_SMAP, VEC_GP, 0, false},
        {4, CR4_PSE, DONE, CR4_PSE, true},
        {4, CR4_TSD, DONE, CR4_TSD, false},
        {2, 0x12345678, DONE, 0x12345678, false},
        {1, 0, VEC_UD, 0, false},
        {8, 0, VEC_UD, 0, false},
    };
    v->shadow->untraced = true; /* so that every change is a flush */
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(f, 0);
        u64 flushes = f->rig->counters.shadow_flushes;
        EXPECT(f, rows[i].vector, WRITE_CR, rows[i].cr, .value = rows[i].value);
        CHECK_EQ(f->rig->counters.shadow_flushes - flushes, rows[i].flushes);
        if (rows[i].vector == DONE) CHECK_EQ(control_read(v, rows[i].cr), rows[i].reads);
    }
    v->shadow->untraced = false;
    v->model = cpu_model_find("pentium3");
    fixture_protected(f, 0);
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_CR, 4, .value = CR4_SMEP);
    EXPECT(f, DONE, WRITE_CR, 4, .value = CR4_PAE | CR4_PGE | CR4_OSFXSR);
    v->model = cpu_model_find("max");
}

static void test_pdptes(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 0);
    EXPECT(f, DONE, WRITE_CR, 4, .value = CR4_PAE);
    EXPECT(f, DONE, WRITE_CR, 3, .value = AT_PAGE_DIRECTORY); /* without paging they are not checked */
    poke(f, AT_PAGE_DIRECTORY, 8, AT_PAGE_TABLE | 3);         /* bit 1 is reserved */
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_CR, 0, .value = CR0_PE | CR0_PG);
    poke(f, AT_PAGE_DIRECTORY, 8, AT_PAGE_TABLE | 1);
    EXPECT(f, DONE, WRITE_CR, 0, .value = CR0_PE | CR0_PG);
    CHECK_EQ(v->paging.pdpte[0], AT_PAGE_TABLE | 1);
    poke(f, AT_PAGE_DIRECTORY, 8, (u64)1 << 40 | 1); /* beyond 36 address bits */
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_CR, 3, .value = AT_PAGE_DIRECTORY);
    CHECK_EQ(v->paging.pdpte[0], AT_PAGE_TABLE | 1);
}

static void test_debug_registers(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 0);
    EXPECT(f, DONE, WRITE_DR, 4, .value = 0); /* DR6 by another name */
    CHECK_EQ(debug_read(v, 6), 0xffff0ff0);
    EXPECT(f, DONE, WRITE_DR, 7, .value = 0xffffffff);
    CHECK_EQ(v->dr[7], 0xffff27ff);
    CHECK(v->mode & MODE_STEP);
    EXPECT(f, VEC_DB, WRITE_DR, 0, .value = 1); /* GD */
    CHECK(v->dr[6] & 1 << 13);
    v->dr[7] = 0x400;
    v->paging.cr4 |= CR4_DE;
    EXPECT(f, VEC_UD, WRITE_DR, 5, .value = 0);
}

static void test_msrs(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    static const struct {
        u32 index;
        u64 value;
        int vector;
    } rows[] = {
        {0x10, 1000, DONE},
        {0x174, 8, DONE},
        {0x277, 0x0007040600070406, DONE},
        {0x277, 2, VEC_GP},
        {0x277, 7, DONE},
        {0x250, 7, VEC_GP},
        {0x250, 0x0606060606060606, DONE},
        {0x26f, 0x0505050505050505, DONE},
        {0x2ff, 0xc06, DONE},
        {0x2ff, 0x1000, VEC_GP},
        {0x200, 0x80000006, DONE},
        {0x200, 0x80000002, VEC_GP},
        {0x201, 0xff8000800, DONE},
        {0x201, 1ull << 36, VEC_GP},
        {0xc0000080, EFER_NXE, DONE},
        {0xc0000080, 1 << 8, VEC_GP},
        {0xfe, 0, VEC_GP},
        {0x12345, 0, VEC_GP},
        {0x1b, 0xfee00900, VEC_GP},
        {0x1d9, 4, VEC_GP},
        {0x179, 0, VEC_GP},
        {0x17a, 5, DONE},
        {0x17a, 8, VEC_GP},
        {0x400, 0, VEC_GP}, /* there are no machine-check banks */
    };
    fixture_protected(f, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        EXPECT(f, rows[i].vector, WRITE_MSR, rows[i].index, .value = rows[i].value);
        if (rows[i].vector == DONE) CHECK_EQ(msr_read(v, rows[i].index), rows[i].value);
    }
    f->tsc = 500;
    EXPECT(f, DONE, WRITE_MSR, 0x10, .value = 0);
    f->tsc = 600;
    CHECK_EQ(msr_read(v, 0x10), 100);
    CHECK_EQ(msr_read(v, 0x8b) >> 32, 1);
    CHECK_EQ(msr_read(v, 0x179), 0);
    v->model = cpu_model_find("pentium3");
    EXPECT_ERROR(f, VEC_GP, 0, READ_MSR, 0xc0000080);
    EXPECT_ERROR(f, VEC_GP, 0, READ_MSR, 0x1a0);
    v->model = cpu_model_find("max");
}

static u32 cpuid_register(u32 leaf, enum gpr r)
{
    struct vcpu *v = fixture.v;
    v->gpr[REG_EAX] = leaf;
    v->gpr[REG_ECX] = 0;
    cpuid(v);
    return (u32)v->gpr[r];
}

/* MSR_PLATFORM_INFO says that CPUID faulting is there; MSR_MISC_FEATURES_ENABLES has one bit. What CPUID does then is
 * in test_study_census. */
static void test_cpuid_faulting(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 0);
    CHECK_EQ(msr_read(v, 0xce), 1u << 31);
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_MSR, 0xce, .value = 1u << 31);
    CHECK_EQ(msr_read(v, 0x140), 0);
    EXPECT(f, DONE, WRITE_MSR, 0x140, .value = 1);
    CHECK(v->cpuid_faults && msr_read(v, 0x140) == 1);
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_MSR, 0x140, .value = 2);
    v->model = cpu_model_find("pentium4");
    EXPECT_ERROR(f, VEC_GP, 0, READ_MSR, 0xce);
    EXPECT_ERROR(f, VEC_GP, 0, READ_MSR, 0x140);
    v->model = cpu_model_find("max");
    vcpu_reset(v);
    CHECK(!v->cpuid_faults);
}

/* IA32_MISC_ENABLE switches what the model has; bits that no processor defines are refused. */
static void test_misc_enable(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    const u64 read_only = 3 << 11;
    fixture_protected(f, 0);
    CHECK_EQ(msr_read(v, 0x1a0), 1 | read_only);
    EXPECT(f, DONE, WRITE_MSR, 0x1a0, .value = 0);
    CHECK_EQ(msr_read(v, 0x1a0), read_only);
    EXPECT(f, DONE, WRITE_MSR, 0x1a0, .value = 1 | 1 << 16 | 1 << 18); /* no SpeedStep, no MONITOR */
    CHECK_EQ(msr_read(v, 0x1a0), 1 | read_only);
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_MSR, 0x1a0, .value = 1 << 1);
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_MSR, 0x1a0, .value = 1ull << 63);

    CHECK_EQ(cpuid_register(0, REG_EAX), v->model->max_leaf);
    EXPECT(f, DONE, WRITE_MSR, 0x1a0, .value = 1 | 1 << 22);
    CHECK_EQ(msr_read(v, 0x1a0), 1 | 1 << 22 | read_only);
    CHECK_EQ(cpuid_register(0, REG_EAX), 2);

    CHECK(cpuid_register(0x80000001, REG_EDX) & X1D_NX);
    EXPECT(f, DONE, WRITE_MSR, 0x1a0, .value = 1ull << 34);
    CHECK(!(cpuid_register(0x80000001, REG_EDX) & X1D_NX));
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_MSR, 0xc0000080, .value = EFER_NXE);
    EXPECT(f, DONE, WRITE_MSR, 0x1a0, .value = 1);
    EXPECT(f, DONE, WRITE_MSR, 0xc0000080, .value = EFER_NXE);
    v->model = cpu_model_find("pentium4"); /* without execute-disable */
    EXPECT_ERROR(f, VEC_GP, 0, WRITE_MSR, 0x1a0, .value = 1ull << 34);
    v->model = cpu_model_find("max");
}

/* SDM 3A table 9-1: what RESET clears and INIT leaves. */
static void test_init(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 0);
    v->paging.cr0 |= CR0_CD | CR0_NW;
    msr_write(v, 0x277, 7);
    msr_write(v, 0x174, 8);
    f->tsc = 5000;
    msr_write(v, 0x10, 700);
    v->fpu[0] = 0x7f;
    v->nmi_masked = v->nmi_latched = true;
    v->dr[7] = 0x401;
    vcpu_init(v);
    CHECK_EQ(v->paging.cr0, CR0_CD | CR0_NW | CR0_ET);
    CHECK_EQ(v->rip, 0xfff0);
    CHECK_EQ(v->seg[SEG_CS].base, 0xffff0000);
    CHECK_EQ(v->dr[7], 0x400);
    CHECK(!v->nmi_masked && !v->nmi_latched);
    CHECK_EQ(msr_read(v, 0x277), 7);
    CHECK_EQ(msr_read(v, 0x174), 8);
    CHECK_EQ(msr_read(v, 0x10), 700);
    CHECK_EQ(v->fpu[0], 0x7f);
    vcpu_reset(v);
    CHECK_EQ(msr_read(v, 0x174), 0);
    CHECK_EQ(msr_read(v, 0x10), 0);
    CHECK_EQ(v->fpu[0], 0x40);
}

static void test_cpuid(void)
{
    struct vcpu *v = fixture.v;
    CHECK(!cpu_model_find("8086"));
    for (const char *const *name = cpu_model_names(); *name; name++) {
        v->model = cpu_model_find(*name);
        CHECK(v->model && !strcmp(v->model->name, *name));
        v->gpr[REG_EAX] = 0;
        cpuid(v);
        u32 vendor[] = {v->gpr[REG_EBX], v->gpr[REG_EDX], v->gpr[REG_ECX]};
        CHECK(!memcmp(vendor, v->model->vendor, sizeof(vendor)));
        u32 highest = v->gpr[REG_EAX];
        v->gpr[REG_EAX] = 1;
        cpuid(v);
        CHECK_EQ(v->gpr[REG_EAX], v->model->signature);
        CHECK(v->gpr[REG_ECX] & F1C_HYPERVISOR);
        u32 features = v->gpr[REG_EDX];
        CHECK(!(features & 1 << 9)); /* APIC */
        v->gpr[REG_EAX] = 0x40000000;
        cpuid(v);
        CHECK(!memcmp(&(u32[]){v->gpr[REG_EBX], v->gpr[REG_ECX], v->gpr[REG_EDX]}, "RingerRinger", 12));
        v->gpr[REG_EAX] = 0x80000000;
        cpuid(v);
        CHECK(v->model->max_extended_leaf ? v->gpr[REG_EAX] == v->model->max_extended_leaf
                                          : v->gpr[REG_EAX] < 0x80000000);
        v->gpr[REG_EAX] = 0x20; /* out of range: the highest basic leaf */
        v->gpr[REG_ECX] = 0;
        cpuid(v);
        u32 edx = v->gpr[REG_EDX];
        v->gpr[REG_EAX] = highest;
        v->gpr[REG_ECX] = 0;
        cpuid(v);
        CHECK_EQ(edx, v->gpr[REG_EDX]);
    }
    v->model = cpu_model_find("max");
}

static void test_ports(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    static const struct {
        unsigned iopl, port, bytes;
        int vector;
    } rows[] = {
        {3, 0x80, 4, DONE}, {0, 0x10, 1, DONE},     {0, 0x11, 1, VEC_GP}, {0, 0x0e, 4, VEC_GP},
        {0, 0x0d, 4, DONE}, {0, 0xffff, 1, VEC_GP}, /* its second byte is beyond the limit */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(f, 3);
        poke(f, AT_TSS + 0x68 + 2, 1, 2);
        v->eflags |= rows[i].iopl << FL_IOPL_SHIFT;
        EXPECT(f, rows[i].vector, IO, rows[i].port, rows[i].bytes);
    }
    fixture_protected(f, 3);
    v->tr.access = 0x83;
    EXPECT_ERROR(f, VEC_GP, 0, IO, 0x10, 1); /* a 16-bit TSS has no bitmap */
    u64 reads = f->rig->counters.port_reads;
    CHECK_EQ(io_read(v, 0x71, 1), 0xa5);
    io_write(v, 0x70, 2, 0x12345678);
    CHECK_EQ(f->last_value, 0x5678);
    CHECK_EQ(f->rig->counters.port_reads - reads, 1);
}

static void test_mode(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    vcpu_reset(v);
    CHECK_EQ(v->mode & (MODE_PE | MODE_CPL | MODE_CODE32 | MODE_STACK32), 0);
    CHECK_EQ(mode_seg(v->mode, SEG_CS), MODE_SEG_LIMITED);
    CHECK_EQ(v->gpr[REG_EDX], v->model->signature);
    fixture_protected(f, 0);
    u32 ring0 = MODE_PE | MODE_CODE32 | MODE_STACK32 | MODE_IOPL;
    CHECK_EQ(v->mode, ring0); /* flat is zero */
    static const struct {
        u32 base, limit, access;
        enum mode_seg seg;
    } rows[] = {
        {0, 0xffffffff, 0x93, MODE_SEG_FLAT}, {0x1000, 0xffffffff, 0x93, MODE_SEG_BASED},
        {0, 0xfffff, 0x93, MODE_SEG_LIMITED}, {0, 0xffffffff, 0x91, MODE_SEG_ODD},
        {0, 0xffffffff, 0x97, MODE_SEG_ODD},  {0, 0xffffffff, 0x9b, MODE_SEG_ODD},
        {0, 0, AR_UNUSABLE, MODE_SEG_ODD},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        v->seg[SEG_FS] = (struct segment){rows[i].base, rows[i].limit, rows[i].access, 0, 0, 0};
        vcpu_update_mode(v);
        CHECK_EQ(mode_seg(v->mode, SEG_FS), rows[i].seg);
    }
    fixture_protected(f, 3);
    v->paging.cr0 |= CR0_AM | CR0_TS;
    v->paging.cr4 |= CR4_TSD;
    v->eflags |= FL_AC | FL_TF;
    vcpu_update_mode(v);
    CHECK_EQ(v->mode, 3 | MODE_PE | MODE_CODE32 | MODE_STACK32 | MODE_TS | MODE_STEP | MODE_ALIGN | MODE_TSD);
    CHECK(v->write_table == v->shadow->table[SHADOW_USER].write);
}

static void test_eflags(void)
{
    struct vcpu *v = fixture.v;
    static const struct {
        unsigned cpl, iopl;
        u32 result;
    } rows[] = {{0, 0, FL_IF | FL_IOPL | FL_CF},
                {3, 0, FL_CF},
                {3, 3, FL_IF | FL_IOPL | FL_CF},
                {1, 1, FL_IF | 1 << 12 | FL_CF}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(&fixture, 0);
        v->cpl = rows[i].cpl;
        v->eflags = FL_ONE | rows[i].iopl << FL_IOPL_SHIFT;
        v->pending = 0;
        v->interrupt_line = true;
        eflags_write(v, 0xffffffff, FL_IF | FL_IOPL | FL_CF | FL_VM | FL_VIP);
        CHECK_EQ(v->eflags, rows[i].result | FL_ONE);
        CHECK_EQ(!!(v->pending & PENDING_INTERRUPT), !!(rows[i].result & FL_IF));
    }
    v->interrupt_line = false;
}

int main(void)
{
    fixture_init(&fixture);
    test_control_registers();
    test_pdptes();
    test_debug_registers();
    test_msrs();
    test_misc_enable();
    test_cpuid_faulting();
    test_init();
    test_cpuid();
    test_ports();
    test_mode();
    test_eflags();
    fixture_destroy(&fixture);
    return check_report();
}
