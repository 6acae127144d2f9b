/* What the 64-bit hazard programs share, besides programs/hazards.h: faults with all registers of 64-bit mode. */
#ifndef HAZARDS64_H
#define HAZARDS64_H

#include "../programs/hazards.h"

struct regs64 {
    u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15;
};
struct caught64 {
    int signal, code;
    u64 address, rip, flags;
    u16 cs, ss;
    struct regs64 regs;
};
extern struct caught64 caught64;

/* As catch_faults() and run_until_fault(). The code may be of any mode, and may have loaded CS, SS, DS, ES and GS. */
void catch_faults64(void);
void run_until_fault64(const void *code, const struct regs64 *in);

#define GB4 0x100000000ull
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

extern const struct test tests_addresses64[], tests_code64[], tests_kernel64[], tests_memory64[],
    tests_segments64[], tests_vectors64[];

#endif
