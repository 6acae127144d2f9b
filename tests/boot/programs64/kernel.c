/*
 * What a 64-bit kernel does for programs in ways of its own: SYSCALL's registers, the vsyscall page, restartable
 * sequences, seccomp filters and eBPF programs (both compiled by the kernel), GS bases, single steps, performance
 * events.
 */
#define _GNU_SOURCE
#include "hazards64.h"

#include <asm/prctl.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

SNIPPET(k_syscall, "pushf\n mov $39, %eax\n syscall\n pop %rdx"); /* getpid */
SNIPPET(k_int80, "mov $20, %eax\n int $0x80");

static void calls(void)
{
    static u64 stack[64];
    struct regs64 in = {.rbx = ~1ull,
                        .rsi = 2ull << 40,
                        .rdi = 3ull << 50,
                        .rbp = 4,
                        .rsp = (u64)(stack + 32),
                        .r8 = ~8ull,
                        .r9 = 9ull << 33,
                        .r10 = ~10ull,
                        .r11 = 11,
                        .r12 = ~12ull,
                        .r13 = 13ull << 60,
                        .r14 = 14,
                        .r15 = ~15ull};
    for (u32 n = 0; n < 200; n++) {
        run_until_fault64(k_syscall, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax, getpid());
        check_eq(caught64.regs.rcx, k_syscall + 8); /* SDM 2, SYSCALL: RCX has RIP, R11 the flags */
        check_eq(caught64.regs.r11, caught64.regs.rdx);
        check(!memcmp(&caught64.regs.r12, &in.r12, 32) && caught64.regs.r8 == in.r8 &&
              caught64.regs.r10 == in.r10);
        check(caught64.regs.rbx == in.rbx && caught64.regs.rsi == in.rsi && caught64.regs.rbp == in.rbp);
    }
}

static void vsyscall(void)
{
    bool there = false;
    char line[256];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        there = there || strstr(line, "[vsyscall]");
    if (maps) fclose(maps);
    catch_faults64();
    static u64 stack[64];
    for (u32 n = 0; n < 50; n++) {
        struct regs64 in = {.rsp = (u64)(stack + 32), .rdi = 0};
        stack[32] = (u64)k_int80 + 7; /* its INT3 */
        u64 before = (u64)time(NULL);
        run_until_fault64((void *)0xffffffffff600400, &in); /* time(NULL) */
        if (there) {
            check_eq(caught64.signal, SIGTRAP);
            check(caught64.regs.rax >= before && caught64.regs.rax < before + 100);
            check_eq(caught64.regs.rsp, stack + 33);
        } else {
            check_eq(caught64.signal, SIGSEGV);
            check_eq(caught64.rip, 0xffffffffff600400);
        }
    }
}

/* A signal in a restartable sequence ends it: the kernel goes on at the abort address. The loop has no other end. */
static u32 sequence(struct rseq *area)
{
    u32 rounds;
    __asm__ volatile(".pushsection .data\n .balign 32\n 9: .long 0, 0\n .quad 1f, 2f - 1f, 4f\n .popsection\n"
                     "xor %0, %0\n lea 9b(%%rip), %%rax\n mov %%rax, %1\n"
                     "1: inc %0\n jmp 1b\n 2: ud2\n"
                     ".long %c2\n 4:\n"
                     : "=&r"(rounds), "=m"(area->rseq_cs)
                     : "i"(RSEQ_SIG)
                     : "rax", "memory", "cc");
    return rounds;
}
static void nothing(int signal)
{
    (void)signal;
}
static void sequences(void)
{
    if (!__rseq_size) return; /* a kernel without it */
    struct rseq *area = (struct rseq *)((u8 *)__builtin_thread_pointer() + __rseq_offset);
    signal(SIGALRM, nothing);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 2000}, {0, 2000}}, NULL);
    for (u32 n = 0; n < 50; n++) {
        check(sequence(area) > 0);
        check_eq(area->rseq_cs, 0);
        check(area->cpu_id < 4096);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

/* --- programs that the kernel compiles --- */

static volatile int trapped_call;
static void trapped(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    trapped_call = info->si_syscall;
}
static void filters(void)
{
    int pid = fork();
    if (pid) {
        check_eq(wait_for(pid), 1000 + SIGSYS);
        return;
    }
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 3),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 7),
        BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
        BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_uname, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgrp, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SECCOMP_RET_ERRNO, 0, 1),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
              &(struct sock_fprog){sizeof filter / sizeof *filter, filter}))
        _exit(5);
    sigaction(SIGSYS, &(struct sigaction){.sa_sigaction = trapped, .sa_flags = SA_SIGINFO}, NULL);
    for (u32 n = 0; n < 300; n++) {
        u32 a = n * 77777, expected = (a * 3 / 7 ^ a * 3) & 0xff;
        errno = 0;
        syscall(SYS_getppid, a);
        if ((u32)errno != expected && expected) _exit(6);
        trapped_call = 0;
        syscall(SYS_uname, 0);
        if (trapped_call != SYS_uname) _exit(7);
        if (getuid() != syscall(SYS_getuid)) _exit(8);
    }
    syscall(SYS_getpgrp);
    _exit(9);
}

static const u8 alu_operations[] = {BPF_ADD, BPF_SUB, BPF_MUL,  BPF_OR,  BPF_AND, BPF_XOR,
                                    BPF_LSH, BPF_RSH, BPF_ARSH, BPF_DIV, BPF_MOD, BPF_MOV};

/* What one instruction does: Documentation/bpf/instruction-set.rst of the kernel. */
static u64 alu(u8 operation, bool wide, u64 a, u64 b)
{
    if (!wide) a = (u32)a, b = (u32)b;
    u32 shift = (u32)b & (wide ? 63 : 31);
    u64 result = 0;
    switch (operation) {
    case BPF_ADD: result = a + b; break;
    case BPF_SUB: result = a - b; break;
    case BPF_MUL: result = a * b; break;
    case BPF_OR: result = a | b; break;
    case BPF_AND: result = a & b; break;
    case BPF_XOR: result = a ^ b; break;
    case BPF_LSH: result = a << shift; break;
    case BPF_RSH: result = a >> shift; break;
    case BPF_ARSH: result = wide ? (u64)((int64_t)a >> shift) : (u64)((int32_t)a >> shift); break;
    case BPF_DIV: result = b ? a / b : 0; break;
    case BPF_MOD: result = b ? a % b : a; break;
    case BPF_MOV: result = b; break;
    }
    return wide ? result : (u32)result;
}

/* Random programs of eBPF on ten registers. False: the kernel takes none (or not from this user). */
static bool random_program(void)
{
    enum { OPERATIONS = 60, REGISTERS = 10 };
    struct bpf_insn code[REGISTERS * 2 + OPERATIONS + REGISTERS + 8], *at = code;
    u64 r[REGISTERS];
    for (u8 n = 0; n < REGISTERS; n++) {
        r[n] = (u64)random_u32() << 32 | random_u32();
        *at++ = (struct bpf_insn){BPF_LD | BPF_DW | BPF_IMM, n & 15, 0, 0, (int)r[n]};
        *at++ = (struct bpf_insn){.imm = (int)(r[n] >> 32)};
    }
    for (u32 n = 0; n < OPERATIONS; n++) {
        u32 random = random_u32();
        u8 operation = alu_operations[random % sizeof alu_operations], to = random >> 8 & 7,
           from = (random >> 12) % REGISTERS;
        bool wide = random >> 20 & 1, by_register = random >> 21 & 1;
        int immediate = (int)random_u32();
        bool shifts = operation == BPF_LSH || operation == BPF_RSH || operation == BPF_ARSH;
        if (shifts) immediate &= wide ? 63 : 31; /* the verifier wants it */
        if (!immediate) immediate = 1;
        u8 class = wide ? BPF_ALU64 : BPF_ALU;
        if (by_register) {
            *at++ = (struct bpf_insn){class | BPF_X | operation, to & 15, from & 15, 0, 0};
            r[to] = alu(operation, wide, r[to], r[from]);
        } else {
            *at++ = (struct bpf_insn){class | BPF_K | operation, to & 15, 0, 0, immediate};
            r[to] = alu(operation, wide, r[to], (u64)(int64_t)immediate);
        }
    }
    u64 sum = r[0];
    for (u8 n = 1; n < REGISTERS; n++) {
        *at++ = (struct bpf_insn){BPF_ALU64 | BPF_X | BPF_XOR, 0, n & 15, 0, 0};
        sum ^= r[n];
    }
    *at++ = (struct bpf_insn){BPF_ALU64 | BPF_X | BPF_MOV, 1, 0, 0, 0}; /* both halves count */
    *at++ = (struct bpf_insn){BPF_ALU64 | BPF_K | BPF_RSH, 1, 0, 0, 32};
    *at++ = (struct bpf_insn){BPF_ALU64 | BPF_X | BPF_XOR, 0, 1, 0, 0};
    *at++ = (struct bpf_insn){BPF_JMP | BPF_EXIT, 0, 0, 0, 0};
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
                           .insn_cnt = (u32)(at - code),
                           .insns = (u64)code,
                           .license = (u64) "GPL"};
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (fd < 0) {
        check(errno == EPERM || errno == ENOSYS);
        return false;
    }
    u8 packet[64] = {0};
    union bpf_attr test = {
        .test = {.prog_fd = (u32)fd, .data_in = (u64)packet, .data_size_in = sizeof packet, .repeat = 3}};
    check_eq(syscall(SYS_bpf, BPF_PROG_TEST_RUN, &test, sizeof test), 0);
    check_eq(test.test.retval, (u32)(sum ^ sum >> 32));
    close(fd);
    return true;
}
static void compiled_programs(void)
{
    for (u32 n = 0; n < 400; n++)
        if (!random_program()) return;
}

/* --- bases, steps, events --- */

SNIPPET(k_gs, "mov %gs:8, %rax\n addq $1, %gs:(%rsi)\n mov %gs:(%rsi), %rdx");
#define HWCAP2_FSGSBASE 2

static void bases(void)
{
    static u64 words[64], stack[64];
    bool instructions = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
    signal(SIGALRM, nothing);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 3000}, {0, 3000}}, NULL);
    for (u32 n = 0; n < 2000; n++) {
        u64 base = (u64)(words + n % 16), seen = 0;
        words[n % 16 + 1] = n;
        words[n % 16 + 4] = 5;
        if (n & 1 && instructions)
            __asm__ volatile("wrgsbase %0" : : "r"(base));
        else
            check_eq(syscall(SYS_arch_prctl, ARCH_SET_GS, base), 0);
        if (n % 50 == 0) usleep(1); /* other processes run meanwhile */
        struct regs64 in = {.rsi = 32, .rsp = (u64)(stack + 32)};
        u64 value;
        __asm__ volatile("mov %%gs:8, %0" : "=r"(value));
        check_eq(value, n);
        syscall(SYS_arch_prctl, ARCH_GET_GS, &seen);
        check_eq(seen, base);
        if (n % 20) continue;
        run_until_fault64(k_gs, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax, n);
        check_eq(caught64.regs.rdx, 6);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

SNIPPET(k_steps, "mov $3, %ecx\n 1: push %rcx\n pop %rdx\n mov $39, %eax\n mov %rcx, %r8\n syscall\n mov "
                 "%r8, %rcx\n loop 1b\n rep stosb\n ret");

static void stepped(void) /* by PTRACE_SINGLESTEP, over SYSCALL; FMASK clears TF */
{
    int pid = fork(), status;
    if (!pid) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        ((void (*)(void))(uintptr_t)k_steps)();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    u32 steps = 0, inside = 0;
    for (; steps < 3000; steps++) {
        struct user_regs_struct regs;
        ptrace(PTRACE_GETREGS, pid, 0, &regs);
        inside += regs.rip >= (u64)k_steps && regs.rip < (u64)k_steps + 28;
        if (regs.rip == (u64)k_steps) regs.rdi = regs.rsp - 64, ptrace(PTRACE_SETREGS, pid, 0, &regs);
        ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
        waitpid(pid, &status, 0);
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) break;
    }
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_eq(inside, 1 + 3 * 7 + 2);
}

static int event(u32 type, u64 config, u64 period)
{
    struct perf_event_attr attr = {.type = type,
                                   .size = sizeof attr,
                                   .config = config,
                                   .sample_period = period,
                                   .sample_type = PERF_SAMPLE_IP,
                                   .exclude_kernel = 1,
                                   .disabled = 1};
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}
static void events(void)
{
    int fd =
        event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 0); /* there may be no counters: a clear answer */
    u64 count = 0;
    if (fd < 0)
        check(errno == ENOENT || errno == EOPNOTSUPP || errno == EACCES || errno == EPERM || errno == ENOSYS);
    else
        close(fd);
    fd = event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 0);
    if (fd < 0) return;
    u8 *at = map(NULL, 64 * PAGE, PROT_READ | PROT_WRITE);
    madvise(at, 64 * PAGE, MADV_NOHUGEPAGE);
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    for (u32 n = 0; n < 64; n++)
        at[n * PAGE] = 1;
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    check_eq(read(fd, &count, 8), 8);
    check(count >= 64 && count < 80);
    close(fd);
    /* Samples by the clock. */
    fd = event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 1000000);
    check(fd >= 0);
    struct perf_event_mmap_page *page = mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || page == MAP_FAILED) return;
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    for (u32 n = 0; n < 8; n++)
        burn();
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    u32 samples = 0, in_burn = 0;
    for (u64 n = 0; n < page->data_head;) {
        struct {
            struct perf_event_header header;
            u64 ip;
        } *sample = (void *)((u8 *)page + PAGE + n % (8 * PAGE));
        if (!sample->header.size) break;
        if (sample->header.type == PERF_RECORD_SAMPLE) samples++, in_burn += sample->ip - (u64)burn < 200;
        n += sample->header.size;
    }
    check(samples > 3);
    check(in_burn * 2 > samples);
}

static void twice(void (*run)(void))
{
    catch_faults64();
    run();
    burn();
    run();
}
static void run_calls(void)
{
    twice(calls);
}
static void run_sequences(void)
{
    twice(sequences);
}
static void run_filters(void)
{
    twice(filters);
}
static void run_programs(void)
{
    twice(compiled_programs);
}
static void run_bases(void)
{
    twice(bases);
}
static void run_stepped(void)
{
    twice(stepped);
}

const struct test tests_kernel64[] = {
    {"syscall", run_calls},        {"vsyscall", vsyscall},  {"restartable-sequences", run_sequences},
    {"seccomp", run_filters},      {"ebpf", run_programs},  {"gs-bases", run_bases},
    {"single-steps", run_stepped}, {"perf-events", events}, {0},
};
