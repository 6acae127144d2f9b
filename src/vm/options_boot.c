/*
 * Options: what to boot.
 */
#include "options_table.h"

#include <stdlib.h>
#include <string.h>

/* Letters of DOS drives, as QEMU has them; n is the network. */
static bool parse_order(const char *value, size_t length, u8 order[CMOS_BOOT_CLASSES], struct complaint *c)
{
    static const struct {
        char letter;
        u8 class;
    } classes[] = {{'a', BOOT_FLOPPY}, {'c', BOOT_DISK}, {'d', BOOT_CD}, {'n', BOOT_NETWORK}};
    memset(order, BOOT_NOTHING, CMOS_BOOT_CLASSES);
    for (size_t n = 0; n < length; n++) {
        u8 class = BOOT_NOTHING;
        for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
            if (classes[i].letter == value[n]) class = classes[i].class;
        bool twice = memchr(order, class, n < CMOS_BOOT_CLASSES ? n : CMOS_BOOT_CLASSES) != NULL;
        if (class == BOOT_NOTHING || twice)
            return COMPLAIN(
                c,
                "a boot order is made of the letters a (floppy), c (disk), d (CD) and n (network), "
                "each once, not \"%.*s\"",
                (int)length, value);
        if (n < CMOS_BOOT_CLASSES) order[n] = class;
    }
    return true;
}

static bool parse_switch(const char *value, size_t length, bool *on)
{
    *on = length == 2 && !strncmp(value, "on", 2);
    return *on || (length == 3 && !strncmp(value, "off", 3));
}

static bool parse_ms(const char *value, size_t length, long long least, long long most, long long *ms)
{
    char text[16], *end;
    if (!length || length >= sizeof(text)) return false;
    memcpy(text, value, length);
    text[length] = '\0';
    *ms = strtoll(text, &end, 10);
    return !*end && *ms >= least && *ms <= most;
}

/* One item of -boot: key=value, or an order alone. */
static bool set_boot_item(struct boot_plan *plan, const char *item, size_t length, struct complaint *c)
{
    const char *equals = memchr(item, '=', length);
    if (!equals) return parse_order(item, length, plan->order, c);
    size_t key = (size_t)(equals - item), rest = length - key - 1;
    const char *value = equals + 1;
    long long ms;
#define IS(name) (key == strlen(name) && !strncmp(item, name, key))
    if (IS("order")) return parse_order(value, rest, plan->order, c);
    if (IS("once")) return parse_order(value, rest, plan->once, c);
    if (IS("menu")) {
        if (parse_switch(value, rest, &plan->menu)) return true;
    } else if (IS("splash-time")) {
        plan->menu_wait_given = true;
        if (parse_ms(value, rest, 0, UINT16_MAX, &ms)) return plan->menu_wait_ms = (u16)ms, true;
    } else if (IS("reboot-timeout")) {
        if (parse_ms(value, rest, -1, UINT16_MAX, &ms)) return plan->fail_wait_ms = (s32)ms, true;
    }
#undef IS
    return COMPLAIN(c,
                    "-boot takes order=LETTERS, once=LETTERS, menu=on or off, splash-time=MS and "
                    "reboot-timeout=MS, not \"%.*s\"",
                    (int)length, item);
}

static bool set_boot(struct options *o, const char *value, struct complaint *c)
{
    for (const char *item = value; item;) {
        size_t length = strcspn(item, ",");
        if (!set_boot_item(&o->boot_plan, item, length, c)) return false;
        item = item[length] ? item + length + 1 : NULL;
    }
    return true;
}

static bool set_option_rom(struct options *o, const char *value, struct complaint *c)
{
    if (o->option_rom_count == OPTION_ROMS) return COMPLAIN(c, "there are too many option ROMs");
    o->option_rom[o->option_rom_count++] = value;
    return true;
}

static const struct option_row rows[] = {
    {"kernel", "FILE", "a Linux bzImage, a Multiboot or a PVH kernel", STRING(boot.kernel)},
    {"initrd", "FILE", "its initial RAM disk (Multiboot: its modules)", STRING(boot.initrd)},
    {"append", "TEXT", "its command line", STRING(boot.append)},
    {"no-unpack", NULL, "leave unpacking a compressed kernel to the guest (slower; random address)",
     SWITCH(boot.guest_unpacks)},
    {"boot", "ORDER", "drives to boot from: a, c, d (default cad); order=, once=, menu=on, ...", set_boot, 0,
     0},
    {"bios", "FILE", "a firmware image, started at the reset vector (default SeaBIOS)",
     STRING(boot.firmware)},
    {"L", "DIRECTORY", "where SeaBIOS and its video BIOS are", STRING(firmware_directory)},
    {"option-rom", "FILE", "an option ROM for the firmware to start", set_option_rom, 0, 0},
    {"firmware-log", "TO", "what SeaBIOS says (port 402h): stdio, null, file:PATH", STRING(firmware_log)},
};

const struct option_group options_boot = {"What to boot", rows, ARRAY_SIZE(rows)};
