/*
 * A whole CD sector of mode 1 (ECMA-130, 14 and annex A). An image has only its data.
 *
 *   0  synchronization, 12 bytes     12  header: minute, second, frame in BCD, mode     16  data, 2048 bytes
 *   2064  EDC, a CRC, 4 bytes        2068  zeros, 8 bytes       2076  P parity, 172     2248  Q parity, 104
 */
#ifndef RINGER_DEVICES_STORAGE_CD_SECTOR_H
#define RINGER_DEVICES_STORAGE_CD_SECTOR_H

#include "base/types.h"

enum {
    CD_SYNC_BYTES = 12,
    CD_HEADER_BYTES = 4,
    CD_DATA_BYTES = 2048,
    CD_CODE_BYTES = 288,
    CD_RAW_BYTES = CD_SYNC_BYTES + CD_HEADER_BYTES + CD_DATA_BYTES + CD_CODE_BYTES,
};

/* Sectors before address 0: two seconds. */
#define CD_PREGAP 150

/* `sector`: its logical address. */
void cd_sector_make(u8 raw[CD_RAW_BYTES], u32 sector, const u8 data[CD_DATA_BYTES]);

#endif
