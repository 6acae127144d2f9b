/* Huge pages, swap and core dumps. A test is left out where the machine lacks what it needs; the boot test looks
 * whether the machine had it. */
#define _GNU_SOURCE
#include "hazards64.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/user.h>
#include <unistd.h>

#define HUGE (2u << 20)

static u64 pattern(u64 n)
{
    return n * 0x9e3779b97f4a7c15ull ^ n >> 7;
}

SNIPPET(h_push, "push %rax");

/* Words all over, a process that parts from them, parts that go, parts that become read-only. */
static void huge_pages_at(u8 *at, u64 bytes, bool can_split)
{
    for (u64 n = 0; n < bytes; n += 512)
        *(u64 *)(at + n) = pattern(n);
    int pid = fork();
    if (!pid) {
        for (u64 n = 0; n < bytes; n += 1024)
            *(u64 *)(at + n) ^= 1;
        for (u64 n = 0; n < bytes; n += 512)
            if (*(u64 *)(at + n) != (pattern(n) ^ (n % 1024 == 0))) _exit(1);
        _exit(0);
    }
    check_eq(wait_for(pid), 0);
    u32 wrong = 0;
    for (u64 n = 0; n < bytes; n += 512)
        wrong += *(u64 *)(at + n) != pattern(n);
    check_eq(wrong, 0);
    memcpy(at + PAGE - 3, "\x48\x8b\x06\xc3", 4); /* mov (%rsi), %rax; ret */
    u64 value;
    mprotect(at, HUGE, RWX);
    for (u32 n = 0; n < 100; n++) {
        at[PAGE - 1] = n & 1 ? 0x06 : 0x07; /* (%rsi) or (%rdi) */
        __asm__ volatile("call *%1"
                         : "=a"(value)
                         : "r"(at + PAGE - 3), "S"(at + HUGE + 512 * n), "D"(at + HUGE + 1024 * n)
                         : "memory");
        check_eq(value, pattern(HUGE + (n & 1 ? 512 : 1024) * n));
    }
    if (!can_split) return;
    struct regs64 in = {.rsp = (u64)at + HUGE + 9 * PAGE, .rax = 5};
    mprotect(at + HUGE + 8 * PAGE, PAGE, PROT_READ);
    run_until_fault64(h_push, &in);
    check_eq(caught64.signal, SIGSEGV);
    check_eq(caught64.address, at + HUGE + 9 * PAGE - 8);
    munmap(at + HUGE + 20 * PAGE, PAGE);
    in.rsp = (u64)at + HUGE + 21 * PAGE;
    run_until_fault64(h_push, &in);
    check_eq(caught64.address, at + HUGE + 21 * PAGE - 8);
    madvise(at + HUGE + 30 * PAGE, PAGE, MADV_DONTNEED);
    check_eq(*(u64 *)(at + HUGE + 30 * PAGE), 0);
    check_eq(*(u64 *)(at + HUGE + 31 * PAGE), pattern(HUGE + 31 * PAGE));
    check_eq(*(u64 *)(at + HUGE + 29 * PAGE), pattern(HUGE + 29 * PAGE));
    in.rsp = (u64)at + HUGE + 51 * PAGE;
    run_until_fault64(h_push, &in);
    check_eq(caught64.signal, SIGTRAP);
}

static void huge_pages(void)
{
    catch_faults64();
    for (u32 round = 0; round < 3; round++) {
        u8 *at = map((void *)(6 * GB4 - 2 * HUGE), 4 * HUGE, PROT_READ | PROT_WRITE);
        madvise(at, 4 * HUGE, round == 2 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
        huge_pages_at(at, 4 * HUGE, true);
        munmap(at, 4 * HUGE);
        at = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        if (at == MAP_FAILED) continue;
        huge_pages_at(at, 4 * HUGE, false);
        munmap(at, 4 * HUGE);
    }
}

/* More memory than there is, with words and code in it, by two processes. */
static void fill_and_verify(u8 *at, u64 pages, u64 seed)
{
    for (u64 n = 0; n < pages; n++) {
        u8 *page = at + n * PAGE;
        *(u64 *)page = pattern(n + seed);
        *(u64 *)(page + PAGE - 8) = n;
        page[1000] = 0xb8, page[1005] = 0xc3; /* mov $n, %eax; ret */
        *(u32 *)(page + 1001) = (u32)n;
    }
    u32 wrong = 0;
    for (u64 n = 0; n < pages; n++) {
        u64 k = n * 7919 % pages;
        u8 *page = at + k * PAGE;
        wrong += *(u64 *)page != pattern(k + seed) || *(u64 *)(page + PAGE - 8) != k;
        if (n % 16 == 0) wrong += ((u32(*)(void))(uintptr_t)(page + 1000))() != (u32)k;
    }
    check_eq(wrong, 0);
}

static void swapped(void)
{
    struct sysinfo info;
    sysinfo(&info);
    u64 want = info.totalram * info.mem_unit;
    if (info.totalswap * info.mem_unit < want || want > (1u << 30))
        return; /* a large machine would be busy for long */
    u64 pages = want * 6 / 10 / PAGE;
    int pid = fork();
    u8 *at = map(NULL, pages * PAGE, RWX);
    fill_and_verify(at, pages, pid ? 0 : 1000000);
    if (!pid) _exit(0);
    check_eq(wait_for(pid), 0);
}

/* --- core dumps --- */

SNIPPET(d_crash, "movq %rax, %xmm9\n movq %r15, %xmm15\n std");

static void crash(const struct regs64 *in)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){1 << 28, 1 << 28});
    u8 *data = map((void *)(7 * GB4), PAGE, PROT_READ | PROT_WRITE);
    memset(data, 0x5c, PAGE);
    /* Faults end the process here, so the registers are loaded by the means of run_until_fault64(). */
    signal(SIGTRAP, SIG_DFL);
    run_until_fault64(d_crash, in);
}

static void check_note(const Elf64_Nhdr *note, const u8 *body, const struct regs64 *in)
{
    if (note->n_type == NT_PRSTATUS) {
        const struct user_regs_struct *regs =
            (const void *)((const struct elf_prstatus *)(const void *)body)->pr_reg;
        check_eq(regs->rip, d_crash + 12);
        check_eq(regs->rax, in->rax);
        check_eq(regs->r8, in->r8);
        check_eq(regs->r15, in->r15);
        check_eq(regs->rsp, in->rsp);
        check(regs->eflags & 0x400);
    } else if (note->n_type == NT_FPREGSET) {
        const struct user_fpregs_struct *fpu = (const void *)body;
        u64 low;
        memcpy(&low, (const u8 *)fpu->xmm_space + 16 * 9, 8);
        check_eq(low, in->rax);
        memcpy(&low, (const u8 *)fpu->xmm_space + 16 * 15, 8);
        check_eq(low, in->r15);
    }
}

static void core_dump(void)
{
    char name[64] = "";
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
    if (fd < 0 || read(fd, name, sizeof name - 1) <= 0 || strcmp(name, "/tmp/core\n")) return;
    close(fd);
    struct regs64 in = {
        .rax = 0x0123456789abcdef, .r8 = 8, .r15 = 0xfedcba9876543210, .rsp = 7 * GB4 + 0x800};
    int pid = fork();
    if (!pid) {
        if (chdir("/tmp")) _exit(3);
        crash(&in);
        _exit(0);
    }
    check_eq(wait_for(pid), 1000 + SIGTRAP);
    static const char file[] = "/tmp/core";
    fd = open(file, O_RDONLY);
    check(fd >= 0);
    if (fd < 0) return;
    long size = lseek(fd, 0, SEEK_END);
    u8 *core = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    Elf64_Ehdr *header = (Elf64_Ehdr *)core;
    bool found = false;
    u32 notes = 0;
    for (u32 n = 0; n < header->e_phnum; n++) {
        Elf64_Phdr *p = (Elf64_Phdr *)(core + header->e_phoff) + n;
        if (p->p_type == PT_LOAD && p->p_vaddr == 7 * GB4) {
            found = true;
            check_eq(core[p->p_offset + 5], 0x5c);
        }
        if (p->p_type != PT_NOTE) continue;
        for (u8 *at = core + p->p_offset; at < core + p->p_offset + p->p_filesz; notes++) {
            Elf64_Nhdr *note = (Elf64_Nhdr *)at;
            u8 *body = at + sizeof *note + (note->n_namesz + 3) / 4 * 4;
            check_note(note, body, &in);
            at = body + (note->n_descsz + 3) / 4 * 4;
        }
    }
    check(found && notes > 3);
    unlink(file);
}

const struct test tests_memory64[] = {
    {"huge-pages", huge_pages},
    {"swapped", swapped},
    {"core-dump", core_dump},
    {0},
};
