#include "profile.h"

#include "translator/translator.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A period that is not in step with other timers. */
#define PERIOD_NS 487000
/* How much of the stack is searched for return addresses. */
#define STACK_WORDS 384

/* --- the handler --- */

/* Reads any word of the stack, also the words that a sanitizer puts between variables. */
__attribute__((no_sanitize("address"))) static u64 word_at(u64 address)
{
    return *(const u64 *)(uintptr_t)address;
}

/* What a search of the stack found. There are no frame pointers, so every word that looks like a return address into
 * Ringer counts as one. Such a word may be stale, and then the result is wrong. */
struct trail {
    u32 innermost;    /* Ringer's innermost function */
    bool translating; /* translate() is among the callers */
    bool device;      /* a device is among the callers */
};

static bool is_module(const struct profile *p, u32 function)
{
    return function != SYMBOL_NONE && p->own.list[function].module;
}

/* By folder of src. Folders that are not named here belong to the machine. */
static enum profile_engine engine_of_module(const char *module)
{
    static const struct {
        const char *module;
        enum profile_engine engine;
    } engines[] = {
        {"cpu", ENGINE_OF_INTERPRETER},    {"mmu", ENGINE_OF_MEMORY},      {"cache", ENGINE_OF_RUNTIME},
        {"translator", ENGINE_OF_RUNTIME}, {"devices", ENGINE_OF_DEVICES}, {"block", ENGINE_OF_DEVICES},
        {"ui", ENGINE_OF_DEVICES},
    };
    for (unsigned n = 0; n < ARRAY_SIZE(engines); n++)
        if (!strcmp(engines[n].module, module)) return engines[n].engine;
    return ENGINE_OF_MACHINE;
}

/* NULL: the stack is a shadow return stack, as in the first instructions behind translated code. */
static const struct profile_stack *stack_of(const struct profile *p, u64 sp)
{
    for (unsigned n = 0; n < ARRAY_SIZE(p->stack); n++)
        if (sp >= p->stack[n].low && sp < p->stack[n].high) return &p->stack[n];
    return NULL;
}

/* Does the call before this return address lead out of Ringer, that is to the PLT or through the GOT? */
static bool calls_out(const struct profile *p, u64 back)
{
    const u8 *code = (const u8 *)(uintptr_t)back;
    if (code[-6] == 0xff && code[-5] == 0x15) return true; /* CALL [rip + disp32] */
    if (code[-5] != 0xe8) return false;
    u64 displacement = (u64)(s64)(s32) * (const any32 *)(code - 4);
    return !is_module(p, symbols_find(&p->own, back + displacement));
}

/* Search the stack. A return address from a library is behind a call out of Ringer. Stale words are seldom behind such
 * a call. */
static void look_back(const struct profile *p, u64 pc, u64 sp, struct trail *trail)
{
    u32 here = symbols_find(&p->own, pc);
    *trail = (struct trail){.innermost = is_module(p, here) ? here : SYMBOL_NONE};
    const struct profile_stack *stack = stack_of(p, sp);
    u64 end = sp + STACK_WORDS * 8;
    if (stack && end > stack->high) end = stack->high;
    for (u64 at = sp & ~7ull; stack && at < end; at += 8) {
        u32 function = symbols_find(&p->own, word_at(at) - 1);
        if (!is_module(p, function)) continue;
        if (trail->innermost == SYMBOL_NONE) {
            if (!calls_out(p, word_at(at))) continue;
            trail->innermost = function;
        }
        if (function == p->enter_function) break;
        if (function == p->translate_function) trail->translating = true;
        if (engine_of_module(p->own.list[function].module) == ENGINE_OF_DEVICES) trail->device = true;
    }
    if (trail->innermost == p->translate_function) trail->translating = true;
}

static enum profile_engine engine_of(const struct profile *p, const struct trail *trail)
{
    if (trail->translating) return ENGINE_OF_TRANSLATION;
    if (trail->device) return ENGINE_OF_DEVICES;
    if (trail->innermost == SYMBOL_NONE) return ENGINE_OF_HOST;
    return engine_of_module(p->own.list[trail->innermost].module);
}

static void take(struct sampler *sampler, struct vcpu *current, u64 pc, u64 sp, unsigned missed)
{
    (void)missed;
    struct profile *p = (struct profile *)sampler;
    struct vcpu *v = current ? current : p->vcpu;
    struct profile_key key = {.function = SYMBOL_NONE, .engine = ENGINE_OF_TRANSLATED};
    translator_sample(v, current, pc, &key.sample);
    if (key.sample.location != SAMPLE_TRANSLATED) {
        struct trail trail;
        look_back(p, pc, sp, &trail);
        if (trail.innermost != SYMBOL_NONE && trail.innermost == p->idle_function) {
            p->idle++;
            return;
        }
        key.function = trail.innermost;
        key.engine = engine_of(p, &trail);
        /* Only an engine has a current guest instruction. */
        if (key.sample.location == SAMPLE_OUTSIDE && key.engine != ENGINE_OF_INTERPRETER) key.sample.eip = 0;
    }
    p->taken++;
    profile_count(p, &key);
}

/* --- start and stop --- */

static u32 find_named(const struct symbols *symbols, const char *name)
{
    for (u32 n = 0; n < symbols->count; n++)
        if (!strcmp(symbols->list[n].name, name)) return n;
    return SYMBOL_NONE;
}

static u64 thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
}

static void find_stacks(struct profile *p)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t bytes = 0;
    stack_t signals = {0};
    if (!pthread_getattr_np(pthread_self(), &attributes)) {
        pthread_attr_getstack(&attributes, &low, &bytes);
        pthread_attr_destroy(&attributes);
    }
    p->stack[0] = (struct profile_stack){(u64)(uintptr_t)low, (u64)(uintptr_t)low + bytes};
    if (sigaltstack(NULL, &signals) < 0 || (signals.ss_flags & SS_DISABLE)) return;
    low = signals.ss_sp;
    p->stack[1] = (struct profile_stack){(u64)(uintptr_t)low, (u64)(uintptr_t)low + signals.ss_size};
}

struct profile *profile_open(struct vcpu *vcpu, const struct symbols *guest, char *error, size_t error_bytes)
{
    struct profile *p = calloc(1, sizeof(*p));
    if (!p) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    p->sampler.take = take;
    p->vcpu = vcpu;
    p->guest = guest;
    symbols_load_own(&p->own);
    p->idle_function = find_named(&p->own, "waker_wait");
    p->translate_function = find_named(&p->own, "translate");
    p->enter_function = find_named(&p->own, "translator_run");
    p->entries = calloc(PROFILE_ENTRIES, sizeof(p->entries[0]));
    if (!p->entries) {
        snprintf(error, error_bytes, "out of memory");
        profile_close(p);
        return NULL;
    }
    return p;
}

static int start_timer(struct profile *p)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF, .sigev_value.sival_ptr = &p->sampler};
    event._sigev_un._tid = (int)syscall(SYS_gettid);
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) return -errno;
    struct itimerspec every = {.it_interval.tv_nsec = PERIOD_NS, .it_value.tv_nsec = PERIOD_NS};
    if (timer_settime(timer, 0, &every, NULL) < 0) {
        int failed = -errno;
        timer_delete(timer);
        return failed;
    }
    p->timer = timer;
    return 0;
}

int profile_start(struct profile *p)
{
    find_stacks(p);
    if (p->vcpu->engine) translator_profile(p->vcpu);
    int failed = translator_install_sampler(SIGPROF);
    if (failed) return failed;
    p->cpu_ns = thread_cpu_ns();
    return start_timer(p);
}

void profile_stop(struct profile *p)
{
    timer_delete(p->timer);
    /* Ignore a signal that is already pending. */
    signal(SIGPROF, SIG_IGN);
    p->cpu_ns = thread_cpu_ns() - p->cpu_ns;
}

void profile_close(struct profile *p)
{
    if (!p) return;
    symbols_free(&p->own);
    free(p->entries);
    free(p);
}
