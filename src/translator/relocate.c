/*
 * Relocation: the same guest bytes at another EIP. Each process maps position-independent programs and libraries at
 * other addresses. Translated code contains values that depend on EIP: return addresses, exec entries of other pages,
 * edges and callouts. So one block cannot serve two EIPs, but a copy with these values changed takes a fraction of a
 * translation's time. Code that emits such a value records it with fix_last().
 */
#include "build.h"
#include "cpu/debug_points.h"

#define EXEC_ENTRIES (1u << (32 - PAGE_SHIFT))

void fix_at(struct build *b, u32 field, enum fix_kind kind)
{
    u32 at = in_block(b, field);
    if (b->fix_count == MAX_FIXES || at > FIX_AT_MASK)
        b->fix_count = MAX_FIXES;
    else
        b->fix[b->fix_count++] = (u16)(kind << FIX_KIND_AT | at);
}

void fix_last(struct build *b, enum fix_kind kind)
{
    fix_at(b, b->e.at - 4, kind);
}

/* User code of 64-bit mode moves between these addresses. What it reaches relative to RIP, 2 GB to both sides, is
 * canonical and beyond 4 GB, so it has 64 bits wherever the block is. */
#define MOVABLE_FROM (6ull << 30)
#define MOVABLE_TO   ((1ull << 47) - (4ull << 30))

/* In the first and the last page of linear space a block may rely on where the space ends. */
bool is_movable(const struct block_key *key)
{
    u64 page = key->eip >> PAGE_SHIFT;
    if (key->mode & MODE_CODE64) return key->eip >= MOVABLE_FROM && key->eip < MOVABLE_TO;
    return !key->cs_base && key->cs_limit == UINT32_MAX && page != 0 && page != EXEC_ENTRIES - 1;
}

void emit_mov_rip(struct build *b, u8 reg, u64 value)
{
    if (b->has_full_rip)
        fix_at(b, emit_mov_patched64(&b->e, reg, value), FIX_EIP);
    else
        emit_mov_ri64(&b->e, reg, value);
}

/* Exec entries of low pages are emitted with a displacement of 1 byte, which cannot be changed to a longer one. */
static bool has_short_entry(const struct block *block)
{
    if (block->mode & MODE_LONG) return false;
    const struct edge *edges = block_edges(block);
    for (unsigned n = 0; n < block->edge_count; n++)
        if (edges[n].frame_patch && edges[n].eip >> PAGE_SHIFT < 128 / sizeof(u32)) return true;
    return false;
}

bool fix_suffices(const struct build *b)
{
    return !b->t->config.no_relocation && b->fix_count != MAX_FIXES && !b->has_half_eip && !b->frame_next &&
           is_movable(&b->key) && !has_short_entry(b->block);
}

static any32 *field(const struct cache *cache, const struct block *block, u32 at)
{
    return (any32 *)(cache->arena.write + block->start + at);
}

static void move_edge(const struct cache *cache, const struct block *block, struct edge *edge, u64 eip_by)
{
    edge->to = edge->next = 0;
    edge->eip += (u32)eip_by; /* (an indirect site sets its EIP when it is filled) */
    *field(cache, block, edge->patch) = edge->stub - (edge->patch + 4u);
    *field(cache, block, edge->stub + STUB_NAME_AT) = low_pointer(edge);
}

/* The offset of an exec entry, or of a field of a slot of the TLB, for a page that lies `pages` pages farther. */
static u32 entry_moved(const struct block *block, u32 at, u64 pages)
{
    if (block->mode & MODE_LONG) return (u32)(at + (pages << TLB_SLOT_LOG)) % (TLB_ENTRIES << TLB_SLOT_LOG);
    return (u32)(at / sizeof(u32) + pages) % EXEC_ENTRIES * (u32)sizeof(u32);
}

/* The displacement of a test for the class of a segment. The address is the imm64 of the MOV before it, which has been
 * moved already. */
static u32 segment_moved(const any32 *at)
{
    enum { OPCODE_BYTES = 3 };
    u64 address = *(const any64 *)(const void *)((const u8 *)at - OPCODE_BYTES - sizeof(u64));
    u32 table = (*at - (u32)SEGMENT_CLASSES) / TLB_SEGMENTS * TLB_SEGMENTS;
    return (u32)SEGMENT_CLASSES + table + (u32)(address >> 32) % TLB_SEGMENTS;
}

static void fix(struct cache *cache, const struct block *block, u16 kept, u64 eip_by)
{
    any32 *at = field(cache, block, kept & FIX_AT_MASK);
    any64 *wide = (any64 *)at;
    u64 pages = eip_by >> PAGE_SHIFT;
    switch ((enum fix_kind)(kept >> FIX_KIND_AT)) {
    case FIX_EIP:
        if (block->mode & MODE_CODE64)
            *wide += eip_by;
        else
            *at += (u32)eip_by;
        break;
    case FIX_EXEC: *at = entry_moved(block, *at, pages); break;
    case FIX_SEGMENT: *at = segment_moved(at); break;
    case FIX_CALLOUT: *at = callout_moved(cache, *at, eip_by); break;
    case FIX_WORD:
        *wide += tlb_exec_word(eip_by, 0);
        /* Linear addresses wrap at 4 GB. */
        if (!(block->mode & MODE_CODE64)) *wide &= tlb_exec_word(UINT32_MAX, ~0u >> 4);
        break;
    }
}

/* Both buffers have room for whole words. */
static void copy_words(void *to, const void *from, u32 bytes)
{
    for (u32 n = 0; n < bytes; n += 8)
        *(u64 *)((u8 *)to + n) = *(const u64 *)((const u8 *)from + n);
}

static void copy_block(struct cache *cache, const struct block *template, u64 eip)
{
    struct block *block = cache_next(cache);
    u64 eip_by = eip - block_rip(template);
    copy_words(block, template, block_bytes(template));
    block->eip = (u32)eip;
    if (block->wide) block_rare(block)->cs_base = (u32)(eip >> 32);
    block->dead = false;
    block->long_jump = 0;
    block->start = (u32)cache->arena.used;
    block->incoming = 0;
    /* The number of targets that the template's branch has met says little about the copy's branch. */
    if (block->site && block_indirect(block)->fills < SITE_FILLS) block_indirect(block)->fills = 0;
    copy_words(cache->arena.write + block->start, cache->arena.write + template->start, block->host_bytes);
    for (unsigned n = 0; n < block->edge_count; n++)
        move_edge(cache, block, &block_edges(block)[n], eip_by);
    for (unsigned n = 0; n < block->fix_count; n++)
        fix(cache, block, block_fixes(block)[n], eip_by);
    cache_add(cache, block);
}

struct block *relocate(struct vcpu *v, const struct block_key *key)
{
    struct engine *t = v->engine;
    if (!is_movable(key) || t->log) return NULL;
    const struct block *template = cache_template(&t->cache, key);
    const struct debug_points *points = v->instruments.points;
    if (!template || (unlikely(points) && debug_points_in(points, key->eip & ~(u64)PAGE_MASK, PAGE_SIZE)))
        return NULL;
    struct block *block = cache_next(&t->cache);
    copy_block(&t->cache, template, key->eip);
    phys_guard(v->phys, key->gpa, PHYS_CODE);
    v->counters->blocks_relocated++;
    note_event(v->counters->events, EVENT_BLOCK_COPIED, key->eip, key->gpa);
    return block;
}

/* To another segment, for the same EIP. */
static void copy_promoted(void *owner, const struct block *block)
{
    copy_block(owner, block, block_rip(block));
}

void make_room(struct vcpu *v)
{
    struct engine *t = v->engine;
    /* A policy may use floating point: a loaded one is not compiled for general registers only. */
    if (t->cache.segments > 1) fpu_park(v);
    cache_replace(&t->cache, copy_promoted, &t->cache);
}
