/*
 * The ways out of a block: edges, which are linked by patching; indirect branches, which look up their target;
 * calls and returns through the shadow return stack (returns.h).
 *
 * Edges do not test v->pending. A thread that sets a bit of it kicks the vCPU thread (signal_frame.c), which cuts
 * the running block off from all that it leads to: cache_unlink() unlinks its edges, and the top of the shadow
 * return stack is redirected. Look-ups in the jump table remain: in IA-32e mode they find nothing from then on
 * (select_jumps()), in other modes they test v->pending. With --no-kicks,
 * backward edges and calls test it too: every cycle of blocks contains one of these, a look-up, or C code. In
 * deterministic mode every block tests it at its entry.
 *
 * There are two kinds of edges. If live flags are in the host's EFLAGS at the jump, the edge enters its target's
 * host entry, and its tests must preserve EFLAGS: they use MOV, LEA and JRCXZ while r11 holds ECX. If the flags
 * are parked or dead, the edge enters the parked entry, and the jump itself is conditional on the last test. In IA-32e
 * mode an edge to another page is always of the second kind. It compares one word of the TLB: the page, and the frame
 * that it maps.
 */
#include "build.h"

static bool polls(const struct build *b)
{
    return b->t->config.no_kicks && !b->v->deterministic;
}

static bool needs_poll(const struct build *b, u64 eip)
{
    return eip <= b->eip && polls(b);
}

/* --- tests that preserve EFLAGS --- */

/* Jump to the edge's stub unless ECX is zero. r11 holds the guest's RCX, which is restored. */
static void stub_unless_zero(struct build *b, struct stub *stub, unsigned use)
{
    u32 zero = emit_jrcxz(&b->e);
    emit_mov_rr64(&b->e, RCX, REG_TEMP);
    stub->from[use] = emit_jmp(&b->e);
    emit_here8(&b->e, zero);
    emit_mov_rr64(&b->e, RCX, REG_TEMP);
}

static void poll_keeping_flags(struct build *b, struct stub *stub)
{
    emit_mov_rr64(&b->e, REG_TEMP, RCX);
    emit_load32(&b->e, RCX, mem_frame(FRAME_PENDING));
    stub_unless_zero(b, stub, 1);
}

static u32 check_frame_keeping_flags(struct build *b, struct stub *stub, s32 entry)
{
    emit_mov_rr64(&b->e, REG_TEMP, RCX);
    emit_load64(&b->e, RCX, mem_frame(FRAME_EXEC_TABLE));
    emit_load32(&b->e, RCX, mem_bd(RCX, entry));
    fix_last(b, FIX_EXEC);
    u32 patch = emit_lea32_disp32(&b->e, RCX, RCX);
    stub_unless_zero(b, stub, 2);
    return patch;
}

/* --- the same tests where the flags are parked or dead --- */

/* Sets ZF if nothing is pending. */
static void poll(struct build *b)
{
    emit_alu_mi(&b->e, ALU_CMP, mem_frame(FRAME_PENDING), 0);
}

/* Sets ZF if the exec entry equals an imm32. Returns the offset of the imm32, for patching. */
static u32 check_frame(struct build *b, s32 entry)
{
    emit_load64(&b->e, REG_ENTRY, mem_frame(FRAME_EXEC_TABLE));
    emit_cmp_mi32_begin(&b->e, mem_bd(REG_ENTRY, entry));
    fix_last(b, FIX_EXEC);
    emit32(&b->e, 0);
    return b->e.at - 4;
}

/* The same in IA-32e mode, for code at this linear address. */
static u32 check_exec_word(struct build *b, u64 linear)
{
    u32 patch = emit_mov_patched64(&b->e, REG_ENTRY, tlb_exec_word(linear, 0));
    if (b->has_full_rip) fix_at(b, patch, FIX_WORD);
    struct host_mem exec = mem_tlb_by_rip(b, linear, offsetof(struct tlb_slot, exec));
    emit_alu_rm(&b->e, true, ALU_CMP, REG_ENTRY, exec);
    fix_tlb(b, &exec);
    return patch;
}

/* --- direct edges --- */

/* The edge that a stub belongs to. */
static struct edge *edge_of(const struct build *b, const struct stub *stub)
{
    return &block_edges(b->block)[stub->edge];
}

static struct edge *add_edge(struct build *b, struct stub *stub, u64 eip, bool parked)
{
    stub->edge = b->block->edge_count++;
    struct edge *edge = edge_of(b, stub);
    *edge = (struct edge){.index = stub->edge, .eip = (u32)eip, .parked = parked};
    return edge;
}

static struct stub *edge_begin(struct build *b, u64 eip)
{
    struct stub *stub = stub_add(b, STUB_EDGE, 0);
    bool loops = loop_is_own_edge(b, eip); /* then the flags are dead there */
    add_edge(b, stub, eip, loops || b->flags != FLAGS_HOST || !plan_live_at(b, eip))->loops = loops;
    return stub;
}

static s32 exec_entry_of(const struct build *b, u64 eip)
{
    return (s32)((linear_of(b, eip) >> PAGE_SHIFT) * sizeof(u32));
}

/* The tests of an edge: is something pending (poll_too), and does the target's page still map the frame that it
 * mapped when the edge was linked (linking patches the frame in)? The last test of a parked edge leaves its
 * outcome in ZF; returns whether there is such a test. */
static bool edge_tests(struct build *b, u64 eip, struct edge *edge, struct stub *stub, bool poll_too)
{
    bool crosses = !plan_same_page(b, eip);
    if (!edge->parked) {
        if (poll_too) poll_keeping_flags(b, stub);
        if (crosses)
            edge->frame_patch = in_block(b, check_frame_keeping_flags(b, stub, exec_entry_of(b, eip)));
        return false;
    }
    if (poll_too) poll(b);
    if (poll_too && crosses) stub->from[1] = emit_jcc(&b->e, CC_NZ);
    if (crosses && has_tlb(b))
        edge->frame_patch = in_block(b, check_exec_word(b, linear_of(b, eip)));
    else if (crosses)
        edge->frame_patch = in_block(b, check_frame(b, exec_entry_of(b, eip)));
    return poll_too || crosses;
}

/* `field` is the offset of the rel32 that leads to the edge's target. */
static void edge_at(struct build *b, struct stub *stub, u32 field)
{
    edge_of(b, stub)->patch = in_block(b, field);
    stub->from[0] = field;
}

void emit_edge(struct build *b, u64 eip)
{
    verify_load_delta(b);
    if (has_tlb(b) && !plan_same_page(b, eip) && plan_live_at(b, eip)) flags_to_parked(b);
    struct stub *stub = edge_begin(b, eip);
    if (edge_tests(b, eip, edge_of(b, stub), stub, needs_poll(b, eip))) {
        edge_at(b, stub, emit_jcc(&b->e, CC_Z));
        stub->from[2] = emit_jmp(&b->e);
    } else {
        edge_at(b, stub, emit_jmp(&b->e));
    }
}

bool emit_edge_on_jcc(struct build *b, u64 eip, u8 cc)
{
    if (!plan_same_page(b, eip) || needs_poll(b, eip)) return false;
    struct stub *stub = edge_begin(b, eip);
    edge_at(b, stub, emit_jcc(&b->e, cc));
    return true;
}

/* A call with a failed test or look-up has not executed the host CALL: push its return address. */
static void push_host_return(struct build *b, u32 back)
{
    emit_lea64_rip(&b->e, REG_TEMP, back);
    emit_push64(&b->e, REG_TEMP);
}

/* The target of an unlinked edge: r11d = address of the edge. relocate() patches the immediate (STUB_NAME_AT). */
static void emit_edge_name(struct build *b, struct edge *edge, u32 from)
{
    edge->stub = in_block(b, b->e.at);
    emit_here32(&b->e, from);
    emit_mov_ri(&b->e, REG_TEMP, low_pointer(edge));
}

void emit_edge_stub(struct build *b, const struct stub *stub)
{
    struct edge *edge = edge_of(b, stub);
    for (unsigned n = 1; n < ARRAY_SIZE(stub->from); n++)
        if (stub->from[n]) emit_here32(&b->e, stub->from[n]);
    if (stub->back && (stub->from[1] || stub->from[2])) push_host_return(b, stub->back);
    emit_edge_name(b, edge, stub->from[0]);
    emit_jmp_thunk(&b->e, edge->parked ? THUNK_LINK_PARKED : THUNK_LINK);
}

/* --- out of the middle of a block --- */

static void fix_here(struct build *b, u32 field)
{
    if (field) emit_here32(&b->e, field);
}

struct stub *emit_unhoisted_exit(struct build *b, u32 field)
{
    struct stub *stub = stub_add(b, STUB_SIDE, field);
    add_edge(b, stub, b->eip, true)->unhoisted = true;
    return stub;
}

void emit_side_exit(struct build *b, u64 eip, u8 cc)
{
    struct stub *stub = stub_add(b, STUB_SIDE, 0);
    add_edge(b, stub, eip, !plan_live_at(b, eip));
    stub->from[0] = emit_jcc(&b->e, cc);
    if (!b->v->deterministic) edge_at(b, stub, stub->from[0]);
}

/* In deterministic mode the block has counted the instructions that follow: take them back. */
static void uncount_rest(struct build *b, const struct stub *stub, struct edge *edge)
{
    if (!b->v->deterministic || stub->early) return;
    if (!edge->parked) emit_park_flags(&b->e);
    edge->parked = true;
    emit_sub64_mi8(&b->e, mem_frame(FRAME_ICOUNT), (u8)(b->count - stub->index - !edge->unhoisted));
}

void emit_side_stub(struct build *b, const struct stub *stub)
{
    struct edge *edge = edge_of(b, stub);
    u32 from = stub->from[0];
    if (!edge->patch) {
        for (unsigned n = 0; n < ARRAY_SIZE(stub->from); n++)
            fix_here(b, stub->from[n]);
        uncount_rest(b, stub, edge);
        if (edge->unhoisted) emit_count(b, &b->v->counters->hoists_failed);
        from = emit_jmp(&b->e);
        edge->patch = in_block(b, from);
    }
    emit_edge_name(b, edge, from);
    emit_jmp_thunk(&b->e, edge->parked ? THUNK_LINK_PARKED : THUNK_LINK);
}

/* --- calls --- */

bool uses_return_stack(const struct build *b)
{
    const struct translator_config *c = &b->t->config;
    return !c->no_return_stack && !c->no_chaining && mode_seg(b->mode, SEG_CS) == MODE_SEG_FLAT &&
           is_wide_code(b);
}

/* Position-independent code finds its EIP by a CALL to the next instruction, which has no matching RET. */
static bool will_return(const struct build *b, u64 target)
{
    return uses_return_stack(b) && target != b->next_eip && b->next_eip != 0;
}

/* Sets ZF if r9 is the address behind the call. */
static void compare_return(struct build *b)
{
    if (!is_code64(b)) {
        emit_cmp_ri32(&b->e, REG_LINEAR, (u32)b->next_eip);
        fix_last(b, FIX_EIP);
    } else if (b->next_eip == (u64)(s64)(s32)b->next_eip) {
        emit_alu_ri(&b->e, true, ALU_CMP, REG_LINEAR, (s32)b->next_eip);
    } else {
        emit_mov_rip(b, REG_ENTRY, b->next_eip);
        emit_alu_rr(&b->e, true, ALU_CMP, REG_LINEAR, REG_ENTRY);
    }
}

/* The code to which a host RET returns, with the guest's target EIP in r9d and the flags parked or dead. */
static void emit_continuation(struct build *b)
{
    b->flags = FLAGS_PARKED;
    compare_return(b);
    if (emit_edge_on_jcc(b, b->next_eip, CC_Z)) {
        emit_jmp_thunk(&b->e, THUNK_RETURN_MISS);
    } else {
        stub_add(b, STUB_RETURN_MISS, emit_jcc(&b->e, CC_NZ));
        emit_edge(b, b->next_eip);
    }
}

void emit_edge_call(struct build *b, u64 eip)
{
    verify_load_delta(b);
    if (!will_return(b, eip)) {
        emit_edge(b, eip);
        return;
    }
    flags_leave_host(b);
    struct stub *stub = edge_begin(b, eip);
    if (edge_tests(b, eip, edge_of(b, stub), stub, polls(b))) stub->from[2] = emit_jcc(&b->e, CC_NZ);
    edge_at(b, stub, emit_call_rel(&b->e));
    stub->back = b->e.at;
    emit_continuation(b);
}

/* --- indirect branches and returns --- */

static bool looks_up(const struct build *b)
{
    return !b->t->config.no_inline_cache && !b->t->config.no_chaining &&
           mode_seg(b->mode, SEG_CS) == MODE_SEG_FLAT && is_wide_code(b);
}

/* Returns the rel32 of a jump that is taken when something is pending, or 0. */
static u32 poll_before_look_up(struct build *b)
{
    if (b->v->deterministic) return 0;
    poll(b);
    return emit_jcc(&b->e, CC_NZ);
}

/* The rel32 fields of the jumps that are taken if a look-up misses; 0: none. */
struct missed {
    u32 field[4];
};

static struct host_mem long_entry_field(u64 field)
{
    return mem_bd(REG_TEMP, (s32)field);
}

/* In IA-32e mode: r11 = the jump table's entry for r9. */
static struct missed look_up_long(struct build *b)
{
    struct missed missed = {0};
    emit_movzx16(&b->e, REG_TEMP, REG_LINEAR);
    emit_shift_ri(&b->e, false, SHIFT_SHL, REG_TEMP, 5);
    emit_alu_rm(&b->e, true, ALU_ADD, REG_TEMP, mem_frame(FRAME_LONG_JUMP_TABLE));
    emit_alu_rm(&b->e, true, ALU_CMP, REG_LINEAR, long_entry_field(offsetof(struct long_jump_entry, rip)));
    missed.field[0] = emit_jcc(&b->e, CC_NZ);
    emit_load64(&b->e, REG_ENTRY, long_entry_field(offsetof(struct long_jump_entry, slot)));
    emit_load64(&b->e, REG_ENTRY, mem_tlb(REG_ENTRY, 0));
    emit_alu_rm(&b->e, true, ALU_CMP, REG_ENTRY, long_entry_field(offsetof(struct long_jump_entry, exec)));
    missed.field[1] = emit_jcc(&b->e, CC_NZ);
    return missed;
}
_Static_assert(sizeof(struct long_jump_entry) == 32, "look_up_long() and thunk_return_miss index it");

/* Otherwise: r10 = its entry for r9d. */
static struct missed look_up_short(struct build *b)
{
    /* key = mode number << 56 | (frame + 1) << 32 | EIP */
    emit_mov_rr32(&b->e, REG_ENTRY, REG_LINEAR);
    emit_shift_ri(&b->e, false, SHIFT_SHR, REG_ENTRY, PAGE_SHIFT);
    emit_load64(&b->e, REG_TEMP, mem_frame(FRAME_EXEC_TABLE));
    emit_load32(&b->e, REG_TEMP, mem_bis(REG_TEMP, REG_ENTRY, 4));
    emit_shift_ri(&b->e, true, SHIFT_SHL, REG_TEMP, 32);
    emit_alu_rr(&b->e, true, ALU_OR, REG_TEMP, REG_LINEAR);
    emit_alu_rm(&b->e, true, ALU_OR, REG_TEMP, mem_frame(FRAME_JUMP_TAG));
    emit_movzx16(&b->e, REG_ENTRY, REG_LINEAR);
    emit_shift_ri(&b->e, false, SHIFT_SHL, REG_ENTRY, 4);
    emit_alu_rm(&b->e, true, ALU_ADD, REG_ENTRY, mem_frame(FRAME_JUMP_TABLE));
    emit_alu_rm(&b->e, true, ALU_CMP, REG_TEMP, mem_bd(REG_ENTRY, 0));
    return (struct missed){.field = {emit_jcc(&b->e, CC_NZ)}};
}
_Static_assert(sizeof(struct jump_entry) == 16 && offsetof(struct jump_entry, key) == 0,
               "look_up_short() and thunk_return_miss index it");
_Static_assert(JUMP_ENTRIES == 65536, "a look-up uses 16 bits of EIP");

/* Go to the block for r9, or call it, if the jump table has it. field[3]: something is pending. */
static struct missed go_by_table(struct build *b, bool call)
{
    u32 pending = has_tlb(b) && !polls(b) ? 0 : poll_before_look_up(b);
    struct missed missed = has_tlb(b) ? look_up_long(b) : look_up_short(b);
    missed.field[3] = pending;
    emit_go_mem(&b->e, call,
                has_tlb(b) ? long_entry_field(offsetof(struct long_jump_entry, code))
                           : mem_bd(REG_ENTRY, offsetof(struct jump_entry, code)));
    return missed;
}

/* Set ZF if r9 is the site's target. */
static void compare_site_target(struct build *b, struct indirect_site *site)
{
    site->compare = in_block(b, b->e.at);
    if (has_tlb(b)) {
        site->eip_patch = in_block(b, emit_mov_patched64(&b->e, REG_ENTRY, 0));
        emit_alu_rr(&b->e, true, ALU_CMP, REG_LINEAR, REG_ENTRY);
    } else {
        emit_cmp_ri32(&b->e, REG_LINEAR, 0);
        site->eip_patch = in_block(b, b->e.at - 4);
    }
}

/* Set ZF if the target's page still maps the frame that it mapped when the site was filled. */
static void compare_site_frame(struct build *b, struct indirect_site *site, struct edge *edge)
{
    if (has_tlb(b)) {
        edge->frame_patch = in_block(b, emit_mov_patched64(&b->e, REG_ENTRY, 0));
        struct host_mem exec = mem_bd(REG_TABLES, 0);
        exec.disp32 = true;
        emit_alu_rm(&b->e, true, ALU_CMP, REG_ENTRY, exec);
        site->page_patch = in_block(b, b->e.at - 4);
    } else {
        emit_load64(&b->e, REG_ENTRY, mem_frame(FRAME_EXEC_TABLE));
        struct cmp_fields fields = emit_cmp_patched(&b->e, REG_ENTRY);
        site->page_patch = in_block(b, fields.disp);
        edge->frame_patch = in_block(b, fields.imm);
    }
}

/* An indirect site: compares EIP and frame with those of the last target, which are patched in. All other
 * targets go to the stub. */
static void emit_site(struct build *b, struct stub *stub, bool call)
{
    struct indirect_site *site = &b->indirect;
    struct edge *edge = add_edge(b, stub, 0, true);
    if (b->t->config.count_hits) emit_count(b, &b->v->counters->sites_run);
    *site = (struct indirect_site){.edge = stub->edge, .wide = has_tlb(b)};
    b->block->site = true;
    compare_site_target(b, site);
    stub->from[1] = emit_jcc(&b->e, CC_NZ);
    compare_site_frame(b, site, edge);
    u32 patch;
    if (call) {
        stub->from[2] = emit_jcc(&b->e, CC_NZ);
        patch = emit_call_rel(&b->e);
    } else {
        patch = emit_jcc(&b->e, CC_Z);
        stub->from[2] = emit_jmp(&b->e);
    }
    edge->patch = in_block(b, patch);
}

enum indirect {
    INDIRECT_JUMP,
    INDIRECT_CALL,
    INDIRECT_CALL_AWAY, /* a call that is not expected to return */
    INDIRECT_RETURN,
};

static void indirect(struct build *b, enum indirect kind)
{
    bool call = kind == INDIRECT_CALL;
    verify_load_delta(b);
    flags_leave_host(b);
    if (!looks_up(b)) {
        if (kind == INDIRECT_JUMP) require_canonical(b);
        if (call)
            emit_call_thunk(&b->e, THUNK_INDIRECT);
        else
            emit_jmp_thunk(&b->e, THUNK_INDIRECT);
        return;
    }
    struct stub *stub = stub_add(b, STUB_INDIRECT, 0);
    stub->jump = kind == INDIRECT_JUMP;
    if (kind != INDIRECT_RETURN && !b->t->config.no_site_cache) {
        if (polls(b)) stub->from[0] = poll_before_look_up(b);
        emit_site(b, stub, call);
    } else {
        struct missed missed = go_by_table(b, call);
        for (unsigned n = 0; n < ARRAY_SIZE(missed.field); n++)
            stub->from[n] = missed.field[n];
    }
    if (call) stub->back = b->e.at;
}

void emit_indirect(struct build *b)
{
    indirect(b, INDIRECT_JUMP);
}

void emit_indirect_call(struct build *b)
{
    bool returns = will_return(b, 0);
    indirect(b, returns ? INDIRECT_CALL : INDIRECT_CALL_AWAY);
    if (returns) emit_continuation(b);
}

void emit_return(struct build *b)
{
    if (!uses_return_stack(b)) {
        indirect(b, INDIRECT_RETURN);
        return;
    }
    verify_load_delta(b);
    flags_leave_host(b);
    if (b->t->config.count_hits) emit_count(b, &b->v->counters->returns_run);
    if (is_code64(b)) emit_lea64_rip(&b->e, REG_TEMP, b->e.at);
    emit_ret_near(&b->e);
}

/* Without a site, the look-up missed. With a site, from[0]: something is pending, from[1]: another EIP, from[2]:
 * another frame. */
void emit_indirect_stub(struct build *b, const struct stub *stub)
{
    bool site = b->block->site;
    struct missed missed = {0};
    if (site) {
        b->indirect.look_up = in_block(b, b->e.at);
        fix_here(b, stub->from[2]);
        if (b->t->config.count_hits) emit_count(b, &b->v->counters->site_misses);
        missed = go_by_table(b, stub->back);
        if (stub->back) emit_jmp_to(&b->e, stub->back);
    }
    for (unsigned n = 0; n < ARRAY_SIZE(missed.field); n++)
        fix_here(b, missed.field[n]);
    fix_here(b, stub->from[0]);
    for (unsigned n = 1; n < ARRAY_SIZE(stub->from) && !site; n++)
        fix_here(b, stub->from[n]);
    if (stub->jump) require_canonical(b);
    if (stub->back) push_host_return(b, stub->back);
    emit_jmp_thunk(&b->e, THUNK_INDIRECT);
    if (!site) return;
    fix_here(b, stub->from[1]);
    if (b->t->config.count_hits) emit_count(b, &b->v->counters->site_misses);
    if (stub->jump) require_canonical(b);
    if (stub->back) push_host_return(b, stub->back);
    struct edge *edge = edge_of(b, stub);
    emit_edge_name(b, edge, b->block->start + edge->patch);
    emit_jmp_thunk(&b->e, THUNK_FILL_SITE);
}
