/*
 * Commands that ask: about Ringer, the parts of the machine, and its state.
 */
#include "base/json.h"
#include "control_private.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The version of QEMU that has this protocol and these commands, because programs that drive QEMU compare it. Ringer's
 * own is in "package". */
enum { QEMU_MAJOR = 7, QEMU_MINOR = 2, QEMU_MICRO = 0 };

#define ADD_TEXT(object, key, value) json_object_object_add(object, key, json_object_new_string(value))
#define ADD_NUMBER(object, key, value)                                                                       \
    json_object_object_add(object, key, json_object_new_int64((s64)(value)))
#define ADD_SWITCH(object, key, value) json_object_object_add(object, key, json_object_new_boolean(value))

static bool is_on(const struct json_object *object, const char *key)
{
    struct json_object *value;
    return json_object_object_get_ex(object, key, &value) && json_object_get_boolean(value);
}

/* --- Ringer --- */

void run_capabilities(struct control_call *call) {}

void run_query_version(struct control_call *call)
{
    char package[64];
    struct json_object *qemu = json_object_new_object();
    snprintf(package, sizeof(package), "Ringer %s", call->control->version);
    ADD_NUMBER(qemu, "micro", QEMU_MICRO);
    ADD_NUMBER(qemu, "minor", QEMU_MINOR);
    ADD_NUMBER(qemu, "major", QEMU_MAJOR);
    call->result = json_object_new_object();
    json_object_object_add(call->result, "qemu", qemu);
    ADD_TEXT(call->result, "package", package);
}

void print_version(const struct json_object *result, struct json_object *text)
{
    text_add(text, "%u.%u.%u (%s)\n", QEMU_MAJOR, QEMU_MINOR, QEMU_MICRO, json_text_of(result, "package"));
}

void run_query_commands(struct control_call *call)
{
    call->result = json_object_new_array();
    for (const struct control_command *c = control_commands; c->run; c++) {
        if (!c->name) continue;
        struct json_object *object = json_object_new_object();
        ADD_TEXT(object, "name", c->name);
        json_object_array_add(call->result, object);
    }
}

void run_query_schema(struct control_call *call)
{
    call->result = schema_json();
}

void run_query_name(struct control_call *call)
{
    const char *name = call->vm->options->board.name;
    call->result = json_object_new_object();
    if (name) ADD_TEXT(call->result, "name", name);
}

void print_name(const struct json_object *result, struct json_object *text)
{
    text_add(text, "%s\n", json_text_of(result, "name"));
}

void run_query_uuid(struct control_call *call)
{
    const u8 *uuid = call->vm->options->board.firmware.uuid;
    char text[40];
    size_t used = 0;
    for (unsigned n = 0; n < UUID_BYTES; n++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%02x",
                                 n == 4 || n == 6 || n == 8 || n == 10 ? "-" : "", uuid[n]);
    call->result = json_object_new_object();
    ADD_TEXT(call->result, "UUID", text);
}

void print_uuid(const struct json_object *result, struct json_object *text)
{
    text_add(text, "%s\n", json_text_of(result, "UUID"));
}

void run_query_kvm(struct control_call *call)
{
    call->result = json_object_new_object();
    ADD_SWITCH(call->result, "enabled", false);
    ADD_SWITCH(call->result, "present", false);
}

void print_kvm(const struct json_object *result, struct json_object *text)
{
    text_add(text, "kvm support: not compiled\n");
}

void run_query_target(struct control_call *call)
{
    call->result = json_object_new_object();
    ADD_TEXT(call->result, "arch", "i386");
}

void run_query_machines(struct control_call *call)
{
    struct json_object *pc = json_object_new_object();
    ADD_TEXT(pc, "name", "pc-i440fx-7.2");
    ADD_TEXT(pc, "alias", "pc");
    ADD_SWITCH(pc, "is-default", true);
    ADD_NUMBER(pc, "cpu-max", 1);
    ADD_SWITCH(pc, "hotpluggable-cpus", false);
    ADD_SWITCH(pc, "numa-mem-supported", false);
    ADD_SWITCH(pc, "deprecated", false);
    call->result = json_object_new_array();
    json_object_array_add(call->result, pc);
}

/* --- the machine --- */

void run_query_status(struct control_call *call)
{
    const struct vm *vm = call->vm;
    bool never_ran = vm->options->control.stopped && !vm->resumed && !vm->vcpu.icount;
    const char *status = vm->stopping                         ? "shutdown"
                         : vm->paused & PAUSE_DISK            ? "io-error"
                         : vm->paused && never_ran            ? "prelaunch"
                         : vm->paused && vm->debugger.stopped ? "debug"
                         : vm->paused                         ? "paused"
                         : vm->suspended                      ? "suspended"
                                                              : "running";
    call->result = json_object_new_object();
    ADD_SWITCH(call->result, "running", !vm->paused && !vm->stopping);
    ADD_SWITCH(call->result, "singlestep", false);
    ADD_TEXT(call->result, "status", status);
}

void print_status(const struct json_object *result, struct json_object *text)
{
    bool running = is_on(result, "running");
    const char *status = json_text_of(result, "status");
    bool more = strcmp(status, running ? "running" : "paused");
    text_add(text, "VM status: %s%s%s%s\n", running ? "running" : "paused", more ? " (" : "",
             more ? status : "", more ? ")" : "");
}

void run_query_cpus(struct control_call *call)
{
    struct json_object *cpu = json_object_new_object();
    ADD_NUMBER(cpu, "cpu-index", 0);
    ADD_TEXT(cpu, "qom-path", "/machine/unattached/device[0]");
    ADD_NUMBER(cpu, "thread-id", gettid());
    ADD_TEXT(cpu, "target", "i386");
    call->result = json_object_new_array();
    json_object_array_add(call->result, cpu);
}

void print_cpus(const struct json_object *result, struct json_object *text)
{
    text_add(text, "* CPU #0: thread_id=%s\n",
             json_text_of(json_object_array_get_idx(result, 0), "thread-id"));
}

void run_query_memory(struct control_call *call)
{
    call->result = json_object_new_object();
    ADD_NUMBER(call->result, "base-memory", call->vm->options->board.memory_bytes);
    ADD_NUMBER(call->result, "plugged-memory", 0);
}

void print_pairs(const struct json_object *result, struct json_object *text)
{
    json_object_object_foreach((struct json_object *)result, key, value)
        text_add(text, "%-24s %s\n", key, json_object_get_string(value));
}

/* --- registers, as QEMU prints them --- */

static void add_segment(struct json_object *text, const char *name, u32 selector, u32 base, u32 limit,
                        u32 access)
{
    text_add(text, "%s=%04x %08x %08x %08x\n", name, selector, base, limit,
             (access & 0xff) << 8 | (access & 0xf000) << 8);
}

static void add_general(struct json_object *text, const struct vcpu *v)
{
    static const char *const names[] = {"RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP"};
    static const u8 order[] = {0, 3, 1, 2, 6, 7, 5, 4}; /* as QEMU orders them */
    bool wide = v->paging.efer & EFER_LMA;
    for (unsigned n = 0; n < ARRAY_SIZE(order); n++)
        if (wide)
            text_add(text, "%s=%016llx%s", names[n], (unsigned long long)v->gpr[order[n]],
                     n % 4 == 3 ? "\n" : " ");
        else
            text_add(text, "E%s=%08x%s", names[n] + 1, (u32)v->gpr[order[n]], n % 4 == 3 ? "\n" : " ");
    for (unsigned n = 0; n < 8 && wide; n++)
        text_add(text, "R%-2u=%016llx%s", n + 8, (unsigned long long)v->gpr_high[n], n % 4 == 3 ? "\n" : " ");
}

void run_registers(struct control_call *call)
{
    static const char *const segments[] = {"ES ", "CS ", "SS ", "DS ", "FS ", "GS "};
    struct vcpu *v = &call->vm->vcpu;
    bool wide = v->paging.efer & EFER_LMA;
    int digits = wide ? 16 : 8;
    struct json_object *text = json_object_new_string("");
    call->result = text;
    add_general(text, v);
    char flags[] = "-------";
    static const u32 bits[] = {0x400, 0x800, 0x80, 0x40, 0x10, 4, 1};
    for (unsigned n = 0; n < ARRAY_SIZE(bits); n++)
        if (v->eflags & bits[n]) flags[n] = "DOSZAPC"[n];
    text_add(text, "%s=%0*llx %s=%08x [%s] CPL=%u II=%u A20=%u SMM=0 HLT=%u\n", wide ? "RIP" : "EIP", digits,
             (unsigned long long)v->rip, wide ? "RFL" : "EFL", v->eflags, flags, v->cpl, !!v->inhibit,
             call->vm->phys.a20_mask >> 20 & 1 ? 1u : 0u, v->halted);
    for (unsigned s = 0; s < SEG_COUNT; s++)
        add_segment(text, segments[s], v->seg[s].selector, v->seg[s].base, v->seg[s].limit, v->seg[s].access);
    add_segment(text, "LDT", v->ldtr.selector, v->ldtr.base, v->ldtr.limit, v->ldtr.access);
    add_segment(text, "TR ", v->tr.selector, v->tr.base, v->tr.limit, v->tr.access);
    text_add(text, "GDT=     %0*llx %08x\nIDT=     %0*llx %08x\n", digits, (unsigned long long)v->gdtr.base,
             v->gdtr.limit, digits, (unsigned long long)v->idtr.base, v->idtr.limit);
    text_add(text, "CR0=%08x CR2=%0*llx CR3=%0*llx CR4=%08x\nEFER=%016llx\n", (u32)v->paging.cr0, digits,
             (unsigned long long)v->cr2, digits, (unsigned long long)v->paging.cr3, (u32)v->paging.cr4,
             (unsigned long long)v->paging.efer);
}

/* --- passwords --- */

void control_vnc_password(struct control_call *call, const char *password)
{
    if (!console_set_password(&call->vm->chipset.console.console, password ? password : ""))
        call_fail(call, "no VNC server takes a password: start it with -vnc ...,password=on");
}

void run_vnc_password(struct control_call *call)
{
    control_vnc_password(call, call_text(call, "password"));
}

void run_set_password(struct control_call *call)
{
    const char *connected = call_text(call, "connected");
    if (strcmp(call_text(call, "protocol"), "vnc"))
        call_fail(call, "Invalid parameter 'protocol': the only one is vnc");
    else if (connected && strcmp(connected, "keep"))
        call_fail(call, "parameter 'connected' must be 'keep' when 'protocol' is 'vnc'");
    else
        control_vnc_password(call, call_text(call, "password"));
}

/* --- chardevs, network --- */

void run_query_chardev(struct control_call *call)
{
    struct chardevs *set = call->control->chardevs;
    call->result = json_object_new_array();
    for (unsigned n = 0; n < set->count; n++) {
        struct chardev *c = set->chardev[n];
        struct json_object *object = json_object_new_object();
        char name[160];
        pthread_mutex_lock(&c->lock);
        bool open = c->open, used = c->fronts > 0;
        pthread_mutex_unlock(&c->lock);
        snprintf(name, sizeof(name), "%s%s", c->options->kind == CHAR_SOCKET && !open ? "disconnected:" : "",
                 c->name);
        ADD_TEXT(object, "label", c->options->id);
        ADD_TEXT(object, "filename", name);
        ADD_SWITCH(object, "frontend-open", used);
        json_object_array_add(call->result, object);
    }
}

void run_guest_agent(struct control_call *call)
{
    const struct device_options *devices = &call->vm->options->board.devices;
    for (unsigned n = 0; n < devices->count; n++) {
        const struct device_option *device = &devices->device[n];
        if (!device->type) continue;
        const char *name = strcmp(device->type->name, "virtserialport") ? NULL : device_text(device, "name");
        const struct char_options *chardev =
            name && !strcmp(name, AGENT_PORT) ? device_chardev(device, "chardev") : NULL;
        if (!chardev || chardev->kind != CHAR_SOCKET || !chardev->path || !chardev->server) continue;
        call->result = json_object_new_object();
        ADD_TEXT(call->result, "path", chardev->path);
        return;
    }
    call_fail(call, "the machine has no port for a guest agent: start it with --agents");
}

void print_chardev(const struct json_object *result, struct json_object *text)
{
    for (size_t n = 0; n < json_object_array_length(result); n++) {
        const struct json_object *c = json_object_array_get_idx(result, n);
        text_add(text, "%s: filename=%s\n", json_text_of(c, "label"), json_text_of(c, "filename"));
    }
}

void run_ringbuf_read(struct control_call *call)
{
    struct chardev *chardev = chardevs_find(call->control->chardevs, call_text(call, "device"));
    s64 size = call_number(call, "size", 0);
    if (!chardev || chardev->options->kind != CHAR_RINGBUF) {
        call_fail(call, "Device '%.100s' is not a ringbuf", call_text(call, "device"));
    } else if (size <= 0) {
        call_fail(call, "size must be greater than zero");
    } else {
        u64 most = (u64)size < chardev->options->size ? (u64)size : chardev->options->size;
        u8 *bytes = malloc(most);
        u64 got = bytes ? chardev_ring_read(chardev, bytes, most) : 0;
        call->result = json_object_new_string_len((char *)bytes, (int)got);
        free(bytes);
    }
}

void run_set_link(struct control_call *call)
{
    const char *name = call_text(call, "name");
    if (!board_set_link(&call->vm->board, name, call_switch(call, "up"))) call_not_found(call, name);
}

void run_network(struct control_call *call)
{
    static const char *const kinds[] = {
        [NETDEV_USER] = "user", [NETDEV_STREAM] = "stream", [NETDEV_DGRAM] = "dgram", [NETDEV_TAP] = "tap"};
    const struct board_options *o = &call->vm->options->board;
    call->result = json_object_new_string("");
    for (unsigned n = 0; n < o->devices.count; n++) {
        const struct device_option *device = &o->devices.device[n];
        if (!device->type || !device_type_has(device->type, "netdev")) continue;
        const char *netdev = device_text(device, "netdev");
        text_add(call->result, "%s: model=%s\n", device->id ? device->id : device->type->name,
                 device->type->name);
        for (unsigned i = 0; netdev && i < o->net.count; i++)
            if (o->net.netdev[i].id && !strcmp(o->net.netdev[i].id, netdev))
                text_add(call->result, " \\ %s: type=%s\n", netdev,
                         (unsigned)o->net.netdev[i].kind < ARRAY_SIZE(kinds) ? kinds[o->net.netdev[i].kind]
                                                                             : "other");
    }
}
