/*
 * The connection: see gdb.h.
 */
#include "gdb_private.h"

#include "base/log.h"
#include "board/wire_console.h"
#include "cpu/cpuid.h"
#include "options/options_control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- output --- */

static void write_out(struct gdb *g)
{
    if (g->out_from == g->out_to) return;
    g->out_from += chardev_write(&g->front, (u8 *)g->out + g->out_from, g->out_to - g->out_from);
    if (g->out_from == g->out_to) g->out_from = g->out_to = 0;
}

/* What has no room is lost: only a client that sends without reading can bring that about. */
static void put(struct gdb *g, const char *bytes, u32 count)
{
    if (!g->open || g->out_to + count > sizeof(g->out)) return;
    memcpy(g->out + g->out_to, bytes, count);
    g->out_to += count;
    write_out(g);
}

void gdb_send(struct gdb *g, const struct packet_text *text)
{
    g->last_bytes = packet_frame(text, g->last);
    put(g, g->last, g->last_bytes);
}

/* --- the machine --- */

void gdb_resume(struct gdb *g)
{
    g->runs = true;
}

static void tell(void *owner, enum machine_event event, bool by_guest)
{
    struct gdb *g = owner;
    if (!g->runs || (event != MACHINE_PAUSED && event != MACHINE_SHUTDOWN)) return;
    fpu_park(&g->vm->vcpu);
    g->runs = false;
    packet_clear(&g->reply);
    if (event == MACHINE_PAUSED)
        gdb_stop_reply(g, &g->reply);
    else
        packet_add(&g->reply, "W%02x", g->vm->status & 0xff);
    gdb_send(g, &g->reply);
}

static bool stops(void *owner, u64 linear)
{
    return conditions_hold(owner, linear);
}

static void pause(struct gdb *g)
{
    if (!g->vm->paused) wire_console_pause(&g->vm->chipset.console, true);
}

/* --- input --- */

static void opened(struct gdb *g)
{
    g->open = g->acknowledges = true;
    g->runs = g->physical = false;
    g->step_bits = STEP_ENABLE | STEP_NO_IRQ | STEP_NO_TIMER;
    g->reader = (struct packet_reader){.state = PACKET_OUTSIDE};
    g->out_from = g->out_to = g->last_bytes = 0;
    debugger_attach(g->vm);
    pause(g);
}

static void closed(struct gdb *g)
{
    g->open = g->runs = false;
    gdb_forget(g);
}

static void take_byte(struct gdb *g, u8 byte)
{
    enum packet_event event = packet_take(&g->reader, byte);
    if (event == PACKET_NOTHING) return;
    if (event == PACKET_AGAIN) {
        put(g, g->last, g->last_bytes);
        return;
    }
    if (g->runs) pause(g); /* and tells the client */
    if (event == PACKET_INTERRUPT) return;
    bool sound = event != PACKET_DAMAGED;
    if (g->acknowledges) put(g, sound ? "+" : "-", 1);
    if (!sound) return;
    packet_clear(&g->reply);
    if (event == PACKET_WHOLE) {
        gdb_command(g, g->reader.data, g->reader.bytes);
    } else {
        packet_add(&g->reply, "E01");
        gdb_send(g, &g->reply);
    }
}

static void take_item(struct gdb *g, u16 item)
{
    if (item == CHAR_OPENED)
        opened(g);
    else if (item == CHAR_CLOSED)
        closed(g);
    else if (item < CHAR_BREAK && g->open)
        take_byte(g, (u8)item);
}

/* Go on with input while the client reads the answers. */
static void serve(struct gdb *g)
{
    fpu_park(&g->vm->vcpu);
    write_out(g);
    while (g->out_from == g->out_to) {
        if (g->from == g->to) {
            g->from = 0;
            g->to = chardev_take(&g->front, g->items, GDB_ITEMS);
            if (!g->to) return;
        }
        take_item(g, g->items[g->from++]);
    }
}

static void run_letter(struct letter *letter)
{
    struct gdb *g = container_of(letter, struct gdb, letter);
    __atomic_store_n(&g->posted, 0, __ATOMIC_SEQ_CST);
    serve(g);
}

/* On the character thread. */
static void notice(struct char_front *front)
{
    struct gdb *g = (struct gdb *)front;
    if (!__atomic_load_n(&g->started, __ATOMIC_SEQ_CST)) return;
    if (!__atomic_exchange_n(&g->posted, 1, __ATOMIC_SEQ_CST)) mailbox_send(&g->vm->mailbox, &g->letter);
}

static const struct char_front front = {.input = notice, .room = notice, .answers = true};

/* --- set-up --- */

struct gdb *gdb_open(const struct gdb_wiring *wiring, char *error, size_t error_bytes)
{
    struct gdb *g = calloc(1, sizeof(*g));
    const char *name = wiring->vm->options->control.gdb;
    if (!g) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    g->wiring = *wiring;
    g->vm = wiring->vm;
    g->wide = cpu_model_has_long_mode(g->vm->vcpu.model);
    u32 states = cpu_model_xcr0(g->vm->vcpu.model);
    g->vectors = states & XCR0_AVX512 ? GDB_AVX512 : states & XCR0_AVX ? GDB_AVX : GDB_SSE;
    g->front = front;
    g->letter.run = run_letter;
    g->listener = (struct machine_listener){.tell = tell, .owner = g};
    g->vm->debugger.stops = stops;
    g->vm->debugger.owner = g;
    machine_listen(g->vm, &g->listener);
    struct chardev *chardev = name ? chardevs_find(wiring->chardevs, name) : NULL;
    if (name && !chardev) snprintf(error, error_bytes, "-gdb: there is no chardev \"%s\"", name);
    if (!name || (chardev && chardev_attach(&g->front, chardev, error, error_bytes))) {
        replay_adopt(g);
        return g;
    }
    gdb_close(g);
    return NULL;
}

void gdb_start(struct gdb *g)
{
    replay_start(g);
    __atomic_store_n(&g->started, 1, __ATOMIC_SEQ_CST);
    serve(g);
}

static void take_no_input(void *argument)
{
    struct gdb *g = argument;
    __atomic_store_n(&g->started, 0, __ATOMIC_SEQ_CST);
}

void gdb_stop(struct gdb *g)
{
    net_loop_run(&g->wiring.chardevs->loop, take_no_input, g);
    mailbox_run(&g->vm->mailbox); /* the last letter */
}

void gdb_close(struct gdb *g)
{
    if (!g) return;
    machine_leave(g->vm, &g->listener);
    chardev_detach(&g->front);
    free(g);
}

/* --- the monitor's command --- */

struct change {
    struct gdb *gdb;
    struct char_options *options; /* taken over; NULL: listen nowhere */
    char *error;
    size_t error_bytes;
    bool good;
};

/* On the character thread, while the vCPU thread waits: no callback is under way on either. */
static void change(void *argument)
{
    struct change *c = argument;
    struct gdb *g = c->gdb;
    struct chardevs *set = g->wiring.chardevs;
    struct chardev *old = g->front.chardev;
    chardev_detach(&g->front);
    g->front = front;
    if (old && !strcmp(old->options->id, GDB_CHARDEV)) chardevs_remove(set, old);
    char_options_release(&set->late);
    c->good = true;
    if (!c->options) return;
    set->late = *c->options;
    c->good = chardevs_add(set, &set->late, c->error, c->error_bytes);
    struct chardev *made = chardevs_find(set, GDB_CHARDEV);
    if (c->good) c->good = chardev_attach(&g->front, made, c->error, c->error_bytes);
    if (!c->good && made) chardevs_remove(set, made);
}

bool gdb_listen(struct gdb *g, const char *to, char *error, size_t error_bytes)
{
    char text[512];
    struct char_options options;
    struct change c = {.gdb = g, .error = error, .error_bytes = error_bytes};
    if (strcmp(to, "none")) {
        gdb_option_text(to, text, sizeof(text));
        if (!char_options_short(&options, GDB_CHARDEV, text, error, error_bytes)) return false;
        c.options = &options;
    }
    if (g->open) closed(g);
    g->from = g->to = 0;
    net_loop_run(&g->wiring.chardevs->loop, change, &c);
    return c.good;
}
