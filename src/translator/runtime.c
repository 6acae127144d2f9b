/*
 * The C side of translated code: the functions that the entry points in entry.S call. They find the guest's
 * registers in the vCPU and its arithmetic flags in v->scratch.parked_flags. They return the host address where
 * execution continues.
 *
 * This file is compiled for general registers only, because the guest's FPU state may be live. Code that needs
 * other registers parks the FPU first.
 */
#include "build.h"
#include "cpu/debug_points.h"
#include "cpu/decode_cache.h"
#include "cpu/memory.h"
#include "cpu/system.h"
#include "device.h"
#include "mmu/long_window.h"
#include "mmu/window.h"

/* EFLAGS <-> v->scratch.parked_flags. */
static void flags_from_parked(struct vcpu *v)
{
    flags_unpack(v, v->scratch.parked_flags);
}

static void flags_into_parked(struct vcpu *v)
{
    v->scratch.parked_flags = flags_pack(v->eflags);
}

static u64 leave(struct engine *t, enum exit_reason reason)
{
    t->reason = reason;
    return (u64)(uintptr_t)translator_leave;
}

/* --- finding blocks --- */

static u8 mode_hash(u32 mode)
{
    return (u8)(mode * 0x9e3779b1u >> 24);
}

/* A mode keeps its number until the numbers run out. */
static u8 mode_number(struct engine *t, u32 mode)
{
    u8 *recent = &t->recent_mode[mode_hash(mode)];
    if (*recent && t->modes[*recent] == mode) return *recent;
    unsigned n = 1;
    while (n <= t->mode_count && t->modes[n] != mode)
        n++;
    if (n == ARRAY_SIZE(t->modes)) {
        /* All numbers are taken: start again. The flush removes the keys made of old numbers. */
        cache_flush(&t->cache);
        n = 1;
        t->mode_count = 0;
        for (unsigned k = 0; k < ARRAY_SIZE(t->recent_mode); k++)
            t->recent_mode[k] = 0;
        recent = &t->recent_mode[mode_hash(mode)];
    }
    if (n > t->mode_count) t->mode_count = n;
    t->modes[n] = mode;
    return *recent = (u8)n;
}

u32 fetch_frame(struct vcpu *v, u64 linear)
{
    u32 frame = decode_frame(v, linear);
    if (frame || !is_canonical(linear)) return frame;
    struct shadow_hit hit;
    shadow_access(v->shadow, &v->paging, linear, ACCESS_FETCH, v->cpl == 3, &hit);
    return decode_frame(v, linear);
}

static u64 mode_tag(u8 number)
{
    return (u64)number << 56;
}

/* The word that tells in IA-32e mode whether a page maps this frame. */
static u64 exec_word(u64 linear, u32 frame_plus_1)
{
    return tlb_exec_word(linear, frame_plus_1 - 1);
}

/* Is the jump table used for this mode? */
static bool uses_jumps(const struct vcpu *v)
{
    const struct engine *t = v->engine;
    return mode_seg(v->mode, SEG_CS) == MODE_SEG_FLAT && !t->config.no_inline_cache;
}

_Static_assert(SHADOW_EXEC_FRAMES + 0ull < 1u << 24, "a key of the jump table has 24 bits for frame + 1");

/* The offset of the exec word of the page with this address from the slots of the privilege. */
static u64 exec_slot(u64 linear)
{
    return ((u64)tlb_place(linear) << TLB_SLOT_LOG) + offsetof(struct tlb_slot, exec);
}

/* Numbering the mode may flush the cache, and the block with it. */
static void enter_jump(struct vcpu *v, u64 rip, u32 frame, struct block *block)
{
    struct engine *t = v->engine;
    u8 number = mode_number(t, v->mode);
    if (!t->cache.block_count) return;
    if (v->mode & MODE_LONG)
        cache_long_jump_enter(&t->cache, block, number, exec_word(rip, frame), exec_slot(rip));
    else
        cache_jump_enter(&t->cache, mode_tag(number) | (u64)frame << 32 | rip, block);
}

/* Look-ups in the jump table are for this mode from now on; 0: they find nothing. */
static void select_jumps(struct vcpu *v, u8 number)
{
    struct engine *t = v->engine;
    v->scratch.jump_tag = mode_tag(number);
    if (v->mode & MODE_LONG) v->scratch.long_jump_table = (u64)(uintptr_t)cache_long_jumps(&t->cache, number);
}

/* `variant` holds key bits besides the mode: MODE_UNHOISTED or 0. */
static struct block *find_block(struct vcpu *v, u32 variant, bool by_edge)
{
    struct engine *t = v->engine;
    const struct segment *cs = &v->seg[SEG_CS];
    bool code64 = v->mode & MODE_CODE64;
    u64 eip = mode_mask_rip(v->mode, v->rip), linear = code64 ? eip : (u32)(cs->base + eip);
    u32 frame = fetch_frame(v, linear);
    if (!frame || (!code64 && eip > cs->limit)) return NULL;
    struct block_key key = {
        .gpa = (u64)(frame - 1) << PAGE_SHIFT | (linear & PAGE_MASK),
        .eip = eip,
        .mode = v->mode | variant,
        .cs_base = code64 ? 0 : cs->base,
        .cs_limit = code64 ? UINT32_MAX : cs->limit,
    };
    v->counters->block_lookups++;
    struct block *block = cache_find(&t->cache, &key);
    if (block)
        v->counters->block_lookup_hits++;
    else
        block = translate(v, &key);
    if (block && !variant && !by_edge && uses_jumps(v)) enter_jump(v, eip, frame, block);
    return t->cache.block_count ? block : NULL;
}

static const u8 *probe_long(struct vcpu *v)
{
    struct engine *t = v->engine;
    u64 rip = mode_mask_rip(v->mode, v->rip);
    u8 number = mode_number(t, v->mode);
    const struct long_jump_entry *entry = cache_long_jumps(&t->cache, number) + rip % JUMP_ENTRIES;
    u32 frame = decode_frame(v, rip);
    if (!frame) return NULL;
    if (!entry->code || entry->rip != rip || entry->exec != exec_word(rip, frame)) {
        cache_prefetch(&t->cache, frame - 1, rip, v->mode);
        return NULL;
    }
    select_jumps(v, number);
    v->counters->block_probe_hits++;
    return entry->code;
}

/* The host code that the jump table has for v->rip, or NULL. */
static const u8 *probe(struct vcpu *v)
{
    struct engine *t = v->engine;
    u32 eip = (u32)v->rip;
    if (!uses_jumps(v)) return NULL;
    if (v->mode & MODE_LONG) return probe_long(v);
    u8 number = mode_number(t, v->mode);
    u64 tag = mode_tag(number);
    const struct jump_entry *entry = &t->cache.jump[eip % JUMP_ENTRIES];
    u32 frame = v->exec_table[eip >> PAGE_SHIFT];
    if (!frame || entry->key != (tag | (u64)frame << 32 | eip)) return NULL;
    select_jumps(v, number);
    v->counters->block_probe_hits++;
    return entry->code;
}

/* The parked entry of the block for v->rip; NULL: interpret. Selects the mode's entries in the jump table. */
static const u8 *find_code(struct vcpu *v)
{
    struct engine *t = v->engine;
    u32 variant = t->variant;
    t->variant = 0;
    bool by_edge = t->by_edge;
    t->by_edge = false;
    const u8 *code = variant || by_edge ? NULL : probe(v);
    t->found = NULL;
    if (code) return code;
    struct block *block = t->found = find_block(v, variant, by_edge);
    if (!block) return NULL;
    select_jumps(v, uses_jumps(v) ? mode_number(t, v->mode) : 0);
    return block_entry(&t->cache, block);
}

/* Call this last: an event that is noted shelters the FPU state again. Sanitized: entry.S loads it, behind all
 * instrumented code. */
static void load_fpu(struct vcpu *v)
{
#ifndef RINGER_SANITIZED
    fpu_load(v);
#endif
}

/* Prepare for translated code at `code`, which runs next. */
static u64 into_code(struct vcpu *v, u64 code)
{
    struct engine *t = v->engine;
    returns_select(v, &t->returns, &t->cache);
    if (unlikely(t->config.check_cache)) returns_check(v, &t->cache);
    if (mode_has_window32(v->mode)) {
        if (v->mode & MODE_LONG)
            long_window_set_base(v->shadow);
        else
            shadow_window_settle(v->shadow);
    }
    load_fpu(v);
    return code;
}

void cut_off(struct vcpu *v, u64 pc, u64 *return_top)
{
    struct engine *t = v->engine;
    struct block *block = cache_block_at(&t->cache, (u32)(pc - (u64)(uintptr_t)t->cache.arena.exec));
    if (block) {
        cache_unlink(&t->cache, block);
        cache_try_site_again(&t->cache, block); /* the program may do something else by now */
    }
    if (v->mode & MODE_LONG) v->scratch.long_jump_table = (u64)(uintptr_t)cache_long_jumps(&t->cache, 0);
    *return_top = (u64)(uintptr_t)translator_thunks[THUNK_RETURN_MISS];
}

/* Go on in a block, at `pc`. No kick is sent for work that C code on this thread made pending, so the block is
 * cut off here. */
static u64 back_into(struct vcpu *v, u64 pc)
{
    into_code(v, pc);
    if (unlikely(vcpu_pending(v)) && !v->deterministic) {
        cut_off(v, pc, (u64 *)(uintptr_t)v->scratch.return_top);
        load_fpu(v);
    }
    return pc;
}

static bool wants_to_leave(struct vcpu *v, enum exit_reason *reason)
{
    struct engine *t = v->engine;
    if (vcpu_pending(v))
        *reason = EXIT_PENDING;
    else if (v->icount >= v->icount_limit || (!t->first && v->icount >= v->icount_soft))
        *reason = EXIT_BUDGET;
    else if (v->mode & MODE_STEP)
        *reason = EXIT_STEP;
    else
        return false;
    return true;
}

/* RSP is about to be used without a check if its segment is LONG_HIGH (rsp.c). Returns the mode key: to read it again
 * soon, with what is next to it, costs more. */
static u32 settle_stack(struct vcpu *v)
{
    const struct engine *t = v->engine;
    u64 rsp = v->gpr[REG_ESP];
    u32 mode = v->mode;
    if (!mode_has_window64(mode)) return mode;
    bool is_high = rsp < CANONICAL_LOW_END && tlb_segment(v->shadow->tlb, rsp) == LONG_HIGH;
    mode &= ~MODE_STACK_HIGH;
    if (is_high && !t->config.no_hoisting) mode |= MODE_STACK_HIGH;
    return v->mode = mode;
}

u64 translator_next(struct vcpu *v)
{
    struct engine *t = v->engine;
    for (;;) {
        enum exit_reason reason;
        if (wants_to_leave(v, &reason)) return leave(t, reason);
        t->first = false;
        if (unlikely(t->log) && v->instruments.log_at == v->instruments.log_end) block_log_drain(v);
        if (t->config.flush_every && ++t->exits % t->config.flush_every == 0) make_room(v);
        const u8 *code = NULL;
        u32 mode = settle_stack(v);
        bool interpret = v->inhibit || mode & MODE_ALIGN || (t->config.interpret_kernel && v->cpl < 3);
        if (!interpret) code = find_code(v);
        if (code) {
            v->eflags &= ~FL_RF; /* RF lasts one instruction and matters only to breakpoints */
            flags_into_parked(v);
            return into_code(v, (u64)(uintptr_t)code);
        }
        reason = interp_step(v);
        if (reason != EXIT_NONE) return leave(t, reason);
    }
}

/* --- called by entry.S --- */

struct slow_result {
    u64 entry;  /* host page - linear page; 0: the access does not go on */
    u64 resume; /* entry 0: the host address where execution continues */
};

struct slow_result translator_slow_access(struct vcpu *v, u64 linear, const u8 *site);
u64 translator_callout(struct vcpu *v, const struct callout *callout, u64 back);
u64 translator_string(struct vcpu *v, const struct callout *callout, u64 back);
u64 translator_fast(struct vcpu *v, const struct callout *callout, u64 back);
u64 translator_link(struct vcpu *v, struct edge *edge);
u64 translator_indirect(struct vcpu *v);
u64 translator_return_miss(struct vcpu *v, u64 from);
u64 translator_fill_site(struct vcpu *v, struct edge *edge);
u64 translator_dispatch(struct vcpu *v);
u64 translator_budget(struct vcpu *v);
u64 translator_cross(struct vcpu *v);
u64 translator_step(struct vcpu *v);
u64 translator_segment(struct vcpu *v, u64 linear, const u8 *site);

/* A block counts all its instructions at its entry. Take back those behind the current one. */
static void uncount(struct vcpu *v, u32 instructions)
{
    if (v->deterministic) v->icount -= instructions;
}

static u64 step_and_go(struct vcpu *v)
{
    struct engine *t = v->engine;
    enum exit_reason reason = interp_step(v);
    return reason == EXIT_NONE ? translator_next(v) : leave(t, reason);
}

u64 translator_step(struct vcpu *v)
{
    note_event(v->counters->events, EVENT_EXIT_STEP, v->rip);
    flags_from_parked(v);
    uncount(v, v->scratch.remaining + 1);
    return step_and_go(v);
}

static u64 slow_fault(struct vcpu *v, u64 linear, u32 error)
{
    struct engine *t = v->engine;
    flags_from_parked(v);
    uncount(v, v->scratch.remaining);
    v->fault = (struct fault){.vector = VEC_PF, .has_error = true, .error = error};
    v->fault_address = linear;
    enum exit_reason reason = exception_deliver(v);
    return reason == EXIT_NONE ? translator_next(v) : leave(t, reason);
}

/* The access does not go on: set v->rip and v->scratch.remaining for the guest instruction that it belongs to. */
static void locate(struct vcpu *v, const u8 *site)
{
    struct engine *t = v->engine;
    const struct block *block = cache_block_at(&t->cache, (u32)(site - t->cache.arena.exec));
    unsigned index = site[1];
    v->rip = block_rip(block) + block_site(block, index).guest;
    v->scratch.remaining = block->count - 1u - index;
}

/* A write to a guarded page is about to happen: may translated code do it itself? */
static bool guarded_write(struct vcpu *v, u64 gpa, unsigned size)
{
    struct engine *t = v->engine;
    u8 flags = *phys_flags(v->phys, gpa);
    if (flags & PHYS_CODE) {
        if (cache_overlaps(&t->cache, gpa, size)) return false;
        v->counters->code_writes++;
        v->counters->code_writes_harmless++;
        interp_code_written(v, gpa, size);
    }
    /* An instruction's write check is its last, so no entry is filled between this and the store. */
    if (flags & PHYS_TRACED) shadow_table_written(v->shadow, gpa, size);
    return true;
}

struct slow_result translator_slow_access(struct vcpu *v, u64 linear, const u8 *site)
{
    unsigned size = site[0] & SLOW_SIZE ? site[0] & SLOW_SIZE : SLOW_MOST;
    bool write = site[0] & SLOW_WRITE;
    u64 drops = v->shadow->data_drops;
    struct shadow_hit hit = {.kind = SHADOW_MMIO};
    bool one_page = ((linear ^ (linear + size - 1)) >> PAGE_SHIFT) == 0;
    v->counters->slow_accesses++;
    note_event(v->counters->events, EVENT_EXIT_SLOW, linear, size, write);
    if (unlikely(v->instruments.points) && debug_points_may_hit(v->instruments.points, linear, size)) {
        locate(v, site);
        return (struct slow_result){.resume = translator_step(v)};
    }
    if (one_page && is_canonical(linear))
        shadow_access(v->shadow, &v->paging, linear, write ? ACCESS_WRITE : ACCESS_READ, v->cpl == 3, &hit);
    if (hit.kind == SHADOW_DIRECT || (hit.kind == SHADOW_GUARDED && guarded_write(v, hit.gpa, size))) {
        if (!(site[0] & SLOW_HOISTED) || v->shadow->data_drops == drops) {
            back_into(v, (u64)(uintptr_t)site);
            return (struct slow_result){.entry = (u64)(uintptr_t)hit.host - linear};
        }
        v->counters->hoists_left++;
    }
    locate(v, site);
    /* A misaligned operand of 16 or more bytes may raise #GP, and one with a writemask no #PF. The interpreter decides. */
    bool vague = size == SLOW_MOST || (size >= 16 && linear & (size - 1));
    if (hit.kind == SHADOW_FAULT && !vague)
        return (struct slow_result){.resume = slow_fault(v, linear, hit.error)};
    if (hit.kind == SHADOW_MMIO && one_page && is_canonical(linear)) {
        bool may_stay = !(site[0] & SLOW_HOISTED) || v->shadow->data_drops == drops;
        switch (device_access(v, hit.gpa, size, write, may_stay)) {
        case DEVICE_DECLINED: break;
        case DEVICE_STAY:
            back_into(v, (u64)(uintptr_t)site);
            return (struct slow_result){.entry = device_entry(v, linear)};
        case DEVICE_LEAVE: return (struct slow_result){.resume = translator_next(v)};
        }
    }
    v->counters->slow_interpreted++;
    return (struct slow_result){.resume = translator_step(v)};
}

/* Code in a window has met an address of another class than it was translated for (verify.c). If the segment was not in
 * the table yet, that may have been all. */
u64 translator_segment(struct vcpu *v, u64 linear, const u8 *site)
{
    struct engine *t = v->engine;
    struct block *block = cache_block_at(&t->cache, (u32)(site - t->cache.arena.exec));
    bool user = linear < CANONICAL_LOW_END, known = user && tlb_segment(v->shadow->tlb, linear);
    enum long_class class = long_window_class(v->shadow, linear);
    locate(v, site);
    v->counters->window_misses++;
    note_event(v->counters->events, EVENT_EXIT_SEGMENT, linear, class);
    bool wrong =
        known || (user && class == LONG_NONE && linear >> 32); /* the lowest segment may come later */
    u64 gpa = block_key(block).gpa + block_site(block, site[1]).guest;
    bool same = v->mode & MODE_SAME;
    if (checked_learn(&t->checked, gpa, same, class, wrong)) {
        struct block_key key = block_key(block);
        key.mode &= ~MODE_UNHOISTED; /* the loop that led there expects this class, too (loop.c) */
        struct block *loop = cache_find(&t->cache, &key);
        if (loop && loop != block) cache_kill(&t->cache, loop);
        cache_kill(&t->cache, block);
    }
    return translator_step(v);
}

u64 translator_callout(struct vcpu *v, const struct callout *callout, u64 back)
{
    struct engine *t = v->engine;
    struct counters *c = v->counters;
    const struct callee *callee = callee_of(callout);
    u64 generation = t->cache.generation, flushes = c->shadow_flushes + c->shadow_invlpgs;
    u32 mode = v->mode;
    /* A flush during the call frees the callout's memory, so its fields are read now. */
    u64 next_eip = mode_mask_rip(callout->mode, callout->eip + callee->insn.length);
    u32 remaining = callout->remaining;
    bool end = callout->end;
    u64 rsp = v->gpr[REG_ESP];

    c->callouts++;
    flags_from_parked(v);
    uncount(v, remaining);
    v->rip = callout->eip;
    note_event(c->events, EVENT_EXIT_CALLOUT, v->rip, isa_row_number(callee->insn.row));
    enum exit_reason reason = interp_callout(v, &callee->insn, callee->plain);
    if (reason != EXIT_NONE) return leave(t, reason);
    bool go_on = !end && v->rip == next_eip && v->mode == mode && !vcpu_pending(v) && !v->inhibit &&
                 t->cache.generation == generation && c->shadow_flushes + c->shadow_invlpgs == flushes;
    bool relies_on_stack = (mode & MODE_CODE64) && (mode & MODE_STACK_HIGH); /* rsp.c */
    if (!go_on || (relies_on_stack && v->gpr[REG_ESP] != rsp)) return translator_next(v);
    if (v->deterministic) v->icount += remaining;
    flags_into_parked(v);
    return back_into(v, back);
}

/* Add the segments of the operands to the window of 64-bit code. No check of theirs leads to translator_segment(). */
static void learn_segments(struct vcpu *v, const struct insn *insn)
{
    if (!mode_has_window64(v->mode)) return;
    if (string_uses_both(insn->opcode)) long_window_class(v->shadow, v->gpr[REG_ESI]);
    long_window_class(v->shadow, v->gpr[REG_EDI]);
}

/* A repeated string instruction that goes beyond a page, goes downward, or touches pages without entries. */
u64 translator_string(struct vcpu *v, const struct callout *callout, u64 back)
{
    learn_segments(v, &callee_of(callout)->insn);
    v->counters->string_bulk++;
    note_event(v->counters->events, EVENT_EXIT_STRING, callout->eip,
               isa_row_number(callee_of(callout)->insn.row));
    flags_from_parked(v);
    if (!string_in_bulk(v, &callee_of(callout)->insn)) {
        v->counters->string_slow++;
        flags_into_parked(v);
        return translator_callout(v, callout, back);
    }
    flags_into_parked(v);
    return back_into(v, back);
}

/* Kernel entry and exit and segment loads without a fault scope. Segment loads neither read nor write flags,
 * so the flags stay parked while the block goes on. */
u64 translator_fast(struct vcpu *v, const struct callout *callout, u64 back)
{
    const struct callee *callee = callee_of(callout);
    note_event(v->counters->events, EVENT_EXIT_FAST, callout->eip, isa_row_number(callee->insn.row));
    v->rip = mode_mask_rip(callout->mode, callout->eip + callee->insn.length);
    if (callout->end) flags_from_parked(v);
    if (!callee->fast(v, &callee->insn)) {
        v->counters->fast_declined++;
        return translator_callout(v, callout, back);
    }
    v->counters->fast_entries++;
    if (!callout->end && v->mode == callout->mode) return back_into(v, back);
    if (!callout->end) flags_from_parked(v);
    uncount(v, callout->remaining);
    return translator_next(v);
}

static u64 linear_of_block(const struct block *block)
{
    struct block_key key = block_key(block);
    return key_linear(&key, key.eip);
}

/* What an edge to another page compares with the exec entry of the target's page, which is there. In IA-32e mode an
 * edge has the high half of the TLB's word already. */
static u64 edge_frame(const struct vcpu *v, const struct block *to)
{
    u64 linear = linear_of_block(to);
    if (v->mode & MODE_LONG) return tlb_exec_word(linear, to->frame);
    return v->exec_table[linear >> PAGE_SHIFT];
}

/* Find the code for `eip`. *target is its block if an edge of `from` may be linked to it, else NULL. */
static u64 next_for(struct vcpu *v, const struct block *from, u64 eip, u32 variant, struct block **target)
{
    struct engine *t = v->engine;
    u64 turns = t->cache.turns;
    *target = NULL;
    flags_from_parked(v);
    v->rip = eip;
    t->variant = variant;
    u64 to = translator_next(v);
    t->variant = 0;
    t->by_edge = false;
    if (t->config.no_chaining || to == (u64)(uintptr_t)translator_leave) return to;
    /* translator_next() may have interpreted instructions and so found the block for another EIP, and a turn
     * may have freed either block. */
    if (t->cache.turns != turns || from->dead) return to;
    struct block *found = t->found;
    if (!found) found = cache_block_at(&t->cache, (u32)(to - (u64)(uintptr_t)t->cache.arena.exec));
    if (!found || block_rip(found) != eip || found->mode != ((from->mode & ~MODE_UNHOISTED) | variant))
        return to;
    struct block_key a = block_key(found), b = block_key(from);
    if (a.cs_base != b.cs_base || a.cs_limit != b.cs_limit) return to;
    *target = found;
    return to;
}

u64 translator_link(struct vcpu *v, struct edge *edge)
{
    struct engine *t = v->engine;
    struct block *target;
    note_event(v->counters->events, EVENT_EXIT_EDGE, edge_target(edge));
    t->by_edge = true;
    u64 to = next_for(v, edge_from(edge), edge_target(edge), edge->unhoisted ? MODE_UNHOISTED : 0, &target);
    /* A cross-page edge may still be linked to a block in the frame that the target page mapped before. */
    if (!target || edge->to == low_pointer(target) ||
        (!edge->frame_patch && target->frame != edge_from(edge)->frame))
        return to;
    cache_link(&t->cache, edge, target, (u32)edge_frame(v, target));
    load_fpu(v);
    return to;
}

/* What an indirect site compares with for this target. */
static struct site_target site_target_of(const struct vcpu *v, const struct block *to)
{
    u64 linear = linear_of_block(to);
    u32 entry = (u32)((linear >> PAGE_SHIFT) * sizeof(u32));
    if (v->mode & MODE_LONG) entry = (u32)mem_tlb_at(linear, offsetof(struct tlb_slot, exec)).disp;
    return (struct site_target){.rip = block_rip(to), .frame = edge_frame(v, to), .entry = entry};
}

u64 translator_fill_site(struct vcpu *v, struct edge *edge)
{
    struct engine *t = v->engine;
    struct block *target;
    note_event(v->counters->events, EVENT_EXIT_SITE, v->rip);
    u64 to = next_for(v, edge_from(edge), mode_mask_rip(v->mode, v->rip), 0, &target);
    if (!target) return to;
    struct site_target at = site_target_of(v, target);
    cache_fill_site(&t->cache, edge, target, &at);
    load_fpu(v);
    return to;
}

u64 translator_indirect(struct vcpu *v)
{
    v->counters->indirect_misses++;
    note_event(v->counters->events, EVENT_EXIT_INDIRECT, v->rip);
    flags_from_parked(v);
    return translator_next(v);
}

/* A return for which neither the shadow return stack nor the jump table has a block. RET to an address that is not
 * canonical raises #GP and pops nothing (SDM 2B, RET), so it is taken back. `from`: 64-bit mode: in its host code. */
u64 translator_return_miss(struct vcpu *v, u64 from)
{
    struct engine *t = v->engine;
    if (!(v->mode & MODE_CODE64) || is_canonical(v->rip)) return translator_indirect(v);
    const struct block *block = cache_block_at(&t->cache, (u32)(from - (u64)(uintptr_t)t->cache.arena.exec));
    v->rip = block_rip(block) + block_site(block, block->count - 1u).guest;
    v->gpr[REG_ESP] -= sizeof(u64);
    v->scratch.remaining = 0;
    return translator_step(v);
}

u64 translator_dispatch(struct vcpu *v)
{
    note_event(v->counters->events, EVENT_EXIT_LOOKUP, v->rip);
    flags_from_parked(v);
    return translator_next(v);
}

/* The block does not fit into the budget: interpret its first instruction. */
u64 translator_budget(struct vcpu *v)
{
    note_event(v->counters->events, EVENT_EXIT_BUDGET, v->rip);
    flags_from_parked(v);
    if (vcpu_pending(v) || v->icount >= v->icount_limit) return translator_next(v);
    return step_and_go(v);
}

/* The second page of a crossing block has another frame than at translation, or no exec entry. */
u64 translator_cross(struct vcpu *v)
{
    note_event(v->counters->events, EVENT_EXIT_CROSS, v->rip);
    flags_from_parked(v);
    u64 linear = segment_linear(v, SEG_CS, v->rip), next = (linear | PAGE_MASK) + 1;
    fetch_frame(v, v->mode & MODE_CODE64 ? next : (u32)next);
    if (vcpu_pending(v) || v->icount >= v->icount_limit) return translator_next(v);
    return step_and_go(v);
}

extern const u8 thunk_slow[], thunk_callout[], thunk_link[], thunk_indirect[], thunk_dispatch[],
    thunk_budget[], thunk_cross[], thunk_string[], thunk_fast[], thunk_link_parked[], thunk_return_miss[],
    thunk_fill_site[], thunk_segment[];

const u8 *const translator_thunks[THUNK_COUNT] = {
    [THUNK_SLOW] = thunk_slow,
    [THUNK_CALLOUT] = thunk_callout,
    [THUNK_LINK] = thunk_link,
    [THUNK_INDIRECT] = thunk_indirect,
    [THUNK_DISPATCH] = thunk_dispatch,
    [THUNK_BUDGET] = thunk_budget,
    [THUNK_CROSS] = thunk_cross,
    [THUNK_STEP] = thunk_step,
    [THUNK_STRING] = thunk_string,
    [THUNK_FAST] = thunk_fast,
    [THUNK_LINK_PARKED] = thunk_link_parked,
    [THUNK_RETURN_MISS] = thunk_return_miss,
    [THUNK_FILL_SITE] = thunk_fill_site,
    [THUNK_SEGMENT] = thunk_segment,
};

void translator_set_thunks(struct vcpu *v)
{
    for (unsigned n = 0; n < THUNK_COUNT; n++)
        v->scratch.thunk[n] = (u64)(uintptr_t)translator_thunks[n];
}
