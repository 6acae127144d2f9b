/*
 * The system side of the CPU: control transfers through descriptors, exceptions and interrupts, control
 * registers. The functions follow the pseudo-code of the SDM (volumes 2 and 3A) with its order of checks.
 * Unless a comment says otherwise, they raise faults (fault.h) and keep v->rip, segments, cpl, eflags and
 * mode consistent.
 */
#ifndef RINGER_CPU_SYSTEM_H
#define RINGER_CPU_SYSTEM_H

#include "fault.h"

/* --- segment.c: descriptors and segment registers --- */
/* Load any segment register but CS as MOV Sreg, POP Sreg and LxS do, in real, virtual-8086 and protected
 * mode. */
void segment_load(struct vcpu *v, enum seg seg, u16 selector);
/* Set any segment register as real and virtual-8086 mode do: base = selector << 4, limit and access by the
 * mode. */
void segment_set_real(struct vcpu *v, enum seg seg, u16 selector);
/* The base of FS or GS, at 64 bits. */
void segment_set_base(struct vcpu *v, enum seg seg, u64 base);
void segment_load_ldtr(struct vcpu *v, u16 selector);
void segment_load_tr(struct vcpu *v, u16 selector);

/* --- transfer.c, return.c, sysenter.c: far JMP, CALL, RET, IRET, SYSENTER, SYSEXIT --- */
/* On entry v->rip is the *next* instruction. `bytes` is the operand size (2, 4 or 8). */
void far_jump(struct vcpu *v, u16 selector, u64 offset, unsigned bytes);
void far_call(struct vcpu *v, u16 selector, u64 offset, unsigned bytes);
void far_return(struct vcpu *v, unsigned bytes, u16 release);
void interrupt_return(struct vcpu *v, unsigned bytes);
void sysenter(struct vcpu *v);
void sysexit(struct vcpu *v, unsigned bytes);
/* --- syscall.c --- */
void syscall_enter(struct vcpu *v);
void syscall_return(struct vcpu *v, unsigned bytes);
void syscall_swapgs(struct vcpu *v);

/* --- interrupt.c: delivery through the IVT or IDT --- */
enum interrupt_source {
    SOURCE_EXTERNAL,  /* INTR, NMI: error codes have EXT set */
    SOURCE_EXCEPTION, /* fault or trap of the CPU; EXT set in nested errors */
    SOURCE_SOFTWARE,  /* INT n, INT3, INTO: gate DPL is checked */
};
/* One delivery; v->rip is the address to push. Raises on failure. */
void interrupt_deliver(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error);
/* The same in IA-32e mode (interrupt64.c). The caller then updates what depends on the mode. */
void interrupt_deliver64(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error);
/* INT n with its virtual-8086 and VME rules. v->rip is the next instruction, `length` the length of INT n. */
void interrupt_software(struct vcpu *v, u8 vector, unsigned length);

/* Deliver v->fault, which the instruction at v->rip raised: sets CR2 and RF as required, and escalates to #DF
 * and shutdown. Never raises: it has a fault scope of its own. Returns EXIT_NONE, or EXIT_SHUTDOWN on a triple
 * fault. */
enum exit_reason exception_deliver(struct vcpu *v);
/* Deliver an external interrupt or NMI; ends HLT. Never raises. */
enum exit_reason interrupt_external(struct vcpu *v, u8 vector);
enum exit_reason interrupt_nmi(struct vcpu *v);
/* Deliver a trap-class #DB with these DR6 bits (single step, data breakpoint). Never raises. */
enum exit_reason debug_trap_deliver(struct vcpu *v, u32 dr6_bits);

/* --- task.c: hardware task switches (SDM 3A 7.3) --- */
enum task_switch_cause { TASK_JMP, TASK_CALL, TASK_IRET, TASK_GATE };
void task_switch(struct vcpu *v, u16 tss_selector, enum task_switch_cause cause, bool has_error, u32 error);

/* --- control.c: CR0-CR4, CR8, DR0-DR7, EFER, EFLAGS --- */
u64 control_read(struct vcpu *v, unsigned cr);
void control_write(struct vcpu *v, unsigned cr, u64 value); /* checks, flushes, vcpu_update_mode */
/* Would a load of this CR3 succeed? (PAE: no PDPTE may have a reserved bit set.) */
bool control_cr3_valid(struct vcpu *v, u32 cr3);
u64 debug_read(struct vcpu *v, unsigned dr);
void debug_write(struct vcpu *v, unsigned dr, u64 value);
/* Replace the flags in `mask` that the current privilege may change, as POPF does: IF if CPL <= IOPL, IOPL at
 * CPL 0, and never VM, VIF and VIP. */
void eflags_write(struct vcpu *v, u32 value, u32 mask);

/* --- debug.c: breakpoints --- */
/* DR6 bits of enabled instruction breakpoints at this linear address, 0 for none. */
u32 debug_match_code(const struct vcpu *v, u64 linear);
/* Data and I/O breakpoints: record a hit, which is delivered as a trap after the instruction. */
void debug_match_data(struct vcpu *v, u64 linear, unsigned bytes, bool write);
void debug_match_io(struct vcpu *v, u16 port, unsigned bytes);
static inline bool debug_armed(const struct vcpu *v)
{
    return v->dr[7] & 0xff;
}

/* --- msr.c, ioperm.c --- */
u64 msr_read(struct vcpu *v, u32 index); /* #GP(0) when unknown */
void msr_write(struct vcpu *v, u32 index, u64 value);
/* #GP(0) unless CPL <= IOPL or the TSS's I/O bitmap allows the ports (SDM 1 19.5.2). */
void io_check(struct vcpu *v, u16 port, unsigned bytes);
u32 io_read(struct vcpu *v, u16 port, unsigned bytes);
void io_write(struct vcpu *v, u16 port, unsigned bytes, u32 value);
/* Returns how many of `count` elements the port took at once; 0: it does not stream. */
u32 io_read_string(struct vcpu *v, u16 port, unsigned bytes, u8 *to, u32 count);
u32 io_write_string(struct vcpu *v, u16 port, unsigned bytes, const u8 *from, u32 count);

#endif
