/*
 * The x87, SSE and AVX state in the frame that Linux makes for a signal.
 */
#ifndef RINGER_STUDY_NATIVE_FX_H
#define RINGER_STUDY_NATIVE_FX_H

#include "cpu/fxsave.h"

#include <string.h>

/* The first word of an XSAVE area's header. */
enum { XSTATE_BV = FX_BYTES };

/* Is there an XSAVE area in the signal's frame, with AVX state? Its format is the standard one. Linux marks it in the
 * last bytes of the FXSAVE image (struct _fpx_sw_bytes). */
static inline bool native_has_ymm(const u8 *frame)
{
    enum { MARK_AT = 464, MARK = 0x46505853, FEATURES_AT = 472 };
    return load_any(frame + MARK_AT, 4) == MARK && (load_any(frame + FEATURES_AT, 8) & XCR0_AVX) &&
           (frame[XSTATE_BV] & XCR0_AVX);
}

/* All that the frame has of the first `bytes` bytes of the state, as v->fpu has it. */
static inline void native_get_fx(const void *frame, u8 *fx, unsigned bytes)
{
    memcpy(fx, frame, FX_BYTES);
    memset(fx + FX_BYTES, 0, bytes - FX_BYTES);
    if (native_has_ymm(frame)) memcpy(fx + FX_YMM, (const u8 *)frame + FX_YMM, bytes - FX_YMM);
}

#endif
