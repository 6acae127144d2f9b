/*
 * The firmware configuration device (QEMU, docs/specs/fw_cfg.rst): named and numbered items. Firmware reads them
 * through ports or has them copied to memory.
 *
 *   fw_cfg_ops      510h-511h   write of a word at 510h: select an item (little-endian), back to its start
 *                               read of a byte at 511h: the item's next byte, 0 behind its end
 *   fw_cfg_dma_ops  514h-51Bh   big-endian; reads "QEMU CFG". Writing the low dword (518h) of a descriptor's
 *                               address starts its transfer (high dword: 514h, 0 after each transfer)
 *
 * A descriptor is big-endian too:
 *
 *   +0   31-16 item | 4 write | 3 select | 2 skip | 1 read | 0 error      becomes 0, or 1 for an error
 *   +4   bytes
 *   +8   address (64 bits)
 *
 * Items 20h and up are files: item 19h is their directory. A read beyond the item's end gives zeros; a
 * write beyond it is an error. So is a transfer longer than FW_CFG_TRANSFER_MAX, which keeps a guest from
 * occupying the vCPU thread with one port write.
 *
 * Invariants: `selected` is an item of the table or NULL; offset <= its bytes. What a guest wrote to an item
 * survives resets.
 */
#ifndef RINGER_DEVICES_CHIPSET_FW_CFG_H
#define RINGER_DEVICES_CHIPSET_FW_CFG_H

#include "base/device.h"

#define FW_CFG_ITEMS        80
#define FW_CFG_NAME_BYTES   56
#define FW_CFG_TRANSFER_MAX (16u << 20)

enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_CPUS = 0x05,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_COMMAND_LINE_SIZE = 0x14,
    FW_CFG_COMMAND_LINE_DATA = 0x15,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_DIRECTORY = 0x19,
    FW_CFG_FIRST_FILE = 0x20,
};

/* Puts bytes [offset, offset + bytes) of an item into `buffer`. The range lies within the item. */
typedef void fw_cfg_read(void *source, u32 offset, u8 *buffer, u32 bytes);

struct fw_cfg_item {
    u16 key;
    bool writable;
    u32 bytes;
    u8 *data;          /* the device's own; NULL: the bytes come from `read` */
    fw_cfg_read *read; /* called on every access, for items that are too large to copy */
    void *source;
    char name[FW_CFG_NAME_BYTES];
};

struct fw_cfg {
    struct dma dma;
    struct fw_cfg_item item[FW_CFG_ITEMS];
    unsigned count;
    unsigned files;
    struct fw_cfg_item *selected;
    u32 offset;
    u32 descriptor_high;
};

/* At first the device has a signature, an identity and an empty directory. False: out of memory. */
bool fw_cfg_init(struct fw_cfg *cfg, const struct dma *dma);
void fw_cfg_destroy(struct fw_cfg *cfg);
void fw_cfg_reset(struct fw_cfg *cfg);

/* Copy `data` into a new item, or into the item of the same key or name. False: out of memory, table full, or name
 * too long. Must not be called while a running guest may have selected the item. */
bool fw_cfg_put(struct fw_cfg *cfg, enum fw_cfg_key key, const void *data, u32 bytes);
bool fw_cfg_put_file(struct fw_cfg *cfg, const char *name, const void *data, u32 bytes, bool writable);
/* A file: `read` provides its bytes whenever the guest reads them. Returns its key, or 0 as above. */
u16 fw_cfg_put_source(struct fw_cfg *cfg, const char *name, u32 bytes, fw_cfg_read *read, void *source);
/* The same for an item that has a number and no name. */
bool fw_cfg_put_numbered_source(struct fw_cfg *cfg, enum fw_cfg_key key, u32 bytes, fw_cfg_read *read,
                                void *source);
/* A little-endian number as an item. */
bool fw_cfg_put_number(struct fw_cfg *cfg, enum fw_cfg_key key, u64 value, unsigned bytes);

extern const struct io_ops fw_cfg_ops;
extern const struct io_ops fw_cfg_dma_ops;

#endif
