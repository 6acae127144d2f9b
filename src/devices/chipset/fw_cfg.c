/*
 * The firmware configuration device. See fw_cfg.h.
 */
#include "fw_cfg.h"
#include "base/big_endian.h"

#include <stdlib.h>
#include <string.h>

enum { ID_PORTS = 1, ID_DMA = 2 };
enum { CONTROL_ERROR = 1, CONTROL_READ = 2, CONTROL_SKIP = 4, CONTROL_SELECT = 8, CONTROL_WRITE = 16 };
enum { DESCRIPTOR_BYTES = 16 };

static const char signature[] = "QEMU";
static const char dma_signature[] = "QEMU CFG";

/* --- the table --- */

static struct fw_cfg_item *find(struct fw_cfg *cfg, u16 key)
{
    for (unsigned n = 0; n < cfg->count; n++)
        if (cfg->item[n].key == key) return &cfg->item[n];
    return NULL;
}

static struct fw_cfg_item *find_file(struct fw_cfg *cfg, const char *name)
{
    for (unsigned n = 0; n < cfg->count; n++)
        if (!strcmp(cfg->item[n].name, name)) return &cfg->item[n];
    return NULL;
}

static struct fw_cfg_item *add(struct fw_cfg *cfg, u16 key)
{
    if (cfg->count == FW_CFG_ITEMS) return NULL;
    struct fw_cfg_item *item = &cfg->item[cfg->count++];
    *item = (struct fw_cfg_item){.key = key};
    return item;
}

static bool fill(struct fw_cfg *cfg, struct fw_cfg_item *item, const void *data, u32 bytes)
{
    u8 *copy = malloc(bytes ? bytes : 1);
    if (!copy) return false;
    if (bytes) memcpy(copy, data, bytes);
    free(item->data);
    item->data = copy;
    item->read = NULL;
    item->bytes = bytes;
    if (cfg->selected == item) cfg->offset = 0;
    return true;
}

bool fw_cfg_put(struct fw_cfg *cfg, enum fw_cfg_key key, const void *data, u32 bytes)
{
    struct fw_cfg_item *item = find(cfg, (u16)key);
    if (!item) item = add(cfg, (u16)key);
    return item && fill(cfg, item, data, bytes);
}

bool fw_cfg_put_number(struct fw_cfg *cfg, enum fw_cfg_key key, u64 value, unsigned bytes)
{
    u8 data[8];
    for (unsigned n = 0; n < sizeof(data); n++)
        data[n] = (u8)(value >> 8 * n);
    return fw_cfg_put(cfg, key, data, bytes);
}

/* Number of files, then for each: size, key, 0, name. All big-endian. */
static bool update_directory(struct fw_cfg *cfg)
{
    enum { HEAD_BYTES = 4, ENTRY_BYTES = 8 + FW_CFG_NAME_BYTES };
    u8 directory[HEAD_BYTES + FW_CFG_ITEMS * ENTRY_BYTES] = {0}, *at = directory + HEAD_BYTES;
    put_be32(directory, cfg->files);
    for (unsigned n = 0; n < cfg->count; n++) {
        const struct fw_cfg_item *item = &cfg->item[n];
        if (!item->name[0]) continue;
        put_be32(at, item->bytes);
        at[4] = (u8)(item->key >> 8);
        at[5] = (u8)item->key;
        memcpy(at + 8, item->name, FW_CFG_NAME_BYTES);
        at += ENTRY_BYTES;
    }
    return fw_cfg_put(cfg, FW_CFG_DIRECTORY, directory, (u32)(at - directory));
}

/* The file of that name, or a new one. NULL: the table is full, or the name is too long. */
static struct fw_cfg_item *file_named(struct fw_cfg *cfg, const char *name)
{
    size_t length = strlen(name);
    if (!length || length >= FW_CFG_NAME_BYTES) return NULL;
    struct fw_cfg_item *item = find_file(cfg, name);
    if (item) return item;
    item = add(cfg, (u16)(FW_CFG_FIRST_FILE + cfg->files));
    if (!item) return NULL;
    memcpy(item->name, name, length);
    cfg->files++;
    return item;
}

bool fw_cfg_put_file(struct fw_cfg *cfg, const char *name, const void *data, u32 bytes, bool writable)
{
    struct fw_cfg_item *item = file_named(cfg, name);
    if (!item) return false;
    item->writable = writable;
    return fill(cfg, item, data, bytes) && update_directory(cfg);
}

static void set_source(struct fw_cfg_item *item, u32 bytes, fw_cfg_read *read, void *source)
{
    free(item->data);
    item->data = NULL;
    item->writable = false;
    item->bytes = bytes;
    item->read = read;
    item->source = source;
}

bool fw_cfg_put_numbered_source(struct fw_cfg *cfg, enum fw_cfg_key key, u32 bytes, fw_cfg_read *read,
                                void *source)
{
    struct fw_cfg_item *item = find(cfg, (u16)key);
    if (!item) item = add(cfg, (u16)key);
    if (item) set_source(item, bytes, read, source);
    return item != NULL;
}

u16 fw_cfg_put_source(struct fw_cfg *cfg, const char *name, u32 bytes, fw_cfg_read *read, void *source)
{
    struct fw_cfg_item *item = file_named(cfg, name);
    if (!item) return 0;
    set_source(item, bytes, read, source);
    return update_directory(cfg) ? item->key : 0;
}

/* --- access --- */

static void select_item(struct fw_cfg *cfg, u16 key)
{
    cfg->selected = find(cfg, key);
    cfg->offset = 0;
}

static u32 bytes_left(const struct fw_cfg *cfg)
{
    return cfg->selected ? cfg->selected->bytes - cfg->offset : 0;
}

static void get_bytes(const struct fw_cfg_item *item, u32 offset, u8 *buffer, u32 bytes)
{
    if (item->data)
        memcpy(buffer, item->data + offset, bytes);
    else
        item->read(item->source, offset, buffer, bytes);
}

static u32 port_read(void *device, u32 offset, unsigned size)
{
    struct fw_cfg *cfg = device;
    if (offset != 1 || size != 1) return 0xffffffff;
    if (!bytes_left(cfg)) return 0;
    u8 byte;
    get_bytes(cfg->selected, cfg->offset++, &byte, 1);
    return byte;
}

static void port_write(void *device, u32 offset, unsigned size, u32 value)
{
    if (offset == 0 && size == 2) select_item(device, (u16)value);
}

const struct io_ops fw_cfg_ops = {port_read, port_write};

static void zero_memory(struct fw_cfg *cfg, u64 gpa, u32 bytes)
{
    static const u8 zeros[4096];
    while (bytes) {
        u32 now = bytes < sizeof(zeros) ? bytes : (u32)sizeof(zeros);
        cfg->dma.write(cfg->dma.memory, gpa, zeros, now);
        gpa += now;
        bytes -= now;
    }
}

/* From the selected item to memory. */
static void copy_to_memory(struct fw_cfg *cfg, u64 gpa, u32 bytes)
{
    const struct fw_cfg_item *item = cfg->selected;
    if (item->data) {
        cfg->dma.write(cfg->dma.memory, gpa, item->data + cfg->offset, bytes);
        return;
    }
    u8 buffer[16384];
    for (u32 done = 0; done < bytes;) {
        u32 now = bytes - done < sizeof(buffer) ? bytes - done : (u32)sizeof(buffer);
        get_bytes(item, cfg->offset + done, buffer, now);
        cfg->dma.write(cfg->dma.memory, gpa + done, buffer, now);
        done += now;
    }
}

static bool transfer(struct fw_cfg *cfg, u32 control, u32 bytes, u64 gpa)
{
    u32 there = bytes_left(cfg) < bytes ? bytes_left(cfg) : bytes;
    if (control & CONTROL_READ) {
        if (bytes > FW_CFG_TRANSFER_MAX) return false;
        if (there) copy_to_memory(cfg, gpa, there);
        zero_memory(cfg, gpa + there, bytes - there);
    } else if (control & CONTROL_WRITE) {
        if (there != bytes || !cfg->selected || !cfg->selected->writable) return false;
        cfg->dma.read(cfg->dma.memory, gpa, cfg->selected->data + cfg->offset, there);
    } else if (!(control & CONTROL_SKIP)) {
        return true;
    }
    cfg->offset += there;
    return true;
}

static void run_descriptor(struct fw_cfg *cfg, u64 gpa)
{
    u8 descriptor[DESCRIPTOR_BYTES], result[4];
    cfg->dma.read(cfg->dma.memory, gpa, descriptor, sizeof(descriptor));
    u32 control = get_be32(descriptor);
    u64 address = (u64)get_be32(descriptor + 8) << 32 | get_be32(descriptor + 12);
    if (control & CONTROL_SELECT) select_item(cfg, (u16)(control >> 16));
    bool good = transfer(cfg, control, get_be32(descriptor + 4), address);
    put_be32(result, good ? 0 : CONTROL_ERROR);
    cfg->dma.write(cfg->dma.memory, gpa, result, sizeof(result));
}

static u32 dma_read(void *device, u32 offset, unsigned size)
{
    u32 value = 0;
    for (unsigned n = 0; n < size; n++)
        value |= (u32)(u8)dma_signature[offset + n] << 8 * n;
    return value;
}

static void dma_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct fw_cfg *cfg = device;
    if (size != 4) return;
    value = __builtin_bswap32(value);
    if (offset == 0) {
        cfg->descriptor_high = value;
    } else if (offset == 4) {
        u64 gpa = (u64)cfg->descriptor_high << 32 | value;
        cfg->descriptor_high = 0;
        run_descriptor(cfg, gpa);
    }
}

const struct io_ops fw_cfg_dma_ops = {dma_read, dma_write};

/* --- power --- */

void fw_cfg_reset(struct fw_cfg *cfg)
{
    cfg->descriptor_high = 0;
    select_item(cfg, FW_CFG_SIGNATURE);
}

bool fw_cfg_init(struct fw_cfg *cfg, const struct dma *dma)
{
    *cfg = (struct fw_cfg){.dma = *dma};
    bool good = fw_cfg_put(cfg, FW_CFG_SIGNATURE, signature, 4) &&
                fw_cfg_put_number(cfg, FW_CFG_ID, ID_PORTS | ID_DMA, 4) && update_directory(cfg);
    fw_cfg_reset(cfg);
    return good;
}

void fw_cfg_destroy(struct fw_cfg *cfg)
{
    for (unsigned n = 0; n < cfg->count; n++)
        free(cfg->item[n].data);
    *cfg = (struct fw_cfg){.count = 0};
}
