#include "returns.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#define STACK_BYTES (256u << 10)
/* Bytes above the bottom, because a debugger or a crash handler may read there. */
#define SPARE_BYTES 64

extern const u8 thunk_return_miss[];

static int stack_init(struct return_stack *stack)
{
    u64 bytes = PAGE_SIZE + STACK_BYTES;
    u8 *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return -errno;
    stack->guard = at;
    stack->base = (u64)(uintptr_t)at + bytes - SPARE_BYTES;
    *(u64 *)(uintptr_t)stack->base = (u64)(uintptr_t)thunk_return_miss;
    stack->top = stack->base;
    return mprotect(at, PAGE_SIZE, PROT_NONE) < 0 ? -errno : 0;
}

int returns_init(struct returns *returns)
{
    for (unsigned n = 0; n < ARRAY_SIZE(returns->stack); n++) {
        int error = stack_init(&returns->stack[n]);
        if (error) {
            returns_destroy(returns);
            return error;
        }
    }
    return 0;
}

void returns_destroy(struct returns *returns)
{
    for (unsigned n = 0; n < ARRAY_SIZE(returns->stack); n++)
        if (returns->stack[n].guard) munmap(returns->stack[n].guard, PAGE_SIZE + STACK_BYTES);
    *returns = (struct returns){0};
}

static void change_to(struct vcpu *v, struct returns *returns, struct return_stack *stack)
{
    if (returns->current) returns->current->top = v->scratch.return_top;
    returns->current = stack;
    v->scratch.return_top = stack->top;
    v->scratch.return_base = stack->base;
}

void returns_select(struct vcpu *v, struct returns *returns, const struct cache *cache)
{
    struct return_stack *stack = &returns->stack[v->cpl == 3 ? SHADOW_USER : SHADOW_SUPERVISOR];
    if (stack != returns->current) change_to(v, returns, stack);
    u64 drops = v->shadow->exec_drops;
    if (stack->mode == v->mode && stack->exec_table == v->exec_table && stack->exec_drops == drops &&
        stack->turns == cache->turns)
        return;
    stack->mode = v->mode;
    stack->exec_table = v->exec_table;
    stack->exec_drops = drops;
    stack->turns = cache->turns;
    if (v->scratch.return_top == stack->base) return;
    v->scratch.return_top = stack->base;
    v->counters->return_stack_resets++;
}

void returns_check(const struct vcpu *v, const struct cache *cache)
{
    for (u64 at = v->scratch.return_top; at < v->scratch.return_base; at += sizeof(u64)) {
        u64 back = *(const u64 *)(uintptr_t)at;
        if (back == (u64)(uintptr_t)thunk_return_miss) continue; /* cut_off() */
        assert(arena_holds(&cache->arena, back));
        assert(cache_block_at(cache, (u32)(back - (u64)(uintptr_t)cache->arena.exec)));
    }
}

u64 returns_overflow(struct vcpu *v, struct returns *returns, u64 address)
{
    if (address - (u64)(uintptr_t)returns->current->guard >= PAGE_SIZE) return 0;
    v->counters->return_stack_overflows++;
    return v->scratch.return_base;
}
