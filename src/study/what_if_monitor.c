/*
 * The monitor that only traps and emulates. The kernel's code runs at CPL 3 in a child. Traps arrive as SIGSEGV and
 * are emulated here. The monitor never sees instructions that do not trap: that is the experiment.
 */
#include "native.h"
#include "what_if.h"
#include "what_if_data.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

_Static_assert(WHAT_IF_CODE == CODE_AT && WHAT_IF_DATA == SCRATCH_AT, "the areas of native.h");
_Static_assert(WHAT_IF_STACK < SCRATCH_AT + SCRATCH_BYTES, "the stack is in the scratch area");

#define SECONDS_TO_LIVE 5
#define PORT_PIC_MASK   0x21
#define PORT_TELL       0xe9
#define PORT_END        0xf4

extern const u8 what_if_kernel_32[], what_if_kernel_32_end[], what_if_kernel_64[], what_if_kernel_64_end[];

/* The kernel's machine as the monitor keeps it. */
static struct virtual_machine {
    ZydisDecoder decoder;
    u32 gdt_base, idt_base;
    u16 task;
    u64 cr0;
    bool interrupts;
    u64 sysenter_cs;
    u8 pic_mask;
    unsigned told; /* bytes */
} machine;

static struct what_if_run *shared; /* with the child */

static u64 *gpr(greg_t *g, ZydisRegister reg)
{
    static const u8 order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                 REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return (u64 *)&g[order[ZydisRegisterGetId(reg) & 15]];
}

static u32 address_of(greg_t *g, const ZydisDecodedOperand *o)
{
    return (u32)(*gpr(g, o->mem.base) + (u64)o->mem.disp.value);
}

static _Noreturn void end(bool ended)
{
    shared->ended = ended && machine.told == sizeof(shared->found);
    _exit(0);
}

static void write_port(u16 port, u8 value)
{
    switch (port) {
    case PORT_PIC_MASK: machine.pic_mask = value; break;
    case PORT_TELL:
        if (machine.told < sizeof(shared->found)) ((u8 *)shared->found)[machine.told++] = value;
        break;
    case PORT_END: end(true);
    }
}

static u16 port_of(greg_t *g, const ZydisDecodedOperand *o)
{
    return o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? (u16)o->imm.value.u : (u16)g[REG_RDX];
}

static u32 table_base(greg_t *g, const ZydisDecodedOperand *o)
{
    u32 base;
    memcpy(&base, (void *)(uintptr_t)(address_of(g, o) + 2), sizeof(base));
    return base;
}

static void move_control(greg_t *g, const ZydisDecodedOperand *o)
{
    if (o[0].reg.value == ZYDIS_REGISTER_CR0)
        machine.cr0 = *gpr(g, o[1].reg.value);
    else
        *gpr(g, o[0].reg.value) = machine.cr0;
}

/* Any other instruction ends the run: the experiment's kernel has no others. */
static void emulate(greg_t *g, const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_CLI: machine.interrupts = false; break;
    case ZYDIS_MNEMONIC_STI: machine.interrupts = true; break;
    case ZYDIS_MNEMONIC_LGDT: machine.gdt_base = table_base(g, &o[0]); break;
    case ZYDIS_MNEMONIC_LIDT: machine.idt_base = table_base(g, &o[0]); break;
    /* These trap where the CPU has UMIP and the host's kernel passes the trap to the program. */
    case ZYDIS_MNEMONIC_SGDT:
        memcpy((void *)(uintptr_t)(address_of(g, &o[0]) + 2), &machine.gdt_base, 4);
        break;
    case ZYDIS_MNEMONIC_SIDT:
        memcpy((void *)(uintptr_t)(address_of(g, &o[0]) + 2), &machine.idt_base, 4);
        break;
    case ZYDIS_MNEMONIC_STR: *gpr(g, o[0].reg.value) = machine.task; break;
    case ZYDIS_MNEMONIC_SMSW: *gpr(g, o[0].reg.value) = machine.cr0; break;
    case ZYDIS_MNEMONIC_LTR: machine.task = (u16)*gpr(g, o[0].reg.value); break;
    case ZYDIS_MNEMONIC_MOV: move_control(g, o); break;
    case ZYDIS_MNEMONIC_WRMSR: machine.sysenter_cs = (u32)g[REG_RAX]; break;
    case ZYDIS_MNEMONIC_RDMSR:
        g[REG_RAX] = (greg_t)machine.sysenter_cs;
        g[REG_RDX] = 0;
        break;
    case ZYDIS_MNEMONIC_IN: g[REG_RAX] = (g[REG_RAX] & ~0xffll) | machine.pic_mask; break;
    case ZYDIS_MNEMONIC_OUT: write_port(port_of(g, &o[0]), (u8)g[REG_RAX]); break;
    default: end(false);
    }
}

static void trapped(int signal, siginfo_t *info, void *context)
{
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    ZydisDecodedInstruction i;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    shared->traps++;
    if (g[REG_RIP] < CODE_AT || g[REG_RIP] >= CODE_AT + CODE_BYTES ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&machine.decoder, (void *)g[REG_RIP],
                                             ZYDIS_MAX_INSTRUCTION_LENGTH, &i, operands)))
        end(false);
    emulate(g, &i, operands);
    g[REG_RIP] += i.length;
}

static void enter(bool code32)
{
    if (code32) {
        struct state in = {.eip = CODE_AT, .eflags = 2 | FLAGS_IF}, out;
        in.gpr[4] = WHAT_IF_STACK;
        memcpy(in.fx, "\x7f\x03", 2);      /* x87 control word */
        memcpy(in.fx + 24, "\x80\x1f", 2); /* MXCSR */
        native_run(what_if_kernel_32, (unsigned)(what_if_kernel_32_end - what_if_kernel_32), &in, &out);
        return;
    }
    memcpy((void *)(uintptr_t)CODE_AT, what_if_kernel_64,
           (size_t)(what_if_kernel_64_end - what_if_kernel_64));
    /* It does not come back: PORT_END ends the child. */
    __asm__ volatile("mov %0, %%rsp\n jmp *%1" ::"r"((u64)WHAT_IF_STACK), "r"((u64)CODE_AT) : "memory");
}

static _Noreturn void in_child(bool code32)
{
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    ZydisDecoderInit(&machine.decoder, code32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LONG_64,
                     code32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_64);
    alarm(SECONDS_TO_LIVE);
    memset((void *)(uintptr_t)SCRATCH_AT, 0, SCRATCH_BYTES);
    sigaction(SIGSEGV, &action, NULL);
    enter(code32);
    end(false);
}

struct what_if_run what_if_trap_and_emulate(bool code32)
{
    struct what_if_run run = {0};
    shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return run;
    pid_t child = fork();
    if (!child) in_child(code32);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    run = *shared;
    munmap(shared, PAGE_SIZE);
    return run;
}
