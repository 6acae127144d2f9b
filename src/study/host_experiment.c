#include "host_experiment.h"
#include "native.h"

#include "cpu/insn.h"

#include <asm/prctl.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_AT        (SCRATCH_AT + 0x2000)
#define SECONDS_TO_LIVE 5

/* Selectors of the guest's kernel, which are in its code. Here they name the host's descriptors, or none. */
enum { GUEST_CODE = 0x08, GUEST_DATA = 0x10 };
/* Linux's selector of a program's 64-bit code. */
#define USER_CS_64 0x33

/* --- in 64-bit mode --- */

struct host_frame {
    u64 rax, rcx, rdx, rbx, rsi, rsp, flags, code, own_rsp;
} host_frame __attribute__((used));
void host_enter(void);
extern const u8 host_resume[];

__asm__("    .pushsection .text\n"
        "    .globl host_enter, host_resume\n"
        "host_enter:\n"
        "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "    mov %rsp, host_frame+64(%rip)\n"
        "    pushq host_frame+48(%rip)\n"
        "    popfq\n"
        "    mov host_frame(%rip), %rax\n"
        "    mov host_frame+8(%rip), %rcx\n"
        "    mov host_frame+16(%rip), %rdx\n"
        "    mov host_frame+24(%rip), %rbx\n"
        "    mov host_frame+32(%rip), %rsi\n"
        "    mov %rsi, %rdi\n"
        "    mov host_frame+40(%rip), %rsp\n"
        "    jmp *host_frame+56(%rip)\n"
        "host_resume:\n"
        "    mov %rax, host_frame(%rip)\n"
        "    mov %rcx, host_frame+8(%rip)\n"
        "    mov %rdx, host_frame+16(%rip)\n"
        "    mov %rbx, host_frame+24(%rip)\n"
        "    mov %rsp, host_frame+40(%rip)\n"
        "    mov host_frame+64(%rip), %rsp\n"
        "    pushfq\n"
        "    popq host_frame+48(%rip)\n"
        "    cld\n"
        "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "    ret\n"
        "    .popsection\n");

/* Shared with the child, which fills it in. */
static struct report {
    bool done;
    struct outcome outcome;
} * report;

static void see_flags(u32 before, u32 after)
{
    report->outcome.if_changed = (before ^ after) & FLAGS_IF;
    report->outcome.zero = after >> 6 & 1;
    report->outcome.carry = after & 1;
}

static void see_pushed(const struct form_example *e, u64 stack_pointer)
{
    if (e->traits & FORM_RETURN) stack_pointer += 4;
    if (stack_pointer < STACK_AT && stack_pointer >= SCRATCH_AT)
        memcpy(&report->outcome.pushed, (void *)(uintptr_t)stack_pointer, 4);
}

static void trapped(int signal, siginfo_t *info, void *context)
{
    report->outcome.trapped = true;
    report->outcome.vector =
        signal == SIGSYS ? OUTCOME_ENTERED : (u8)((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
    report->done = true;
    _exit(0);
}

/* Have Linux report a system call by SIGSYS instead of answering it, so that SYSCALL's entry into the kernel is seen.
 * Calls that this child makes itself go through. */
static void tell_of_entries(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FORM_NO_SYSTEM_CALL, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_SIZE(filter), filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void run_64(const struct form_example *e)
{
    static const int signals[] = {SIGSEGV, SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSYS};
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (unsigned n = 0; n < ARRAY_SIZE(signals); n++)
        sigaction(signals[n], &action, NULL);
    tell_of_entries();
    u8 *code = (u8 *)(uintptr_t)CODE_AT;
    u64 back = (u64)(uintptr_t)host_resume;
    memcpy(code, e->bytes, e->length);
    memcpy(code + e->length, "\xff\x25\0\0\0\0", 6); /* jmp [rip] */
    memcpy(code + e->length + 6, &back, 8);
    host_frame.code = CODE_AT;
    u64 flags = host_frame.flags;
    host_enter();
    struct outcome *o = &report->outcome;
    o->eax = (u32)host_frame.rax;
    o->ecx = (u32)host_frame.rcx;
    o->edx = (u32)host_frame.rdx;
    o->ebx = (u32)host_frame.rbx;
    see_flags((u32)flags, (u32)host_frame.flags);
    see_pushed(e, host_frame.rsp);
}

/* --- in 32-bit code --- */

static void run_32(const struct form_example *e, const struct state *in)
{
    struct state out;
    native_run(e->bytes, e->length, in, &out);
    struct outcome *o = &report->outcome;
    o->trapped = out.vector != VECTOR_END;
    o->vector = (u8)out.vector;
    o->eax = out.gpr[0];
    o->ecx = out.gpr[1];
    o->edx = out.gpr[2];
    o->ebx = out.gpr[3];
    see_flags(in->eflags, out.eflags);
    see_pushed(e, out.gpr[4]);
}

/* --- the child --- */

/* Of the words that the instruction pops. */
static unsigned word_bytes(const struct form_example *e, bool code32)
{
    struct insn i;
    u8 bytes[INSN_MAX_BYTES];
    form_decode(e, code32 ? CODE_32 : CODE_64, &i, bytes);
    return i.operand_bytes == 8 ? 8 : i.operand_bytes == 2 ? 2 : 4;
}

static _Noreturn void in_child(const struct form_example *e, const struct host_trial *t)
{
    struct form_context c = {.cs = !t->own_selectors ? GUEST_CODE
                                   : t->code32       ? USER_CS
                                                     : USER_CS_64,
                             .ss = t->own_selectors ? USER_DS : GUEST_DATA,
                             .next = CODE_AT + e->length,
                             .flags = 2,
                             .bytes = word_bytes(e, t->code32),
                             .stack_pointer = STACK_AT,
                             .memory = native_scratch(),
                             .stack = (u8 *)(uintptr_t)STACK_AT};
    u8 before[8];
    u32 flags = 2 | FLAGS_IF | (e->traits & FORM_OVERFLOW ? 1 << 11 : 0), eax = form_value(&c, e->eax);
    alarm(SECONDS_TO_LIVE); /* for a form that leads elsewhere */
    memset(native_scratch(), 0, SCRATCH_BYTES);
    form_put_words(e, &c);
    memcpy(before, native_scratch(), sizeof(before));
    if (t->cpuid_faults) syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    if (t->code32) {
        struct state in = {.eip = CODE_AT, .eflags = flags};
        in.gpr[0] = eax;
        in.gpr[1] = e->ecx;
        in.gpr[4] = STACK_AT;
        in.gpr[6] = in.gpr[7] = SCRATCH_AT;
        memcpy(in.fx, "\x7f\x03", 2);      /* x87 control word */
        memcpy(in.fx + 24, "\x80\x1f", 2); /* MXCSR */
        run_32(e, &in);
    } else {
        host_frame = (struct host_frame){
            .rax = eax, .rcx = e->ecx, .rsi = SCRATCH_AT, .rsp = STACK_AT, .flags = flags};
        run_64(e);
    }
    memcpy(report->outcome.memory, native_scratch(), sizeof(report->outcome.memory));
    outcome_keep_written(&report->outcome, eax, e->ecx, before);
    report->done = true;
    _exit(0);
}

struct outcome host_experiment_run(const struct form_example *e, const struct host_trial *t)
{
    static const struct outcome lost = {.trapped = true, .vector = OUTCOME_NO_VECTOR};
    *report = (struct report){0};
    fflush(stdout);
    pid_t child = fork();
    if (!child) in_child(e, t);
    if (child < 0) return lost;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return report->done ? report->outcome : lost;
}

/* --- the host --- */

int host_experiment_init(void)
{
    void *at = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return -errno;
    report = at;
    return native_init();
}

bool host_experiment_has_32(void)
{
    return native_works();
}

static void cpuid(u32 leaf, u32 regs[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
                     : "a"(leaf), "c"(0));
}

static bool can_fault_cpuid(void)
{
    pid_t child = fork();
    if (!child) _exit(syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) == 0 ? 0 : 1);
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) < 0) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct host_features host_experiment_features(void)
{
    struct host_features f = {.cpuid_faulting = can_fault_cpuid(), .name = "unknown"};
    u32 regs[4];
    cpuid(0, regs);
    if (regs[0] >= 7) {
        cpuid(7, regs);
        f.umip = regs[2] >> 2 & 1;
    }
    cpuid(0x80000000, regs);
    if (regs[0] >= 0x80000004) {
        for (u32 n = 0; n < 3; n++) {
            cpuid(0x80000002 + n, regs);
            memcpy(f.name + 16 * n, regs, sizeof(regs));
        }
        size_t length = 48;
        while (length && (f.name[length - 1] == ' ' || !f.name[length - 1]))
            length--;
        f.name[length] = 0;
    }
    return f;
}
