#include "machine64.h"

#include "cpu/interp_private.h"
#include "translator/translator.h"

#include <string.h>

/* Physical addresses, which are the linear ones, too. */
enum {
    PML4_AT = 0x10000,
    PDPT_AT = 0x11000,
    PD_AT = 0x12000,
    GDT_AT = 0x1000,
    TSS_AT = 0x1800,
    IDT_AT = 0x2000
};
enum { HANDLERS_AT = 0x4000, IST_AT = 0x8000 };

static void init(struct rig *rig)
{
    static const u64 gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff,
                              0, 0x00cff3000000ffff, 0x00affb000000ffff};
    struct phys *phys = &rig->phys;
    rig->vcpu.model = cpu_model_find("max64");
    phys_write(phys, PML4_AT, 8, PDPT_AT | 7);
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
    phys_write_bytes(phys, GDT_AT, gdt, sizeof(gdt));
    phys_write(phys, TSS_AT + 36, 8, IST_AT);
    for (u64 n = 0; n < 32; n++) {
        u64 to = HANDLERS_AT + n * 16;
        phys_write(phys, IDT_AT + n * 16, 8, (u64)0x8e01 << 32 | (u64)8 << 16 | to);
        phys_write(phys, IDT_AT + n * 16 + 8, 8, 0);
        phys_write_bytes(phys, (u32)to, "\xf4", 1);
    }
}

static void set_state(struct rig *rig, const struct state64 *in)
{
    struct vcpu *v = &rig->vcpu;
    vcpu_reset(v);
    v->paging.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP;
    v->paging.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    v->paging.cr3 = PML4_AT;
    v->paging.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    v->gdtr = (struct desc_table){GDT_AT, 0x2f};
    v->idtr = (struct desc_table){IDT_AT, 32 * 16 - 1};
    v->tr = (struct segment){.base = TSS_AT, .limit = 103, .access = AR_P | 11, .selector = 0x18};
    v->base64.tr = TSS_AT;
    for (unsigned s = 0; s < SEG_COUNT; s++)
        v->seg[s] = (struct segment){.limit = 0xffffffff,
                                     .selector = s == SEG_CS ? 0x2b : 0x23,
                                     .access = AR_P | AR_S | AR_DPL | AR_G | AR_WRITABLE | AR_ACCESSED |
                                               (s == SEG_CS ? AR_CODE | AR_L : AR_DB)};
    v->cpl = 3;
    shadow_load_root(v->shadow, &v->paging);
    for (unsigned n = 0; n < GPR_COUNT; n++)
        *vcpu_gpr(v, n) = in->gpr[n];
    v->rip = in->rip;
    v->eflags = in->eflags | FL_IF;
    v->fpu_live = false;
    if (cpu_model_xcr0(v->model) & XCR0_AVX) {
        v->paging.cr4 |= CR4_OSXSAVE;
        v->xcr0 = cpu_model_xcr0(v->model);
        fpu_extend(v);
        memcpy(v->fpu + FX_YMM, in->fx + FX_YMM, FX_YMM_END64 - FX_YMM);
        v->fpu_upper = true;
    }
    memcpy(v->fpu, in->fx, FX_XMM_END64);
    vcpu_update_mode(v);
}

void machine64_run(struct rig *rig, const struct state64 *in, struct state64 *out, const u8 *code,
                   unsigned bytes, unsigned count, const u8 *scratch)
{
    struct vcpu *v = &rig->vcpu;
    phys_write_bytes(&rig->phys, CODE_AT, code, bytes);
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
    for (unsigned n = 0; n < GPR_COUNT; n++)
        out->gpr[n] = vcpu_gpr_read(v, n);
    if (v->cpl == 0) { /* in a handler: what it interrupted is in its frame */
        out->vector = (u8)((v->rip - HANDLERS_AT) / 16);
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
