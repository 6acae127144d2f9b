/*
 * Parked flags: the arithmetic flags as LAHF and SETO give them, and as SAHF and ADD AL,7Fh take them. AH has
 * SF ZF AF PF CF where EFLAGS has them; AL has OF as 0 or 1. The interpreter's host operations and translated
 * code use this format.
 */
#ifndef RINGER_CPU_HOST_FLAGS_H
#define RINGER_CPU_HOST_FLAGS_H

#include "vcpu.h"

static inline u64 flags_pack(u32 eflags)
{
    return (eflags & FL_ARITH & 0xff) << 8 | !!(eflags & FL_OF);
}

static inline void flags_unpack(struct vcpu *v, u64 flags)
{
    v->eflags = (v->eflags & ~(u32)FL_ARITH) | ((flags >> 8) & FL_ARITH & 0xff) | (flags & 1 ? FL_OF : 0);
}

#endif
