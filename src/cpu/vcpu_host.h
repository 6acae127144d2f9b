/*
 * What the machine offers its CPU: ports, interrupt acknowledgement, clocks, the local APIC.
 */
#ifndef RINGER_CPU_VCPU_HOST_H
#define RINGER_CPU_VCPU_HOST_H

#include "base/types.h"

/* The machine's clocks at one moment. */
struct time_sample {
    u64 tsc, tsc_hz; /* before tsc_offset is added */
    u64 ns;          /* since power-on */
    u64 wall_ns;     /* Unix time at ns = 0 */
};

/* The local APIC, which is a device of the board. */
struct vcpu_apic {
    void (*base_written)(void *machine, u64 base); /* IA32_APIC_BASE */
    void (*tsc_moved)(void *machine);              /* the guest's TSC has jumped */
    u64 (*deadline)(void *machine);                /* IA32_TSC_DEADLINE */
    void (*set_deadline)(void *machine, u64 deadline);
    u8 (*task_priority)(void *machine); /* the TPR; its high half is CR8 (SDM 3A 10.8.6.1) */
    void (*set_task_priority)(void *machine, u8 priority);
};

/* The seam to the machine. All functions are called with the FPU parked or sheltered, so they must not use
 * floating point. */
struct vcpu_host {
    u32 (*port_read)(void *machine, u16 port, unsigned size);
    void (*port_write)(void *machine, u16 port, unsigned size, u32 value);
    int (*interrupt_acknowledge)(void *machine); /* the vector; -1: no interrupt is pending any more */
    u64 (*tsc)(void *machine);                   /* guest TSC before tsc_offset is added */
    void (*ferr)(void *machine, bool level);     /* FERR#: x87 errors with CR0.NE = 0 (IRQ 13) */
    const struct vcpu_apic *apic;                /* NULL: there is none */
    void *machine;
    u64 (*tsc_hz)(void *machine); /* rate of the TSC, for CPUID 15h; NULL or 0: the leaf is empty */
    struct time_sample (*sample_time)(void *machine); /* NULL: there is no paravirtual clock */
    /* Transfer up to `count` elements of a string at one port. Returns how many were transferred, perhaps none.
     * NULL: elements are always transferred one by one. */
    u32 (*port_read_string)(void *machine, u16 port, unsigned size, u8 *to, u32 count);
    u32 (*port_write_string)(void *machine, u16 port, unsigned size, const u8 *from, u32 count);
};

#endif
