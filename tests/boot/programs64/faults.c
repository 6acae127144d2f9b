/* Catches faults of 64-bit code, and of 16-bit and 32-bit code under it. */
#define _GNU_SOURCE
#include "hazards64.h"

#include <string.h>

struct caught64 caught64;
u64 fault_resume_rsp, fault_target; /* RSP is 0 when nothing is expected to fault */
struct regs64 fault_in;
extern const u8 fault_resume[];

/* RSP is loaded last but one, so the rest comes from absolute addresses. GS has base 0 in a static program. */
__asm__(".text\n"
        "fault_enter:\n"
        "  push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "  mov %rsp, fault_resume_rsp\n"
        "  mov fault_in, %rax\n mov fault_in+8, %rbx\n mov fault_in+16, %rcx\n mov fault_in+24, %rdx\n"
        "  mov fault_in+32, %rsi\n mov fault_in+40, %rdi\n mov fault_in+48, %rbp\n mov fault_in+56, %rsp\n"
        "  mov fault_in+64, %r8\n mov fault_in+72, %r9\n mov fault_in+80, %r10\n mov fault_in+88, %r11\n"
        "  mov fault_in+96, %r12\n mov fault_in+104, %r13\n mov fault_in+112, %r14\n mov fault_in+120, %r15\n"
        "  jmp *fault_target\n"
        "fault_resume:\n"
        "  cld\n mov %ss, %eax\n mov %eax, %ds\n mov %eax, %es\n xor %eax, %eax\n mov %eax, %gs\n"
        "  pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");
void fault_enter(void);

static void handler(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (!fault_resume_rsp) {
        die_by(signal);
        return;
    }
    u64 segments = (u64)regs[REG_CSGSFS]; /* CS, GS, FS, SS: 16 bits each */
    caught64 = (struct caught64){
        .signal = signal,
        .code = info->si_code,
        .address = (u64)info->si_addr,
        .rip = (u64)regs[REG_RIP],
        .flags = (u64)regs[REG_EFL],
        .cs = (u16)segments,
        .ss = (u16)(segments >> 48),
        .regs = {(u64)regs[REG_RAX], (u64)regs[REG_RBX], (u64)regs[REG_RCX], (u64)regs[REG_RDX],
                 (u64)regs[REG_RSI], (u64)regs[REG_RDI], (u64)regs[REG_RBP], (u64)regs[REG_RSP],
                 (u64)regs[REG_R8], (u64)regs[REG_R9], (u64)regs[REG_R10], (u64)regs[REG_R11],
                 (u64)regs[REG_R12], (u64)regs[REG_R13], (u64)regs[REG_R14], (u64)regs[REG_R15]},
    };
    enum { USER_CS = 0x33, USER_SS = 0x2b }; /* a valid SS of the LDT is still there in the handler */
    regs[REG_RIP] = (greg_t)fault_resume;
    regs[REG_RSP] = (greg_t)fault_resume_rsp;
    regs[REG_EFL] &= ~0x40500;
    regs[REG_CSGSFS] = (greg_t)((segments & 0xffff00000000ull) | (u64)USER_SS << 48 | USER_CS);
}

void catch_faults64(void)
{
    handle_faults(handler);
}

void run_until_fault64(const void *code, const struct regs64 *in)
{
    memset(&caught64, 0, sizeof caught64);
    fault_in = *in;
    fault_target = (u64)code;
    fault_enter();
    fault_resume_rsp = 0;
}
