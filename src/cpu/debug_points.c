/*
 * A debugger's points: see debug_points.h. The guest's FPU state may be live.
 */
#include "debug_points.h"

#include "memory.h"
#include "mmu/watch.h"
#include "mode.h"

/* --- code points --- */

static u64 *bits_of(struct debug_points *points, u64 linear)
{
    return &points->code_bits[linear % CODE_POINT_BITS / 64];
}

static bool may_have(const struct debug_points *points, u64 linear)
{
    return points->code_bits[linear % CODE_POINT_BITS / 64] >> linear % 64 & 1;
}

static struct code_point *find_code(struct debug_points *points, u64 linear)
{
    if (likely(!may_have(points, linear))) return NULL;
    for (u32 n = 0; n < points->codes; n++)
        if (points->code[n].linear == linear) return &points->code[n];
    return NULL;
}

static void remove_code(struct debug_points *points, struct code_point *point)
{
    *point = points->code[--points->codes];
    for (u32 n = 0; n < ARRAY_SIZE(points->code_bits); n++)
        points->code_bits[n] = 0;
    for (u32 n = 0; n < points->codes; n++)
        *bits_of(points, points->code[n].linear) |= 1ull << points->code[n].linear % 64;
}

static bool make_room(struct debug_points *points)
{
    for (u32 n = 0; points->codes == CODE_POINTS_MAX && n < points->codes; n++)
        if (!points->code[n].active) remove_code(points, &points->code[n]);
    return points->codes < CODE_POINTS_MAX;
}

bool debug_points_set_code(struct vcpu *v, u64 linear)
{
    struct debug_points *points = v->instruments.points;
    struct code_point *point = find_code(points, linear);
    if (point) {
        points->active_codes += !point->active;
        point->active = true;
        return true;
    }
    if (!make_room(points)) return false;
    points->code[points->codes++] = (struct code_point){.linear = linear, .active = true};
    points->active_codes++;
    *bits_of(points, linear) |= 1ull << linear % 64;
    if (v->instruments.code_point_set) v->instruments.code_point_set(v, linear);
    return true;
}

bool debug_points_clear_code(struct vcpu *v, u64 linear)
{
    struct debug_points *points = v->instruments.points;
    struct code_point *point = find_code(points, linear);
    if (!point || !point->active) return false;
    point->active = false;
    points->active_codes--;
    return true;
}

void debug_points_pass(struct vcpu *v)
{
    struct debug_points *points = v->instruments.points;
    points->passed = segment_linear(v, SEG_CS, v->rip);
    points->passes = true;
}

bool debug_points_stop_slow(struct vcpu *v)
{
    struct debug_points *points = v->instruments.points;
    u64 linear = segment_linear(v, SEG_CS, v->rip);
    if (points->passes && points->passed == linear) {
        points->passes = false;
        return false;
    }
    const struct code_point *point = find_code(points, linear);
    return point && point->active;
}

/* --- data points --- */

static bool touches(const struct data_point *point, u64 linear, u64 bytes)
{
    return linear - point->linear < point->bytes || point->linear - linear < bytes;
}

/* Tell the shadow which pages they are in. */
static void watch_pages(struct vcpu *v)
{
    const struct debug_points *points = v->instruments.points;
    shadow_watch_none(v->shadow);
    for (u32 n = 0; n < points->datas; n++)
        shadow_watch(v->shadow, points->data[n].linear, points->data[n].bytes,
                     points->data[n].kind & DATA_READ);
}

bool debug_points_set_data(struct vcpu *v, u64 linear, u64 bytes, enum data_point_kind kind)
{
    struct debug_points *points = v->instruments.points;
    if (points->datas == DATA_POINTS_MAX || !bytes || bytes > PAGE_SIZE) return false;
    points->data[points->datas++] = (struct data_point){linear, bytes, kind};
    watch_pages(v);
    return true;
}

bool debug_points_clear_data(struct vcpu *v, u64 linear, u64 bytes, enum data_point_kind kind)
{
    struct debug_points *points = v->instruments.points;
    for (u32 n = 0; n < points->datas; n++) {
        const struct data_point *point = &points->data[n];
        if (point->linear != linear || point->bytes != bytes || point->kind != kind) continue;
        points->data[n] = points->data[--points->datas];
        watch_pages(v);
        return true;
    }
    return false;
}

void debug_points_clear_all(struct vcpu *v)
{
    struct debug_points *points = v->instruments.points;
    for (u32 n = 0; n < points->codes; n++)
        points->code[n].active = false;
    points->active_codes = points->datas = 0;
    points->passes = false;
    watch_pages(v);
    debug_points_forget_access(v);
}

void debug_points_access_slow(struct vcpu *v, u64 linear, u64 bytes, bool write)
{
    struct debug_points *points = v->instruments.points;
    for (u32 n = 0; n < points->datas; n++) {
        const struct data_point *point = &points->data[n];
        if (!(point->kind & (write ? DATA_WRITE : DATA_READ)) || !touches(point, linear, bytes)) continue;
        points->hit = *point;
        __atomic_or_fetch(&v->pending, PENDING_DEBUGGER, __ATOMIC_RELAXED);
        return;
    }
}

void debug_points_forget_access(struct vcpu *v)
{
    if (unlikely(vcpu_pending(v) & PENDING_DEBUGGER))
        __atomic_and_fetch(&v->pending, ~(u32)PENDING_DEBUGGER, __ATOMIC_RELAXED);
}

/* --- for the translator --- */

bool debug_points_may_hit(const struct debug_points *points, u64 linear, u64 bytes)
{
    for (u32 n = 0; n < points->datas; n++)
        if (touches(&points->data[n], linear, bytes)) return true;
    return false;
}

bool debug_points_in(const struct debug_points *points, u64 linear, u64 bytes)
{
    for (u32 n = 0; n < points->codes; n++)
        if (points->code[n].linear - linear < bytes) return true;
    return false;
}

bool debug_points_admit_block(struct debug_points *points, u64 linear)
{
    struct code_point *point = find_code(points, linear);
    if (!point) return true;
    if (point->active) return false;
    remove_code(points, point);
    return true;
}
