/* Mappings that come and go, against a model of what must be there. */
#define _GNU_SOURCE
#include "hazards.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BASE  ((u8 *)0x58000000)
#define SLOTS 256u

enum { NONE, NO_ACCESS, READ_ONLY, WRITABLE };
static struct {
    u8 state;
    u32 value; /* of the first word */
} model[SLOTS];

SNIPPET(m_read, "mov (%esi), %eax");
SNIPPET(m_write, "mov %ecx, (%esi)");

static void probe(u32 slot)
{
    u8 *at = BASE + slot * PAGE;
    u32 offset = random_u32() % 1000 * 4 + 4, state = model[slot].state;
    struct regs in = {.esi = (u32)at};
    run_until_fault(m_read, &in);
    check_eq(caught.signal, state >= READ_ONLY ? SIGTRAP : SIGSEGV);
    if (caught.signal == SIGTRAP)
        check_eq(caught.regs.eax, model[slot].value);
    else
        check(caught.address == (u32)at && caught.code == (state == NONE ? SEGV_MAPERR : SEGV_ACCERR));
    in.esi += offset % PAGE;
    in.ecx = random_u32();
    run_until_fault(m_write, &in);
    check_eq(caught.signal, state == WRITABLE ? SIGTRAP : SIGSEGV);
    if (caught.signal == SIGSEGV) check_eq(caught.address, in.esi);
    if (state == WRITABLE) *(u32 *)at = model[slot].value = random_u32();
}

static void change(u32 slot)
{
    static const int protections[] = {0, PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    u8 *at = BASE + slot * PAGE;
    u32 state = model[slot].state, to = random_u32() % 4, other = random_u32() % SLOTS;
    switch (random_u32() % 6) {
    case 0:
        munmap(at, PAGE);
        model[slot].state = NONE;
        break;
    case 1:
        if (to == NONE) break;
        map(at, PAGE, protections[to]);
        model[slot].state = (u8)to;
        model[slot].value = 0;
        break;
    case 2:
        if (state == NONE || to == NONE) break;
        mprotect(at, PAGE, protections[to]);
        model[slot].state = (u8)to;
        break;
    case 3:
        if (state == NONE || other == slot) break;
        mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, BASE + other * PAGE);
        model[other] = model[slot];
        model[slot].state = NONE;
        break;
    case 4:
        if (state == NONE) break;
        madvise(at, PAGE, MADV_DONTNEED);
        model[slot].value = 0;
        break;
    default: probe(slot); break;
    }
}

static void churn(void)
{
    catch_faults();
    for (u32 n = 0; n < 6000; n++) {
        change(random_u32() % SLOTS);
        probe(random_u32() % SLOTS);
    }
    munmap(BASE, SLOTS * PAGE);
    memset(model, 0, sizeof model);
}

static void holes(void) /* as many mappings as possible: every other page is unmapped, one at a time */
{
    enum { PAGES = 12000 };
    u8 *at = map(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE);
    for (u32 round = 0; round < 2; round++) {
        for (u32 n = 0; n < PAGES; n++)
            *(u32 *)(at + n * PAGE) = n + 1;
        for (u32 n = 0; n < PAGES; n += 2) {
            madvise(at + n * PAGE, PAGE, MADV_DONTNEED);
            if (*(u32 *)(at + n * PAGE)) check(!"gone");
            if (n >= 10) *(u32 *)(at + (n - 10) * PAGE + 8) = n;
        }
        u32 wrong = 0;
        for (u32 n = 0; n < PAGES; n++) {
            wrong += *(u32 *)(at + n * PAGE) != (n & 1 ? n + 1 : 0);
            wrong += *(u32 *)(at + n * PAGE + 8) != (n & 1 || n + 10 >= PAGES ? 0 : n + 10);
        }
        check_eq(wrong, 0);
        madvise(at, PAGES * PAGE, MADV_DONTNEED);
    }
    munmap(at, PAGES * PAGE);
}

static void unsteady(void) /* computes with memory that each round maps and unmaps, within a hot loop */
{
    u32 sum = 0;
    for (u32 round = 0; round < 200; round++) {
        u8 *at = map(NULL, 64 * PAGE, PROT_READ | PROT_WRITE);
        for (u32 n = 0; n < 64 * PAGE; n += PAGE / 2)
            *(u32 *)(at + n) = n;
        for (u32 n = 0; n < 64 * PAGE; n += 64)
            sum += *(u32 *)(at + n);
        munmap(at, 64 * PAGE);
    }
    u32 expected = 0;
    for (u32 n = 0; n < 64 * PAGE; n += PAGE / 2)
        expected += n;
    check_eq(sum, expected * 200);
}

static void aliases(void) /* one page, many addresses */
{
    int fd = memory_file(4 * PAGE);
    u8 *at[32];
    for (u32 n = 0; n < 32; n++)
        at[n] = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (u32 n = 0; n < 5000; n++) {
        u32 offset = random_u32() % (4 * PAGE - 8), value = random_u32(), seen;
        memcpy(at[n % 32] + offset, &value, 4);
        memcpy(&seen, at[random_u32() % 32] + offset, 4);
        check_eq(seen, value);
    }
    /* read and written by the kernel */
    for (u32 n = 0; n < 200; n++) {
        u32 value = n, seen = 0;
        check_eq(pwrite(fd, &value, 4, n * 8), 4);
        check_eq(*(u32 *)(at[n % 32] + n * 8), n);
        *(u32 *)(at[(n + 1) % 32] + n * 8) = n + 5;
        check_eq(pread(fd, &seen, 4, n * 8), 4);
        check_eq(seen, n + 5);
    }
}

/* A write to a missing or read-only page: the handler provides the page, and the program goes on. */
static volatile u32 given;
static void give(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    given++;
    mprotect((void *)((u32)info->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
}

static void user_paging(void)
{
    struct sigaction action = {.sa_sigaction = give, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    u8 *at = map(NULL, 65 * PAGE, PROT_READ | PROT_WRITE);
    for (u32 round = 1; round < 30; round++) {
        given = 0;
        mprotect(at, 64 * PAGE, round & 1 ? PROT_READ : PROT_NONE);
        for (u32 n = 0; n < 64; n++)
            *(volatile u32 *)(at + n * PAGE + PAGE - 2) += n; /* over the boundary */
        check_eq(given, 64);
        for (u32 n = 0; n < 64; n++)
            check_eq(*(volatile u32 *)(at + n * PAGE + PAGE - 2), n * round);
        mprotect(at, 64 * PAGE, PROT_NONE);
        given = 0;
        u8 *to = at + 128;
        u32 bytes = 3 * PAGE;
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0) : "memory");
        check_eq(given, 4);
        memset(at, 0, 64 * PAGE + 8);
        for (u32 n = 0; n < 64; n++)
            *(volatile u32 *)(at + n * PAGE + PAGE - 2) = n * round;
    }
    munmap(at, 65 * PAGE);
    signal(SIGSEGV, SIG_DFL);
}

static void twice(void (*run)(void))
{
    run();
    burn();
    run();
}
static void run_churn(void)
{
    twice(churn);
}
static void run_holes(void)
{
    twice(holes);
}
static void run_unsteady(void)
{
    twice(unsteady);
}
static void run_aliases(void)
{
    twice(aliases);
}
static void run_user_paging(void)
{
    twice(user_paging);
}

const struct test tests_memory[] = {
    {"mappings-churn", run_churn},
    {"mappings-holes", run_holes},
    {"mappings-unsteady", run_unsteady},
    {"mappings-aliases", run_aliases},
    {"paging-in-user-space", run_user_paging},
    {0},
};
