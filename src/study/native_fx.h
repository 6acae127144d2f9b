/*
 * The x87, SSE, AVX and AVX-512 state in the frame that Linux makes for a signal.
 */
#ifndef RINGER_STUDY_NATIVE_FX_H
#define RINGER_STUDY_NATIVE_FX_H

#include "cpu/fxsave.h"

#include <string.h>

/* The first word of an XSAVE area's header. */
enum { XSTATE_BV = FX_BYTES };

/* The components in the XSAVE area of a signal's frame, as bits of XCR0; the others are in their initial state. 0: it
 * has no such area. Its format is the standard one. Linux marks it in the last bytes of the FXSAVE image (struct
 * _fpx_sw_bytes). */
static inline u32 native_components(const u8 *frame)
{
    enum { MARK_AT = 464, MARK = 0x46505853, FEATURES_AT = 472 };
    if (load_any(frame + MARK_AT, 4) != MARK) return 0;
    return (u32)load_any(frame + FEATURES_AT, 8) & frame[XSTATE_BV];
}

/* All that the frame has of the first `bytes` bytes of the state, as v->fpu has it. They end with the AVX state at the
 * latest: where the frame has that of AVX-512 depends on the CPU. */
static inline void native_get_fx(const void *frame, u8 *fx, unsigned bytes)
{
    memcpy(fx, frame, FX_BYTES);
    memset(fx + FX_BYTES, 0, bytes - FX_BYTES);
    if (native_components(frame) & XCR0_AVX) memcpy(fx + FX_YMM, (const u8 *)frame + FX_YMM, bytes - FX_YMM);
}

#endif
