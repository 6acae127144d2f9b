/*
 * The location of the flags, and memory accesses. In tier 1 an access has a check:
 *
 *     lea   r9d, [EA]              linear address (plus segment base, if the segment has one)
 *     test  r9b, size - 1          a misaligned access may cross a page: a stub finds out
 *     jnz   misaligned
 *     mov   r10d, r9d
 *     shr   r10d, 12
 *     mov   r10, [table + r10 * 8] r14 for reads, r14 + SHADOW_READ_TO_WRITE for writes
 *     test  r10, r10
 *     jz    slow
 *     op    [r9 + r10]
 *
 * An access of a group with a hoisted check (hoist.c) needs only
 *
 *     op    [r13 + distance]
 *
 * In tier 2, where the address space has a host window (mmu/window.h), an access is
 *
 *     op    gs:[EA]                32-bit address, ESP in r8
 *
 * The check clobbers the host's EFLAGS. Live flags are parked before it and stay parked until they are read.
 */
#include "build.h"

void flags_clobber(struct build *b)
{
    if (b->flags != FLAGS_HOST) return;
    if (b->live[b->n]) {
        emit_park_flags(&b->e);
        b->flags = FLAGS_PARKED;
    } else {
        b->flags = FLAGS_DEAD;
    }
}

void flags_to_host(struct build *b)
{
    if (b->flags == FLAGS_PARKED) {
        emit_unpark_flags(&b->e);
        b->flags = FLAGS_HOST;
    }
}

void flags_to_parked(struct build *b)
{
    if (b->flags != FLAGS_HOST) return;
    emit_park_flags(&b->e);
    b->flags = FLAGS_PARKED;
}

void flags_leave_host(struct build *b)
{
    if (b->live[b->n + 1])
        flags_to_parked(b);
    else if (b->flags == FLAGS_HOST)
        b->flags = FLAGS_DEAD;
}

struct stub *stub_add(struct build *b, enum stub_kind kind, u32 from)
{
    assert(b->stub_count < MAX_STUBS);
    struct stub *stub = &b->stub[b->stub_count++];
    *stub = (struct stub){.kind = kind, .from = {from}, .eip = b->eip, .index = (u8)b->n};
    return stub;
}

struct host_mem guest_address(const struct insn *i)
{
    return (struct host_mem){
        .base = i->mem_base == INSN_NO_REG ? HOST_NONE : host_gpr(i->mem_base),
        .index = i->mem_index == INSN_NO_REG ? HOST_NONE : host_gpr(i->mem_index),
        .scale = i->mem_scale,
        .disp = (s32)i->mem_disp,
    };
}

static s32 seg_field(u8 seg, s32 field)
{
    return FRAME_SEG + FRAME_SEG_BYTES * seg + field;
}

/* offset + size - 1 <= limit, compared in 64 bits so that it cannot wrap. */
static void check_limit(struct build *b, u8 seg, unsigned size)
{
    emit_lea64(&b->e, REG_ENTRY, mem_bd(REG_LINEAR, (s32)size - 1));
    emit_load32(&b->e, REG_TEMP, mem_frame(seg_field(seg, FRAME_SEG_LIMIT)));
    emit_alu_rr(&b->e, true, ALU_CMP, REG_ENTRY, REG_TEMP);
    stub_add(b, STUB_STEP, emit_jcc(&b->e, CC_A));
}

bool segment_is_reachable(const struct build *b, u8 seg, bool write)
{
    /* CS of protected mode is never writable. */
    bool code = seg == SEG_CS && (b->mode & MODE_PE) && !(b->mode & MODE_VM86);
    return mode_seg(b->mode, seg) != MODE_SEG_ODD && !(write && code);
}

/* r9d is an offset: turn it into the linear address. */
static void apply_segment(struct build *b, u8 seg, unsigned size)
{
    enum mode_seg kind = mode_seg(b->mode, seg);
    if (kind == MODE_SEG_FLAT) return;
    if (kind == MODE_SEG_LIMITED) {
        flags_clobber(b);
        check_limit(b, seg, size);
    }
    emit_load32(&b->e, REG_ENTRY, mem_frame(seg_field(seg, FRAME_SEG_BASE)));
    emit_lea32(&b->e, REG_LINEAR, mem_bis(REG_LINEAR, REG_ENTRY, 1));
}

bool operand_is_reachable(const struct build *b, bool write)
{
    return segment_is_reachable(b, b->i->mem_seg, write);
}

void access_address(struct build *b, unsigned size)
{
    const struct insn *i = b->i;
    struct host_mem ea = guest_address(i);
    bool absolute = ea.base == HOST_NONE && ea.index == HOST_NONE;
    if (absolute)
        emit_mov_ri(&b->e, REG_LINEAR, i->address_bytes == 2 ? i->mem_disp & 0xffff : i->mem_disp);
    else
        emit_lea32(&b->e, REG_LINEAR, ea);
    if (i->address_bytes == 2 && !absolute) emit_movzx16(&b->e, REG_LINEAR, REG_LINEAR);
    apply_segment(b, i->mem_seg, size);
}

void access_register(struct build *b, u8 seg, u8 reg, unsigned size)
{
    emit_mov_rr32(&b->e, REG_LINEAR, reg);
    apply_segment(b, seg, size);
}

static bool power_of_two(unsigned size)
{
    return (size & (size - 1)) == 0;
}

/* Call the slow path if r10, an entry, is zero. */
static struct stub *slow_if_absent(struct build *b, unsigned size, bool write)
{
    emit_test_rr(&b->e, true, REG_ENTRY);
    struct stub *slow = stub_add(b, STUB_SLOW, emit_jcc(&b->e, CC_Z));
    slow->back = b->e.at;
    slow->size = (u8)size;
    slow->write = write;
    slow->open = hoist_is_open(b);
    return slow;
}

static void check(struct build *b, unsigned size, bool write)
{
    u32 misaligned = 0, crossing = 0;
    flags_clobber(b);
    if (size > 1 && power_of_two(size)) {
        emit_test_r8i(&b->e, REG_LINEAR, (u8)(size - 1));
        misaligned = emit_jcc(&b->e, CC_NZ);
    } else if (size > 1) {
        emit_lea32(&b->e, REG_ENTRY, mem_bd(REG_LINEAR, (s32)size - 1));
        emit_alu_rr(&b->e, false, ALU_XOR, REG_ENTRY, REG_LINEAR);
        emit_shift_ri(&b->e, false, SHIFT_SHR, REG_ENTRY, PAGE_SHIFT);
        crossing = emit_jcc(&b->e, CC_NZ);
    }
    if (misaligned) {
        struct stub *stub = stub_add(b, STUB_MISALIGNED, misaligned);
        stub->size = (u8)size;
        stub->back = b->e.at;
    }
    emit_mov_rr32(&b->e, REG_ENTRY, REG_LINEAR);
    emit_shift_ri(&b->e, false, SHIFT_SHR, REG_ENTRY, PAGE_SHIFT);
    emit_load64(&b->e, REG_ENTRY, mem_table(REG_ENTRY, write));
    slow_if_absent(b, size, write)->from[1] = crossing;
}

bool stack_is_flat(const struct build *b)
{
    return (b->mode & MODE_STACK32) && mode_seg(b->mode, SEG_SS) == MODE_SEG_FLAT;
}

/* An operand in the window. The handler of a host page fault finds the instruction by its site. */
static struct host_mem in_window(struct build *b, struct host_mem mem)
{
    b->site[b->n].parked = b->flags != FLAGS_HOST;
    mem.window = true;
    return mem;
}

struct host_mem access_linear(struct build *b, unsigned size, bool write)
{
    if (has_window(b)) return in_window(b, mem_bd(REG_LINEAR, 0));
    check(b, size, write);
    return mem_bis(REG_LINEAR, REG_ENTRY, 1);
}

bool access_is_direct(const struct build *b, const struct insn *i)
{
    return has_window(b) && i->address_bytes == 4 && mode_seg(b->mode, i->mem_seg) == MODE_SEG_FLAT;
}

/* Is the operand's linear address a constant, and all of it in one page? */
static bool is_constant(const struct insn *i, enum mode_seg seg, unsigned size)
{
    return i->mem_base == INSN_NO_REG && i->mem_index == INSN_NO_REG && i->address_bytes == 4 &&
           seg == MODE_SEG_FLAT && (i->mem_disp & PAGE_MASK) + size <= PAGE_SIZE;
}

static struct host_mem access_constant(struct build *b, unsigned size, bool write)
{
    flags_clobber(b);
    emit_mov_ri(&b->e, REG_LINEAR, b->i->mem_disp);
    emit_load64(&b->e, REG_ENTRY, mem_entry(b->i->mem_disp, write));
    slow_if_absent(b, size, write);
    return mem_bis(REG_LINEAR, REG_ENTRY, 1);
}

struct host_mem access_operand(struct build *b, unsigned size, bool write)
{
    struct host_mem mem;
    assert(operand_is_reachable(b, write));
    if (access_is_direct(b, b->i)) return in_window(b, guest_address(b->i));
    if (hoist_access(b, HOIST_OPERAND, guest_address(b->i), size, write, &mem)) return mem;
    if (!has_window(b) && is_constant(b->i, mode_seg(b->mode, b->i->mem_seg), size))
        return access_constant(b, size, write);
    access_address(b, size);
    return access_linear(b, size, write);
}

struct host_mem access_push(struct build *b)
{
    struct host_mem slot = mem_bd(GUEST_ESP, -4);
    if (has_window(b)) return in_window(b, slot);
    if (hoist_access(b, HOIST_STACK, slot, 4, true, &slot)) return slot;
    emit_lea32(&b->e, REG_LINEAR, slot);
    return access_linear(b, 4, true);
}

void access_pushed(struct build *b)
{
    emit_lea32(&b->e, GUEST_ESP, mem_bd(GUEST_ESP, -4));
}

struct host_mem access_popped(struct build *b, u8 reg)
{
    struct host_mem slot = mem_bd(reg, 0);
    if (has_window(b)) return in_window(b, slot);
    if (hoist_access(b, HOIST_STACK, slot, 4, false, &slot)) return slot;
    emit_mov_rr32(&b->e, REG_LINEAR, reg);
    return access_linear(b, 4, false);
}

struct host_mem access_pop(struct build *b)
{
    return access_popped(b, GUEST_ESP);
}

void emit_count(struct build *b, const u64 *counter)
{
    s64 away = (s64)((uintptr_t)counter - (uintptr_t)b->v) - FRAME_BIAS;
    if (away != (s32)away) return; /* out of reach: the counter is not in the vCPU's struct vm */
    emit_inc64(&b->e, mem_frame((s32)away));
}
