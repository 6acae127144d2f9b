/*
 * Options: what to boot.
 */
#include "options_table.h"

static const struct option_row rows[] = {
    {"kernel", "FILE", "a Linux bzImage, a Multiboot or a PVH kernel", STRING(boot.kernel)},
    {"initrd", "FILE", "its initial RAM disk (Multiboot: its modules)", STRING(boot.initrd)},
    {"append", "TEXT", "its command line", STRING(boot.append)},
    {"no-unpack", NULL, "leave unpacking a compressed kernel to the guest (slower; random address)",
     SWITCH(boot.guest_unpacks)},
    {"bios", "FILE", "a firmware image, started at the reset vector", STRING(boot.firmware)},
};

const struct option_group options_boot = {"What to boot", rows, ARRAY_SIZE(rows)};
