/*
 * Guest memory as instructions access it (memory.h).
 *
 * An access has three stages. The segment gives a linear address (mem_linear). For each page of the access, its
 * location is found by an entry or by a walk (locate). Then the bytes are moved. All locations are found before
 * any byte is written, so page-crossing accesses are precise.
 */
#include "memory.h"
#include "debug_points.h"
#include "mmu/tlb.h"
#include "mode.h"
#include "system.h"

/* The entries for the access: those of the current privilege, or of the processor's own accesses. */
struct view {
    const u64 *read, *write;
    bool user, implicit;
};

static inline struct view view_current(const struct vcpu *v)
{
    return (struct view){v->read_table, v->write_table, v->cpl == 3, false};
}
static inline struct view view_system(const struct vcpu *v)
{
    const struct shadow_table *t = &v->shadow->table[SHADOW_SUPERVISOR];
    return (struct view){t->read, t->write, false, true};
}

/* The location of the bytes in one page. */
struct location {
    u8 *host;     /* NULL: in a device, at gpa */
    u64 gpa;      /* 0: unknown, because an entry gave the location */
    bool guarded; /* report to guarded_written() after the write */
};

/* --- segments --- */

_Noreturn static void raise_segment(struct vcpu *v, enum seg seg)
{
    fault_raise_error(v, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

/* Null selectors, read-only and execute-only segments, expand-down limits (SDM 3A 5.3, 5.5). */
static __attribute__((noinline)) void check_odd_segment(struct vcpu *v, enum seg seg, u64 offset,
                                                        unsigned bytes, bool write)
{
    const struct segment *s = &v->seg[seg];
    if (s->access & AR_UNUSABLE) raise_segment(v, seg);
    bool code = s->access & AR_CODE;
    if (write ? code || !(s->access & AR_WRITABLE) : code && !(s->access & AR_READABLE))
        fault_raise_error(v, VEC_GP, 0);
    u64 last = (u64)offset + bytes - 1;
    if (!code && (s->access & AR_EXPAND_DOWN)) {
        if (offset <= s->limit || last > (s->access & AR_DB ? 0xffffffff : 0xffff)) raise_segment(v, seg);
    } else if (last > s->limit) {
        raise_segment(v, seg);
    }
}

/* 64-bit mode: no limits and no types, but the address must be canonical (SDM 3A 5.3.1). */
static inline u64 to_linear64(struct vcpu *v, enum seg seg, u64 offset, unsigned bytes)
{
    u64 linear = segment_linear(v, seg, offset);
    if (unlikely(!is_canonical(linear) || !is_canonical(linear + bytes - !!bytes))) raise_segment(v, seg);
    return linear;
}

static inline void check_alignment(struct vcpu *v, u64 linear, unsigned bytes)
{
    /* SDM 3A table 6-7. Ten-byte operands of the FPU are aligned to 8. Other odd sizes are not checked here:
     * instructions with operands of 16 bytes and FXSAVE check the alignment themselves, with #GP. */
    unsigned alignment = bytes == 10 ? 8 : bytes & (bytes - 1) || bytes > 8 ? 1 : bytes;
    if (linear & (alignment - 1)) fault_raise_error(v, VEC_AC, 0);
}

static inline u64 to_linear(struct vcpu *v, enum seg seg, u64 offset, unsigned bytes, bool write)
{
    u64 linear;
    if (unlikely(v->mode & MODE_CODE64)) {
        linear = to_linear64(v, seg, offset, bytes);
    } else {
        const struct segment *s = &v->seg[seg];
        enum mode_seg kind = mode_seg(v->mode, seg);
        if (unlikely(seg == SEG_CS && write && vcpu_protected(v))) fault_raise_error(v, VEC_GP, 0);
        if (unlikely(kind == MODE_SEG_ODD))
            check_odd_segment(v, seg, (u32)offset, bytes, write);
        else if (kind == MODE_SEG_LIMITED && unlikely(offset + bytes - 1 > s->limit))
            raise_segment(v, seg);
        linear = (u32)(s->base + offset);
    }
    if (unlikely(v->mode & MODE_ALIGN)) check_alignment(v, linear, bytes);
    return linear;
}

u64 mem_linear(struct vcpu *v, enum seg seg, u64 offset, unsigned bytes, bool write)
{
    return to_linear(v, seg, offset, bytes, write);
}

void mem_check_aligned(struct vcpu *v, enum seg seg, u64 offset, unsigned bytes, unsigned alignment,
                       bool write)
{
    bool code64 = v->mode & MODE_CODE64;
    u64 linear = code64 ? segment_linear(v, seg, offset) : mem_linear(v, seg, offset, bytes, write);
    if (linear & (alignment - 1)) fault_raise_error(v, VEC_GP, 0);
}

/* --- locations --- */

/* The entry of a page, or 0: by the shadow's tables, or in IA-32e mode by its TLB. */
static inline u64 entry_of(const struct vcpu *v, const struct view *view, u64 linear, bool write)
{
    if (unlikely(v->mode & MODE_LONG)) return tlb_entry(v->shadow->tlb, linear, view->user, write);
    return (write ? view->write : view->read)[(u32)linear >> PAGE_SHIFT];
}

static inline bool crosses_page(u64 linear, unsigned bytes)
{
    return (linear & PAGE_MASK) + bytes > PAGE_SIZE;
}

static struct location walk_location(struct vcpu *v, const struct view *view, u64 linear, bool write)
{
    struct shadow_hit hit;
    enum access access = (write ? ACCESS_WRITE : ACCESS_READ) | (view->implicit ? ACCESS_IMPLICIT : 0);
    switch (shadow_access(v->shadow, &v->paging, linear, access, view->user, &hit)) {
    case SHADOW_FAULT: fault_raise_page(v, linear, hit.error);
    case SHADOW_MMIO: return (struct location){.gpa = hit.gpa};
    case SHADOW_GUARDED: return (struct location){.host = hit.host, .gpa = hit.gpa, .guarded = true};
    default: return (struct location){.host = hit.host};
    }
}

static inline struct location locate(struct vcpu *v, const struct view *view, u64 linear, bool write)
{
    u64 entry = entry_of(v, view, linear, write);
    if (likely(entry)) return (struct location){.host = (u8 *)(uintptr_t)(linear + entry)};
    return walk_location(v, view, linear, write);
}

/* --- bytes --- */

static void copy(u8 *to, const u8 *from, unsigned bytes)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

/* RAM lies below 3 GB and from 4 GB on (phys.h). */
static u64 host_to_gpa(const struct vcpu *v, const u8 *host)
{
    const u64 low = 3ull << 30, high = 4ull << 30;
    u64 offset = host - v->phys->ram;
    return offset < low ? offset : offset - low + high;
}

static __attribute__((noinline)) void note_write(struct vcpu *v, const u8 *host, u32 bytes)
{
    struct write_log *log = v->instruments.write_log;
    u64 gpa = host_to_gpa(v, host);
    if (log->count) {
        u64 end = log->entry[log->count - 1].gpa + log->entry[log->count - 1].bytes;
        if (end == gpa) {
            log->entry[log->count - 1].bytes += bytes;
            return;
        }
    }
    if (log->count == ARRAY_SIZE(log->entry)) {
        log->overflow = true;
        return;
    }
    log->entry[log->count].gpa = gpa;
    log->entry[log->count].bytes = bytes;
    log->count++;
}

static u64 location_load(struct vcpu *v, const struct location *p, unsigned size)
{
    return p->host ? load_any(p->host, size) : phys_read(v->phys, p->gpa, size);
}

static void location_store(struct vcpu *v, const struct location *p, unsigned size, u64 value)
{
    if (!p->host) {
        phys_write(v->phys, p->gpa, size, value);
        return;
    }
    store_any(p->host, size, value);
    if (unlikely(v->instruments.write_log != NULL)) note_write(v, p->host, size);
    if (p->guarded) v->phys->guarded_written(v->phys->owner, p->gpa, size);
}

static void location_load_bytes(struct vcpu *v, const struct location *p, u8 *buffer, unsigned bytes)
{
    if (p->host)
        copy(buffer, p->host, bytes);
    else
        for (unsigned n = 0; n < bytes; n++)
            buffer[n] = phys_read(v->phys, p->gpa + n, 1);
}

static void location_store_bytes(struct vcpu *v, const struct location *p, const u8 *buffer, unsigned bytes)
{
    if (!p->host) {
        for (unsigned n = 0; n < bytes; n++)
            phys_write(v->phys, p->gpa + n, 1, buffer[n]);
        return;
    }
    copy(p->host, buffer, bytes);
    if (unlikely(v->instruments.write_log != NULL)) note_write(v, p->host, bytes);
    if (p->guarded) v->phys->guarded_written(v->phys->owner, p->gpa, bytes);
}

/* --- up to a page of bytes: at most two locations --- */

struct two_pages {
    struct location location[2];
    unsigned bytes[2];
};

static void locate_two(struct vcpu *v, const struct view *view, u64 linear, unsigned bytes, bool write,
                       struct two_pages *s)
{
    unsigned here = PAGE_SIZE - (linear & PAGE_MASK);
    u64 next = v->mode & MODE_LONG ? linear + here : (u32)(linear + here);
    s->bytes[0] = bytes < here ? bytes : here;
    s->bytes[1] = bytes - s->bytes[0];
    s->location[0] = locate(v, view, linear, write);
    if (s->bytes[1]) s->location[1] = locate(v, view, next, write);
}

static void load_two_pages(struct vcpu *v, const struct view *view, u64 linear, u8 *buffer, unsigned bytes,
                           bool modify)
{
    struct two_pages s;
    locate_two(v, view, linear, bytes, modify, &s);
    location_load_bytes(v, &s.location[0], buffer, s.bytes[0]);
    if (s.bytes[1]) location_load_bytes(v, &s.location[1], buffer + s.bytes[0], s.bytes[1]);
}

static void store_two_pages(struct vcpu *v, const struct view *view, u64 linear, const u8 *buffer,
                            unsigned bytes)
{
    struct two_pages s;
    locate_two(v, view, linear, bytes, true, &s);
    location_store_bytes(v, &s.location[0], buffer, s.bytes[0]);
    if (s.bytes[1]) location_store_bytes(v, &s.location[1], buffer + s.bytes[0], s.bytes[1]);
}

static __attribute__((noinline)) u64 load_slow(struct vcpu *v, const struct view *view, u64 linear,
                                               unsigned size, bool modify)
{
    if (!crosses_page(linear, size)) {
        struct location p = locate(v, view, linear, modify);
        return location_load(v, &p, size);
    }
    u64 value = 0;
    load_two_pages(v, view, linear, (u8 *)&value, size, modify);
    return value;
}

static __attribute__((noinline)) void store_slow(struct vcpu *v, const struct view *view, u64 linear,
                                                 unsigned size, u64 value)
{
    if (!crosses_page(linear, size)) {
        struct location p = locate(v, view, linear, true);
        location_store(v, &p, size, value);
    } else {
        store_two_pages(v, view, linear, (const u8 *)&value, size);
    }
}

static inline u64 load_fast(struct vcpu *v, const struct view *view, u64 linear, unsigned size)
{
    u64 entry = entry_of(v, view, linear, false);
    if (likely(entry && !crosses_page(linear, size)))
        return load_any((const u8 *)(uintptr_t)(linear + entry), size);
    return load_slow(v, view, linear, size, false);
}

static inline void store_fast(struct vcpu *v, const struct view *view, u64 linear, unsigned size, u64 value)
{
    u64 entry = entry_of(v, view, linear, true);
    if (likely(entry && !crosses_page(linear, size) && !v->instruments.write_log))
        store_any((u8 *)(uintptr_t)(linear + entry), size, value);
    else
        store_slow(v, view, linear, size, value);
}

/* --- by linear address --- */

u64 lin_read(struct vcpu *v, u64 linear, unsigned size)
{
    struct view view = view_current(v);
    u64 value = load_fast(v, &view, linear, size);
    if (unlikely(debug_armed(v))) debug_match_data(v, linear, size, false);
    debug_points_access(v, linear, size, false);
    return value;
}

void lin_write(struct vcpu *v, u64 linear, unsigned size, u64 value)
{
    struct view view = view_current(v);
    store_fast(v, &view, linear, size, value);
    if (unlikely(debug_armed(v))) debug_match_data(v, linear, size, true);
    debug_points_access(v, linear, size, true);
}

void lin_read_bytes(struct vcpu *v, u64 linear, void *buffer, unsigned bytes)
{
    struct view view = view_current(v);
    load_two_pages(v, &view, linear, buffer, bytes, false);
    if (unlikely(debug_armed(v))) debug_match_data(v, linear, bytes, false);
    debug_points_access(v, linear, bytes, false);
}

void lin_write_bytes(struct vcpu *v, u64 linear, const void *buffer, unsigned bytes)
{
    struct view view = view_current(v);
    store_two_pages(v, &view, linear, buffer, bytes);
    if (unlikely(debug_armed(v))) debug_match_data(v, linear, bytes, true);
    debug_points_access(v, linear, bytes, true);
}

u64 sys_read(struct vcpu *v, u64 linear, unsigned size)
{
    struct view view = view_system(v);
    u64 value = load_fast(v, &view, linear, size);
    debug_points_access(v, linear, size, false);
    return value;
}

void sys_write(struct vcpu *v, u64 linear, unsigned size, u64 value)
{
    struct view view = view_system(v);
    store_fast(v, &view, linear, size, value);
    debug_points_access(v, linear, size, true);
}

void lin_probe_write(struct vcpu *v, u64 linear, unsigned bytes)
{
    struct view view = view_current(v);
    struct two_pages s;
    locate_two(v, &view, linear, bytes, true, &s);
}

void sys_probe_write(struct vcpu *v, u64 linear, unsigned bytes)
{
    struct view view = view_system(v);
    struct two_pages s;
    locate_two(v, &view, linear, bytes, true, &s);
}

u32 lin_direct(struct vcpu *v, u64 linear, u32 bytes, bool write, u8 **host)
{
    struct view view = view_current(v);
    u64 entry = entry_of(v, &view, linear, write);
    if (!entry || debug_armed(v)) return 0;
    u32 here = PAGE_SIZE - (linear & PAGE_MASK);
    *host = (u8 *)(uintptr_t)(linear + entry);
    if (unlikely(write && v->instruments.write_log)) {
        if (bytes > here) bytes = here;
        note_write(v, *host, bytes);
        return bytes;
    }
    /* While entries are equal, pages that follow each other in linear memory follow each other in host
     * memory. The word behind the last page's entry is 0. */
    if (v->mode & MODE_LONG) {
        while (here < bytes && entry_of(v, &view, linear + here, write) == entry)
            here += PAGE_SIZE;
    } else {
        const u64 *table = (write ? view.write : view.read) + (linear >> PAGE_SHIFT);
        while (here < bytes && *++table == entry)
            here += PAGE_SIZE;
    }
    return bytes < here ? bytes : here;
}

/* --- through a segment --- */

u64 mem_read(struct vcpu *v, enum seg seg, u64 offset, unsigned size)
{
    return lin_read(v, to_linear(v, seg, offset, size, false), size);
}

void mem_write(struct vcpu *v, enum seg seg, u64 offset, unsigned size, u64 value)
{
    lin_write(v, to_linear(v, seg, offset, size, true), size, value);
}

void mem_read_bytes(struct vcpu *v, enum seg seg, u64 offset, void *buffer, unsigned bytes)
{
    lin_read_bytes(v, to_linear(v, seg, offset, bytes, false), buffer, bytes);
}

void mem_write_bytes(struct vcpu *v, enum seg seg, u64 offset, const void *buffer, unsigned bytes)
{
    lin_write_bytes(v, to_linear(v, seg, offset, bytes, true), buffer, bytes);
}

void mem_probe_write(struct vcpu *v, enum seg seg, u64 offset, unsigned bytes)
{
    lin_probe_write(v, to_linear(v, seg, offset, bytes, true), bytes);
}

u64 mem_read_modify(struct vcpu *v, enum seg seg, u64 offset, unsigned size)
{
    u64 linear = to_linear(v, seg, offset, size, true);
    struct view view = view_current(v);
    u64 entry = entry_of(v, &view, linear, true);
    debug_points_access(v, linear, size, false);
    if (likely(entry && !crosses_page(linear, size)))
        return load_any((const u8 *)(uintptr_t)(linear + entry), size);
    return load_slow(v, &view, linear, size, true);
}
