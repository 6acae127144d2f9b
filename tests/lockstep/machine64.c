#include "machine64.h"

#include "cpu/interp_private.h"
#include "translator/translator.h"

#include <string.h>

/* The tables of machine64_create(), which linear addresses equal. */
enum { PDPT_AT = 0x11000, PD_AT = 0x12000 };

void machine64_tables(struct phys *phys)
{
    static const u64 gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff,
                              0, 0x00cff3000000ffff, 0x00affb000000ffff};
    phys_write_bytes(phys, MACHINE64_GDT, gdt, sizeof(gdt));
    phys_write(phys, MACHINE64_TSS + 36, 8, MACHINE64_IST);
    for (u64 n = 0; n < 32; n++) {
        u64 to = MACHINE64_HANDLERS + n * 16;
        phys_write(phys, MACHINE64_IDT + n * 16, 8, (u64)0x8e01 << 32 | (u64)8 << 16 | to);
        phys_write(phys, MACHINE64_IDT + n * 16 + 8, 8, 0);
        phys_write_bytes(phys, to, "\xf4", 1);
    }
}

void machine64_reset(struct vcpu *v, u32 cr4)
{
    vcpu_reset(v);
    v->paging.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP;
    v->paging.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | cr4;
    v->paging.cr3 = MACHINE64_PML4;
    v->paging.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    v->gdtr = (struct desc_table){MACHINE64_GDT, 0x2f};
    v->idtr = (struct desc_table){MACHINE64_IDT, 32 * 16 - 1};
    v->tr = (struct segment){.base = MACHINE64_TSS, .limit = 103, .access = AR_P | 11, .selector = 0x18};
    v->base64.tr = MACHINE64_TSS;
    shadow_load_root(v->shadow, &v->paging);
}

void machine64_enter(struct vcpu *v, bool kernel)
{
    unsigned dpl = kernel ? 0 : AR_DPL, code = kernel ? 0x08 : 0x2b, data = kernel ? 0x10 : 0x23;
    for (unsigned s = 0; s < SEG_COUNT; s++)
        v->seg[s] = (struct segment){.limit = 0xffffffff,
                                     .selector = (u16)(s == SEG_CS ? code : data),
                                     .access = AR_P | AR_S | dpl | AR_G | AR_WRITABLE | AR_ACCESSED |
                                               (s == SEG_CS ? AR_CODE | AR_L : AR_DB)};
    v->cpl = kernel ? 0 : 3;
}

void machine64_extend(struct vcpu *v)
{
    u32 components = cpu_model_xcr0(v->model);
    if (!(components & XCR0_AVX)) return;
    v->paging.cr4 |= CR4_OSXSAVE;
    v->xcr0 = components;
    fpu_extend(v);
}

void machine64_set_fx(struct vcpu *v, const u8 *fx)
{
    memcpy(v->fpu, fx, FX_XMM_END64);
    if (!(v->xcr0 & XCR0_AVX)) return;
    memcpy(v->fpu + FX_YMM, fx + FX_YMM, (v->xcr0 & XCR0_AVX512 ? FX_ALL : FX_YMM_END64) - FX_YMM);
    v->fpu_used = XCR0_AVX | XCR0_AVX512;
}

static void init(struct rig *rig)
{
    struct phys *phys = &rig->phys;
    rig->vcpu.model = cpu_model_find("max64");
    phys_write(phys, MACHINE64_PML4, 8, PDPT_AT | 7);
    phys_write(phys, PDPT_AT, 8, PD_AT | 7);
    /* Only what the host has too, and what the CPU itself needs at supervisor privilege. */
    for (u64 page = 0; page < 8; page++)
        phys_write(phys, PD_AT + page * 8, 8, page << 21 | 0x83);
    u64 table = 0x13000;
    for (unsigned n = 4; n <= 5; n++, table += PAGE_SIZE)
        phys_write(phys, PD_AT + n * 8, 8, table | 7);
    phys_write(phys, 0x13000 + (CODE_AT >> 12 & 511) * 8, 8, CODE_AT | 7);
    for (u64 at = SCRATCH_AT; at < SCRATCH_AT + SCRATCH_BYTES; at += PAGE_SIZE)
        phys_write(phys, 0x14000 + (at >> 12 & 511) * 8, 8, at | 7);
    machine64_tables(phys);
}

static void set_state(struct rig *rig, const struct state64 *in)
{
    struct vcpu *v = &rig->vcpu;
    machine64_reset(v, 0);
    machine64_enter(v, false);
    for (unsigned n = 0; n < GPR_COUNT; n++)
        *vcpu_gpr(v, n) = in->gpr[n];
    v->rip = in->rip;
    v->eflags = in->eflags | FL_IF;
    v->fpu_live = false;
    machine64_extend(v);
    machine64_set_fx(v, in->fx);
    vcpu_update_mode(v);
}

void machine64_run(struct rig *rig, const struct state64 *in, struct state64 *out, const u8 *code,
                   unsigned bytes, unsigned count, const u8 *scratch)
{
    struct vcpu *v = &rig->vcpu;
    phys_write_bytes(&rig->phys, CODE_AT, code, bytes);
    if (memcmp(rig->phys.ram + SCRATCH_AT, scratch, SCRATCH_BYTES))
        phys_write_bytes(&rig->phys, SCRATCH_AT, scratch, SCRATCH_BYTES);
    set_state(rig, in);
    v->icount = 0;
    v->icount_limit = count;
    while (v->icount < count && v->cpl == 3)
        if (v->engine)
            translator_run(v);
        else
            interp_step(v);
    fpu_park(v);
    out->vector = NO_FAULT;
    out->rip = v->rip;
    out->eflags = v->eflags;
    out->fault_address = v->cr2;
    for (unsigned n = 0; n < GPR_COUNT; n++)
        out->gpr[n] = vcpu_gpr_read(v, n);
    if (v->cpl == 0) { /* in a handler: what it interrupted is in its frame */
        out->vector = (u8)((v->rip - MACHINE64_HANDLERS) / 16);
        bool has_error = out->vector == 8 || (out->vector >= 10 && out->vector <= 14) || out->vector == 17;
        u64 frame = out->gpr[REG_ESP] + (has_error ? 8 : 0);
        out->rip = phys_read(&rig->phys, frame, 8);
        out->eflags = (u32)phys_read(&rig->phys, frame + 16, 8);
        out->gpr[REG_ESP] = phys_read(&rig->phys, frame + 24, 8);
    }
    memcpy(out->fx, v->fpu, sizeof(out->fx));
}

struct rig *machine64_create(bool translate, unsigned block_limit)
{
    struct rig *rig = rig_create();
    init(rig);
    if (!translate) return rig;
    struct translator_config config = translator_defaults();
    config.exact_flags = true;
    if (block_limit) config.block_limit = block_limit;
    rig->vcpu.deterministic = true;
    rig->translated_code_written = translator_code_written;
    return translator_init(&rig->vcpu, &config) ? NULL : rig;
}
