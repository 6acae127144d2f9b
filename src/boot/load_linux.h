/*
 * What the boot protocols of all three widths share (Linux, Documentation/arch/x86/boot.rst): the setup header, and the
 * addresses of kernel and initrd.
 */
#ifndef RINGER_BOOT_LOAD_LINUX_H
#define RINGER_BOOT_LOAD_LINUX_H

#include "load_common.h"

/* The setup header, at the same offsets in the file and in the zero page. */
enum {
    HEADER = 0x1f1,
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,       /* size of the protected-mode kernel, in units of 16 bytes */
    HEADER_LENGTH = 0x201, /* counted from HEADER_MAGIC */
    HEADER_MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    SETUP_MOVE_SIZE = 0x212,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    KERNEL_ALIGNMENT = 0x230,
    RELOCATABLE = 0x234,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PAYLOAD_OFFSET = 0x248, /* from the start of the protected-mode kernel */
    PAYLOAD_LENGTH = 0x24c,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END = 0x290, /* other fields of the zero page begin here */
};

enum { LOADED_HIGH = 1 << 0, CAN_USE_HEAP = 1 << 7 }; /* LOADFLAGS */
enum { XLF_KERNEL_64 = 1 << 0 };                      /* XLOADFLAGS, from protocol 2.12 on */

#define LOADER_UNDEFINED 0xff
#define LOAD_ADDRESS     ONE_MB

struct bzimage {
    u8 header[HEADER_END]; /* the start of the file; zero behind the end of the header */
    u16 version;
    bool is_64bit;              /* it has a 64-bit entry */
    bool high;                  /* the protected-mode kernel goes to 1 MB; otherwise it is a zImage */
    u64 payload, payload_bytes; /* the protected-mode kernel in the file */
    u64 needs_to;               /* end of the memory that it uses before it reads the memory map */
};

int linux_read_header(struct load *load, const struct image *kernel, struct bzimage *bz);
/* Set bz->needs_to, from the address to which the kernel unpacks itself and its init_size. */
int linux_find_needs(struct load *load, const struct image *kernel, struct bzimage *bz);
/* Load the initrd as high as kernel and memory allow, and write its address into the header. */
int linux_load_initrd(struct load *load, struct bzimage *bz);
/* Refuse a command line that is longer than the kernel takes. */
int linux_check_command_line(struct load *load, const struct bzimage *bz);

#endif
