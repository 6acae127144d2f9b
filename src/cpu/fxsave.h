/*
 * The image in which v->fpu holds the x87, SSE and AVX state while it is parked: an FXSAVE image (SDM 1 table 10-2),
 * and behind it the upper halves of the YMM registers, where the standard format of XSAVE has them (SDM 1 13.4). The
 * header in between is not used.
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
    FX_YMM = 576, /* bits 255 to 128 of each YMM register */
    FX_YMM_END = 704,
    FX_YMM_END64 = 832,
};

/* Call after v->fpu was written: gives FSW.ES and the reserved bits of FCW and FSW the values that the hardware
 * would give them. */
void fpu_settle(struct vcpu *v);

#endif
