/*
 * The firmware configuration device, used by a hostile guest. Input: accesses of five bytes each, a kind and a value.
 * Memory is 64 KB that repeats, so that descriptors and their data overlap in all ways.
 */
#include "devices/chipset/fw_cfg.h"

#include <stdlib.h>
#include <string.h>

enum { MEMORY_BYTES = 65536, ACCESS_BYTES = 5 };

static void memory_read(void *memory, u64 gpa, void *buffer, u64 bytes)
{
    for (u64 n = 0; n < bytes; n++)
        ((u8 *)buffer)[n] = ((const u8 *)memory)[(gpa + n) % MEMORY_BYTES];
}

static void memory_write(void *memory, u64 gpa, const void *buffer, u64 bytes)
{
    if (bytes > MEMORY_BYTES) abort(); /* pieces are a page at most, items are small */
    for (u64 n = 0; n < bytes; n++)
        ((u8 *)memory)[(gpa + n) % MEMORY_BYTES] = ((const u8 *)buffer)[n];
}

static u32 word(const u8 *at)
{
    return at[0] | (u32)at[1] << 8 | (u32)at[2] << 16 | (u32)at[3] << 24;
}

static void access_once(struct fw_cfg *cfg, u8 *memory, u8 kind, u32 value)
{
    switch (kind & 7) {
    case 0: fw_cfg_ops.write(cfg, 0, 2, value & 0xffff); break;
    case 1: fw_cfg_ops.read(cfg, value & 1, 1 + (value >> 1 & 1)); break;
    case 2: fw_cfg_dma_ops.write(cfg, 0, 4, value); break;
    case 3: fw_cfg_dma_ops.write(cfg, 4, 4, value); break;
    case 4: fw_cfg_dma_ops.write(cfg, value & 7, 1, value >> 8); break;
    case 5: fw_cfg_dma_ops.read(cfg, value & 4, 4); break;
    case 6: memcpy(memory + (kind >> 3) * 4, &value, 4); break;
    default:
        if (value == 0) fw_cfg_reset(cfg);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static u8 memory[MEMORY_BYTES];
    const struct dma dma = {.read = memory_read, .write = memory_write, .memory = memory};
    struct fw_cfg cfg;
    memset(memory, 0, sizeof(memory));
    if (!fw_cfg_init(&cfg, &dma)) abort();
    fw_cfg_put_file(&cfg, "etc/text", "0123456789", 10, false);
    fw_cfg_put_file(&cfg, "etc/notes", "........", 8, true);
    fw_cfg_put_file(&cfg, "etc/nothing", "", 0, true);
    /* A transfer may have 16 MB, so a run gets only a few. */
    if (bytes > 100 * ACCESS_BYTES) bytes = 100 * ACCESS_BYTES;
    for (; bytes >= ACCESS_BYTES; data += ACCESS_BYTES, bytes -= ACCESS_BYTES)
        access_once(&cfg, memory, data[0], word(data + 1));
    fw_cfg_destroy(&cfg);
    return 0;
}
