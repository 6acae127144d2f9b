#include "device_type.h"

#include "base/log.h"

#include "options_values.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

static const struct property pci_properties[] = {
    {"id", PROPERTY_TEXT, .help = "a name for other devices to refer to"},
    {"bus", PROPERTY_TEXT, .help = "pci.0, the only one"},
    {"addr", PROPERTY_SLOT, .help = "slot number, hexadecimal (default: the first free one)"},
    {0},
};
static const struct property isa_properties[] = {
    {"id", PROPERTY_TEXT, .help = "a name"},
    {0},
};
static const struct property ide_properties[] = {
    {"id", PROPERTY_TEXT, .help = "a name"},
    {"bus", PROPERTY_CHOICE, .help = "channel", .choices = "ide.0 ide.1"},
    {"unit", PROPERTY_NUMBER, .help = "0: master, 1: slave", .most = 1, .chosen = true},
    {0},
};
static const struct property floppy_properties[] = {
    {"id", PROPERTY_TEXT, .help = "a name"},
    {"unit", PROPERTY_NUMBER, .help = "0: drive A, 1: drive B", .most = 1, .chosen = true},
    {0},
};
const struct device_bus bus_pci = {"PCI", pci_properties, true};
const struct device_bus bus_isa = {"ISA", isa_properties, true};
const struct device_bus bus_ide = {"IDE", ide_properties, true};
const struct device_bus bus_floppy = {"floppy-bus", floppy_properties, true};

/* --- rows --- */

/* What may follow the name of a virtio device: it says which interfaces the device has. */
static const struct name_suffix {
    const char *text;
    const char *setting; /* the property that it switches on */
} suffixes[] = {{"", NULL}, {"-non-transitional", "disable-legacy"}, {"-transitional", NULL}};

static const struct device_type *find_exactly(const struct device_type *const *types, const char *name)
{
    for (; *types; types++)
        if (!strcmp((*types)->name, name)) return *types;
    return NULL;
}

/* QEMU has more names for a type: without "-pci", and with a suffix. */
static const struct device_type *find_named(const struct device_type *const *types, const char *name,
                                            const struct name_suffix **suffix)
{
    char text[64];
    size_t length = strlen(name);
    for (unsigned n = 0; n < ARRAY_SIZE(suffixes); n++) {
        size_t cut = strlen(suffixes[n].text);
        if (length < cut || length >= sizeof(text) - 4 || strcmp(name + length - cut, suffixes[n].text))
            continue;
        snprintf(text, sizeof(text), "%.*s", (int)(length - cut), name);
        const struct device_type *type = find_exactly(types, text);
        if (!type) type = find_exactly(types, strcat(text, "-pci"));
        if (!type || (cut && !device_type_has(type, "disable-legacy"))) continue;
        *suffix = &suffixes[n];
        return type;
    }
    return NULL;
}

const struct device_type *device_type_find(const struct device_type *const *types, const char *name)
{
    const struct name_suffix *suffix;
    return find_named(types, name, &suffix);
}

static const struct property *find_in(const struct property *list, const char *name)
{
    for (; list && list->name; list++)
        if (!strcmp(list->name, name)) return list;
    return NULL;
}

const struct property *device_type_property(const struct device_type *type, const char *name)
{
    const struct property *property = find_in(type->properties, name);
    return property ? property : find_in(type->bus->properties, name);
}

/* --- values --- */

/* The number of a word in a list of words. */
static bool parse_choice(const char *choices, const char *text, u64 *number)
{
    *number = 0;
    for (size_t length; *choices; choices += length + (choices[length] == ' '), ++*number) {
        length = strcspn(choices, " ");
        if (strlen(text) == length && !strncmp(text, choices, length)) return true;
    }
    return false;
}

/* "SLOT" or "SLOT.FUNCTION", hexadecimal. The number is the slot and, from bit 5 on, the function. */
static bool parse_slot(const char *text, u64 *number)
{
    char *end;
    u64 slot = strtoul(text, &end, 16), function = 0;
    bool more = *end == '.' && isxdigit((unsigned char)end[1]);
    if (more) function = strtoul(end + 1, &end, 16);
    *number = function << 5 | slot;
    return slot >= 1 && slot < 32 && function < 8 && !*end;
}

static bool parse_mac(const char *text, u64 *number)
{
    *number = 0;
    for (unsigned n = 0; n < 6; n++) {
        char *end;
        if (!isxdigit((unsigned char)*text)) return false;
        u64 byte = strtoul(text, &end, 16);
        if (end - text > 2 || *end != (n < 5 ? ':' : 0)) return false;
        *number = *number << 8 | byte;
        text = end + 1;
    }
    return !(*number >> 40 & 1); /* group addresses are refused */
}

static bool parse_value(const struct property *property, const char *text, u64 *number)
{
    bool on = false, good = *text != 0;
    switch (property->kind) {
    case PROPERTY_FILE: return true;
    case PROPERTY_TEXT:
    case PROPERTY_DRIVE:
    case PROPERTY_CHARDEV:
    case PROPERTY_SOCKET: return good;
    case PROPERTY_NUMBER: return option_number(text, number) && *number <= property->most;
    case PROPERTY_BOOT: return option_number(text, number) && *number <= 99;
    case PROPERTY_CHOICE: return parse_choice(property->choices, text, number);
    case PROPERTY_SLOT: return parse_slot(text, number);
    case PROPERTY_MAC: return parse_mac(text, number);
    case PROPERTY_SWITCH: good = option_switch(text, &on); break;
    case PROPERTY_AUTO: good = !strcmp(text, "auto") || option_switch(text, &on); break;
    }
    *number = on;
    return good;
}

/* What a property takes, for messages. */
static void describe(const struct property *property, char *text, size_t bytes)
{
    static const char *const kinds[] = {[PROPERTY_TEXT] = "a text",
                                        [PROPERTY_FILE] = "a file",
                                        [PROPERTY_BOOT] = "a number up to 99",
                                        [PROPERTY_SWITCH] = "on or off",
                                        [PROPERTY_AUTO] = "on, off or auto",
                                        [PROPERTY_SLOT] = "a slot from 1 to 1f, with or without .FUNCTION",
                                        [PROPERTY_DRIVE] = "the id of a drive",
                                        [PROPERTY_CHARDEV] = "the id of a chardev",
                                        [PROPERTY_SOCKET] = "the id of a chardev",
                                        [PROPERTY_MAC] = "the address of one card, as 52:54:00:12:34:56"};
    if (property->kind == PROPERTY_NUMBER)
        snprintf(text, bytes, "a number up to %llu", (unsigned long long)property->most);
    else if (property->kind == PROPERTY_CHOICE)
        snprintf(text, bytes, "one of %s", property->choices);
    else
        snprintf(text, bytes, "%s", kinds[property->kind]);
}

static bool add_value(struct device_option *device, const char *key, const char *text, char *error,
                      size_t error_bytes)
{
    const struct property *property = device_type_property(device->type, key);
    char takes[128];
    if (!property) return SAY("-device %s: there is no property \"%s\"", device->type->name, key);
    unsigned n = 0;
    while (n < device->values && device->value[n].property != property)
        n++;
    assert(n < DEVICE_VALUES);
    struct device_value *value = &device->value[n];
    if (n == device->values) device->values++;
    free(value->text);
    *value = (struct device_value){.property = property, .text = text ? strdup(text) : NULL};
    if (value->text && parse_value(property, value->text, &value->number)) return true;
    describe(property, takes, sizeof(takes));
    return SAY("-device %s: %s takes %s, not \"%s\"", device->type->name, key, takes, text ? text : "");
}

static bool is_required(const struct device_type *type, const struct property *property)
{
    return property->required && !(property->kind == PROPERTY_DRIVE && type->medium == MEDIUM_CDROM);
}

static bool check_required(const struct device_option *device, char *error, size_t error_bytes)
{
    for (const struct property *p = device->type->properties; p && p->name; p++)
        if (is_required(device->type, p) && !device_text(device, p->name))
            return SAY("-device %s needs %s=ID", device->type->name, p->name);
    return true;
}

/* A suffix of the name has said which interfaces the device has. */
static bool is_decided(const struct name_suffix *suffix, const char *key)
{
    return suffix && *suffix->text && (!strcmp(key, "disable-legacy") || !strcmp(key, "disable-modern"));
}

/* Controllers of newer USB. Ringer's devices are of USB 1, which a UHCI serves as well. */
static bool is_newer_usb_host(const char *name)
{
    return !strcmp(name, "qemu-xhci") || !strcmp(name, "nec-usb-xhci") || !strcmp(name, "usb-ehci");
}

bool device_parse(struct device_option *device, const struct device_type *const *types, const char *list,
                  char *error, size_t error_bytes)
{
    struct option_list items;
    const struct name_suffix *suffix = NULL;
    char *name = "", *key, *text;
    *device = (struct device_option){.type = NULL};
    if (!option_list_open(&items, list)) return SAY("out of memory");
    option_list_next(&items, &name, &text);
    device->type = find_named(types, name, &suffix);
    bool replaced = !device->type && is_newer_usb_host(name);
    if (replaced) {
        device->type = find_exactly(types, "piix3-usb-uhci");
        log_warn("-device %s: the USB host controller is a piix3-usb-uhci", name);
    }
    bool good = device->type || SAY("there is no device \"%s\"; -device help lists them", name);
    if (good && suffix && suffix->setting)
        good = add_value(device, suffix->setting, "on", error, error_bytes);
    while (good && option_list_next(&items, &key, &text)) {
        if (replaced && !device_type_has(device->type, key)) continue;
        if (is_decided(suffix, key))
            good = SAY("-device %s: its name says which interfaces it has, so none can be disabled", name);
        else
            good = add_value(device, key, text, error, error_bytes);
    }
    option_list_close(&items);
    if (!good || !check_required(device, error, error_bytes)) return false;
    device->id = device_text(device, "id");
    return !device->type->check || device->type->check(device, error, error_bytes);
}

bool device_set_default(struct device_option *device, const char *property, const char *text, char *error,
                        size_t error_bytes)
{
    if (device_text(device, property)) return true;
    if (!add_value(device, property, text, error, error_bytes)) return false;
    return !device->type->check || device->type->check(device, error, error_bytes);
}

void device_release(struct device_option *device)
{
    for (unsigned n = 0; n < device->values; n++)
        free(device->value[n].text);
    *device = (struct device_option){.type = NULL};
}

static const struct device_value *find_value(const struct device_option *device, const char *name)
{
    assert(device_type_property(device->type, name));
    for (unsigned n = 0; n < device->values; n++)
        if (!strcmp(device->value[n].property->name, name)) return &device->value[n];
    return NULL;
}

bool device_type_has(const struct device_type *type, const char *property)
{
    return device_type_property(type, property) != NULL;
}

bool device_type_plugs(const struct device_type *type, char *error, size_t error_bytes)
{
    if (!type->plugs)
        snprintf(error, error_bytes,
                 "a %s cannot come or go while the machine runs: bus %s does not support hotplugging",
                 type->name, type->bus->name);
    return type->plugs;
}

const char *device_text(const struct device_option *device, const char *property)
{
    const struct device_value *value = find_value(device, property);
    return value ? value->text : NULL;
}

u64 device_number(const struct device_option *device, const char *property)
{
    const struct device_value *value = find_value(device, property);
    return value ? value->number : device_type_property(device->type, property)->preset;
}

unsigned device_boot_index(const struct device_option *device, unsigned otherwise)
{
    const struct device_value *value = find_value(device, "bootindex");
    return value ? (unsigned)value->number + 1 : otherwise;
}

const struct char_options *device_chardev(const struct device_option *device, const char *property)
{
    const struct device_value *value = find_value(device, property);
    return value ? value->chardev : NULL;
}

/* --- help --- */

static void print_properties(const struct device_type *type, const struct property *list, FILE *out)
{
    static const char *const kinds[] = {
        [PROPERTY_FILE] = "file",        [PROPERTY_MAC] = "address",        [PROPERTY_TEXT] = "str",
        [PROPERTY_NUMBER] = "number",    [PROPERTY_BOOT] = "number",        [PROPERTY_SWITCH] = "on|off",
        [PROPERTY_AUTO] = "on|off|auto", [PROPERTY_CHOICE] = "choice",      [PROPERTY_SLOT] = "slot",
        [PROPERTY_DRIVE] = "drive id",   [PROPERTY_CHARDEV] = "chardev id", [PROPERTY_SOCKET] = "chardev id"};
    for (; list && list->name; list++) {
        char left[64], choices[64] = "";
        snprintf(left, sizeof(left), "%s=<%s>", list->name, kinds[list->kind]);
        if (list->choices) snprintf(choices, sizeof(choices), ": %s", list->choices);
        fprintf(out, "  %-28s %s%s%s\n", left, list->help, choices,
                is_required(type, list) ? " (required)" : "");
    }
}

void device_help(const struct device_type *const *types, const struct device_type *type, FILE *out)
{
    if (type) {
        fprintf(out, "%s: %s\n", type->name, type->help);
        print_properties(type, type->properties, out);
        print_properties(type, type->bus->properties, out);
        return;
    }
    for (; *types; types++)
        fprintf(out, "name \"%s\", bus %s, desc \"%s\"\n", (*types)->name, (*types)->bus->name,
                (*types)->help);
    fputs("-device NAME,help lists the properties of one.\n", out);
}
