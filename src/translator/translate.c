/*
 * A block as a whole:
 *
 *     parked entry   for C code, indirect jumps and parked edges; flags are in r12
 *     host entry     for other edges; flags are in the host's EFLAGS
 *     body           one piece for each instruction; each has a site
 *     stubs          slow paths and unlinked edges
 *
 * In deterministic mode the entries test the instruction budget and v->pending, with the flags parked.
 */
#include "build.h"
#include "cpu/debug_points.h"
#include "scratch.h"

/* --- entries --- */

/* Write the block's id to the log. When its buffer is full, C code empties it and comes back. */
static void emit_log(struct build *b, struct stub *dispatch)
{
    u32 from = b->e.at;
    emit_load64(&b->e, REG_TEMP, mem_frame(FRAME_LOG_AT));
    emit_alu_rm(&b->e, true, ALU_CMP, REG_TEMP, mem_frame(FRAME_LOG_END));
    dispatch->from[1] = emit_jcc(&b->e, CC_AE);
    emit_mov_mi(&b->e, mem_bd(REG_TEMP, 0), b->log_id);
    emit_alu_ri(&b->e, true, ALU_ADD, REG_TEMP, sizeof(u32));
    emit_store64(&b->e, mem_frame(FRAME_LOG_AT), REG_TEMP);
    b->log_bytes = b->e.at - from;
}

static void emit_budget_check(struct build *b)
{
    emit_load64(&b->e, REG_ENTRY, mem_frame(FRAME_ICOUNT));
    emit_alu_ri(&b->e, true, ALU_ADD, REG_ENTRY, (s32)b->count);
    emit_alu_rm(&b->e, true, ALU_CMP, REG_ENTRY, mem_frame(FRAME_ICOUNT_LIMIT));
    stub_add(b, STUB_BUDGET, emit_jcc(&b->e, CC_A));
    emit_alu_mi(&b->e, ALU_CMP, mem_frame(FRAME_PENDING), 0);
    struct stub *dispatch = stub_add(b, STUB_DISPATCH, emit_jcc(&b->e, CC_NZ));
    if (b->t->log) emit_log(b, dispatch);
    emit_store64(&b->e, mem_frame(FRAME_ICOUNT), REG_ENTRY);
}

/* Sets ZF if the page behind the block's page still maps the frame that it mapped at translation. */
static void compare_second_page(struct build *b)
{
    if (has_tlb(b)) {
        u64 next = (linear_of(b, b->key.eip) | PAGE_MASK) + 1;
        emit_mov_ri64(&b->e, REG_ENTRY, tlb_exec_word(next, b->frame_next - 1));
        emit_alu_rm(&b->e, true, ALU_CMP, REG_ENTRY, mem_tlb_at(next, offsetof(struct tlb_slot, exec)));
        return;
    }
    u32 page = (u32)(linear_of(b, b->key.eip) >> PAGE_SHIFT) + 1;
    emit_load64(&b->e, REG_ENTRY, mem_frame(FRAME_EXEC_TABLE));
    emit_alu_mi(&b->e, ALU_CMP, mem_bd(REG_ENTRY, (s32)(page * sizeof(u32))), (s32)b->frame_next);
}

static void emit_entries(struct build *b)
{
    struct block *block = b->block;
    block->start = b->e.at;
    if (b->v->deterministic || (b->live[0] && plan_wants_parked(b))) {
        emit_park_flags(&b->e);
        block->entry_parked = (u8)in_block(b, b->e.at);
        b->flags = FLAGS_PARKED;
    } else if (b->live[0]) {
        emit_unpark_flags(&b->e);
        block->entry_host = (u8)in_block(b, b->e.at);
        b->flags = FLAGS_HOST;
    } else {
        b->flags = FLAGS_DEAD;
    }
    if (b->t->config.check_delta) verify_check_delta(b);
    loop_begin(b);
    if (b->frame_next) {
        flags_clobber(b);
        compare_second_page(b);
        stub_add(b, STUB_CROSS, emit_jcc(&b->e, CC_NZ));
    }
    if (b->v->deterministic) emit_budget_check(b);
    if (b->t->config.count_hits) emit_count_keeping_flags(b, &b->v->counters->blocks_run);
}

/* --- body --- */

static void leave_through(struct build *b, u64 eip, unsigned thunk)
{
    if (is_code64(b)) {
        emit_mov_rip(b, REG_ENTRY, eip);
        emit_store64(&b->e, mem_frame(FRAME_RIP), REG_ENTRY);
    } else {
        emit_mov_mi(&b->e, mem_frame(FRAME_RIP), (u32)eip);
        fix_last(b, FIX_EIP);
    }
    emit_jmp_thunk(&b->e, thunk);
}

/* Does the code of the current instruction note what becomes of r9 to r11? */
static bool notes_scratch(const struct build *b)
{
    if (b->decision[b->n] == BY_REWRITE) return true;
    if (b->decision[b->n] == BY_CALLOUT || !is_code64(b)) return false;
    switch (b->i->row->emitter) {
    case EMITTER_jcond: return b->passed[b->n];
    case EMITTER_push:
    case EMITTER_pop: return b->i->op[0].kind != OPND_MEM;
    case EMITTER_lea:
    case EMITTER_prefetch:
    case EMITTER_nothing: return true;
    default: return false;
    }
}

static void emit_instruction(struct build *b)
{
    b->piece[b->n] = b->e.at;
    b->keeps_temp = false;
    b->rests = notes_scratch(b);
    if (!b->rests) scratch_forget(b);
    rsp_before(b);
    b->site[b->n] = (struct site){
        .host = in_block(b, b->e.at),
        .guest = b->offset[b->n],
        .parked = b->flags != FLAGS_HOST,
    };
    switch ((enum decision)b->decision[b->n]) {
    case BY_CALLOUT: emit_callout(b, isa_ends_block(b->i)); break;
    case BY_REWRITE: rewrite_identical(b); break;
    case BY_EMITTER: emitter_rows[b->i->row->emitter].emit(b); break;
    }
    rsp_behind(b);
    if (!b->ended) verify_load_delta(b);
}

static void emit_body(struct build *b)
{
    for (unsigned n = 0; n < b->count; n++) {
        plan_select(b, n);
        emit_instruction(b);
    }
    if (b->ended) return;
    u64 eip = b->next_eip;
    if (!is_code64(b) && (eip - 1 >= b->key.cs_limit || eip == 0)) {
        /* The next instruction lies beyond the segment's limit (#GP) or at address 0 (a wrap). */
        flags_to_parked(b);
        leave_through(b, eip, THUNK_DISPATCH);
        return;
    }
    emit_edge(b, eip);
}

/* --- stubs --- */

static bool fixes_its_own(const struct stub *stub)
{
    return stub->kind == STUB_EDGE || stub->kind == STUB_INDIRECT || stub->kind == STUB_SIDE;
}

static void emit_stub(struct build *b, const struct stub *stub)
{
    for (unsigned n = 0; n < ARRAY_SIZE(stub->from) && !fixes_its_own(stub); n++)
        if (stub->from[n]) emit_here32(&b->e, stub->from[n]);
    switch (stub->kind) {
    case STUB_MISALIGNED: /* if it crosses a page, fall through to the slow path, which is the next stub */
        emit_lea32(&b->e, REG_ENTRY, mem_bd(REG_LINEAR, (s32)stub->size - 1));
        emit_alu_rr(&b->e, false, ALU_XOR, REG_ENTRY, REG_LINEAR);
        emit_shift_ri(&b->e, false, SHIFT_SHR, REG_ENTRY, PAGE_SHIFT);
        emit_fix32(&b->e, emit_jcc(&b->e, CC_Z), stub->back);
        break;
    case STUB_SLOW:
        if (stub->constant)
            emit_mov_ri64(&b->e, REG_LINEAR, stub->eip);
        else if (stub->linear != REG_LINEAR)
            emit_mov_rr64(&b->e, REG_LINEAR, stub->linear);
        emit_call_thunk(&b->e, THUNK_SLOW);
        emit8(&b->e,
              (stub->size & SLOW_SIZE) | (stub->write ? SLOW_WRITE : 0) | (stub->open ? SLOW_HOISTED : 0));
        emit8(&b->e, stub->index);
        emit_jmp_to(&b->e, stub->back);
        break;
    case STUB_STEP:
        emit_mov_mi(&b->e, mem_frame(FRAME_REMAINING), (u32)b->count - 1 - stub->index);
        leave_through(b, stub->eip, THUNK_STEP);
        break;
    case STUB_FAST:
        emit_callout_name(b, stub->callout);
        emit_call_thunk(&b->e, THUNK_FAST);
        emit_jmp_to(&b->e, stub->back);
        break;
    case STUB_DELTA: emit_delta_stub(b, stub); break;
    case STUB_STRING: emit_string_stub(b, stub); break;
    case STUB_EDGE: emit_edge_stub(b, stub); break;
    case STUB_SIDE: emit_side_stub(b, stub); break;
    case STUB_SEGMENT: emit_segment_stub(b, stub); break;
    case STUB_INDIRECT: emit_indirect_stub(b, stub); break;
    case STUB_RETURN_MISS: emit_jmp_thunk(&b->e, THUNK_RETURN_MISS); break;
    case STUB_CROSS: leave_through(b, b->key.eip, THUNK_CROSS); break;
    case STUB_BUDGET: leave_through(b, b->key.eip, THUNK_BUDGET); break;
    case STUB_DISPATCH: leave_through(b, b->key.eip, THUNK_DISPATCH); break;
    }
}

/* --- the whole --- */

/* The exec entry of the page behind the block's page: frame + 1, or 0 if code there may not be fetched. */
static u32 next_frame(struct vcpu *v, u64 linear)
{
    u64 next = (linear | PAGE_MASK) + 1;
    return fetch_frame(v, v->mode & MODE_CODE64 ? next : (u32)next);
}

static bool make_plan(struct vcpu *v, struct build *b)
{
    const struct block_key *key = &b->key;
    const u8 *bytes = phys_host(v->phys, key->gpa), *next_bytes = NULL;
    if (!bytes) return false;
    unsigned here = PAGE_SIZE - (key->gpa & PAGE_MASK);
    u32 frame = 0;
    bool crosses;
    if (!plan_block(b, bytes, here, NULL, 0, &crosses)) {
        /* Look at the second page only if the first instruction needs it, because that sets its accessed bit. */
        if (here >= INSN_MAX_BYTES) return false;
        frame = next_frame(v, linear_of(b, key->eip));
        if (frame) next_bytes = phys_host(v->phys, (u64)(frame - 1) << PAGE_SHIFT);
        if (!next_bytes || !plan_block(b, bytes, here, next_bytes, INSN_MAX_BYTES, &crosses)) return false;
    }
    if (crosses) b->frame_next = frame;
    return true;
}

/* Write the variable part of the block's metadata that follows the edges. */
static void finish(struct build *b)
{
    struct block *block = b->block;
    block->host_bytes = in_block(b, b->e.at);
    block->guest_bytes = b->guest_bytes;
    block->count = (u8)b->count;
    block->loop_entry = loop_entry(b);
    block->extent_count = (u8)b->extent_count;
    block->relocatable = fix_suffices(b);
    block->fix_count = block->relocatable ? (u8)b->fix_count : 0;
    block->wide = b->key.eip >> 32;
    block->rare = b->frame_next || b->key.cs_base || b->key.cs_limit != UINT32_MAX || block->wide;
    if (block->rare)
        *block_rare(block) =
            (struct block_rare){.cs_base = block->wide ? (u32)(b->key.eip >> 32) : b->key.cs_base,
                                .cs_limit = b->key.cs_limit,
                                .frame_next = b->frame_next};
    if (block->site) *block_indirect(block) = b->indirect;
    for (unsigned n = 0; n < b->extent_count; n++)
        block_extents(block)[n] = b->extent[n];
    block_keep_sites(block, b->site);
    for (unsigned n = 0; n < block->fix_count; n++)
        block_fixes(block)[n] = b->fix[n];
}

/* What ran before the translation comes before it in the log. */
static void name_in_log(struct build *b)
{
    const struct block_made key = {
        .frame = (u32)(b->key.gpa >> PAGE_SHIFT), .eip = b->key.eip, .mode = b->key.mode};
    b->log_bytes = 0;
    block_log_drain(b->v);
    b->log_id = b->t->log->name(b->t->log, &key);
}

static void note_in_log(const struct build *b)
{
    const struct block *block = b->block;
    struct block_made made = {.frame = block->frame,
                              .eip = block->eip,
                              .mode = block->mode,
                              .host_bytes = block->host_bytes - b->log_bytes,
                              .meta_bytes = (u16)block_bytes(block),
                              .callout_bytes = (u16)b->callout_bytes,
                              .instructions = block->count,
                              .relocatable = block->relocatable,
                              .guest_bytes = block->guest_bytes};
    const struct block_body body = {b->e.base + b->piece[0], b->stubs_at - b->piece[0]};
    b->t->log->made(b->t->log, b->log_id, &made, &body);
}

/* Take the time of translation out of the space's user time. */
static void note_translation(struct vcpu *v, u64 began)
{
    u64 ticks = __builtin_ia32_rdtsc() - began;
    v->counters->translate_ticks += ticks;
    if (!v->deterministic) v->user_since += ticks;
}

struct block *translate(struct vcpu *v, const struct block_key *key)
{
    struct engine *t = v->engine;
    struct build *b = t->build;
    u64 began = __builtin_ia32_rdtsc();
    struct debug_points *points = v->instruments.points;
    if (unlikely(points) && !debug_points_admit_block(points, key_linear(key, key->eip))) return NULL;
    if (!cache_room(&t->cache, MAX_BLOCK_BYTES)) make_room(v);
    arena_prepare(&t->cache.arena, MAX_BLOCK_BYTES);
    struct block *copy = relocate(v, key);
    if (copy) {
        ahead_of(v, copy);
        note_translation(v, began);
        return copy;
    }

    b->v = v;
    b->t = t;
    b->key = *key;
    b->mode = key->mode & ~MODE_UNHOISTED;
    bool in_window = b->mode & MODE_WINDOW, is_hoisted = b->mode == key->mode;
    b->hoists = !t->config.no_hoisting && (in_window ? is_code64(b) : is_hoisted);
    b->loops = b->hoists && in_window && is_hoisted;
    verify_begin(b);
    b->frame_next = 0;
    b->stub_count = b->fix_count = 0;
    b->has_half_eip = false;
    b->has_full_rip = has_tlb(b) && is_movable(key);
    b->ended = false;
    b->n = 0;
    b->eip = key->eip;
    b->callout_bytes = 0;
    if (t->log) name_in_log(b);
    if (!make_plan(v, b)) return NULL;
    loop_plan(b);
    struct block *block = b->block = cache_next(&t->cache);
    *block = (struct block){.frame = (u32)(key->gpa >> PAGE_SHIFT), .eip = (u32)key->eip, .mode = key->mode};
    b->e = (struct emitter){.base = t->cache.arena.write, .at = (u32)t->cache.arena.used};
    b->e.end = b->e.at + MAX_BLOCK_BYTES;
    if (!b->e.at) b->e.at = 16; /* offset 0 means *none* */
    b->rests = false;
    scratch_forget(b);
    emit_entries(b);
    emit_body(b);
    b->stubs_at = b->e.at;
    for (unsigned n = 0; n < b->stub_count; n++)
        emit_stub(b, &b->stub[n]);
    finish(b);

    phys_guard(v->phys, key->gpa, PHYS_CODE);
    if (b->frame_next) phys_guard(v->phys, (u64)(b->frame_next - 1) << PAGE_SHIFT, PHYS_CODE);
    cache_add(&t->cache, block);
    if (t->log) note_in_log(b);
    ahead_of(v, block);

    v->counters->blocks_translated++;
    v->counters->instructions_translated += b->count;
    v->counters->bytes_emitted += block->host_bytes;
    note_translation(v, began);
    note_event(v->counters->events, EVENT_BLOCK_MADE, key->eip, key->gpa, b->count, block->host_bytes);
    return block;
}
