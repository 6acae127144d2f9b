/* AVX-512: all of its state through signals, switches, page faults and fork; writemasks at the edges of memory. On a
 * machine without AVX-512 these tests are left out. */
#define _GNU_SOURCE
#include "hazards64.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool has_avx512(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* --- the state --- */

struct vectors {
    u8 zmm[32][64];
    u64 k[8];
};

/* vectors_load(from), vectors_store(to). vectors_keep(from, to, work) loads, calls and stores; the code of the compiler
 * would use registers in between. */
__asm__(".text\n"
        "vectors_load:\n"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, "
        "25, 26, "
        "27, 28, 29, 30, 31\n vmovdqu64 64*\\n(%rdi), %zmm\\n\n.endr\n"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n kmovq 2048+8*\\n(%rdi), %k\\n\n.endr\n"
        "  ret\n"
        "vectors_store:\n"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, "
        "25, 26, "
        "27, 28, 29, 30, 31\n vmovdqu64 %zmm\\n, 64*\\n(%rdi)\n.endr\n"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n kmovq %k\\n, 2048+8*\\n(%rdi)\n.endr\n"
        "  ret\n"
        "vectors_keep:\n"
        "  push %rsi\n push %rdx\n"
        "  call vectors_load\n"
        "  pop %rdx\n call *%rdx\n"
        "  pop %rdi\n call vectors_store\n"
        "  vzeroupper\n ret\n"
        /* What they are kept through: yields, a signal to the process itself, page faults, time. */
        "work_yield:\n"
        "  push %rbx\n mov $200, %ebx\n"
        "1: mov $24, %eax\n syscall\n dec %ebx\n jnz 1b\n"
        "  pop %rbx\n ret\n"
        "work_signal:\n"
        "  mov $39, %eax\n syscall\n mov %eax, %edi\n mov $10, %esi\n mov $62, %eax\n syscall\n ret\n"
        "work_touch:\n"
        "  mov work_memory, %rdi\n mov $64, %ecx\n"
        "1: movb $1, (%rdi)\n add $4096, %rdi\n dec %ecx\n jnz 1b\n ret\n"
        "work_wait:\n"
        "  mov $30000000, %ecx\n"
        "1: dec %ecx\n jnz 1b\n ret\n");
void vectors_load(const struct vectors *from);
void vectors_keep(const struct vectors *from, struct vectors *to, void (*work)(void));
void work_yield(void), work_signal(void), work_touch(void), work_wait(void);
u8 *work_memory;

static struct vectors other;

static void spoil(int number)
{
    (void)number;
    vectors_load(&other);
}

static void fill(struct vectors *v)
{
    for (u32 *word = (u32 *)v; word < (u32 *)(v + 1); word++)
        *word = random_u32();
}

static void keep(const struct vectors *in, void (*work)(void))
{
    struct vectors out;
    memset(&out, 0, sizeof out);
    vectors_keep(in, &out, work);
    for (u32 n = 0; n < 32; n++)
        check(!memcmp(in->zmm[n], out.zmm[n], 64));
    for (u32 n = 0; n < 8; n++)
        check_eq(in->k[n], out.k[n]);
}

static void state(void)
{
    struct vectors in;
    if (!has_avx512()) return;
    signal(SIGUSR1, spoil);
    int pid = fork();
    for (u32 n = 0; n < (pid ? 1 : 7); n++)
        random_u32(); /* others than in the other process */
    for (u32 round = 0; round < 3; round++) {
        work_memory = map(NULL, 64 * PAGE, PROT_READ | PROT_WRITE);
        fill(&in);
        fill(&other);
        keep(&in, work_yield);
        keep(&in, work_signal);
        keep(&in, work_touch);
        keep(&in, work_wait);
        /* A signal while all is in its initial state, but for the low halves. */
        for (u32 n = 0; n < 32; n++)
            memset(n < 16 ? in.zmm[n] + 16 : in.zmm[n], 0, n < 16 ? 48 : 64);
        memset(in.k, 0, sizeof in.k);
        keep(&in, work_signal);
        munmap(work_memory, 64 * PAGE);
    }
    if (!pid) _exit(0);
    check_eq(wait_for(pid), 0);
}

/* --- writemasks --- */

/* RAX: the mask, RSI: the address, RDI: where the result goes. */
SNIPPET(m_load, "kmovw %eax, %k1\n vmovdqu32 (%rsi), %zmm1{%k1}{z}\n vmovdqu32 %zmm1, (%rdi)");
SNIPPET(m_add, "kmovw %eax, %k1\n vpxord %zmm17, %zmm17, %zmm17\n"
               "vpaddd (%rsi), %zmm17, %zmm17{%k1}\n vmovdqu32 %zmm17, (%rdi)");
SNIPPET(m_store, "kmovw %eax, %k1\n vmovdqu32 (%rdi), %zmm1\n vmovdqu32 %zmm1, (%rsi){%k1}");
SNIPPET(m_expand, "kmovw %eax, %k1\n vpexpandd (%rsi), %zmm1{%k1}{z}\n vmovdqu32 %zmm1, (%rdi)");
SNIPPET(m_compress, "kmovw %eax, %k1\n vmovdqu32 (%rdi), %zmm1\n vpcompressd %zmm1, (%rsi){%k1}");
SNIPPET(m_gather, "kmovw %eax, %k1\n vpxord %zmm1, %zmm1, %zmm1\n vmovdqu32 (%rbx), %zmm20\n"
                  "vpgatherdd (%rsi,%zmm20,4), %zmm1{%k1}\n vmovdqu32 %zmm1, (%rdi)");
SNIPPET(m_scatter, "kmovw %eax, %k1\n vmovdqu32 (%rdi), %zmm1\n vmovdqu32 (%rbx), %zmm20\n"
                   "vpscatterdd %zmm1, (%rsi,%zmm20,4){%k1}");

enum { ELEMENTS = 16 };
static u32 result[ELEMENTS], sequence[ELEMENTS];

static void attempt(const u8 *code, u32 mask, u32 *at)
{
    struct regs64 in = {.rax = mask,
                        .rsi = (u64)at,
                        .rdi = (u64)result,
                        .rbx = (u64)sequence,
                        .rsp = (u64)(work_memory + 2 * PAGE)};
    run_until_fault64(code, &in);
}

static void check_no_fault(void)
{
    check_eq(caught64.signal, SIGTRAP);
}

static void check_fault(const u32 *address)
{
    check_eq(caught64.signal, SIGSEGV);
    check_eq(caught64.address, address);
}

/* `here` elements lie before the edge, behind which nothing can be accessed. */
static void loads_at(u32 *edge, u32 here)
{
    u32 *at = edge - here, mask = random_u32() & ((1u << here) - 1), beyond = mask | 1u << here;
    for (u32 n = 0; n < here; n++)
        at[n] = random_u32();
    attempt(m_load, mask, at);
    check_no_fault();
    for (u32 n = 0; n < ELEMENTS; n++)
        check_eq(result[n], mask >> n & 1 ? at[n] : 0);
    attempt(m_add, mask, at);
    check_no_fault();
    for (u32 n = 0; n < ELEMENTS; n++)
        check_eq(result[n], mask >> n & 1 ? at[n] : 0);
    attempt(m_gather, mask, at);
    check_no_fault();
    for (u32 n = 0; n < ELEMENTS; n++)
        check_eq(result[n], mask >> n & 1 ? at[n] : 0);
    /* As many elements as the mask has bits, wherever these are. */
    u32 spread = 0, count = 0;
    while (count < here) {
        u32 bit = 1u << random_u32() % ELEMENTS;
        count += !(spread & bit);
        spread |= bit;
    }
    attempt(m_expand, spread, at);
    check_no_fault();
    for (u32 n = 0, from = 0; n < ELEMENTS; n++)
        check_eq(result[n], spread >> n & 1 ? at[from++] : 0);
    if (here == ELEMENTS) return;
    attempt(m_load, beyond, at);
    check_fault(edge);
    attempt(m_add, beyond, at);
    check_fault(edge);
    attempt(m_gather, beyond, at);
    check_fault(edge);
    attempt(m_expand, (1u << (here + 1)) - 1, at);
    check_fault(edge);
}

static void stores_at(u32 *edge, u32 here)
{
    u32 *at = edge - here, mask = random_u32() & ((1u << here) - 1), beyond = mask | 1u << here, packed = 0;
    for (u32 n = 0; n < ELEMENTS; n++)
        result[n] = random_u32() | 1;
    for (u32 kind = 0; kind < 2; kind++) {
        memset(at, 0, here * sizeof *at);
        attempt(kind ? m_scatter : m_store, mask, at);
        check_no_fault();
        for (u32 n = 0; n < here; n++)
            check_eq(at[n], mask >> n & 1 ? result[n] : 0);
    }
    memset(at, 0, here * sizeof *at);
    attempt(m_compress, mask, at);
    check_no_fault();
    for (u32 n = 0; n < here; n++)
        if (mask >> n & 1) check_eq(at[packed++], result[n]);
    for (; packed < here; packed++)
        check_eq(at[packed], 0);
    if (here == ELEMENTS) return;
    memset(at, 0, here * sizeof *at);
    attempt(m_store, beyond, at);
    check_fault(edge);
    for (u32 n = 0; n < here; n++)
        check_eq(at[n], 0); /* a store that faults stores nothing */
    attempt(m_scatter, beyond, at);
    check_fault(edge);
    attempt(m_compress, (1u << (here + 1)) - 1, at);
    check_fault(edge);
}

static void masks(void)
{
    if (!has_avx512()) return;
    for (u32 n = 0; n < ELEMENTS; n++)
        sequence[n] = n;
    catch_faults64();
    work_memory = map(NULL, 2 * PAGE, PROT_READ | PROT_WRITE); /* a stack */
    for (u32 round = 0; round < 8; round++) {
        u8 *pages = map(NULL, 3 * PAGE, PROT_READ | PROT_WRITE);
        mprotect(pages + PAGE, PAGE, PROT_NONE);
        u32 *edge = (u32 *)(pages + PAGE);
        for (u32 here = 0; here <= ELEMENTS; here++) {
            loads_at(edge, here);
            stores_at(edge, here);
        }
        /* Nothing is selected: no fault, wherever it is. */
        attempt(m_load, 0, edge + 4);
        check_no_fault();
        attempt(m_store, 0, edge + 4);
        check_no_fault();
        attempt(m_load, 0, (u32 *)0x8000000000000000);
        check_no_fault();
        /* A page that can be read only. */
        mprotect(pages + 2 * PAGE, PAGE, PROT_READ);
        attempt(m_load, 0xffff, edge + PAGE / 4);
        check_no_fault();
        attempt(m_store, 0, edge + PAGE / 4);
        check_no_fault();
        attempt(m_store, 0x8000, edge + PAGE / 4);
        check_fault(edge + PAGE / 4 + 15);
        munmap(pages, 3 * PAGE);
        if (round == 3) burn();
    }
}

const struct test tests_vectors64[] = {
    {"avx512-state", state},
    {"avx512-masks", masks},
    {0},
};
