/*
 * Planning a block: which instructions it has, how each is executed, and where the arithmetic flags are live.
 */
#include "build.h"
#include "cpu/debug_points.h"
#include "peek.h"

/* Does the instruction raise #NM or #UD in this mode (SDM 3A 2.5)? The interpreter does that. */
static bool fpu_is_off(const struct build *b, const struct insn *i)
{
    unsigned traits = i->row->traits;
    if (traits & ISA_FPU) {
        if (traits & ISA_WAIT) return (b->mode & MODE_MP) && (b->mode & MODE_TS);
        return b->mode & (MODE_EM | MODE_TS);
    }
    if (traits & ISA_MMX) return b->mode & (MODE_EM | MODE_TS);
    if (traits & ISA_SSE) return (b->mode & (MODE_EM | MODE_TS)) || !(b->mode & MODE_OSFXSR);
    if ((b->mode & MODE_TS) && (traits & ISA_AVX)) return true;
    if (traits & ISA_AVX) return !(b->mode & (isa_is_avx512(i) ? MODE_AVX512 : MODE_AVX));
    return false;
}

void plan_select(struct build *b, unsigned n)
{
    b->n = n;
    b->i = &b->insn[n];
    b->eip = b->key.eip + b->offset[n];
    b->next_eip = mask_eip(b, b->eip + b->i->length);
}

/* The emitters that know 64-bit mode. Their rows of other forms are callouts there. */
static const bool knows_code64[EMITTER_COUNT] = {
    [EMITTER_lods] = true,
    [EMITTER_stos] = true,
    [EMITTER_movs] = true,
    [EMITTER_scas] = true,
    [EMITTER_cmps] = true,
    [EMITTER_lea] = true,
    [EMITTER_nothing] = true,
    [EMITTER_push] = true,
    [EMITTER_pop] = true,
    [EMITTER_leave] = true,
    [EMITTER_cli] = true,
    [EMITTER_sti] = true,
    [EMITTER_cld] = true,
    [EMITTER_std] = true,
    [EMITTER_pushf] = true,
    [EMITTER_popf] = true,
    [EMITTER_rdtsc] = true,
    [EMITTER_jump] = true,
    [EMITTER_jcond] = true,
    [EMITTER_loop] = true,
    [EMITTER_call] = true,
    [EMITTER_ret] = true,
    [EMITTER_rdtscp] = true,
    [EMITTER_ldmxcsr] = true,
    [EMITTER_bit_string] = true,
    [EMITTER_swapgs] = true,
    [EMITTER_cmpxchg] = true,
    [EMITTER_prefetch] = true,
    [EMITTER_mov_from_segment] = true,
};

static bool can_emit(const struct build *b)
{
    unsigned emitter = b->i->row->emitter;
    if (!emitter || (is_code64(b) && !knows_code64[emitter])) return false;
    return emitter_rows[emitter].can(b);
}

/* How is the current instruction executed? */
static enum decision decide(const struct build *b)
{
    const struct isa_row *row = b->i->row;
    if (!isa_lock_is_legal(b->i) || !isa_exposed(b->v->model, b->i) || fpu_is_off(b, b->i)) return BY_CALLOUT;
    if (can_emit(b)) return BY_EMITTER;
    return row->treatment == TREAT_IDENTICAL && rewrite_can(b) ? BY_REWRITE : BY_CALLOUT;
}

static void decide_all(struct build *b)
{
    for (unsigned n = 0; n < b->count; n++) {
        plan_select(b, n);
        b->decision[n] = (u8)decide(b);
    }
}

static bool add_extent(struct build *b, unsigned first, unsigned last)
{
    for (unsigned n = 0; n < b->extent_count; n++) {
        struct extent *s = &b->extent[n];
        if (first > s->last + 1u || last + 1u < s->first) continue;
        if (first < s->first) s->first = (u16)first;
        if (last > s->last) s->last = (u16)last;
        return true;
    }
    if (b->extent_count == MAX_EXTENTS) return false;
    b->extent[b->extent_count++] = (struct extent){(u16)first, (u16)last};
    return true;
}

/* Has a debugger a code point in these bytes? It wants to see true flags there. */
static bool has_point(const struct build *b, u64 eip, unsigned bytes)
{
    const struct debug_points *points = b->v->instruments.points;
    return unlikely(points) && debug_points_in(points, key_linear(&b->key, eip), bytes);
}

static u16 look_ahead(struct build *b, u64 eip)
{
    unsigned at = (b->key.cs_base + eip) & PAGE_MASK, last;
    bool may = !b->t->config.exact_flags && !b->t->config.no_flag_lookahead && is_wide_code(b);
    if (!may || !plan_same_page(b, eip) ||
        !peek_flags_die(b->t->peek, b->v, b->page, at, is_code64(b), &last) ||
        has_point(b, eip, last - at + 1) || !add_extent(b, at, last))
        return FL_ARITH;
    b->v->counters->flags_found_dead++;
    return 0;
}

u16 plan_live_at(struct build *b, u64 eip)
{
    for (unsigned n = 0; n < b->peeked_count; n++)
        if (b->peeked[n].eip == eip) return b->peeked[n].live;
    /* Planning asks for all targets first, and they fit. A later question must not change the extents. */
    if (b->peeked_count == ARRAY_SIZE(b->peeked)) return FL_ARITH;
    u16 live = look_ahead(b, eip);
    b->peeked[b->peeked_count].eip = eip;
    b->peeked[b->peeked_count++].live = live;
    return live;
}

static u16 live_behind(struct build *b, u64 end)
{
    const struct insn *i = &b->insn[b->count - 1];
    if (!isa_ends_block(i)) return plan_live_at(b, end);
    u64 target[2];
    unsigned count = branch_targets(b, i, end, target);
    u16 live = count ? 0 : FL_ARITH;
    for (unsigned n = 0; n < count; n++)
        live |= plan_live_at(b, target[n]);
    return live;
}

static void find_live_flags(struct build *b)
{
    b->live[b->count] = live_behind(b, mask_eip(b, b->key.eip + b->guest_bytes));
    for (unsigned n = b->count; n-- > 0;) {
        const struct insn *i = &b->insn[n];
        u64 end = mask_eip(b, b->key.eip + b->offset[n] + i->length);
        u16 behind = b->live[n + 1];
        u64 target[2];
        if (b->passed[n] && branch_targets(b, i, end, target) == 2) behind |= plan_live_at(b, target[0]);
        /* The interpreter's routines read all of EFLAGS. With exact_flags, so does the frame of a fault. */
        if (b->t->config.exact_flags || b->decision[n] == BY_CALLOUT)
            b->live[n] = FL_ARITH;
        else
            b->live[n] = (behind & ~i->flags_killed) | i->flags_read;
    }
}

bool plan_wants_parked(const struct build *b)
{
    for (unsigned n = 0; n < b->count; n++) {
        const struct insn *i = &b->insn[n];
        if (b->decision[n] == BY_CALLOUT || i->accesses_memory) return true;
        if (i->flags_read || i->flags_written) return false;
    }
    return false;
}

/* May the block go on behind this conditional jump, which ends at next_eip? Most forward jumps are not taken. */
static bool passes(const struct build *b, const struct insn *i, u64 next_eip, unsigned passed)
{
    u64 target[2];
    return i->row->emitter == EMITTER_jcond && !b->t->config.no_superblocks && is_wide_code(b) &&
           passed < MAX_PASSED && branch_targets(b, i, next_eip, target) == 2 && target[0] > next_eip &&
           plan_same_page(b, target[0]);
}

/* May the block go on at the target of this jump? A write to the gap in between kills the block, so the gap must be
 * short. */
static bool follows(const struct build *b, const struct insn *i, u64 next_eip, u64 *to)
{
    u64 target[2];
    if (i->row->emitter != EMITTER_jump || b->t->config.no_superblocks || !is_wide_code(b) ||
        branch_targets(b, i, next_eip, target) != 1)
        return false;
    *to = target[0];
    return *to - next_eip <= MAX_GAP_BYTES && plan_same_page(b, *to);
}

/* The guest's bytes, and the state of decoding. */
struct reading {
    const u8 *bytes, *next_bytes; /* in the block's page, and in the page that follows it */
    unsigned here, next;          /* the number of bytes in each */
    unsigned at;                  /* offset of the next instruction */
    unsigned passed;              /* conditional jumps so far */
    unsigned end;                 /* of what the block depends on */
    bool crosses;                 /* the block's only instruction goes on in the page that follows */
};

static int decode_across(struct build *b, struct insn *i, struct reading *r)
{
    u8 joined[INSN_MAX_BYTES];
    unsigned first = r->here - r->at, got = 0;
    for (; got < INSN_MAX_BYTES && got < first + r->next; got++)
        joined[got] = got < first ? r->bytes[r->at + got] : r->next_bytes[got - first];
    int length = decode_memo_decode(b->t->memo, b->v, i, joined, got, mode_code_size(b->mode));
    r->crosses = length > (int)first;
    return r->crosses ? length : -1; /* too long or invalid: left to the interpreter */
}

/* Decode the instruction at r->at. Returns its length; 0: invalid, raises #UD; -1: does not belong to the block. */
static int decode_next(struct build *b, struct insn *i, struct reading *r)
{
    int length =
        decode_memo_decode(b->t->memo, b->v, i, r->bytes + r->at, r->here - r->at, mode_code_size(b->mode));
    if (length >= 0) return length;
    /* It goes on in the next page. If it is the block's first instruction, it is a crossing block. */
    return b->count || !r->next ? -1 : decode_across(b, i, r);
}

static bool is_within_limit(const struct build *b, unsigned at, unsigned bytes)
{
    if (is_code64(b)) return true;
    u32 limit = b->key.cs_limit, first = (u32)b->key.eip + at, last = first + bytes - 1;
    return first <= limit && last <= limit && last >= first;
}

/* Does the block go on behind the instruction that ends at r->at? If that is a jump, mark it as passed; r->at may
 * move to its target. */
static bool goes_on(struct build *b, const struct insn *i, struct reading *r)
{
    u64 to, next_eip = mask_eip(b, b->key.eip + r->at);
    if (!isa_ends_block(i)) return true;
    if (follows(b, i, next_eip, &to))
        r->at = (unsigned)(to - b->key.eip);
    else if (passes(b, i, next_eip, r->passed))
        r->passed++;
    else
        return false;
    return b->passed[b->count - 1] = true;
}

static bool is_checked_site(const struct build *b, u64 gpa)
{
    return checked_is(&b->t->checked, gpa) || (b->t->config.some_checked && checked_set(gpa) % 4 == 0);
}

/* Decode instructions until the block ends. */
static void read_instructions(struct build *b, struct reading *r)
{
    b->count = 0;
    while (b->count < b->t->config.block_limit && r->at < r->here) {
        struct insn *i = &b->insn[b->count];
        if (b->count && has_point(b, b->key.eip + r->at, 1)) return;
        int length = decode_next(b, i, r);
        if (length < 0 || !is_within_limit(b, r->at, i->length)) return;
        b->checked[b->count] = (b->mode & MODE_WINDOW) && is_checked_site(b, b->key.gpa + r->at);
        b->offset[b->count] = (u16)r->at;
        b->passed[b->count++] = false;
        r->at += i->length;
        b->guest_bytes = (u16)r->at;
        /* An instruction is invalid because of any of its bytes, although it counts as one byte. */
        unsigned most = b->offset[b->count - 1] + INSN_MAX_BYTES;
        r->end = length ? r->at : most < r->here ? most : r->here;
        if (length == 0 || r->crosses || !goes_on(b, i, r)) return;
    }
}

bool plan_block(struct build *b, const u8 *bytes, unsigned here, const u8 *next_bytes, unsigned next,
                bool *crosses)
{
    struct reading r = {.bytes = bytes, .next_bytes = next_bytes, .here = here, .next = next};
    read_instructions(b, &r);
    *crosses = r.crosses;
    if (!b->count) return false;
    b->passed[b->count - 1] = false; /* the last instruction ends the block */
    unsigned first = b->key.gpa & PAGE_MASK;
    b->page = bytes - first;
    b->peeked_count = 0;
    b->extent_count = 1;
    b->extent[0] = (struct extent){(u16)first, (u16)(r.crosses ? PAGE_MASK : first + r.end - 1u)};
    decide_all(b);
    find_live_flags(b);
    hoist_plan(b);
    return true;
}
