/*
 * Big-endian numbers in byte streams: SCSI commands, network headers, QEMU's fw_cfg. No alignment is needed.
 */
#ifndef RINGER_BASE_BIG_ENDIAN_H
#define RINGER_BASE_BIG_ENDIAN_H

#include "base/types.h"

static inline u16 get_be16(const u8 *at)
{
    return (u16)(at[0] << 8 | at[1]);
}
static inline u32 get_be32(const u8 *at)
{
    return (u32)get_be16(at) << 16 | get_be16(at + 2);
}
/* The low 16 bits of the value. */
static inline void put_be16(u8 *at, u32 value)
{
    at[0] = (u8)(value >> 8);
    at[1] = (u8)value;
}
static inline void put_be32(u8 *at, u32 value)
{
    put_be16(at, value >> 16);
    put_be16(at + 2, value);
}

#endif
