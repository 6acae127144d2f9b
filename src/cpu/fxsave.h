/*
 * The FXSAVE image, in which v->fpu holds the x87 and SSE state while it is parked (SDM 1 table 10-2).
 */
#ifndef RINGER_CPU_FXSAVE_H
#define RINGER_CPU_FXSAVE_H

#include "vcpu.h"

/* Bits of MXCSR that may be set. Bit 17, AMD's misaligned mode, is not among them. */
#define MXCSR_MASK 0xffffu

enum fxsave_layout {
    FX_FCW = 0,
    FX_FSW = 2,
    FX_FTW = 4,
    FX_FOP = 6,
    FX_FIP = 8,
    FX_FDP = 16,
    FX_MXCSR = 24,
    FX_MXCSR_MASK = 28,
    FX_ST = 32,
    FX_XMM = 160,
    FX_XMM_END = 288, /* of the 8 registers of 32-bit mode */
    FX_XMM_END64 = 416,
    FX_BYTES = 512,
};

/* Call after v->fpu was written: gives FSW.ES and the reserved bits of FCW and FSW the values that the hardware
 * would give them. */
void fpu_settle(struct vcpu *v);

#endif
