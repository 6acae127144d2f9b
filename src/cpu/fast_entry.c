/*
 * The common cases of INT n, exceptions, interrupts, IRET, SYSENTER, SYSEXIT, and of MOV and POP to segment
 * registers: see fast_entry.h. The general routines, with the sections of the manual, are in interrupt.c,
 * return.c, sysenter.c and segment.c. A check here returns false for every other case.
 */
#include "fast_entry.h"

#include "descriptor.h"
#include "exec.h"
#include "isa.h"
#include "mode.h"

/* --- memory: only where there is a shadow entry --- */

/* The host address of [linear, linear + bytes); NULL unless it lies in one page that has an entry. */
static inline u8 *entry_address(const u64 *table, u32 linear, u32 bytes)
{
    u64 entry = table[linear >> PAGE_SHIFT];
    if (!entry || (linear & PAGE_MASK) + bytes > PAGE_SIZE) return NULL;
    return (u8 *)(uintptr_t)(linear + entry);
}

static inline u32 value_at(const u8 *host, unsigned index)
{
    return ((const any32 *)host)[index];
}

/* --- descriptors --- */

/* Fetch the descriptor of a present code or data segment in the GDT with the accessed bit set. */
static inline bool fetch(const struct vcpu *v, u16 selector, struct descriptor *d)
{
    u32 offset = selector & ~SEL_RPL;
    if ((selector & SEL_TI) || !offset || offset + 7 > v->gdtr.limit) return false;
    const u8 *host = entry_address(v->shadow->table[SHADOW_SUPERVISOR].read, (u32)(v->gdtr.base + offset), 8);
    if (!host) return false;
    u64 bits = *(const any64 *)host;
    *d = (struct descriptor){
        .linear = (u32)(v->gdtr.base + offset), .low = bits, .high = bits >> 32, .selector = selector};
    return (descriptor_access(d) & (AR_P | AR_S | AR_ACCESSED)) == (AR_P | AR_S | AR_ACCESSED);
}

static inline bool is_plain_code(const struct descriptor *d)
{
    return (descriptor_access(d) & (AR_CODE | AR_CONFORMING)) == AR_CODE;
}

static inline bool is_flat32(const struct segment *s)
{
    return !s->base && s->limit == 0xffffffff && (s->access & AR_DB);
}

/* Fetch a stack segment for `cpl` that is flat, 32-bit and expand-up. */
static bool fetch_flat_stack(const struct vcpu *v, u16 selector, unsigned cpl, struct segment *stack)
{
    struct descriptor d;
    if (!fetch(v, selector, &d) || selector_rpl(selector) != cpl || descriptor_dpl(&d) != cpl) return false;
    *stack = descriptor_segment(&d, selector);
    return (stack->access & (AR_CODE | AR_EXPAND_DOWN | AR_WRITABLE)) == AR_WRITABLE && is_flat32(stack);
}

static bool has_flat_stack(const struct vcpu *v)
{
    return (v->mode & MODE_STACK32) && mode_seg(v->mode, SEG_SS) == MODE_SEG_FLAT;
}

/* Protected mode, and nothing is armed that must see single instructions or accesses. */
static inline bool is_common(const struct vcpu *v)
{
    return vcpu_protected(v) && !(v->mode & (MODE_STEP | MODE_ALIGN | MODE_LONG)) &&
           !v->instruments.write_log && !v->instruments.no_fast_entry;
}

/* --- into the kernel --- */

struct entry {
    u32 offset, cleared; /* the handler's EIP; the flags that delivery clears */
    unsigned cpl;
    struct segment code;
};

static bool fetch_entry(const struct vcpu *v, u8 vector, bool software, struct entry *e)
{
    struct descriptor gate, code;
    u32 at = vector * 8u;
    if (at + 7 > v->idtr.limit) return false;
    const u8 *host = entry_address(v->shadow->table[SHADOW_SUPERVISOR].read, (u32)(v->idtr.base + at), 8);
    if (!host) return false;
    gate = (struct descriptor){.low = value_at(host, 0), .high = value_at(host, 1)};
    unsigned type = descriptor_system_type(&gate);
    if ((type != SYS_INTERRUPT32 && type != SYS_TRAP32) || !descriptor_present(&gate) ||
        (software && descriptor_dpl(&gate) < v->cpl))
        return false;
    if (!fetch(v, gate_selector(&gate), &code) || !is_plain_code(&code)) return false;
    e->cpl = descriptor_dpl(&code);
    e->offset = gate_offset(&gate);
    e->code = descriptor_segment(&code, (gate_selector(&gate) & ~SEL_RPL) | e->cpl);
    e->cleared = FL_TF | FL_NT | FL_RF | FL_VM | (type == SYS_INTERRUPT32 ? FL_IF : 0);
    return e->cpl <= v->cpl && e->offset <= e->code.limit;
}

/* The stack of an inner ring, from a 32-bit TSS. */
static bool fetch_inner_stack(const struct vcpu *v, unsigned cpl, struct segment *stack, u32 *esp)
{
    u32 at = 4 + cpl * 8;
    if (!(v->tr.access & SYS_32) || at + 7 > v->tr.limit) return false;
    const u8 *host = entry_address(v->shadow->table[SHADOW_SUPERVISOR].read, v->tr.base + at, 8);
    if (!host) return false;
    *esp = value_at(host, 0);
    return fetch_flat_stack(v, (u16)value_at(host, 1), cpl, stack);
}

bool fast_deliver(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error)
{
    struct entry e;
    struct segment stack;
    u32 esp = (u32)v->gpr[REG_ESP];
    if (vcpu_long_mode(v)) return fast_deliver_long(v, vector, source, has_error, error);
    if (!is_common(v) || !fetch_entry(v, vector, source == SOURCE_SOFTWARE, &e)) return false;
    bool inner = e.cpl < v->cpl;
    if (inner ? !fetch_inner_stack(v, e.cpl, &stack, &esp) : !has_flat_stack(v)) return false;
    u32 bytes = (3 + has_error + 2 * inner) * 4;
    esp -= bytes;
    const u64 *table = inner ? v->shadow->table[SHADOW_SUPERVISOR].write : v->write_table;
    any32 *to = (any32 *)entry_address(table, esp, bytes);
    if (!to) return false;

    if (has_error) *to++ = error;
    to[0] = (u32)v->rip;
    to[1] = v->seg[SEG_CS].selector;
    to[2] = v->eflags;
    if (inner) {
        to[3] = (u32)v->gpr[REG_ESP];
        to[4] = v->seg[SEG_SS].selector;
        v->seg[SEG_SS] = stack;
    }
    v->gpr[REG_ESP] = esp;
    v->eflags &= ~e.cleared;
    v->seg[SEG_CS] = e.code;
    v->rip = e.offset;
    v->cpl = e.cpl;
    v->inhibit = 0;
    vcpu_update_privilege(v);
    return true;
}

static bool fast_int(struct vcpu *v, const struct insn *i)
{
    return fast_deliver(v, (u8)i->imm[0], SOURCE_SOFTWARE, false, 0);
}

static bool fast_int3(struct vcpu *v, const struct insn *i)
{
    return fast_deliver(v, VEC_BP, SOURCE_SOFTWARE, false, 0);
}

/* --- out of the kernel --- */

static bool fast_iret(struct vcpu *v, const struct insn *i)
{
    struct descriptor d;
    struct segment stack;
    u32 esp = (u32)v->gpr[REG_ESP], taken = FL_ARITH | FL_TF | FL_DF | FL_NT | FL_RF | FL_AC | FL_ID;
    if (i->operand_bytes == 8) return fast_iretq(v, i);
    if (!is_common(v) || i->operand_bytes != 4 || (v->eflags & FL_NT) || !has_flat_stack(v)) return false;
    const u8 *from = entry_address(v->read_table, esp, 12);
    if (!from) return false;
    u32 eip = value_at(from, 0), eflags = value_at(from, 2);
    u16 cs = (u16)value_at(from, 1);
    unsigned rpl = selector_rpl(cs);
    if ((eflags & FL_VM) || rpl < v->cpl || !fetch(v, cs, &d) || !is_plain_code(&d) ||
        descriptor_dpl(&d) != rpl || eip > descriptor_limit(&d))
        return false;
    bool outer = rpl > v->cpl, dropped = false;
    if (outer && (!(from = entry_address(v->read_table, esp, 20)) ||
                  !fetch_flat_stack(v, (u16)value_at(from, 4), rpl, &stack)))
        return false;

    if (v->cpl <= vcpu_iopl(v)) taken |= FL_IF;
    if (v->cpl == 0) taken |= FL_IOPL | FL_VIF | FL_VIP;
    v->seg[SEG_CS] = descriptor_segment(&d, cs);
    v->rip = eip;
    v->gpr[REG_ESP] = outer ? value_at(from, 3) : esp + 12;
    if (outer) {
        v->seg[SEG_SS] = stack;
        v->cpl = rpl;
        dropped = segments_drop_inner(v);
    }
    v->eflags = (v->eflags & ~taken) | (eflags & taken);
    vcpu_unmask_nmi(v);
    if (dropped)
        vcpu_update_mode(v);
    else
        vcpu_update_privilege(v);
    vcpu_recheck_interrupts(v);
    return true;
}

/* The general routines of these two access no memory. They can be called if nothing would be raised. */
static bool fast_sysenter(struct vcpu *v, const struct insn *i)
{
    if (!is_common(v) || !(v->sysenter_cs & SEL_ERROR_MASK)) return false;
    sysenter(v);
    return true;
}

static bool fast_sysexit(struct vcpu *v, const struct insn *i)
{
    if (!is_common(v) || !(v->sysenter_cs & SEL_ERROR_MASK) || v->cpl != 0) return false;
    sysexit(v, 4);
    return true;
}

/* --- ES, DS, FS, GS --- */

static bool load_data_segment(struct vcpu *v, enum seg seg, u16 selector)
{
    struct descriptor d;
    if (selector_null(selector)) {
        v->seg[seg] = segment_null(selector);
    } else {
        if (!fetch(v, selector, &d) || !descriptor_readable(&d) || descriptor_conforming(&d) ||
            descriptor_dpl(&d) < v->cpl || descriptor_dpl(&d) < selector_rpl(selector))
            return false;
        v->seg[seg] = descriptor_segment(&d, selector);
    }
    vcpu_update_segment(v, seg);
    return true;
}

static bool fast_mov_segment(struct vcpu *v, const struct insn *i)
{
    if (!is_common(v)) return false;
    if (i->op[1].kind == OPND_REG) return load_data_segment(v, i->op[0].reg, (u16)v->gpr[i->op[1].reg]);
    enum mode_seg kind = mode_seg(v->mode, i->mem_seg);
    if (kind != MODE_SEG_FLAT && kind != MODE_SEG_BASED) return false;
    const u8 *from = entry_address(v->read_table, v->seg[i->mem_seg].base + exec_address(v, i), 2);
    return from && load_data_segment(v, i->op[0].reg, (u16)(from[0] | from[1] << 8));
}

static bool fast_pop_segment(struct vcpu *v, const struct insn *i)
{
    u32 esp = (u32)v->gpr[REG_ESP];
    if (!is_common(v) || i->stack_bytes != 4 || !has_flat_stack(v)) return false;
    const u8 *from = entry_address(v->read_table, esp, 4);
    if (!from || !load_data_segment(v, i->op[0].reg, (u16)value_at(from, 0))) return false;
    v->gpr[REG_ESP] = esp + 4;
    return true;
}

fast_routine *fast_routine_of(const struct insn *i, bool code64)
{
    static const struct {
        void (*execute)(struct vcpu *v, const struct insn *i);
        fast_routine *fast;
    } routines[] = {
        {exec_int, fast_int},
        {exec_int3, fast_int3},
        {exec_iret, fast_iret},
        {exec_sysenter, fast_sysenter},
        {exec_sysexit, fast_sysexit},
        {exec_mov_segment, fast_mov_segment},
        {exec_pop_segment, fast_pop_segment},
        {exec_xsave, fast_xsave},
        {exec_xsaveopt, fast_xsaveopt},
        {exec_xsavec, fast_xsavec},
        {exec_xrstor, fast_xrstor},
    };
    if (code64 && i->row->execute == exec_syscall) return fast_syscall;
    if (code64 && i->row->execute == exec_sysret) return fast_sysret;
    for (unsigned n = 0; n < ARRAY_SIZE(routines); n++)
        if ((i->row->traits & ISA_FAST) && routines[n].execute == i->row->execute) return routines[n].fast;
    return NULL;
}
