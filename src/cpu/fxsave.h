/*
 * The image in which v->fpu holds the x87, SSE, AVX and AVX-512 state while it is parked: an FXSAVE image (SDM 1 table
 * 10-2), and behind it the upper halves of the YMM registers, where the standard format of XSAVE has them (SDM 1 13.4).
 * The components of AVX-512 follow, where AMD's CPUs have them. The header in between is not used.
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
    FX_OPMASK = 832,   /* K0 to K7 */
    FX_ZMM = 896,      /* bits 511 to 256 of ZMM0 to ZMM15 */
    FX_ZMM_END = 1152, /* of the 8 registers of 32-bit mode */
    FX_ZMM_END64 = 1408,
    FX_ZMM16 = 1408, /* ZMM16 to ZMM31 */
    FX_ALL = 2432,   /* bytes of the whole image */
};

/* Call after v->fpu was written: gives FSW.ES and the reserved bits of FCW and FSW the values that the hardware
 * would give them. */
void fpu_settle(struct vcpu *v);

#endif
