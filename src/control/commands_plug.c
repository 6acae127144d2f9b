/*
 * Commands that plug devices in and out while the machine runs (board/plug.h), and the list of what is on the PCI bus.
 */
#include "board/plug.h"

#include "control_private.h"
#include "options/options_json.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- coming and going --- */

static struct plug *plug_of(struct control_call *call)
{
    return &call->vm->chipset.plug;
}

/* The arguments as a list that begins with the value of `first` (options/options_json.h); to be freed. NULL: the call
 * has failed. */
static char *list_of(struct control_call *call, const char *first)
{
    if (call->by_line) return strdup(call_text(call, first));
    char *list = options_json_list(call->arguments, first, call->error, sizeof(call->error));
    call->failed = !list;
    return list;
}

static void come(struct control_call *call, char *list,
                 bool (*plug)(struct plug *plug, const char *list, char *error, size_t error_bytes))
{
    char error[256];
    if (list && !plug(plug_of(call), list, error, sizeof(error))) call_fail(call, "%s", error);
    free(list);
}

static void go(struct control_call *call, const char *id, const char *class,
               bool (*unplug)(struct plug *plug, const char *id, bool *found, char *error,
                              size_t error_bytes))
{
    char error[256];
    bool found;
    if (unplug(plug_of(call), id, &found, error, sizeof(error))) return;
    call_fail(call, "%s", error);
    if (!found) call->error_class = class;
}

void run_device_add(struct control_call *call)
{
    come(call, list_of(call, "driver"), plug_device);
}

void run_device_del(struct control_call *call)
{
    go(call, call_text(call, "id"), "DeviceNotFound", unplug_device);
}

void run_netdev_add(struct control_call *call)
{
    come(call, list_of(call, "type"), plug_net);
}

void run_netdev_del(struct control_call *call)
{
    go(call, call_text(call, "id"), "DeviceNotFound", unplug_net);
}

void run_drive_add(struct control_call *call)
{
    come(call, strdup(call_text(call, "options")), plug_drive);
}

void run_blockdev_add(struct control_call *call)
{
    char error[256];
    if (!plug_node(plug_of(call), call->arguments, error, sizeof(error))) call_fail(call, "%s", error);
}

void run_blockdev_del(struct control_call *call)
{
    go(call, call_text(call, "node-name"), NULL, unplug_drive);
}

/* --- the PCI bus --- */

#define ADD_TEXT(object, key, value) json_object_object_add(object, key, json_object_new_string(value))
#define ADD_NUMBER(object, key, value)                                                                       \
    json_object_object_add(object, key, json_object_new_int64((s64)(value)))

static const char *class_name(u16 class)
{
    static const struct {
        u16 class;
        const char *name;
    } names[] = {{0x0100, "SCSI controller"},
                 {0x0101, "IDE controller"},
                 {0x0180, "Storage controller"},
                 {0x0200, "Ethernet controller"},
                 {0x0280, "Network controller"},
                 {0x0300, "VGA controller"},
                 {0x0401, "Audio controller"},
                 {0x0600, "Host bridge"},
                 {0x0601, "ISA bridge"},
                 {0x0680, "Bridge"},
                 {0x0780, "Communication controller"}};
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (names[n].class == class) return names[n].name;
    return "Device";
}

static struct json_object *regions_json(const struct pci_device *device)
{
    struct json_object *list = json_object_new_array();
    for (unsigned n = 0; n < ARRAY_SIZE(device->bar); n++) {
        const struct pci_bar *bar = &device->bar[n];
        if (bar->kind == PCI_BAR_NONE) continue;
        bool ports = bar->kind == PCI_BAR_PORTS;
        struct json_object *region = json_object_new_object();
        ADD_NUMBER(region, "bar", n);
        ADD_TEXT(region, "type", ports ? "io" : "memory");
        ADD_NUMBER(region, "address", bar->mapped ? (s64)bar->base : -1);
        ADD_NUMBER(region, "size", bar->bytes);
        if (!ports) json_object_object_add(region, "prefetch", json_object_new_boolean(false));
        if (!ports) json_object_object_add(region, "mem_type_64", json_object_new_boolean(false));
        json_object_array_add(list, region);
    }
    return list;
}

/* The id of the -device in a slot, or "". */
static const char *id_in(const struct vm *vm, u8 devfn)
{
    const struct device_options *options = &vm->options->board.devices;
    for (unsigned n = 0; n < options->count; n++)
        if (options->device[n].type && options->device[n].id && devfn && vm->board.device[n].devfn == devfn)
            return options->device[n].id;
    return "";
}

static struct json_object *pci_json(const struct vm *vm, const struct pci_device *device)
{
    const u8 *config = device->config;
    u16 class = pci_get16(&config[PCI_CLASS + 1]);
    struct json_object *object = json_object_new_object(), *info = json_object_new_object(),
                       *id = json_object_new_object();
    ADD_NUMBER(object, "bus", 0);
    ADD_NUMBER(object, "slot", device->devfn >> 3);
    ADD_NUMBER(object, "function", device->devfn & 7);
    ADD_NUMBER(info, "class", class);
    ADD_TEXT(info, "desc", class_name(class));
    json_object_object_add(object, "class_info", info);
    ADD_NUMBER(id, "vendor", pci_get16(&config[PCI_VENDOR]));
    ADD_NUMBER(id, "device", pci_get16(&config[PCI_DEVICE]));
    ADD_NUMBER(id, "subsystem-vendor", pci_get16(&config[PCI_SUBSYSTEM_VENDOR]));
    ADD_NUMBER(id, "subsystem", pci_get16(&config[PCI_SUBSYSTEM]));
    json_object_object_add(object, "id", id);
    ADD_NUMBER(object, "irq", config[PCI_INTERRUPT_LINE]);
    ADD_NUMBER(object, "irq_pin", config[PCI_INTERRUPT_PIN]);
    ADD_TEXT(object, "qdev_id", id_in(vm, device->devfn));
    json_object_object_add(object, "regions", regions_json(device));
    return object;
}

void run_query_pci(struct control_call *call)
{
    struct json_object *bus = json_object_new_object(), *devices = json_object_new_array();
    for (unsigned devfn = 0; devfn < ARRAY_SIZE(call->vm->board.pci.device); devfn++)
        if (call->vm->board.pci.device[devfn])
            json_object_array_add(devices, pci_json(call->vm, call->vm->board.pci.device[devfn]));
    ADD_NUMBER(bus, "bus", 0);
    json_object_object_add(bus, "devices", devices);
    call->result = json_object_new_array();
    json_object_array_add(call->result, bus);
}

static struct json_object *member(const struct json_object *object, const char *key)
{
    return json_object_object_get(object, key);
}

static int number(const struct json_object *object, const char *key)
{
    return (int)json_object_get_int64(member(object, key));
}

/* As QEMU prints it. */
void print_pci(const struct json_object *result, struct json_object *text)
{
    struct json_object *devices = member(json_object_array_get_idx(result, 0), "devices");
    for (size_t n = 0; n < json_object_array_length(devices); n++) {
        struct json_object *device = json_object_array_get_idx(devices, n), *id = member(device, "id");
        struct json_object *regions = member(device, "regions");
        text_add(text, "  Bus  0, device %3d, function %d:\n    %s: PCI device %04x:%04x\n",
                 number(device, "slot"), number(device, "function"),
                 json_object_get_string(member(member(device, "class_info"), "desc")), number(id, "vendor"),
                 number(id, "device"));
        if (number(device, "irq_pin"))
            text_add(text, "      IRQ %d, pin %c\n", number(device, "irq"),
                     'A' + number(device, "irq_pin") - 1);
        for (size_t i = 0; i < json_object_array_length(regions); i++) {
            struct json_object *region = json_object_array_get_idx(regions, i);
            bool ports = !strcmp(json_object_get_string(member(region, "type")), "io");
            s64 from = json_object_get_int64(member(region, "address"));
            s64 last = from + json_object_get_int64(member(region, "size")) - 1;
            if (from < 0)
                text_add(text, "      BAR%d: not mapped.\n", number(region, "bar"));
            else
                text_add(text, "      BAR%d: %s at 0x%llx [0x%llx].\n", number(region, "bar"),
                         ports ? "I/O" : "32 bit memory", (unsigned long long)from, (unsigned long long)last);
        }
        text_add(text, "      id \"%s\"\n", json_object_get_string(member(device, "qdev_id")));
    }
}
