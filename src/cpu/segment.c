/*
 * Segment registers and their descriptors (SDM 3A 3.4, 5.4-5.7; SDM 2 "MOV", "LLDT", "LTR").
 */
#include "cpuid.h"
#include "memory.h"
#include "stack_frame.h"

/* The hidden part of a segment register in real mode: present, writable, accessed, 64 KB. */
enum { REAL_ACCESS = AR_P | AR_S | AR_WRITABLE | AR_ACCESSED, REAL_LIMIT = 0xffff };

struct segment descriptor_segment(const struct descriptor *d, u16 selector)
{
    return (struct segment){.base = descriptor_base(d),
                            .limit = descriptor_limit(d),
                            .access = descriptor_access(d),
                            .selector = selector,
                            /* an aligned descriptor lies in one page */
                            .comparable = !(selector & SEL_TI) && !(d->linear & 7),
                            .raw = (u64)d->high << 32 | d->low};
}

bool descriptor_read(struct vcpu *v, u16 selector, struct descriptor *d)
{
    bool long_mode = vcpu_long_mode(v);
    u64 base = v->gdtr.base;
    u32 limit = v->gdtr.limit;
    if (selector & SEL_TI) {
        if (v->ldtr.access & AR_UNUSABLE) return false;
        base = long_mode ? v->base64.ldtr : v->ldtr.base;
        limit = v->ldtr.limit;
    }
    u32 offset = selector & ~(SEL_TI | SEL_RPL);
    if (offset + 7 > limit) return false;
    u64 linear = long_mode ? base + offset : (u32)(base + offset), bits = sys_read(v, linear, 8);
    *d = (struct descriptor){.linear = linear, .low = bits, .high = bits >> 32, .selector = selector};
    return true;
}

void descriptor_fetch(struct vcpu *v, u16 selector, u8 vector, u32 ext, struct descriptor *d)
{
    if (!descriptor_read(v, selector, d)) fault_raise_selector(v, vector, selector, ext);
}

void descriptor_fetch_system64(struct vcpu *v, const struct descriptor *d, u8 vector, u32 ext, u64 *upper)
{
    const u64 type = 0x1full << 40; /* of the second half, which must not look like a descriptor */
    u32 offset = d->selector & ~(SEL_TI | SEL_RPL);
    u32 limit = d->selector & SEL_TI ? v->ldtr.limit : v->gdtr.limit;
    if (offset + 15 > limit) fault_raise_selector(v, vector, d->selector, ext);
    *upper = sys_read(v, d->linear + 8, 8);
    if (*upper & type) fault_raise_selector(v, vector, d->selector, ext);
}

void descriptor_check_offset(struct vcpu *v, const struct descriptor *d, u64 offset, u32 error)
{
    if (descriptor_code64(v, d) ? !is_canonical(offset) : offset > descriptor_limit(d))
        fault_raise_error(v, VEC_GP, error);
}

void descriptor_set_accessed(struct vcpu *v, struct descriptor *d)
{
    u32 accessed = d->high | AR_ACCESSED << 8;
    if (accessed == d->high) return;
    sys_write(v, d->linear + 5, 1, accessed >> 8 & 0xff);
    d->high = accessed;
}

void descriptor_set_busy(struct vcpu *v, struct descriptor *d, bool busy)
{
    u32 high = busy ? d->high | SYS_TSS_BUSY << 8 : d->high & ~(u32)(SYS_TSS_BUSY << 8);
    sys_write(v, d->linear + 5, 1, high >> 8 & 0xff);
    d->high = high;
}

void descriptor_fetch_stack(struct vcpu *v, u16 selector, unsigned cpl, u8 vector, u32 ext,
                            struct descriptor *d)
{
    if (selector_null(selector)) fault_raise_error(v, vector, ext);
    descriptor_fetch(v, selector, vector, ext, d);
    if (selector_rpl(selector) != cpl || !descriptor_writable_data(d) || descriptor_dpl(d) != cpl)
        fault_raise_selector(v, vector, selector, ext);
    if (!descriptor_present(d)) fault_raise_selector(v, VEC_SS, selector, ext);
}

void descriptor_fetch_data(struct vcpu *v, u16 selector, u8 vector, u32 ext, struct descriptor *d)
{
    descriptor_fetch(v, selector, vector, ext, d);
    unsigned dpl = descriptor_dpl(d);
    if (!descriptor_readable(d) ||
        (!descriptor_conforming(d) && (dpl < v->cpl || dpl < selector_rpl(selector))))
        fault_raise_selector(v, vector, selector, ext);
    if (!descriptor_present(d)) fault_raise_selector(v, VEC_NP, selector, ext);
}

bool segment_contains(const struct segment *s, u32 offset, u32 bytes)
{
    u64 last = (u64)offset + bytes - 1;
    if ((s->access & (AR_CODE | AR_EXPAND_DOWN)) == AR_EXPAND_DOWN)
        return offset > s->limit && last <= (s->access & AR_DB ? 0xffffffff : 0xffff);
    return last <= s->limit;
}

/*
 * Real mode changes only selector and base. Limit and access stay as protected mode left them ("unreal mode"),
 * except that CS becomes writable again. Virtual-8086 mode sets everything (SDM 3A 20.2.1).
 */
void segment_assign_real(struct vcpu *v, enum seg seg, u16 selector)
{
    struct segment *s = &v->seg[seg];
    s->selector = selector;
    s->comparable = false;
    s->base = (u32)selector << 4;
    if (vcpu_vm86(v)) {
        s->limit = REAL_LIMIT;
        s->access = REAL_ACCESS | AR_DPL;
    } else if (s->access & AR_UNUSABLE) {
        s->limit = REAL_LIMIT;
        s->access = REAL_ACCESS;
    } else if (seg == SEG_CS) {
        s->access = REAL_ACCESS | (s->access & (AR_G | AR_DB));
    }
}

void segment_set_real(struct vcpu *v, enum seg seg, u16 selector)
{
    segment_assign_real(v, seg, selector);
    vcpu_update_mode(v);
}

void segment_set_base(struct vcpu *v, enum seg seg, u64 base)
{
    *(seg == SEG_FS ? &v->base64.fs : &v->base64.gs) = base;
    v->seg[seg].base = (u32)base;
    v->seg[seg].comparable = false;
    vcpu_update_segment(v, seg);
}

/* In IA-32e mode a load of FS or GS also sets the upper half of its base. There a null selector leaves the base alone
 * on AMD's CPUs (AMD APM 2 4.5.3); on Intel's it is 0. */
static void assign(struct vcpu *v, enum seg seg, struct segment s)
{
    bool null = s.access & AR_UNUSABLE;
    if (vcpu_long_mode(v)) {
        if (null && cpu_model_is_amd(v->model))
            s.base = v->seg[seg].base;
        else if (seg == SEG_FS)
            v->base64.fs = s.base;
        else if (seg == SEG_GS)
            v->base64.gs = s.base;
    }
    v->seg[seg] = s;
}

/* May SS hold this null selector? In 64-bit mode it may in rings 0 to 2 (SDM 3A 5.4.1.1). */
static bool is_null_stack(const struct vcpu *v, u16 selector)
{
    return selector_null(selector) && vcpu_code64(v) && v->cpl < 3 && selector_rpl(selector) == v->cpl;
}

void segment_load(struct vcpu *v, enum seg seg, u16 selector)
{
    struct descriptor d;
    if (!vcpu_protected(v)) {
        segment_assign_real(v, seg, selector);
    } else if (seg == SEG_SS ? is_null_stack(v, selector) : selector_null(selector)) {
        assign(v, seg, segment_null(selector));
    } else {
        if (seg == SEG_SS)
            descriptor_fetch_stack(v, selector, v->cpl, VEC_GP, 0, &d);
        else
            descriptor_fetch_data(v, selector, VEC_GP, 0, &d);
        descriptor_set_accessed(v, &d);
        assign(v, seg, descriptor_segment(&d, selector));
    }
    vcpu_update_mode(v);
}

/* The base of an LDT or a TSS: in IA-32e mode it has 64 bits. */
static u64 system_base(struct vcpu *v, const struct descriptor *d)
{
    u64 upper;
    if (!vcpu_long_mode(v)) return descriptor_base(d);
    descriptor_fetch_system64(v, d, VEC_GP, 0, &upper);
    u64 base = upper << 32 | descriptor_base(d);
    if (!is_canonical(base)) fault_raise_selector(v, VEC_GP, d->selector, 0);
    return base;
}

void segment_load_ldtr(struct vcpu *v, u16 selector)
{
    if (selector_null(selector)) {
        v->ldtr = segment_null(selector);
        return;
    }
    struct descriptor d;
    if (selector & SEL_TI) fault_raise_selector(v, VEC_GP, selector, 0);
    descriptor_fetch(v, selector, VEC_GP, 0, &d);
    if (descriptor_system_type(&d) != SYS_LDT) fault_raise_selector(v, VEC_GP, selector, 0);
    if (!descriptor_present(&d)) fault_raise_selector(v, VEC_NP, selector, 0);
    u64 base = system_base(v, &d);
    v->ldtr = descriptor_segment(&d, selector);
    v->base64.ldtr = base;
}

void segment_load_tr(struct vcpu *v, u16 selector)
{
    struct descriptor d;
    if (selector_null(selector) || (selector & SEL_TI)) fault_raise_selector(v, VEC_GP, selector, 0);
    descriptor_fetch(v, selector, VEC_GP, 0, &d);
    unsigned type = descriptor_system_type(&d);
    if (type != SYS_TSS32 && (type != SYS_TSS16 || vcpu_long_mode(v)))
        fault_raise_selector(v, VEC_GP, selector, 0);
    if (!descriptor_present(&d)) fault_raise_selector(v, VEC_NP, selector, 0);
    u64 base = system_base(v, &d);
    descriptor_set_busy(v, &d, true);
    v->tr = descriptor_segment(&d, selector);
    v->base64.tr = base;
}
