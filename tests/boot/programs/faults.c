/* Catches faults with all registers, so that a test can see the state after an instruction that faulted. */
#define _GNU_SOURCE
#include "hazards.h"

#include <string.h>

struct caught caught;
u32 fault_resume_esp, fault_target; /* ESP is 0 when nothing is expected to fault */
struct regs fault_in;
extern const u8 fault_resume[];

/* All registers except ESP are loaded last, from memory. POPA restores the program's own. */
__asm__(".text\n"
        "fault_enter:\n"
        "  pusha\n  mov %esp, fault_resume_esp\n"
        "  mov fault_in, %eax\n  mov fault_in+4, %ebx\n  mov fault_in+8, %ecx\n  mov fault_in+12, %edx\n"
        "  mov fault_in+16, %esi\n  mov fault_in+20, %edi\n  mov fault_in+24, %ebp\n  mov fault_in+28, %esp\n"
        "  jmp *fault_target\n"
        "fault_resume:\n"
        "  popa\n  ret\n");
void fault_enter(void);

static void handler(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (!fault_resume_esp) {
        die_by(signal);
        return;
    }
    caught = (struct caught){
        .signal = signal,
        .code = info->si_code,
        .address = (u32)info->si_addr,
        .eip = (u32)regs[REG_EIP],
        .eflags = (u32)regs[REG_EFL],
        .ds = (u16)regs[REG_DS],
        .es = (u16)regs[REG_ES],
        .fs = (u16)regs[REG_FS],
        .gs = (u16)regs[REG_GS],
        .cs = (u16)regs[REG_CS],
        .regs = {(u32)regs[REG_EAX], (u32)regs[REG_EBX], (u32)regs[REG_ECX], (u32)regs[REG_EDX],
                 (u32)regs[REG_ESI], (u32)regs[REG_EDI], (u32)regs[REG_EBP], (u32)regs[REG_ESP]},
    };
    u16 cs, ds, gs;
    __asm__("mov %%cs, %0\n mov %%ss, %1\n mov %%gs, %2" : "=r"(cs), "=r"(ds), "=r"(gs));
    regs[REG_EIP] = (greg_t)fault_resume;
    regs[REG_ESP] = (greg_t)fault_resume_esp;
    regs[REG_EFL] &= ~0x500;
    regs[REG_CS] = cs;
    regs[REG_SS] = regs[REG_DS] = regs[REG_ES] = ds;
    regs[REG_GS] = gs;
}

void catch_faults(void)
{
    handle_faults(handler);
}

void run_until_fault(const void *code, const struct regs *in)
{
    memset(&caught, 0, sizeof caught);
    fault_in = *in;
    fault_target = (u32)code;
    fault_enter();
    fault_resume_esp = 0;
}
