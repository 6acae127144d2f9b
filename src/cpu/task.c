/*
 * Hardware tasks (SDM 3A chapter 7). A task switch has two halves. In the first, a fault leaves the old task
 * unchanged. The second begins when the new task's registers are loaded: a fault belongs to the new task
 * (v->in_new_task), at its first instruction.
 */
#include "stack_frame.h"

#define TSS32_MIN_LIMIT 0x67
#define TSS16_MIN_LIMIT 0x2b
#define DR7_LOCAL       0x155     /* L0-L3 and LE: cleared by every switch */
#define TASK_FLAGS      0x3f7fd5u /* the defined flags */

/* Offsets in a TSS: eip, eflags, eight general registers, then the selectors in the order of enum seg and
 * LDTR, each group at equal distances (SDM 3A figures 7-2 and 7-10). */
struct tss_layout {
    u8 width; /* of eip, eflags and general registers */
    u8 eip;   /* first byte of the dynamic fields; eflags and the registers follow */
    u8 selector, selector_step;
    u8 ldt;
    u8 selectors; /* number of segment registers: a 16-bit TSS has no FS and GS */
};
static const struct tss_layout layout16 = {2, 0x0e, 0x22, 2, 0x2a, 4};
static const struct tss_layout layout32 = {4, 0x20, 0x48, 4, 0x60, 6};
#define TSS32_CR3  0x1c
#define TSS32_TRAP 0x64

struct tss_state {
    u32 eip, eflags, cr3;
    u32 gpr[8];
    u16 selector[SEG_COUNT], ldt;
    bool loads_cr3, trap;
};

static const struct tss_layout *tss_layout(u32 access)
{
    return access & SYS_32 ? &layout32 : &layout16;
}

void task_inner_stack(struct vcpu *v, unsigned cpl, u32 ext, u16 *ss, u32 *esp)
{
    unsigned width = tss_layout(v->tr.access)->width;
    u32 offset = width + cpl * 2 * width; /* ESP0 follows the back link */
    if (offset + 2 * width - 1 > v->tr.limit) fault_raise_selector(v, VEC_TS, v->tr.selector, ext);
    *esp = sys_read(v, v->tr.base + offset, width);
    *ss = sys_read(v, v->tr.base + offset + width, 2);
}

static void save_state(struct vcpu *v, u32 eflags)
{
    const struct tss_layout *l = tss_layout(v->tr.access);
    u32 at = v->tr.base + l->eip;
    sys_write(v, at, l->width, mask_bytes(v->rip, l->width));
    sys_write(v, at + l->width, l->width, mask_bytes(eflags, l->width));
    for (unsigned i = 0; i < 8; i++)
        sys_write(v, at + (2 + i) * l->width, l->width, mask_bytes(v->gpr[i], l->width));
    for (unsigned i = 0; i < l->selectors; i++)
        sys_write(v, v->tr.base + l->selector + i * l->selector_step, 2, v->seg[i].selector);
}

static void read_state(struct vcpu *v, const struct segment *tss, struct tss_state *s)
{
    const struct tss_layout *l = tss_layout(tss->access);
    u32 at = tss->base + l->eip, high = l->width == 2 ? 0xffff0000 : 0;
    s->eip = sys_read(v, at, l->width);
    s->eflags = sys_read(v, at + l->width, l->width);
    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = sys_read(v, at + (2 + i) * l->width, l->width) | high;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        s->selector[i] =
            i < l->selectors ? sys_read(v, tss->base + l->selector + i * l->selector_step, 2) : 0;
    s->ldt = sys_read(v, tss->base + l->ldt, 2);
    s->loads_cr3 = l->width == 4 && (v->paging.cr0 & CR0_PG);
    s->cr3 = s->loads_cr3 ? sys_read(v, tss->base + TSS32_CR3, 4) : 0;
    s->trap = l->width == 4 && (sys_read(v, tss->base + TSS32_TRAP, 2) & 1);
}

/* Raise the faults of all writes that the first half will make. */
static void probe_old(struct vcpu *v)
{
    const struct tss_layout *l = tss_layout(v->tr.access);
    u32 end = l->selector + l->selectors * l->selector_step;
    sys_probe_write(v, v->tr.base + l->eip, end - l->eip);
}

static void fetch_tss(struct vcpu *v, u16 selector, enum task_switch_cause cause, u32 ext,
                      struct descriptor *d)
{
    u8 bad = cause == TASK_IRET ? VEC_TS : VEC_GP;
    if (selector_null(selector) || (selector & SEL_TI)) fault_raise_selector(v, bad, selector, ext);
    descriptor_fetch(v, selector, bad, ext, d);
    unsigned type = descriptor_system_type(d);
    bool tss = (type & ~(SYS_TSS_BUSY | SYS_32)) == SYS_TSS16, busy = type & SYS_TSS_BUSY;
    if (!tss || busy != (cause == TASK_IRET)) fault_raise_selector(v, bad, selector, ext);
    if (!descriptor_present(d)) fault_raise_selector(v, VEC_NP, selector, ext);
    u32 min = type & SYS_32 ? TSS32_MIN_LIMIT : TSS16_MIN_LIMIT;
    if (descriptor_limit(d) < min) fault_raise_selector(v, VEC_TS, selector, ext);
}

static void load_ldt(struct vcpu *v, u16 selector, u32 ext)
{
    struct descriptor d;
    v->ldtr = segment_null(selector);
    if (selector_null(selector)) return;
    if (selector & SEL_TI) fault_raise_selector(v, VEC_TS, selector, ext);
    descriptor_fetch(v, selector, VEC_TS, ext, &d);
    if (descriptor_system_type(&d) != SYS_LDT || !descriptor_present(&d))
        fault_raise_selector(v, VEC_TS, selector, ext);
    v->ldtr = descriptor_segment(&d, selector);
}

static void load_code(struct vcpu *v, u16 selector, u32 ext)
{
    struct descriptor d;
    if (selector_null(selector)) fault_raise_error(v, VEC_TS, ext);
    descriptor_fetch(v, selector, VEC_TS, ext, &d);
    unsigned dpl = descriptor_dpl(&d), rpl = selector_rpl(selector);
    if (!descriptor_code(&d) || (descriptor_conforming(&d) ? dpl > rpl : dpl != rpl))
        fault_raise_selector(v, VEC_TS, selector, ext);
    if (!descriptor_present(&d)) fault_raise_selector(v, VEC_NP, selector, ext);
    descriptor_set_accessed(v, &d);
    v->seg[SEG_CS] = descriptor_segment(&d, selector);
}

static void load_segments(struct vcpu *v, const struct tss_state *s, u32 ext)
{
    static const u8 data[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS};
    struct descriptor d;
    if (vcpu_vm86(v)) {
        for (unsigned i = 0; i < SEG_COUNT; i++)
            segment_assign_real(v, i, s->selector[i]);
        load_ldt(v, s->ldt, ext);
        return;
    }
    load_ldt(v, s->ldt, ext);
    load_code(v, s->selector[SEG_CS], ext);
    descriptor_fetch_stack(v, s->selector[SEG_SS], v->cpl, VEC_TS, ext, &d);
    descriptor_set_accessed(v, &d);
    v->seg[SEG_SS] = descriptor_segment(&d, s->selector[SEG_SS]);
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
        u16 selector = s->selector[data[i]];
        if (selector_null(selector)) continue;
        descriptor_fetch_data(v, selector, VEC_TS, ext, &d);
        descriptor_set_accessed(v, &d);
        v->seg[data[i]] = descriptor_segment(&d, selector);
    }
}

/* Load the new task's registers. Segment registers get their selectors, and are unusable until their descriptors
 * are checked. */
static void load_registers(struct vcpu *v, const struct tss_state *s)
{
    v->rip = s->eip;
    v->eflags = (s->eflags & TASK_FLAGS) | FL_ONE;
    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = s->gpr[i];
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = segment_null(s->selector[i]);
    v->cpl = vcpu_vm86(v) ? 3 : selector_rpl(s->selector[SEG_CS]);
    v->ldtr = segment_null(s->ldt);
    v->dr[7] &= ~(u32)DR7_LOCAL;
    v->paging.cr0 |= CR0_TS;
    v->inhibit = 0;
    vcpu_update_mode(v);
}

static void push_error(struct vcpu *v, unsigned bytes, u32 error, u32 ext)
{
    struct stack_frame frame;
    stack_frame_begin(&frame, &v->seg[SEG_SS], v->gpr[REG_ESP], v->cpl, bytes);
    stack_frame_push(&frame, error);
    stack_frame_check(v, &frame, ext);
    stack_frame_probe(v, &frame);
    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
}

void task_switch_event(struct vcpu *v, u16 tss_selector, enum task_switch_cause cause, bool has_error,
                       u32 error, u32 ext)
{
    struct descriptor d, old = {0};
    struct tss_state state;
    bool nested = cause == TASK_CALL || cause == TASK_GATE, leaves_old = !nested;
    fetch_tss(v, tss_selector, cause, ext, &d);
    struct segment tss = descriptor_segment(&d, tss_selector);

    read_state(v, &tss,
               &state); /* for faults and checks; read again below: old and new TSS may be the same */
    if (state.loads_cr3 && !control_cr3_valid(v, state.cr3))
        fault_raise_selector(v, VEC_TS, tss_selector, ext);
    probe_old(v);
    if (nested) sys_probe_write(v, tss.base, 2);
    sys_probe_write(v, d.linear + 5, 1);
    if (leaves_old) {
        descriptor_fetch(v, v->tr.selector, VEC_TS, ext, &old);
        sys_probe_write(v, old.linear + 5, 1);
        descriptor_set_busy(v, &old, false);
    }
    save_state(v, cause == TASK_IRET ? v->eflags & ~(u32)FL_NT : v->eflags);
    if (nested) sys_write(v, tss.base, 2, v->tr.selector);
    read_state(v, &tss, &state);
    if (nested) state.eflags |= FL_NT;
    descriptor_set_busy(v, &d, true);

    if (state.loads_cr3) control_write(v, 3, state.cr3);
    v->tr = descriptor_segment(&d, tss_selector);
    v->in_new_task = true;
    load_registers(v, &state);
    load_segments(v, &state, ext);
    vcpu_update_mode(v);
    if (has_error) push_error(v, d.high >> 8 & SYS_32 ? 4 : 2, error, ext);
    if (v->rip > v->seg[SEG_CS].limit) fault_raise_error(v, VEC_GP, ext);
    v->in_new_task = false;
    if (state.trap) vcpu_trap_debug(v, DR6_BT);
    vcpu_recheck_interrupts(v);
}

void task_switch(struct vcpu *v, u16 tss_selector, enum task_switch_cause cause, bool has_error, u32 error)
{
    task_switch_event(v, tss_selector, cause, has_error, error, 0);
}
