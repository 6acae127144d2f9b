/*
 * Far RET and IRET (SDM 2 "RET", "IRET/IRETD") to the same ring, an outer ring, virtual-8086 mode or the
 * interrupted task. Everything is read from the stack and checked before anything changes.
 */
#include "stack_frame.h"

/* Flags that IRET takes from the stack at any privilege; 32-bit forms take RF, AC and ID too. */
enum {
    RETURN_FLAGS16 = FL_ARITH | FL_TF | FL_DF | FL_NT,
    RETURN_FLAGS32 = RETURN_FLAGS16 | FL_RF | FL_AC | FL_ID,
};

struct return_frame {
    u64 eip, esp;
    u32 eflags;
    u16 cs, ss;
};

static void drop_from_stack(struct vcpu *v, u32 bytes)
{
    u64 rsp = v->gpr[REG_ESP];
    v->gpr[REG_ESP] = stack_move(vcpu_stack_mask(v), rsp, rsp + bytes);
}

/* Fetch the code segment of the return address. The RPL of `cs` is the new CPL, never that of an inner ring. */
static void fetch_return_code(struct vcpu *v, u16 cs, struct descriptor *d)
{
    if (selector_null(cs)) fault_raise_error(v, VEC_GP, 0);
    descriptor_fetch(v, cs, VEC_GP, 0, d);
    unsigned rpl = selector_rpl(cs), dpl = descriptor_dpl(d);
    if (!descriptor_code(d) || rpl < v->cpl || (descriptor_conforming(d) ? dpl > rpl : dpl != rpl))
        fault_raise_selector(v, VEC_GP, cs, 0);
    if (descriptor_code_malformed(v, d)) fault_raise_selector(v, VEC_GP, cs, 0);
    if (!descriptor_present(d)) fault_raise_selector(v, VEC_NP, cs, 0);
}

/* The stack segment returned to, and whether it has a descriptor. Rings 0 to 2 of 64-bit mode may have a null
 * selector there. */
static bool fetch_return_stack(struct vcpu *v, const struct return_frame *f, const struct descriptor *code,
                               struct descriptor *stack)
{
    unsigned cpl = selector_rpl(f->cs);
    if (selector_null(f->ss) && descriptor_code64(v, code) && cpl < 3 && selector_rpl(f->ss) == cpl)
        return false;
    descriptor_fetch_stack(v, f->ss, cpl, VEC_GP, 0, stack);
    return true;
}

bool segments_drop_inner(struct vcpu *v)
{
    static const u8 data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    bool dropped = false;
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
        struct segment *s = &v->seg[data[i]];
        bool conforming = (s->access & (AR_CODE | AR_CONFORMING)) == (AR_CODE | AR_CONFORMING);
        unsigned dpl = (s->access & AR_DPL) >> AR_DPL_SHIFT;
        if ((s->access & AR_UNUSABLE) || conforming || dpl >= v->cpl) continue;
        *s = segment_null(0);
        if (data[i] == SEG_FS) v->base64.fs = 0;
        if (data[i] == SEG_GS) v->base64.gs = 0;
        dropped = true;
    }
    return dropped;
}

static void commit_same(struct vcpu *v, const struct return_frame *f, const struct descriptor *code,
                        u32 consumed)
{
    drop_from_stack(v, consumed);
    v->seg[SEG_CS] = descriptor_segment(code, f->cs);
    v->rip = f->eip;
}

/* Removes `release` bytes of parameters from the outer stack too. stack NULL: SS becomes a null selector. */
static void commit_outer(struct vcpu *v, const struct return_frame *f, const struct descriptor *code,
                         const struct descriptor *stack, u16 release)
{
    unsigned cpl = selector_rpl(f->cs);
    v->seg[SEG_CS] = descriptor_segment(code, f->cs);
    v->seg[SEG_SS] = stack ? descriptor_segment(stack, f->ss) : segment_null_stack(cpl);
    u64 mask = descriptor_code64(v, code) ? UINT64_MAX : stack_mask(v->seg[SEG_SS].access);
    v->gpr[REG_ESP] = stack_move(mask, v->gpr[REG_ESP], f->esp + release);
    v->cpl = cpl;
    v->rip = f->eip;
    segments_drop_inner(v);
}

static void far_return_real(struct vcpu *v, unsigned bytes, u16 release)
{
    u32 eip = stack_peek(v, 0, bytes);
    u16 cs = stack_peek(v, bytes, bytes);
    if (eip > v->seg[SEG_CS].limit) fault_raise_error(v, VEC_GP, 0);
    drop_from_stack(v, 2 * bytes + release);
    segment_assign_real(v, SEG_CS, cs);
    v->rip = eip;
}

static void far_return_protected(struct vcpu *v, unsigned bytes, u16 release)
{
    struct descriptor code, stack;
    struct return_frame f = {.eip = stack_peek(v, 0, bytes), .cs = stack_peek(v, bytes, bytes)};
    fetch_return_code(v, f.cs, &code);
    if (selector_rpl(f.cs) == v->cpl) {
        descriptor_check_offset(v, &code, f.eip, 0);
        descriptor_set_accessed(v, &code);
        commit_same(v, &f, &code, 2 * bytes + release);
        return;
    }
    f.esp = stack_peek(v, 2 * bytes + release, bytes);
    f.ss = stack_peek(v, 3 * bytes + release, bytes);
    bool has_stack = fetch_return_stack(v, &f, &code, &stack);
    descriptor_check_offset(v, &code, f.eip, 0);
    descriptor_set_accessed(v, &code);
    if (has_stack) descriptor_set_accessed(v, &stack);
    commit_outer(v, &f, &code, has_stack ? &stack : NULL, release);
}

void far_return(struct vcpu *v, unsigned bytes, u16 release)
{
    if (vcpu_protected(v))
        far_return_protected(v, bytes, release);
    else
        far_return_real(v, bytes, release);
    vcpu_update_mode(v);
}

/* IRET in real mode, and in virtual-8086 mode with IOPL 3. The flags in `taken` come from the stack. */
static void interrupt_return_real(struct vcpu *v, unsigned bytes, u32 taken)
{
    u32 eip = stack_peek(v, 0, bytes);
    u16 cs = stack_peek(v, bytes, bytes);
    u32 eflags = stack_peek(v, 2 * bytes, bytes);
    if (eip > v->seg[SEG_CS].limit) fault_raise_error(v, VEC_GP, 0);
    drop_from_stack(v, 3 * bytes);
    segment_assign_real(v, SEG_CS, cs);
    v->rip = eip;
    v->eflags = (v->eflags & ~taken) | (eflags & taken);
}

/* IOPL < 3 with CR4.VME: a 16-bit IRET works on VIF instead of IF (SDM 3A 20.3.3). */
static void interrupt_return_vme(struct vcpu *v)
{
    u32 eip = stack_peek(v, 0, 2);
    u16 cs = stack_peek(v, 2, 2);
    u32 flags = stack_peek(v, 4, 2);
    if (((flags & FL_IF) && (v->eflags & FL_VIP)) || (flags & FL_TF)) fault_raise_error(v, VEC_GP, 0);
    if (eip > v->seg[SEG_CS].limit) fault_raise_error(v, VEC_GP, 0);
    drop_from_stack(v, 6);
    segment_assign_real(v, SEG_CS, cs);
    v->rip = eip;
    v->eflags = (v->eflags & ~(u32)(RETURN_FLAGS16 | FL_VIF)) | (flags & RETURN_FLAGS16) |
                (flags & FL_IF ? FL_VIF : 0);
}

static void interrupt_return_vm86(struct vcpu *v, unsigned bytes)
{
    if (vcpu_iopl(v) == 3)
        interrupt_return_real(v, bytes, FL_IF | (bytes == 4 ? RETURN_FLAGS32 : RETURN_FLAGS16));
    else if (bytes == 2 && (v->paging.cr4 & CR4_VME))
        interrupt_return_vme(v);
    else
        fault_raise_error(v, VEC_GP, 0);
}

/* Ring 0 enters virtual-8086 mode: nine dwords on the stack, and segments as in real mode. */
static void return_to_vm86(struct vcpu *v, const struct return_frame *f)
{
    static const u8 order[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    u16 selector[ARRAY_SIZE(order)];
    u32 esp = stack_peek(v, 12, 4);
    u16 ss = stack_peek(v, 16, 4);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        selector[i] = stack_peek(v, 20 + 4 * i, 4);
    if (f->eip > 0xffff) fault_raise_error(v, VEC_GP, 0);

    u32 taken = RETURN_FLAGS32 | FL_IF | FL_IOPL | FL_VM | FL_VIF | FL_VIP;
    v->eflags = (v->eflags & ~taken) | (f->eflags & taken);
    v->cpl = 3;
    v->gpr[REG_ESP] = esp;
    v->rip = f->eip;
    segment_assign_real(v, SEG_CS, f->cs);
    segment_assign_real(v, SEG_SS, ss);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        segment_assign_real(v, order[i], selector[i]);
}

static void interrupt_return_protected(struct vcpu *v, unsigned bytes)
{
    struct descriptor code, stack;
    struct return_frame f = {.eip = stack_peek(v, 0, bytes),
                             .cs = stack_peek(v, bytes, bytes),
                             .eflags = stack_peek(v, 2 * bytes, bytes)};
    bool long_mode = vcpu_long_mode(v);
    if (bytes == 4 && (f.eflags & FL_VM) && v->cpl == 0 && !long_mode) {
        return_to_vm86(v, &f);
        return;
    }
    u32 taken = bytes >= 4 ? RETURN_FLAGS32 : RETURN_FLAGS16;
    if (v->cpl <= vcpu_iopl(v)) taken |= FL_IF;
    if (v->cpl == 0) taken |= FL_IOPL | (bytes >= 4 ? FL_VIF | FL_VIP : 0);

    fetch_return_code(v, f.cs, &code);
    /* In 64-bit mode SS and RSP are on the stack also where the privilege stays. */
    if (selector_rpl(f.cs) == v->cpl && !vcpu_code64(v)) {
        descriptor_check_offset(v, &code, f.eip, 0);
        descriptor_set_accessed(v, &code);
        commit_same(v, &f, &code, 3 * bytes);
    } else {
        f.esp = stack_peek(v, 3 * bytes, bytes);
        f.ss = stack_peek(v, 4 * bytes, bytes);
        bool has_stack = fetch_return_stack(v, &f, &code, &stack);
        descriptor_check_offset(v, &code, f.eip, 0);
        descriptor_set_accessed(v, &code);
        if (has_stack) descriptor_set_accessed(v, &stack);
        commit_outer(v, &f, &code, has_stack ? &stack : NULL, 0);
    }
    v->eflags = (v->eflags & ~taken) | (f.eflags & taken);
}

void interrupt_return(struct vcpu *v, unsigned bytes)
{
    if (!vcpu_pe(v))
        interrupt_return_real(v, bytes, FL_IF | FL_IOPL | (bytes == 4 ? RETURN_FLAGS32 : RETURN_FLAGS16));
    else if (vcpu_vm86(v))
        interrupt_return_vm86(v, bytes);
    else if ((v->eflags & FL_NT) && vcpu_long_mode(v))
        fault_raise_error(v, VEC_GP, 0); /* no tasks */
    else if (v->eflags & FL_NT)
        task_switch(v, sys_read(v, v->tr.base, 2), TASK_IRET, false, 0);
    else
        interrupt_return_protected(v, bytes);
    vcpu_unmask_nmi(v);
    vcpu_update_mode(v);
    vcpu_recheck_interrupts(v);
}
