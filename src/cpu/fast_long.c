/*
 * The common cases of IA-32e mode: SYSCALL, SYSRET and IRETQ in 64-bit mode, and the delivery of exceptions and
 * interrupts through 64-bit gates: see fast_entry.h. Memory is reached by the TLB's supervisor entries only, so nothing
 * here can fault. The general routines, with the sections of the manual, are in syscall.c, return.c and interrupt64.c.
 */
#include "cpuid.h"
#include "descriptor.h"
#include "fast_entry.h"
#include "mmu/tlb.h"
#include "mode.h"
#include "syscall.h"

/* The host address of [linear, linear + bytes); NULL unless it lies in one page that has an entry. */
static inline u8 *entry_address(const struct vcpu *v, u64 linear, u32 bytes, bool write)
{
    u64 delta = tlb_entry(v->shadow->tlb, linear, false, write);
    if (!delta || (linear & PAGE_MASK) + bytes > PAGE_SIZE) return NULL;
    return (u8 *)(uintptr_t)(linear + delta);
}

static inline u64 value_at(const u8 *host, unsigned index)
{
    return ((const any64 *)host)[index];
}

/* IA-32e mode, and nothing is armed that must see single instructions or accesses. */
static inline bool is_common(const struct vcpu *v)
{
    return vcpu_long_mode(v) && !(v->mode & (MODE_STEP | MODE_ALIGN)) && !v->instruments.write_log &&
           !v->instruments.no_fast_entry && !v->instruments.points;
}

/* Fetch the descriptor of a present code or data segment in the GDT with the accessed bit set. */
static bool fetch(const struct vcpu *v, u16 selector, struct descriptor *d)
{
    u32 offset = selector & ~SEL_RPL;
    if ((selector & SEL_TI) || !offset || offset + 7 > v->gdtr.limit) return false;
    u64 linear = v->gdtr.base + offset;
    const u8 *host = entry_address(v, linear, 8, false);
    if (!host) return false;
    u64 bits = value_at(host, 0);
    *d = (struct descriptor){
        .linear = linear, .low = (u32)bits, .high = (u32)(bits >> 32), .selector = selector};
    return (descriptor_access(d) & (AR_P | AR_S | AR_ACCESSED)) == (AR_P | AR_S | AR_ACCESSED);
}

/* The same for a code segment of 64-bit mode that is not conforming. */
static bool fetch_code64(const struct vcpu *v, u16 selector, struct descriptor *d)
{
    u32 asked = AR_CODE | AR_CONFORMING | AR_L | AR_DB;
    return fetch(v, selector, d) && (descriptor_access(d) & asked) == (AR_CODE | AR_L);
}

/* --- into the kernel --- */

bool fast_syscall(struct vcpu *v, const struct insn *i)
{
    if (!is_common(v) || !vcpu_code64(v) || !(v->paging.efer & EFER_SCE)) return false;
    syscall_enter(v);
    return true;
}

/* Into ring 0, where kernels have their handlers. */
struct entry {
    u64 handler, rsp; /* rsp: the handler's, below which the frame is pushed */
    u32 cleared;      /* flags */
    struct segment code;
};

/* A stack pointer of the TSS. */
static bool fetch_rsp(const struct vcpu *v, u32 at, u64 *rsp)
{
    const u8 *host = entry_address(v, v->base64.tr + at, 8, false);
    if (!host || at + 7 > v->tr.limit) return false;
    *rsp = value_at(host, 0);
    return true;
}

static bool fetch_entry(const struct vcpu *v, u8 vector, bool software, struct entry *e)
{
    enum { RSP0 = 4, IST1 = 36 };
    struct descriptor gate, code;
    u32 at = vector * 16u;
    const u8 *host = entry_address(v, v->idtr.base + at, 16, false);
    if (!host || at + 15 > v->idtr.limit) return false;
    u64 low = value_at(host, 0), high = value_at(host, 1);
    gate = (struct descriptor){.low = (u32)low, .high = (u32)(low >> 32)};
    unsigned type = descriptor_system_type(&gate), ist = gate.high & 7;
    if ((type != SYS_INTERRUPT32 && type != SYS_TRAP32) || !descriptor_present(&gate) ||
        (software && descriptor_dpl(&gate) < v->cpl) || !fetch_code64(v, gate_selector(&gate), &code) ||
        descriptor_dpl(&code) != 0)
        return false;
    e->handler = high << 32 | gate_offset(&gate);
    e->cleared = FL_TF | FL_NT | FL_RF | (type == SYS_INTERRUPT32 ? FL_IF : 0);
    e->code = descriptor_segment(&code, gate_selector(&gate) & ~SEL_RPL);
    e->rsp = v->gpr[REG_ESP];
    if (!is_canonical(e->handler)) return false;
    if (ist) return fetch_rsp(v, IST1 + 8 * (ist - 1), &e->rsp);
    return v->cpl == 0 || fetch_rsp(v, RSP0, &e->rsp);
}

bool fast_deliver_long(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error)
{
    struct entry e;
    if (!is_common(v) || !fetch_entry(v, vector, source == SOURCE_SOFTWARE, &e)) return false;
    u32 bytes = (5u + has_error) * 8;
    u64 rsp = (e.rsp & ~15ull) - bytes;
    any64 *to = (any64 *)entry_address(v, rsp, bytes, true);
    if (!to) return false;
    if (has_error) *to++ = error;
    to[0] = v->rip;
    to[1] = v->seg[SEG_CS].selector;
    to[2] = v->eflags;
    to[3] = v->gpr[REG_ESP];
    to[4] = v->seg[SEG_SS].selector;
    bool code64 = vcpu_code64(v);
    if (v->cpl) v->seg[SEG_SS] = segment_null_stack(0);
    v->gpr[REG_ESP] = rsp;
    v->eflags &= ~e.cleared;
    v->seg[SEG_CS] = e.code;
    v->rip = e.handler;
    v->cpl = 0;
    v->inhibit = 0;
    if (code64)
        vcpu_update_privilege(v);
    else
        vcpu_update_mode(v);
    return true;
}

/* --- out of the kernel --- */

bool fast_sysret(struct vcpu *v, const struct insn *i)
{
    bool goes = i->operand_bytes != 8 || cpu_model_is_amd(v->model) || is_canonical(v->gpr[REG_ECX]);
    if (!is_common(v) || !vcpu_code64(v) || v->cpl != 0 || !(v->paging.efer & EFER_SCE) || !goes)
        return false;
    syscall_return(v, i->operand_bytes);
    return true;
}

/* The SS of a return to privilege rpl. */
static bool fetch_stack(const struct vcpu *v, u16 selector, unsigned rpl, struct segment *stack)
{
    struct descriptor d;
    if (selector_null(selector) && rpl < 3 && selector_rpl(selector) == rpl) {
        *stack = segment_null_stack(rpl);
        return true;
    }
    if (!fetch(v, selector, &d) || !descriptor_writable_data(&d) || selector_rpl(selector) != rpl ||
        descriptor_dpl(&d) != rpl)
        return false;
    *stack = descriptor_segment(&d, selector);
    return true;
}

bool fast_iretq(struct vcpu *v, const struct insn *i)
{
    struct descriptor code;
    struct segment stack;
    u32 taken = FL_ARITH | FL_TF | FL_DF | FL_NT | FL_RF | FL_AC | FL_ID | FL_IF | FL_IOPL | FL_VIF | FL_VIP;
    if (!is_common(v) || !vcpu_code64(v) || v->cpl != 0 || (v->eflags & FL_NT)) return false;
    const u8 *from = entry_address(v, v->gpr[REG_ESP], 40, false);
    if (!from) return false;
    u16 cs = (u16)value_at(from, 1), ss = (u16)value_at(from, 4);
    unsigned rpl = selector_rpl(cs);
    if (!fetch_code64(v, cs, &code) || descriptor_dpl(&code) != rpl || !is_canonical(value_at(from, 0)) ||
        !fetch_stack(v, ss, rpl, &stack))
        return false;
    u32 eflags = (u32)value_at(from, 2);
    v->seg[SEG_CS] = descriptor_segment(&code, cs);
    v->seg[SEG_SS] = stack;
    v->rip = value_at(from, 0);
    v->gpr[REG_ESP] = value_at(from, 3);
    v->cpl = (u8)rpl;
    if (rpl) segments_drop_inner(v);
    v->eflags = (v->eflags & ~taken) | (eflags & taken);
    vcpu_unmask_nmi(v);
    vcpu_update_privilege(v);
    vcpu_recheck_interrupts(v);
    return true;
}
