/*
 * String instructions. To go element by element through the accessors is always correct. The repeated forms go
 * in bulk where runs of elements lie in directly reachable pages: the host's own string instructions work on
 * host addresses. So an overlapping copy proceeds element by element, as in the guest.
 *
 * Registers are updated after each run, so a fault finds them at the faulting element. If something is
 * pending, the instruction stops after a run and is executed again later. A deterministic machine does not
 * stop, because the time at which something becomes pending is not repeatable. Translated code calls these
 * routines with the guest's FPU state live; string_in_bulk() is its fast entry, which never faults.
 */
#include "exec.h"
#include "host_alu.h"
#include "interp.h"
#include "isa.h"
#include "mmu/tlb.h"
#include "mode.h"

struct string {
    struct vcpu *v;
    const struct insn *i;
    unsigned bytes; /* of an element */
    u64 mask;       /* mask of SI, DI and CX: the address size */
    bool down;      /* DF */
    bool repeat;
};

static struct string string_of(struct vcpu *v, const struct insn *i)
{
    return (struct string){.v = v,
                           .i = i,
                           .bytes = i->operand_bytes,
                           .mask = exec_mask_address(i, UINT64_MAX),
                           .down = v->eflags & FL_DF,
                           .repeat = i->prefixes & (PFX_REP | PFX_REPNE)};
}

static u64 reg_get(const struct string *s, enum gpr reg)
{
    return s->v->gpr[reg] & s->mask;
}

/* 32 bits are zero-extended. */
static void reg_set(const struct string *s, enum gpr reg, u64 value)
{
    u64 kept = s->mask == 0xffff ? s->v->gpr[reg] & ~s->mask : 0;
    s->v->gpr[reg] = kept | (value & s->mask);
}

static void advance(const struct string *s, enum gpr reg, u64 elements)
{
    u64 bytes = elements * s->bytes;
    reg_set(s, reg, reg_get(s, reg) + (s->down ? -bytes : bytes));
}

/* Bytes between two tests of v->pending: some microseconds. */
enum { RUN_MAX_BYTES = 64 * PAGE_SIZE };

/* The length of the directly reachable run at seg:reg, in the direction of DF, up to `elements`. *host points at
 * the first element to be done. 0: use the accessors. */
static u32 run_of(const struct string *s, enum seg seg, enum gpr reg, u64 elements, bool write, u8 **host)
{
    struct vcpu *v = s->v;
    const struct segment *segment = &v->seg[seg];
    enum mode_seg kind = mode_seg(v->mode, seg);
    u64 offset = reg_get(s, reg), linear = segment_linear(v, seg, offset);
    u32 in_page = linear & PAGE_MASK;
    if (kind == MODE_SEG_ODD || (v->mode & MODE_ALIGN)) return 0;
    if (write && seg == SEG_CS && !(v->mode & MODE_CODE64)) return 0;
    u64 last = s->mask; /* the last of the usable offsets */
    if (kind == MODE_SEG_LIMITED && segment->limit < last) last = segment->limit;
    if (offset > last || last - offset < s->bytes - 1u) return 0;

    if (!s->down) {
        u64 room = last - offset < RUN_MAX_BYTES ? last - offset + 1 : RUN_MAX_BYTES;
        u64 wanted = elements < RUN_MAX_BYTES ? elements * s->bytes : RUN_MAX_BYTES;
        return lin_direct(v, linear, (u32)(wanted < room ? wanted : room), write, host) / s->bytes;
    }
    u32 room = (u32)(offset < in_page ? offset : in_page) / s->bytes + 1;
    if (in_page + s->bytes > PAGE_SIZE) return 0;
    if (elements > room) elements = room;
    u32 back = (u32)(elements - 1) * s->bytes;
    if (lin_direct(v, linear - back, back + s->bytes, write, host) < back + s->bytes) return 0;
    *host += back;
    return (u32)elements;
}

/* --- the repetition --- */

/* Do one element through the accessors. May raise a fault. Advances SI and DI. */
typedef void element_function(const struct string *s);
/* Do up to `elements` at once, and advance SI and DI. Returns how many were done. 0: none can be done in bulk. */
typedef u32 bulk_function(const struct string *s, u64 elements);

static bool interrupted(const struct vcpu *v)
{
    u32 pending = vcpu_pending(v);
    if (v->deterministic) pending &= PENDING_DEBUG;
    return pending || (v->eflags & FL_TF);
}

/* Between two elements: does ZF end the repetition? REPE and REPNE test it if the instruction compares. */
static bool satisfied(const struct string *s, bool compares)
{
    if (!compares) return false;
    return s->i->prefixes & PFX_REPNE ? s->v->eflags & FL_ZF : !(s->v->eflags & FL_ZF);
}

static inline __attribute__((always_inline)) void run(const struct string *s, element_function *element,
                                                      bulk_function *bulk, bool compares)
{
    struct vcpu *v = s->v;
    if (!s->repeat) {
        element(s);
        return;
    }
    bool one_by_one = (v->eflags & FL_TF) || v->instruments.no_bulk_strings;
    u64 count = reg_get(s, REG_ECX);
    while (count) {
        u32 done = one_by_one ? 0 : bulk(s, count);
        if (!done) {
            element(s);
            done = 1;
        }
        count -= done;
        reg_set(s, REG_ECX, count);
        if (!count || satisfied(s, compares)) return;
        if (unlikely(interrupted(v))) {
            v->rip = mode_mask_rip(v->mode, v->rip - s->i->length);
            return;
        }
    }
}

/* The form of a bulk routine: the host's instruction by element size and direction. At the end the direction
 * flag is clear again, as the ABI requires. */
#define BY_SIZE(s, prefix, name, outputs, inputs)                                                            \
    do {                                                                                                     \
        if ((s)->down) {                                                                                     \
            if ((s)->bytes == 1)                                                                             \
                __asm__ volatile("std\n\t" prefix name "b\n\tlahf\n\tseto %%al\n\tcld" outputs inputs        \
                                 : "cc", "memory");                                                          \
            else if ((s)->bytes == 2)                                                                        \
                __asm__ volatile("std\n\t" prefix name "w\n\tlahf\n\tseto %%al\n\tcld" outputs inputs        \
                                 : "cc", "memory");                                                          \
            else if ((s)->bytes == 4)                                                                        \
                __asm__ volatile("std\n\t" prefix name "l\n\tlahf\n\tseto %%al\n\tcld" outputs inputs        \
                                 : "cc", "memory");                                                          \
            else                                                                                             \
                __asm__ volatile("std\n\t" prefix name "q\n\tlahf\n\tseto %%al\n\tcld" outputs inputs        \
                                 : "cc", "memory");                                                          \
        } else {                                                                                             \
            if ((s)->bytes == 1)                                                                             \
                __asm__ volatile(prefix name "b\n\tlahf\n\tseto %%al" outputs inputs : "cc", "memory");      \
            else if ((s)->bytes == 2)                                                                        \
                __asm__ volatile(prefix name "w\n\tlahf\n\tseto %%al" outputs inputs : "cc", "memory");      \
            else if ((s)->bytes == 4)                                                                        \
                __asm__ volatile(prefix name "l\n\tlahf\n\tseto %%al" outputs inputs : "cc", "memory");      \
            else                                                                                             \
                __asm__ volatile(prefix name "q\n\tlahf\n\tseto %%al" outputs inputs : "cc", "memory");      \
        }                                                                                                    \
    } while (0)
/* RAX is the accumulator on entry, and has the parked flags on exit. */
#define MOVING   : "+D"(to), "+S"(from), "+c"(left), "+a"(rax)
#define ONE_SIDE : "+D"(to), "+c"(left), "+a"(rax)
#define NOTHING  :

/* --- MOVS --- */

static void movs_element(const struct string *s)
{
    struct vcpu *v = s->v;
    u64 value = mem_read(v, s->i->mem_seg, reg_get(s, REG_ESI), s->bytes);
    mem_write(v, SEG_ES, reg_get(s, REG_EDI), s->bytes, value);
    advance(s, REG_ESI, 1);
    advance(s, REG_EDI, 1);
}

static u32 movs_bulk(const struct string *s, u64 elements)
{
    u8 *from, *to;
    elements = run_of(s, s->i->mem_seg, REG_ESI, elements, false, &from);
    if (elements) elements = run_of(s, SEG_ES, REG_EDI, elements, true, &to);
    if (!elements) return 0;
    u64 left = elements, rax = 0;
    BY_SIZE(s, "rep ", "movs", MOVING, NOTHING);
    advance(s, REG_ESI, elements);
    advance(s, REG_EDI, elements);
    return elements;
}

void exec_movs(struct vcpu *v, const struct insn *i)
{
    struct string s = string_of(v, i);
    run(&s, movs_element, movs_bulk, false);
}

/* --- STOS --- */

static void stos_element(const struct string *s)
{
    mem_write(s->v, SEG_ES, reg_get(s, REG_EDI), s->bytes, mask_bytes(s->v->gpr[REG_EAX], s->bytes));
    advance(s, REG_EDI, 1);
}

static u32 stos_bulk(const struct string *s, u64 elements)
{
    u8 *to;
    elements = run_of(s, SEG_ES, REG_EDI, elements, true, &to);
    if (!elements) return 0;
    u64 left = elements, rax = s->v->gpr[REG_EAX];
    BY_SIZE(s, "rep ", "stos", ONE_SIDE, NOTHING);
    advance(s, REG_EDI, elements);
    return elements;
}

void exec_stos(struct vcpu *v, const struct insn *i)
{
    struct string s = string_of(v, i);
    run(&s, stos_element, stos_bulk, false);
}

/* --- LODS: repeated, it only reads --- */

static void lods_element(const struct string *s)
{
    u64 value = mem_read(s->v, s->i->mem_seg, reg_get(s, REG_ESI), s->bytes);
    exec_reg_write(s->v, exec_reg_class(s->bytes), REG_EAX, value);
    advance(s, REG_ESI, 1);
}

/* Only the last element of a run has an effect. */
static u32 lods_bulk(const struct string *s, u64 elements)
{
    u8 *from;
    elements = run_of(s, s->i->mem_seg, REG_ESI, elements, false, &from);
    if (!elements) return 0;
    advance(s, REG_ESI, elements - 1);
    lods_element(s);
    return elements;
}

void exec_lods(struct vcpu *v, const struct insn *i)
{
    struct string s = string_of(v, i);
    run(&s, lods_element, lods_bulk, false);
}

/* --- SCAS and CMPS --- */

static void scas_element(const struct string *s)
{
    u64 flags = flags_pack(s->v->eflags);
    u64 value = mem_read(s->v, SEG_ES, reg_get(s, REG_EDI), s->bytes);
    host_cmp(&flags, s->v->gpr[REG_EAX], value, s->bytes);
    flags_unpack(s->v, flags);
    advance(s, REG_EDI, 1);
}

static u32 scas_bulk(const struct string *s, u64 elements)
{
    u8 *to;
    elements = run_of(s, SEG_ES, REG_EDI, elements, false, &to);
    if (!elements) return 0;
    u64 left = elements, rax = s->v->gpr[REG_EAX];
    if (s->i->prefixes & PFX_REPNE)
        BY_SIZE(s, "repne ", "scas", ONE_SIDE, NOTHING);
    else
        BY_SIZE(s, "repe ", "scas", ONE_SIDE, NOTHING);
    flags_unpack(s->v, rax);
    advance(s, REG_EDI, elements - left);
    return elements - left;
}

void exec_scas(struct vcpu *v, const struct insn *i)
{
    struct string s = string_of(v, i);
    run(&s, scas_element, scas_bulk, true);
}

static void cmps_element(const struct string *s)
{
    u64 flags = flags_pack(s->v->eflags);
    u64 a = mem_read(s->v, s->i->mem_seg, reg_get(s, REG_ESI), s->bytes);
    u64 b = mem_read(s->v, SEG_ES, reg_get(s, REG_EDI), s->bytes);
    host_cmp(&flags, a, b, s->bytes);
    flags_unpack(s->v, flags);
    advance(s, REG_ESI, 1);
    advance(s, REG_EDI, 1);
}

static u32 cmps_bulk(const struct string *s, u64 elements)
{
    u8 *from, *to;
    elements = run_of(s, s->i->mem_seg, REG_ESI, elements, false, &from);
    if (elements) elements = run_of(s, SEG_ES, REG_EDI, elements, false, &to);
    if (!elements) return 0;
    u64 left = elements, rax = 0;
    if (s->i->prefixes & PFX_REPNE)
        BY_SIZE(s, "repne ", "cmps", MOVING, NOTHING);
    else
        BY_SIZE(s, "repe ", "cmps", MOVING, NOTHING);
    flags_unpack(s->v, rax);
    advance(s, REG_ESI, elements - left);
    advance(s, REG_EDI, elements - left);
    return elements - left;
}

void exec_cmps(struct vcpu *v, const struct insn *i)
{
    struct string s = string_of(v, i);
    run(&s, cmps_element, cmps_bulk, true);
}

/* --- for translated code --- */

/* Fill the shadow entry for this operand's next element. False: the access faults, or is not to plain
 * memory. */
static bool fill(const struct string *s, enum seg seg, enum gpr reg, bool write)
{
    struct vcpu *v = s->v;
    u64 linear = segment_linear(v, seg, reg_get(s, reg));
    struct shadow_hit hit;
    if (v->mode & MODE_LONG) {
        if (tlb_entry(v->shadow->tlb, linear, v->cpl == 3, write)) return true;
        if (!is_canonical(linear)) return false;
    } else if ((write ? v->write_table : v->read_table)[linear >> PAGE_SHIFT]) {
        return true;
    }
    return shadow_access(v->shadow, &v->paging, linear, write ? ACCESS_WRITE : ACCESS_READ, v->cpl == 3,
                         &hit) == SHADOW_DIRECT;
}

/* The operands of an instruction, and its bulk routine. */
struct string_kind {
    void (*execute)(struct vcpu *v, const struct insn *i);
    bulk_function *bulk;
    bool source, destination, writes, compares;
};

static const struct string_kind *kind_of(const struct insn *i)
{
    static const struct string_kind kinds[] = {
        {exec_movs, movs_bulk, true, true, true, false},
        {exec_stos, stos_bulk, false, true, true, false},
        {exec_scas, scas_bulk, false, true, false, true},
        {exec_cmps, cmps_bulk, true, true, false, true},
    };
    for (unsigned n = 0; n < ARRAY_SIZE(kinds); n++)
        if (kinds[n].execute == i->row->execute) return &kinds[n];
    return NULL;
}

bool string_in_bulk(struct vcpu *v, const struct insn *i)
{
    const struct string_kind *kind = kind_of(i);
    struct string s = string_of(v, i);
    u64 count = reg_get(&s, REG_ECX);
    while (count) {
        u32 done = kind->bulk(&s, count);
        if (!done) {
            if (kind->source && !fill(&s, i->mem_seg, REG_ESI, false)) return false;
            if (kind->destination && !fill(&s, SEG_ES, REG_EDI, kind->writes)) return false;
            done = kind->bulk(&s, count);
            if (!done) return false;
        }
        v->counters->string_bulk_bytes += (u64)done * s.bytes;
        count -= done;
        reg_set(&s, REG_ECX, count);
        if (satisfied(&s, kind->compares)) return true;
        if (count && unlikely(interrupted(v))) return false;
    }
    return true;
}

#undef BY_SIZE
#undef MOVING
#undef ONE_SIDE
#undef NOTHING

/* --- INS and OUTS: memory is checked before the port is touched, because a port cannot be touched twice --- */

static void ins_element(const struct string *s)
{
    struct vcpu *v = s->v;
    u16 port = v->gpr[REG_EDX];
    mem_probe_write(v, SEG_ES, reg_get(s, REG_EDI), s->bytes);
    mem_write(v, SEG_ES, reg_get(s, REG_EDI), s->bytes, io_read(v, port, s->bytes));
    advance(s, REG_EDI, 1);
}

/* Runs at a port that transfers several elements at once. Only upward, because devices fill a buffer upward. */
static u32 ins_bulk(const struct string *s, u64 elements)
{
    u8 *to;
    if (s->down) return 0;
    elements = run_of(s, SEG_ES, REG_EDI, elements, true, &to);
    if (elements) elements = io_read_string(s->v, s->v->gpr[REG_EDX], s->bytes, to, elements);
    advance(s, REG_EDI, elements);
    return elements;
}

void exec_ins(struct vcpu *v, const struct insn *i)
{
    struct string s = string_of(v, i);
    io_check(v, v->gpr[REG_EDX], s.bytes);
    run(&s, ins_element, ins_bulk, false);
}

static void outs_element(const struct string *s)
{
    struct vcpu *v = s->v;
    u16 port = v->gpr[REG_EDX];
    io_write(v, port, s->bytes, mem_read(v, s->i->mem_seg, reg_get(s, REG_ESI), s->bytes));
    advance(s, REG_ESI, 1);
}

static u32 outs_bulk(const struct string *s, u64 elements)
{
    u8 *from;
    if (s->down) return 0;
    elements = run_of(s, s->i->mem_seg, REG_ESI, elements, false, &from);
    if (elements) elements = io_write_string(s->v, s->v->gpr[REG_EDX], s->bytes, from, elements);
    advance(s, REG_ESI, elements);
    return elements;
}

void exec_outs(struct vcpu *v, const struct insn *i)
{
    struct string s = string_of(v, i);
    io_check(v, v->gpr[REG_EDX], s.bytes);
    run(&s, outs_element, outs_bulk, false);
}
