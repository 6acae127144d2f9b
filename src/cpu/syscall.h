/*
 * The segments that SYSCALL, SYSENTER and their returns load without descriptors.
 */
#ifndef RINGER_CPU_SYSCALL_H
#define RINGER_CPU_SYSCALL_H

#include "vcpu.h"

enum {
    FLAT_CODE = AR_G | AR_P | AR_S | AR_CODE | AR_READABLE | AR_ACCESSED,
    FLAT_DATA = AR_G | AR_DB | AR_P | AR_S | AR_WRITABLE | AR_ACCESSED
};

static inline struct segment segment_flat_code(u16 selector, unsigned cpl, bool code64)
{
    u32 access = FLAT_CODE | (code64 ? AR_L : AR_DB) | cpl << AR_DPL_SHIFT;
    return (struct segment){.limit = 0xffffffff, .access = access, .selector = selector};
}
static inline struct segment segment_flat_stack(u16 selector, unsigned cpl)
{
    return (struct segment){
        .limit = 0xffffffff, .access = FLAT_DATA | cpl << AR_DPL_SHIFT, .selector = selector};
}

#endif
