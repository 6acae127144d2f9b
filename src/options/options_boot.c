/*
 * Options: what to boot.
 */
#include "options_table.h"

#include <stdlib.h>
#include <string.h>

/* Letters of DOS drives, as QEMU has them; n is the network. */
static bool parse_order(const char *value, u8 order[BOOT_CLASSES], struct complaint *c)
{
    static const struct {
        char letter;
        u8 class;
    } classes[] = {{'a', BOOT_FLOPPY}, {'c', BOOT_DISK}, {'d', BOOT_CD}, {'n', BOOT_NETWORK}};
    memset(order, BOOT_NOTHING, BOOT_CLASSES);
    for (size_t n = 0; value[n]; n++) {
        u8 class = BOOT_NOTHING;
        for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
            if (classes[i].letter == value[n]) class = classes[i].class;
        bool twice = memchr(order, class, n < BOOT_CLASSES ? n : BOOT_CLASSES) != NULL;
        if (class == BOOT_NOTHING || twice)
            return COMPLAIN(
                c,
                "a boot order is made of the letters a (floppy), c (disk), d (CD) and n (network), "
                "each once, not \"%s\"",
                value);
        if (n < BOOT_CLASSES) order[n] = class;
    }
    return true;
}

static bool parse_ms(const char *value, long long least, long long most, long long *ms)
{
    char *end;
    *ms = strtoll(value, &end, 10);
    return *value && !*end && *ms >= least && *ms <= most;
}

/* One item of -boot: key=value, or an order alone. */
static bool set_boot_item(struct boot_plan *plan, const char *key, const char *value, struct complaint *c)
{
    long long ms;
    if (!value) return parse_order(key, plan->order, c);
    if (!strcmp(key, "order")) return parse_order(value, plan->order, c);
    if (!strcmp(key, "once")) return parse_order(value, plan->once, c);
    bool strict;
    if (!strcmp(key, "strict") && option_switch(value, &strict))
        return true; /* firmware tries all drives in their order */
    if (!strcmp(key, "menu")) {
        if (option_switch(value, &plan->menu)) return true;
    } else if (!strcmp(key, "splash-time")) {
        plan->menu_wait_given = true;
        if (parse_ms(value, 0, UINT16_MAX, &ms)) return plan->menu_wait_ms = (u16)ms, true;
    } else if (!strcmp(key, "reboot-timeout")) {
        if (parse_ms(value, -1, UINT16_MAX, &ms)) return plan->fail_wait_ms = (s32)ms, true;
    }
    return COMPLAIN(c,
                    "-boot takes order=LETTERS, once=LETTERS, menu=on or off, splash-time=MS and "
                    "reboot-timeout=MS, not \"%s=%s\"",
                    key, value);
}

static bool set_boot(struct options *o, const char *value, struct complaint *c)
{
    struct option_list items;
    char *key, *rest;
    bool good = option_list_open(&items, value) ? true : COMPLAIN(c, "out of memory");
    while (good && option_list_next(&items, &key, &rest))
        good = set_boot_item(&o->boot_plan, key, rest, c);
    option_list_close(&items);
    o->board.boots_network = memchr(o->boot_plan.order, BOOT_NETWORK, BOOT_CLASSES) ||
                             memchr(o->boot_plan.once, BOOT_NETWORK, BOOT_CLASSES);
    return good;
}

static bool set_option_rom(struct options *o, const char *value, struct complaint *c)
{
    if (o->boot_plan.option_roms == OPTION_ROMS) return COMPLAIN(c, "there are too many option ROMs");
    o->boot_plan.option_rom[o->boot_plan.option_roms++] = value;
    return true;
}

static bool set_start(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "direct"))
        o->boot.way = BOOT_WAY_DIRECT;
    else if (!strcmp(value, "firmware"))
        o->boot.way = BOOT_WAY_FIRMWARE;
    else
        return COMPLAIN(c, "--start is direct or firmware, not \"%s\"", value);
    return true;
}

static const struct option_row rows[] = {
    {"kernel", "FILE", "start this kernel directly: Linux bzImage, Multiboot or PVH", STRING(boot.kernel)},
    {"initrd", "FILE", "its initial RAM disk (Multiboot: its modules)", STRING(boot.initrd)},
    {"append", "TEXT", "its command line", STRING(boot.append)},
    {"start", "WAY", "how the kernel is started: direct or firmware (default: by its kind)",
     .set = set_start},
    {"boot", "ORDER", "what to boot from, in order: a, c, d, n (default cad); once=, menu=on, ...",
     .set = set_boot},
    {"bios", "FILE", "a firmware image, started at the reset vector (default SeaBIOS)",
     STRING(boot.firmware)},
    {"L", "DIRECTORY", "directory of SeaBIOS and its video BIOS", STRING(board.firmware_directory)},
    {"option-rom", "FILE", "an option ROM that the firmware starts", .set = set_option_rom},
    {"firmware-log", "TO", "where SeaBIOS's log goes (port 402h); TO as for --serial",
     .set = options_set_firmware_log},
};

const struct option_group options_boot = {"What to boot", rows, ARRAY_SIZE(rows)};
