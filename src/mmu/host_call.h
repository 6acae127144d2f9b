/*
 * System calls without libc: libc may not be called while the guest's FPU state is live.
 */
#ifndef RINGER_MMU_HOST_CALL_H
#define RINGER_MMU_HOST_CALL_H

#include "base/types.h"

#include <sys/mman.h>
#include <sys/syscall.h>

static inline long host_call(long number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    long result;
    register u64 r10 __asm__("r10") = d;
    register u64 r8 __asm__("r8") = e;
    register u64 r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline bool host_failed(long result)
{
    return (unsigned long)result > (unsigned long)-4096;
}

#endif
