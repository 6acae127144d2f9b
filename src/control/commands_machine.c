/*
 * Commands that act: run and stop, buttons, keys, pictures; and Ringer's own, which show its tables and counters.
 */
#include "base/host_path.h"
#include "base/json.h"
#include "board/media.h"
#include "control_private.h"
#include "mmu/long_window.h"
#include "mmu/tlb.h"
#include "observe/hot_blocks.h"
#include "observe/screen.h"
#include "observe/stats.h"
#include "translator/translator.h"
#include "ui/keys.h"
#include "vm/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- running --- */

static struct wire_console *console_of(struct control_call *call)
{
    return &call->vm->chipset.console;
}

void run_stop(struct control_call *call)
{
    wire_console_pause(console_of(call), true);
}

void run_cont(struct control_call *call)
{
    wire_console_pause(console_of(call), false);
}

static void quit(struct control_call *call)
{
    call->control->quit_asked = true;
    vm_stop(call->vm, STOP_HOST, STATUS_OK, NULL);
}

void run_quit(struct control_call *call)
{
    call->afterwards = quit;
}

void run_reset(struct control_call *call)
{
    call->control->reset_asked = true;
    machine_reset_by_host(call->vm);
}

void run_powerdown(struct control_call *call)
{
    wire_console_event(console_of(call),
                       &(struct console_event){.kind = CONSOLE_COMMAND, .command = CONSOLE_POWER_BUTTON});
    control_event(call->control, "POWERDOWN", NULL);
}

void run_wakeup(struct control_call *call)
{
    if (call->vm->suspended)
        piix4_pm_wake(&call->vm->chipset.power);
    else
        call_fail(call, "Unable to wake up: guest is not in suspended state");
}

void run_nmi(struct control_call *call)
{
    __atomic_or_fetch(&call->vm->vcpu.pending, PENDING_NMI, __ATOMIC_SEQ_CST);
}

void run_watchdog_action(struct control_call *call)
{
    int action = watchdog_action_by_name(call_text(call, "action"));
    if (action < 0)
        call_fail(call, "Invalid parameter '%.100s'", call_text(call, "action"));
    else
        call->vm->board.watchdog_action = (enum watchdog_action)action;
}

/* --- keys --- */

#define KEYS_MAX 16

static void press(struct control_call *call, const struct key *const *keys, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        wire_console_event(console_of(call),
                           &(struct console_event){.kind = CONSOLE_KEY, .key = keys[n], .down = true});
    while (count--)
        wire_console_event(console_of(call),
                           &(struct console_event){.kind = CONSOLE_KEY, .key = keys[count]});
}

/* {"type": "qcode", "data": "ret"} or {"type": "number", "data": 28} */
static const struct key *key_of(struct control_call *call, struct json_object *value)
{
    struct json_object *type, *data;
    const struct key *key = NULL;
    if (json_object_object_get_ex(value, "type", &type) && json_object_object_get_ex(value, "data", &data)) {
        const char *name = json_object_get_string(data);
        if (!strcmp(json_object_get_string(type), "number"))
            key = key_by_scan_code((u32)json_object_get_int64(data));
        else
            key = key_by_name(name, strlen(name));
        if (!key) call_fail(call, "Invalid parameter '%.100s'", name);
    } else {
        call_fail(call, "a key is {\"type\": \"qcode\" or \"number\", \"data\": ...}");
    }
    return key;
}

void run_send_key(struct control_call *call)
{
    const struct key *keys[KEYS_MAX];
    struct json_object *list;
    json_object_object_get_ex(call->arguments, "keys", &list);
    size_t count = json_object_array_length(list);
    if (count > KEYS_MAX) {
        call_fail(call, "no more than %u keys can be pressed together", KEYS_MAX);
        return;
    }
    for (size_t n = 0; n < count; n++)
        if (!(keys[n] = key_of(call, json_object_array_get_idx(list, n)))) return;
    press(call, keys, (unsigned)count);
}

/* "ctrl-alt-f2", "0x1c" */
void run_sendkey(struct control_call *call)
{
    const struct key *keys[KEYS_MAX];
    unsigned count = 0;
    for (const char *at = call_text(call, "keys"); *at && count < KEYS_MAX;) {
        size_t length = strcspn(at, "-");
        if (!length) length = strlen(at); /* "-" itself */
        bool code = !strncmp(at, "0x", 2);
        keys[count] = code ? key_by_scan_code((u32)strtoul(at, NULL, 16)) : key_by_name(at, length);
        if (!keys[count++]) {
            call_fail(call, "unknown key: '%.*s'", (int)length, at);
            return;
        }
        at += length + (at[length] == '-');
    }
    press(call, keys, count);
}

/* --- the pointer --- */

static void point(struct control_call *call, int right, int lower, int wheel, bool absolute)
{
    struct control *c = call->control;
    struct console_event event = {
        .kind = absolute ? CONSOLE_POINT : CONSOLE_MOVE, .buttons = c->buttons, .wheel = (s16)wheel};
    if (absolute) {
        event.x = c->x;
        event.y = c->y;
    } else {
        event.right = (s16)right;
        event.lower = (s16)lower;
    }
    wire_console_event(console_of(call), &event);
}

static void set_button(struct control *c, u8 button, bool down)
{
    c->buttons = (u8)(down ? c->buttons | button : c->buttons & ~button);
}

static bool field(struct json_object *object, const char *key, struct json_object **value)
{
    return json_object_object_get_ex(object, key, value);
}

struct motion {
    int right, lower, wheel;
    bool moved, pointed;
};

static void input_event(struct control_call *call, struct json_object *event, struct motion *motion)
{
    static const struct {
        const char *name;
        u8 button;
        int wheel;
    } buttons[] = {{"left", PS2_BUTTON_LEFT, 0},
                   {"right", PS2_BUTTON_RIGHT, 0},
                   {"middle", PS2_BUTTON_MIDDLE, 0},
                   {"wheel-up", 0, 1},
                   {"wheel-down", 0, -1}};
    struct json_object *type, *data, *a, *b;
    if (!field(event, "type", &type) || !field(event, "data", &data)) {
        call_fail(call, "an event is {\"type\": ..., \"data\": {...}}");
        return;
    }
    const char *kind = json_object_get_string(type);
    if (!strcmp(kind, "key") && field(data, "down", &a) && field(data, "key", &b)) {
        const struct key *key = key_of(call, b);
        if (key)
            wire_console_event(
                console_of(call),
                &(struct console_event){.kind = CONSOLE_KEY, .key = key, .down = json_object_get_boolean(a)});
    } else if (!strcmp(kind, "btn") && field(data, "down", &a) && field(data, "button", &b)) {
        bool down = json_object_get_boolean(a);
        for (unsigned n = 0; n < ARRAY_SIZE(buttons); n++)
            if (!strcmp(buttons[n].name, json_object_get_string(b))) {
                set_button(call->control, buttons[n].button, down);
                motion->wheel += down ? buttons[n].wheel : 0;
                motion->moved = true;
                return;
            }
        call_fail(call, "Invalid parameter '%.100s'", json_object_get_string(b));
    } else if ((!strcmp(kind, "rel") || !strcmp(kind, "abs")) && field(data, "axis", &a) &&
               field(data, "value", &b)) {
        bool x = !strcmp(json_object_get_string(a), "x");
        int value = (int)json_object_get_int64(b);
        if (*kind == 'a') { /* 0 to 7FFFh */
            u16 at = (u16)(value < 0 ? 0 : value > 0x7fff ? 0xffff : value * 2);
            *(x ? &call->control->x : &call->control->y) = at;
            motion->pointed = true;
        } else {
            *(x ? &motion->right : &motion->lower) += value;
            motion->moved = true;
        }
    } else {
        call_fail(call, "Invalid parameter '%.100s'", kind);
    }
}

void run_input(struct control_call *call)
{
    struct json_object *list;
    struct motion motion = {0};
    json_object_object_get_ex(call->arguments, "events", &list);
    for (size_t n = 0; n < json_object_array_length(list) && !call->failed; n++)
        input_event(call, json_object_array_get_idx(list, n), &motion);
    if (motion.pointed || motion.moved) point(call, motion.right, motion.lower, motion.wheel, motion.pointed);
}

void run_mouse_move(struct control_call *call)
{
    point(call, (int)call_number(call, "dx", 0), (int)call_number(call, "dy", 0),
          (int)call_number(call, "dz", 0), false);
}

void run_mouse_button(struct control_call *call)
{
    s64 state = call_number(call, "state", 0);
    call->control->buttons = (u8)((state & 1 ? PS2_BUTTON_LEFT : 0) | (state & 2 ? PS2_BUTTON_RIGHT : 0) |
                                  (state & 4 ? PS2_BUTTON_MIDDLE : 0));
    point(call, 0, 0, 0, false);
}

/* --- pictures and memory --- */

void run_screendump(struct control_call *call)
{
    const char *file = call_text(call, "filename"), *format = call_text(call, "format");
    bool png = format && !strcmp(format, "png");
    if (format && !png && strcmp(format, "ppm")) {
        call_fail(call, "Invalid parameter '%.100s'", format);
        return;
    }
    struct display *display = machine_display(call->vm);
    int failed = png ? screen_shot(display, file) : screen_shot_ppm(display, file);
    if (failed) call_fail(call, "failed to write the picture to '%.150s': %s", file, strerror(-failed));
}

void run_memory_save(struct control_call *call)
{
    u64 gpa = (u64)call_number(call, "val", 0), bytes = (u64)call_number(call, "size", 0);
    const char *file = call_text(call, "filename");
    FILE *out = host_create(file);
    if (!out) {
        call_fail(call, "could not open '%.150s': %s", file, strerror(errno));
        return;
    }
    u8 piece[PAGE_SIZE];
    for (u64 done = 0; done < bytes && !call->failed; done += sizeof(piece)) {
        u64 now = bytes - done < sizeof(piece) ? bytes - done : sizeof(piece);
        phys_read_bytes(&call->vm->phys, gpa + done, piece, now);
        if (fwrite(piece, 1, now, out) != now)
            call_fail(call, "could not write '%.150s': %s", file, strerror(errno));
    }
    if (fclose(out) && !call->failed) call_fail(call, "could not write '%.150s': %s", file, strerror(errno));
}

void run_gdbserver(struct control_call *call)
{
    const char *to = call_text(call, "device");
    struct control *c = call->control;
    char error[256];
    if (!to) to = "tcp::1234";
    if (!c->gdbserver(c->gdbserver_owner, to, error, sizeof(error))) {
        call_fail(call, "%s", error);
        return;
    }
    call->result = json_object_new_string("");
    if (strcmp(to, "none")) text_add(call->result, "Waiting for gdb connection on device '%s'\n", to);
}

/* --- Ringer's own --- */

void run_stats(struct control_call *call)
{
    struct vm *vm = call->vm;
    u64 used, budget;
    call->result =
        stats_json(&vm->vcpu, &(struct stats_host){vm->powered_on_ns, vm_time_host_tsc_hz(&vm->time)});
    json_object_object_add(call->result, "instructions", json_object_new_uint64(vm->vcpu.icount));
    translator_cache_fill(&vm->vcpu, &used, &budget);
    json_object_object_add(call->result, "cache_used_bytes", json_object_new_uint64(used));
    json_object_object_add(call->result, "cache_bytes", json_object_new_uint64(budget));
}

/* Sampling begins with the first call, and ends when no call comes for this long. */
#define HOT_PATIENCE_NS 10000000000ull
#define HOT_MOST        1000
/* Shorter ones are there to measure what a sample costs (bench/watch). */
#define HOT_PERIOD_LEAST_US 20
#define HOT_PERIOD_MOST_US  900000

void run_hot(struct control_call *call)
{
    struct control *control = call->control;
    s64 most = call_number(call, "most", 20);
    if (most < 0 || most > HOT_MOST) {
        call_fail(call, "\"most\" is 0 to %d", HOT_MOST);
        return;
    }
    s64 period_us = call_number(call, "period-us", HOT_READER_PERIOD_NS / 1000);
    if (period_us < HOT_PERIOD_LEAST_US || period_us > HOT_PERIOD_MOST_US) {
        call_fail(call, "\"period-us\" is %d to %d", HOT_PERIOD_LEAST_US, HOT_PERIOD_MOST_US);
        return;
    }
    if (!control->hot) control->hot = hot_blocks_open(&call->vm->vcpu);
    int failed = control->hot ? hot_blocks_start(control->hot, HOT_PATIENCE_NS, 1000 * period_us) : -ENOMEM;
    if (!failed) call->result = hot_blocks_take(control->hot, (unsigned)most);
    if (failed || !call->result)
        call_fail(call, "cannot sample the machine: %s", strerror(failed ? -failed : ENOMEM));
}

/* The entries of the guest's tables from the top: as many as were read. */
static void add_entries(struct json_object *side, struct vm *vm, const struct walk *walk)
{
    for (unsigned n = 0; n < walk->levels; n++) {
        char name[24];
        snprintf(name, sizeof(name), "entry%u-gpa", n);
        json_add_hex(side, name, walk->entry[n]);
        snprintf(name, sizeof(name), "entry%u", n);
        json_add_hex(side, name, phys_read(&vm->phys, walk->entry[n], vm->vcpu.paging.cr4 & CR4_PAE ? 8 : 4));
        const u8 *guard = phys_flags(&vm->phys, walk->entry[n]);
        snprintf(name, sizeof(name), "entry%u-traced", n);
        json_add_flag(side, name, guard && *guard & PHYS_TRACED);
    }
}

static void add_page(struct json_object *side, struct vm *vm, const struct walk *walk)
{
    json_add_hex(side, "gpa", walk->gpa);
    json_object_object_add(side, "page-bytes", json_object_new_uint64(walk->page_bytes));
    json_add_flag(side, "writable", walk->writable);
    json_add_flag(side, "user", walk->user);
    json_add_flag(side, "executable", walk->executable);
    json_add_flag(side, "global", walk->global);
    const u8 *flags = phys_flags(&vm->phys, walk->gpa);
    json_add_flag(side, "code", flags && *flags & PHYS_CODE);
    json_add_flag(side, "traced", flags && *flags & PHYS_TRACED);
}

/* The entries of the current space's view (mmu/shadow.h), and its window. */
static void add_view(struct json_object *side, struct vm *vm, u32 address, bool user)
{
    const struct shadow_table *table = &vm->shadow.table[user ? SHADOW_USER : SHADOW_SUPERVISOR];
    u32 page = address >> PAGE_SHIFT;
    if (table->read) {
        json_add_hex(side, "read-entry", table->read[page]);
        json_add_hex(side, "write-entry", table->write[page]);
        json_add_hex(side, "exec-entry", table->exec[page]);
    }
    if (user && vm->shadow.has_window) json_add_hex(side, "window", vm->shadow.window + address);
}

/* The slot of the address in the TLB of IA-32e mode (mmu/tlb.h), the page in it, and the address in the window. */
static void add_tlb(struct json_object *side, struct vm *vm, u64 address, bool user)
{
    const struct tlb *tlb = vm->shadow.tlb;
    unsigned place = tlb_place(address);
    unsigned table = tlb_table(tlb, user);
    const struct tlb_info *info = &tlb->info[table][place];
    json_object_object_add(side, "tlb-place", json_object_new_int((int)place));
    if (!tlb_holds(tlb, table, place)) {
        json_object_object_add(side, "tlb-page", json_object_new_string("none"));
    } else {
        json_add_hex(side, "tlb-page", info->page << PAGE_SHIFT);
        json_add_flag(side, "tlb-global", info->global);
    }
    json_add_hex(side, "read-entry", tlb_entry(tlb, address, user, false));
    json_add_hex(side, "write-entry", tlb_entry(tlb, address, user, true));
    json_add_hex(side, "exec-entry", tlb_frame(tlb, address, user));
    enum long_class class = user && address < CANONICAL_LOW_END ? tlb_segment(tlb, address) : LONG_NONE;
    if (class != LONG_NONE)
        json_add_hex(side, "window", class == LONG_SAME ? address : vm->shadow.window + address);
}

/* One privilege: the guest's tables, and what the shadow has for the address. */
static void add_side(struct json_object *object, struct vm *vm, u64 address, bool user)
{
    struct walk walk;
    u32 error;
    struct json_object *side = json_object_new_object();
    const struct paging *paging = &vm->vcpu.paging;
    bool wide = vcpu_long_mode(&vm->vcpu);
    if (!wide && paging->cr0 & CR0_PG && paging->cr4 & CR4_PAE)
        json_add_hex(side, "pdpte", paging->pdpte[address >> 30]);
    if (mmu_walk(&vm->phys, paging, address, ACCESS_READ, user, false, &walk, &error)) {
        add_entries(side, vm, &walk);
        add_page(side, vm, &walk);
    } else {
        add_entries(side, vm, &walk);
        json_object_object_add(side, "fault", json_object_new_int((int)error));
    }
    if (wide)
        add_tlb(side, vm, address, user);
    else
        add_view(side, vm, (u32)address, user);
    json_object_object_add(object, user ? "user" : "supervisor", side);
}

void run_inspect(struct control_call *call)
{
    u64 address = (u64)call_number(call, "address", 0);
    bool wide = vcpu_long_mode(&call->vm->vcpu);
    if (!wide && address > UINT32_MAX) {
        call_fail(call, "a linear address has 32 bits in this machine's mode");
        return;
    }
    if (wide && !is_canonical(address)) {
        call_fail(call, "the linear address is not canonical");
        return;
    }
    call->result = json_object_new_object();
    json_add_hex(call->result, "linear", address);
    json_add_hex(call->result, "cr3", call->vm->vcpu.paging.cr3);
    add_side(call->result, call->vm, address, false);
    add_side(call->result, call->vm, address, true);
}
