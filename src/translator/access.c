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
 * 64-bit code has checks of another kind, for the TLB (access_by_tlb()) and for its windows (verify.c).
 *
 * The check clobbers the host's EFLAGS. Live flags are parked before it and stay parked until they are read.
 */
#include "build.h"
#include "scratch.h"

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

u8 gpr_load(struct build *b, u8 reg, u8 scratch)
{
    if (reg < 8) return host_gpr(reg);
    u8 host = scratch_with(b, reg);
    if (host != HOST_NONE) return host;
    emit_load64(&b->e, scratch, mem_frame(FRAME_GPR_HIGH + 8 * (reg - 8)));
    scratch_note(b, scratch, reg);
    return scratch;
}

void temp_is_kept(struct build *b)
{
    b->keeps_temp = true;
    if (has_tlb(b)) hoist_yield(b);
}

void gpr_store(struct build *b, u8 reg, u8 from)
{
    if (reg < 8) return;
    emit_store64(&b->e, mem_frame(FRAME_GPR_HIGH + 8 * (reg - 8)), from);
    scratch_changed(b, reg, from);
}

/* A register of an address in 64-bit mode, in the host. r11 is left to checks. */
static u8 address_register(struct build *b, u8 number, u8 other)
{
    if (number < 8) return host_gpr(number);
    u8 host = scratch_with(b, number);
    if (host != HOST_NONE && host != REG_TEMP) return host;
    u8 to = scratch_choose(b, 1u << REG_TEMP | scratch_bit(other));
    host = gpr_load(b, number, to);
    if (host != to) emit_mov_rr64(&b->e, to, host);
    scratch_note(b, to, number);
    return to;
}

/* guest_address() in 64-bit mode, where base and index may rest in the vCPU. */
static struct host_mem guest_address64(struct build *b, const struct insn *i)
{
    struct host_mem ea = {
        .base = HOST_NONE, .index = HOST_NONE, .scale = i->mem_scale, .disp = (s32)i->mem_disp};
    if (i->mem_base != INSN_NO_REG) ea.base = address_register(b, i->mem_base, scratch_with(b, i->mem_index));
    if (i->mem_index != INSN_NO_REG) ea.index = address_register(b, i->mem_index, ea.base);
    return ea;
}

struct host_mem operand_address(struct build *b)
{
    return is_code64(b) ? guest_address64(b, b->i) : guest_address(b->i);
}

bool access_is_constant(const struct build *b, const struct insn *i, u64 *linear)
{
    if (i->mem_index != INSN_NO_REG || (i->mem_base != INSN_NO_REG && i->mem_base != INSN_RIP)) return false;
    *linear = i->mem_disp + (i->mem_base == INSN_RIP ? b->next_eip : 0);
    if (i->address_bytes == 4) *linear = (u32)*linear;
    return true;
}

void access_effective64(struct build *b, u8 to, bool wide)
{
    const struct insn *i = b->i;
    u64 constant;
    wide = wide && i->address_bytes == 8;
    bool known = access_is_constant(b, i, &constant);
    if (known && wide && i->mem_base == INSN_RIP) {
        emit_mov_rip(b, to, constant);
    } else if (known) {
        b->has_half_eip |= i->mem_base == INSN_RIP;
        emit_mov_ri64(&b->e, to, wide ? constant : (u32)constant);
    } else {
        emit_lea_sized(&b->e, wide, to, guest_address64(b, i));
    }
    scratch_note(b, to, 0);
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
    if (is_code64(b)) {
        struct host_mem base = mem_frame(seg == SEG_FS ? FRAME_FS_BASE64 : FRAME_GS_BASE64);
        if (!mode_has_window64(b->mode)) flags_clobber(b); /* as the check will */
        if (b->flags != FLAGS_HOST) {
            emit_alu_rm(&b->e, true, ALU_ADD, REG_LINEAR, base);
            return;
        }
        emit_load64(&b->e, REG_ENTRY, base);
        emit_lea64(&b->e, REG_LINEAR, mem_bis(REG_LINEAR, REG_ENTRY, 1));
        scratch_note(b, REG_ENTRY, 0);
        return;
    }
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
    if (is_code64(b)) {
        access_effective64(b, REG_LINEAR, true);
        apply_segment(b, i->mem_seg, size);
        return;
    }
    struct host_mem ea = guest_address(i);
    bool absolute = ea.base == HOST_NONE && ea.index == HOST_NONE;
    if (absolute)
        emit_mov_ri(&b->e, REG_LINEAR, (u32)(i->address_bytes == 2 ? i->mem_disp & 0xffff : i->mem_disp));
    else
        emit_lea32(&b->e, REG_LINEAR, ea);
    if (i->address_bytes == 2 && !absolute) emit_movzx16(&b->e, REG_LINEAR, REG_LINEAR);
    apply_segment(b, i->mem_seg, size);
}

void access_register(struct build *b, u8 seg, u8 reg, unsigned size)
{
    emit_mov_rr(&b->e, is_code64(b), REG_LINEAR, reg);
    apply_segment(b, seg, size);
}

static bool power_of_two(unsigned size)
{
    return (size & (size - 1)) == 0;
}

static struct stub *slow_path(struct build *b, unsigned size, bool write, u32 from)
{
    struct stub *slow = stub_add(b, STUB_SLOW, from);
    slow->back = b->e.at;
    slow->linear = REG_LINEAR;
    slow->size = b->i->mask ? SLOW_MOST : (u8)size;
    slow->write = write;
    slow->open = hoist_is_open(b);
    return slow;
}

/* Call the slow path if r10, an entry, is zero. */
static struct stub *slow_if_absent(struct build *b, unsigned size, bool write)
{
    emit_test_rr(&b->e, true, REG_ENTRY);
    return slow_path(b, size, write, emit_jcc(&b->e, CC_Z));
}

void access_tlb_slot(struct build *b, u8 slot, u8 linear)
{
    enum { COUNT = PAGE_SHIFT - TLB_SLOT_LOG };
    if (b->t->has_bmi2) {
        emit_rorx(&b->e, slot, linear, COUNT);
    } else {
        emit_mov_rr64(&b->e, slot, linear);
        emit_shift_ri(&b->e, true, SHIFT_SHR, slot, COUNT);
    }
    emit_alu_ri(&b->e, false, ALU_AND, slot, (TLB_ENTRIES - 1) << TLB_SLOT_LOG);
}

/* In IA-32e mode. The page of the last byte is compared with the entry for the first one: they agree only where both
 * lie in one page, so a misaligned access needs no test of its own. */
u32 access_by_tlb(struct build *b, u8 linear, unsigned size, bool write)
{
    u8 page = b->keeps_temp ? REG_HOISTED : REG_TEMP;
    b->has_delta &= page != REG_HOISTED;
    access_tlb_slot(b, REG_ENTRY, linear);
    emit_lea64(&b->e, page, mem_bd(linear, (s32)size - 1));
    emit_alu_ri(&b->e, true, ALU_AND, page, ~(s32)PAGE_MASK);
    emit_alu_rm(&b->e, true, ALU_CMP, page, mem_tlb(REG_ENTRY, tlb_tag_field(write)));
    u32 differs = emit_jcc(&b->e, CC_NZ);
    emit_load64(&b->e, REG_ENTRY, mem_tlb(REG_ENTRY, offsetof(struct tlb_slot, delta)));
    scratch_note(b, REG_ENTRY, 0);
    scratch_note(b, page, 0);
    return differs;
}

u8 access_plain_register(struct build *b, struct host_mem address)
{
    if (!is_code64(b) || address.base == HOST_NONE || address.index != HOST_NONE || address.disp)
        return HOST_NONE;
    if (address.base != REG_ENTRY && address.base != REG_TEMP) return address.base;
    emit_mov_rr64(&b->e, REG_LINEAR, address.base);
    scratch_note(b, REG_LINEAR, b->i->mem_base);
    return REG_LINEAR;
}

/* The bytes at the linear address in a register. */
static struct host_mem check_by_tlb(struct build *b, u8 linear, unsigned size, bool write)
{
    flags_clobber(b);
    u32 differs = access_by_tlb(b, linear, size, write);
    slow_path(b, size, write, differs)->linear = linear;
    if (linear != REG_LINEAR) scratch_note(b, REG_LINEAR, 0); /* by the slow path */
    return mem_bis(linear, REG_ENTRY, 1);
}

static void check(struct build *b, unsigned size, bool write)
{
    if (has_tlb(b)) {
        check_by_tlb(b, REG_LINEAR, size, write);
        return;
    }
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
    if (is_code64(b)) return true;
    return (b->mode & MODE_STACK32) && mode_seg(b->mode, SEG_SS) == MODE_SEG_FLAT;
}

/* An operand in the window. The handler of a host page fault finds the instruction by its site. */
static struct host_mem in_window(struct build *b, struct host_mem mem)
{
    b->site[b->n].parked = b->flags != FLAGS_HOST;
    mem.window = WINDOW_32;
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

/* A field of the TLB's slot for the constant address of the current instruction. */
static struct host_mem slot_of_constant(const struct build *b, u64 linear, u64 field)
{
    return b->i->mem_base == INSN_RIP ? mem_tlb_by_rip(b, linear, field) : mem_tlb_at(linear, field);
}

/* The same for a constant address in IA-32e mode. In the lowest and the highest 2 GB, where programs at fixed addresses
 * and kernels are, the address is an immediate of the instructions themselves. */
static struct host_mem access_constant_tlb(struct build *b, u64 linear, unsigned size, bool write)
{
    u64 tag = linear & ~(u64)PAGE_MASK;
    bool short_tag = tag == (u64)(s64)(s32)tag, short_linear = linear == (u64)(s64)(s32)linear;
    if (short_tag && short_linear && !b->has_full_rip) {
        flags_clobber(b);
        emit_cmp_mi64(&b->e, mem_tlb_at(linear, tlb_tag_field(write)), (u32)tag);
        u32 differs = emit_jcc(&b->e, CC_NZ);
        emit_load64(&b->e, REG_ENTRY, mem_tlb_at(linear, offsetof(struct tlb_slot, delta)));
        scratch_note(b, REG_ENTRY, 0);
        struct stub *slow = slow_path(b, size, write, differs);
        slow->constant = true;
        slow->eip = linear;
        scratch_note(b, REG_LINEAR, 0); /* by the slow path */
        return mem_bd(REG_ENTRY, (s32)linear);
    }
    struct host_mem page = slot_of_constant(b, linear, tlb_tag_field(write));
    struct host_mem delta = slot_of_constant(b, linear, offsetof(struct tlb_slot, delta));
    flags_clobber(b);
    access_effective64(b, REG_LINEAR, true);
    emit_lea64(&b->e, REG_ENTRY, mem_bd(REG_LINEAR, -(s32)(linear - tag)));
    emit_alu_rm(&b->e, true, ALU_CMP, REG_ENTRY, page);
    fix_tlb(b, &page);
    u32 differs = emit_jcc(&b->e, CC_NZ);
    emit_load64(&b->e, REG_ENTRY, delta);
    fix_tlb(b, &delta);
    scratch_note(b, REG_ENTRY, 0);
    slow_path(b, size, write, differs);
    return mem_bis(REG_LINEAR, REG_ENTRY, 1);
}

static struct host_mem access_constant(struct build *b, unsigned size, bool write)
{
    flags_clobber(b);
    emit_mov_ri(&b->e, REG_LINEAR, (u32)b->i->mem_disp);
    emit_load64(&b->e, REG_ENTRY, mem_entry((u32)b->i->mem_disp, write));
    slow_if_absent(b, size, write);
    return mem_bis(REG_LINEAR, REG_ENTRY, 1);
}

/* The register that is all of the address of the memory operand in 64-bit mode, or HOST_NONE. While a high byte is
 * swapped (rewrite.c), its register has another value. */
static u8 plain_operand(struct build *b)
{
    const struct insn *i = b->i;
    for (unsigned n = 0; n < i->operand_count; n++)
        if (insn_is_high_byte(&i->op[n])) return HOST_NONE;
    bool plain = i->address_bytes == 8 && i->mem_base < GPR_COUNT && i->mem_index == INSN_NO_REG &&
                 !i->mem_disp && mode_seg(b->mode, i->mem_seg) == MODE_SEG_FLAT;
    return is_code64(b) && plain ? access_plain_register(b, operand_address(b)) : HOST_NONE;
}

struct host_mem access_operand(struct build *b, unsigned size, bool write)
{
    struct host_mem mem;
    assert(operand_is_reachable(b, write));
    if (access_is_direct(b, b->i)) return in_window(b, guest_address(b->i));
    if (verify_operand(b, size, &mem)) return mem;
    if (hoist_access(b, HOIST_OPERAND, NULL, size, write, &mem)) return mem;
    u64 linear;
    if (is_code64(b) && mode_seg(b->mode, b->i->mem_seg) == MODE_SEG_FLAT &&
        access_is_constant(b, b->i, &linear) && (linear & PAGE_MASK) + size <= PAGE_SIZE)
        return access_constant_tlb(b, linear, size, write);
    if (!has_window(b) && !has_tlb(b) && is_constant(b->i, mode_seg(b->mode, b->i->mem_seg), size))
        return access_constant(b, size, write);
    u8 reg = plain_operand(b);
    if (reg != HOST_NONE) return check_by_tlb(b, reg, size, write);
    access_address(b, size);
    return access_linear(b, size, write);
}

/* Several PUSHes or POPs in a row, in a window of 64-bit code, change r8 once, behind the last one:
 *
 *     mov [r8 + r13 - 8], rbx ; mov [r8 + r13 - 16], rbp ; lea r8, [r8 - 16]
 *
 * If one of them faults, the interpreter goes on at the first one. That is harmless, because they store, or load, the
 * same values again. So all host code of the run belongs to the site of the first one. */
static bool run_goes_on(const struct build *b)
{
    return b->n + 1u < b->count && b->i->stack_effect == b->insn[b->n + 1].stack_effect &&
           rsp_is_plain_slot(b, b->n) && rsp_is_plain_slot(b, b->n + 1);
}

/* RSP has moved by a slot. */
static void stack_moved(struct build *b, s32 by)
{
    if (run_goes_on(b)) {
        if (!b->rsp_away) b->run_begins = (u8)b->n;
        b->rsp_away += by;
        return;
    }
    emit_lea_sized(&b->e, is_code64(b), GUEST_ESP, mem_bd(GUEST_ESP, b->rsp_away + by));
    for (unsigned n = b->run_begins + 1u; b->rsp_away && n <= b->n; n++)
        b->site[n].host = in_block(b, b->e.at);
    b->rsp_away = 0;
}

struct host_mem access_push(struct build *b)
{
    s32 bytes = slot_bytes(b);
    struct host_mem slot = mem_bd(GUEST_ESP, b->rsp_away - bytes);
    if (has_window(b)) return in_window(b, slot);
    if (verify_stack(b, &slot)) return slot;
    if (hoist_access(b, HOIST_STACK, &slot, (unsigned)bytes, true, &slot)) return slot;
    emit_lea_sized(&b->e, is_code64(b), REG_LINEAR, slot);
    scratch_note(b, REG_LINEAR, 0);
    return access_linear(b, (unsigned)bytes, true);
}

void access_pushed(struct build *b)
{
    stack_moved(b, -slot_bytes(b));
}

static struct host_mem read_slot(struct build *b, u8 reg, s32 away)
{
    unsigned bytes = (unsigned)slot_bytes(b);
    struct host_mem slot = mem_bd(reg, away);
    if (has_window(b)) return in_window(b, slot);
    if (verify_stack(b, &slot)) return slot;
    if (hoist_access(b, HOIST_STACK, &slot, bytes, false, &slot)) return slot;
    emit_mov_rr(&b->e, is_code64(b), REG_LINEAR, reg);
    scratch_note(b, REG_LINEAR, 0);
    return access_linear(b, bytes, false);
}

struct host_mem access_popped(struct build *b, u8 reg)
{
    return read_slot(b, reg, 0);
}

struct host_mem access_pop(struct build *b)
{
    return read_slot(b, GUEST_ESP, b->rsp_away);
}

void access_was_popped(struct build *b)
{
    stack_moved(b, slot_bytes(b));
}

static bool is_in_reach(const struct build *b, const u64 *counter, struct host_mem *mem)
{
    s64 away = (s64)((uintptr_t)counter - (uintptr_t)b->v) - FRAME_BIAS;
    *mem = mem_frame((s32)away);
    return away == (s32)away; /* if not, the counter is not in the vCPU's struct vm */
}

void emit_count(struct build *b, const u64 *counter)
{
    struct host_mem mem;
    if (is_in_reach(b, counter, &mem)) emit_inc64(&b->e, mem);
}

void emit_count_keeping_flags(struct build *b, const u64 *counter)
{
    struct host_mem mem;
    if (!is_in_reach(b, counter, &mem)) return;
    emit_load64(&b->e, REG_ENTRY, mem);
    emit_lea64(&b->e, REG_ENTRY, mem_bd(REG_ENTRY, 1));
    emit_store64(&b->e, mem, REG_ENTRY);
}
