/*
 * The packets that the stub understands, one row each. A packet without a row has an empty answer, which tells the
 * client that it is not known. An answer "E.." is an error; its number has no meaning to gdb.
 */
#include "gdb_private.h"

#include "board/wire_console.h"
#include "cpu/cpuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREAD       "01" /* the only CPU */
#define READ_MAX     (PACKET_BYTES / 2)
#define ERROR_PACKET "E01" /* a packet that makes no sense */
#define ERROR_MEMORY "E14" /* EFAULT: no memory there */
#define ERROR_POINT  "E16" /* EBUSY: too many points */
#define ERROR_VALUE  "E22" /* EINVAL: a register cannot have this value */

static void say(struct gdb *g, const char *text)
{
    packet_add(&g->reply, "%s", text);
}

static void good(struct gdb *g, bool is_good, const char *otherwise)
{
    say(g, is_good ? "OK" : otherwise);
}

/* The debugger writes to the machine, so a replay would not do the same. */
static void note_write(struct gdb *g)
{
    g->vm->debugger.changed = "what the debugger has written is not recorded";
}

/* --- registers --- */

static void add_register(struct gdb *g, unsigned number)
{
    u8 bytes[REGISTER_MOST_BYTES];
    register_read(&g->vm->vcpu, g->wide, number, bytes);
    packet_add_hex(&g->reply, bytes, register_bytes(g->wide, number));
}

static void read_registers(struct gdb *g, const char *at, u32 bytes)
{
    for (unsigned n = 0; n < registers_count(g->wide, g->vectors); n++)
        add_register(g, n);
}

/* Only registers that differ are written, and one that cannot take its value does not stop the others. */
static void write_registers(struct gdb *g, const char *at, u32 bytes)
{
    struct vcpu *v = &g->vm->vcpu;
    bool all = true;
    for (unsigned n = 0; n < registers_count(g->wide, g->vectors) && *at; n++) {
        u8 value[REGISTER_MOST_BYTES], old[REGISTER_MOST_BYTES];
        unsigned count = register_bytes(g->wide, n);
        if (!packet_bytes(&at, value, count)) {
            say(g, ERROR_PACKET);
            return;
        }
        register_read(v, g->wide, n, old);
        if (!memcmp(value, old, count)) continue;
        note_write(g);
        if (!register_write(v, g->wide, n, value)) all = false;
    }
    good(g, all, ERROR_VALUE);
}

static void read_register(struct gdb *g, const char *at, u32 bytes)
{
    u64 number;
    if (packet_number(&at, &number) && number < registers_count(g->wide, g->vectors))
        add_register(g, (unsigned)number);
    else
        say(g, ERROR_PACKET);
}

static void write_register(struct gdb *g, const char *at, u32 bytes)
{
    u64 number;
    u8 value[REGISTER_MOST_BYTES];
    bool sound = packet_number(&at, &number) && number < registers_count(g->wide, g->vectors) &&
                 packet_char(&at, '=') &&
                 packet_bytes(&at, value, register_bytes(g->wide, (unsigned)number)) && !*at;
    if (sound) note_write(g);
    if (sound)
        good(g, register_write(&g->vm->vcpu, g->wide, (unsigned)number, value), ERROR_VALUE);
    else
        say(g, ERROR_PACKET);
}

/* --- memory --- */

static void read_memory(struct gdb *g, const char *at, u32 bytes)
{
    u8 buffer[READ_MAX];
    u64 address, count;
    if (!packet_number(&at, &address) || !packet_char(&at, ',') || !packet_number(&at, &count))
        say(g, ERROR_PACKET);
    else if (count > READ_MAX || !gdb_memory(g, address, buffer, (u32)count, false))
        say(g, ERROR_MEMORY);
    else
        packet_add_hex(&g->reply, buffer, (u32)count);
}

/* M: hexadecimal; X: binary. */
static void write_bytes(struct gdb *g, const char *packet, u32 bytes, bool binary)
{
    u8 buffer[PACKET_BYTES];
    const char *at = packet;
    u64 address, count;
    bool sound = packet_number(&at, &address) && packet_char(&at, ',') && packet_number(&at, &count) &&
                 packet_char(&at, ':') && count <= sizeof(buffer);
    u32 left = bytes - (u32)(at - packet);
    if (sound && binary && left == count)
        memcpy(buffer, at, count);
    else
        sound = sound && !binary && packet_bytes(&at, buffer, (u32)count);
    if (sound) note_write(g);
    if (sound)
        good(g, gdb_memory(g, address, buffer, (u32)count, true), ERROR_MEMORY);
    else
        say(g, ERROR_PACKET);
}

static void write_memory(struct gdb *g, const char *at, u32 bytes)
{
    write_bytes(g, at, bytes, false);
}

static void write_binary(struct gdb *g, const char *at, u32 bytes)
{
    write_bytes(g, at, bytes, true);
}

/* --- points --- */

/* Addresses of the 32-bit target may come sign-extended. */
static u64 point_address(const struct gdb *g, u64 address)
{
    return g->wide ? address : (u32)address;
}

/* ";X12,220027" and so on: conditions. Commands that the stub should run are not announced, so none come. */
static bool take_conditions(struct gdb *g, u64 linear, const char *at)
{
    u8 code[PACKET_BYTES / 2];
    u64 count;
    while (packet_char(&at, ';') || *at == 'X') {
        if (!packet_char(&at, 'X') || !packet_number(&at, &count) || !packet_char(&at, ',') ||
            count > sizeof(code) || !packet_bytes(&at, code, (u32)count) ||
            !conditions_add(&g->conditions, linear, code, (u32)count))
            return false;
    }
    return !*at;
}

static const enum data_point_kind data_kinds[] = {[2] = DATA_WRITE, [3] = DATA_READ, [4] = DATA_ACCESS};

/* "Z0,ADDRESS,KIND;CONDITIONS". A software breakpoint and a hardware breakpoint are the same here: a code point. */
static void change_point(struct gdb *g, const char *at, bool set)
{
    struct vcpu *v = &g->vm->vcpu;
    u64 type, address, size;
    if (!packet_number(&at, &type) || !packet_char(&at, ',') || !packet_number(&at, &address) ||
        !packet_char(&at, ',') || !packet_number(&at, &size)) {
        say(g, ERROR_PACKET);
    } else if (type > 4) {
        return; /* not known */
    } else if (type >= 2) {
        good(g,
             set ? debug_points_set_data(v, point_address(g, address), size, data_kinds[type])
                 : debug_points_clear_data(v, point_address(g, address), size, data_kinds[type]),
             ERROR_POINT);
    } else if (set) {
        address = point_address(g, address);
        conditions_remove(&g->conditions, address);
        bool sound = take_conditions(g, address, at);
        if (!sound) conditions_remove(&g->conditions, address);
        good(g, sound && debug_points_set_code(v, address), ERROR_POINT);
    } else {
        conditions_remove(&g->conditions, point_address(g, address));
        good(g, debug_points_clear_code(v, point_address(g, address)), ERROR_POINT);
    }
}

static void set_point(struct gdb *g, const char *at, u32 bytes)
{
    change_point(g, at, true);
}

static void clear_point(struct gdb *g, const char *at, u32 bytes)
{
    change_point(g, at, false);
}

void gdb_forget(struct gdb *g)
{
    g->conditions.count = g->conditions.used = 0;
    debugger_detach(g->vm);
}

/* --- running --- */

static void step(struct gdb *g, u64 from, u64 to)
{
    g->vm->debugger.holds_interrupts = !g->vm->options->deterministic && (g->step_bits & STEP_NO_IRQ);
    gdb_resume(g);
    debugger_step(g->vm, from, to);
}

static void go_on(struct gdb *g)
{
    gdb_resume(g);
    debugger_continue(g->vm);
}

static void jump_to(struct gdb *g, const char *at)
{
    u64 address;
    struct vcpu *v = &g->vm->vcpu;
    if (!packet_number(&at, &address)) return;
    if (v->rip != address) note_write(g);
    g->vm->debugger.points.passes &= v->rip == address;
    v->rip = address;
}

static void command_continue(struct gdb *g, const char *at, u32 bytes)
{
    jump_to(g, at);
    go_on(g);
}

static void command_step(struct gdb *g, const char *at, u32 bytes)
{
    jump_to(g, at);
    step(g, 0, 0);
}

/* "C05;ADDRESS": a signal means nothing to a machine. */
static void continue_signal(struct gdb *g, const char *at, u32 bytes)
{
    const char *address = strchr(at, ';');
    if (address) jump_to(g, address + 1);
    go_on(g);
}

static void step_signal(struct gdb *g, const char *at, u32 bytes)
{
    const char *address = strchr(at, ';');
    if (address) jump_to(g, address + 1);
    step(g, 0, 0);
}

/* ";c:1", ";s", ";rFROM,TO": the first action that concerns the only thread. */
static void vcont(struct gdb *g, const char *at, u32 bytes)
{
    u64 from, to;
    if (packet_char(&at, '?')) {
        say(g, "vCont;c;C;s;S;r");
    } else if (!packet_char(&at, ';')) {
        say(g, ERROR_PACKET);
    } else if (*at == 'c' || *at == 'C') {
        go_on(g);
    } else if (*at == 's' || *at == 'S') {
        step(g, 0, 0);
    } else if (packet_char(&at, 'r') && packet_number(&at, &from) && packet_char(&at, ',') &&
               packet_number(&at, &to)) {
        step(g, from, to);
    } else {
        say(g, ERROR_PACKET);
    }
}

/* bs and bc. An error is a sentence for the user. */
static void backward(struct gdb *g, bool step)
{
    if (!g->vm->vcpu.icount) {
        say(g, "T05thread:" THREAD ";replaylog:begin;");
        return;
    }
    packet_add(&g->reply, "E.%s", replay_backward(g, step));
}

static void step_backward(struct gdb *g, const char *at, u32 bytes)
{
    backward(g, true);
}

static void continue_backward(struct gdb *g, const char *at, u32 bytes)
{
    backward(g, false);
}

static void why(struct gdb *g, const char *at, u32 bytes)
{
    gdb_stop_reply(g, &g->reply);
}

void gdb_stop_reply(struct gdb *g, struct packet_text *reply)
{
    const struct machine_debugger *d = &g->vm->debugger;
    static const char *const watches[] = {
        [DATA_WRITE] = "watch", [DATA_READ] = "rwatch", [DATA_ACCESS] = "awatch"};
    packet_add(reply, "T%sthread:" THREAD ";", d->stopped ? "05" : "02");
    if (d->stopped && d->begins) say(g, "replaylog:begin;");
    if (d->stopped && d->cause == DEBUGGER_DATA)
        packet_add(reply, "%s:%llx;", watches[d->points.hit.kind], (unsigned long long)d->points.hit.linear);
}

static void kill_machine(struct gdb *g, const char *at, u32 bytes)
{
    g->runs = false;
    vm_stop(g->vm, STOP_HOST, STATUS_OK, "the debugger has ended the machine");
}

static void kill_with_answer(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "OK");
    kill_machine(g, at, bytes);
}

static void restart(struct gdb *g, const char *at, u32 bytes)
{
    machine_reset_by_host(g->vm);
}

static void detach(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "OK");
    gdb_forget(g);
    debugger_attach(g->vm); /* the client may go on: "OK", then other packets */
    debugger_continue(g->vm);
}

/* --- questions --- */

static void accept(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "OK");
}

static void nothing(struct gdb *g, const char *at, u32 bytes) {}

static void supported(struct gdb *g, const char *at, u32 bytes)
{
    packet_add(&g->reply,
               "PacketSize=%x;qXfer:features:read+;vContSupported+;QStartNoAckMode+;ConditionalBreakpoints+",
               PACKET_BYTES);
    if (g->vm->options->deterministic) say(g, ";ReverseStep+;ReverseContinue+");
}

static void no_acknowledgements(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "OK");
    g->acknowledges = false;
}

/* ":target.xml:OFFSET,LENGTH" */
static void features(struct gdb *g, const char *at, u32 bytes)
{
    static const char name[] = "target.xml:";
    u64 from, count;
    if (strncmp(at, name, sizeof(name) - 1)) {
        say(g, "E00");
        return;
    }
    at += sizeof(name) - 1;
    char *xml = target_xml(g->wide, g->vectors);
    if (!xml || !packet_number(&at, &from) || !packet_char(&at, ',') || !packet_number(&at, &count)) {
        say(g, ERROR_PACKET);
    } else {
        u64 length = strlen(xml), left = from < length ? length - from : 0;
        u32 now = (u32)(count < left ? count : left), most = PACKET_BYTES / 2;
        if (now > most) now = most;
        say(g, now < left ? "m" : "l");
        packet_add_binary(&g->reply, xml + from, now);
    }
    free(xml);
}

static void threads(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "m" THREAD);
}

static void no_more_threads(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "l");
}

static void current_thread(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "QC" THREAD);
}

static void about_thread(struct gdb *g, const char *at, u32 bytes)
{
    const char *text = g->vm->vcpu.halted ? "CPU#0 [halted]" : "CPU#0 [running]";
    packet_add_hex(&g->reply, text, (u32)strlen(text));
}

static void attached(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "1");
}

/* "monitor LINE". Output in pieces, each an O packet; then OK. */
static void remote_command(struct gdb *g, const char *at, u32 bytes)
{
    char line[READ_MAX + 1];
    u32 length = (u32)strlen(at) / 2;
    if (length > READ_MAX || !packet_bytes(&at, line, length)) {
        say(g, ERROR_PACKET);
        return;
    }
    line[length] = 0;
    char *said = g->wiring.run_line(g->wiring.owner, line);
    for (const char *from = said; from && *from;) {
        u32 piece = (u32)strnlen(from, 1024);
        packet_clear(&g->reply);
        say(g, "O");
        packet_add_hex(&g->reply, from, piece);
        gdb_send(g, &g->reply);
        from += piece;
    }
    free(said);
    packet_clear(&g->reply);
    say(g, "OK");
}

/* --- what QEMU's stub has of its own --- */

static void own_supported(struct gdb *g, const char *at, u32 bytes)
{
    say(g, "sstepbits;sstep;PhyMemMode");
}

static void own_step_bits(struct gdb *g, const char *at, u32 bytes)
{
    packet_add(&g->reply, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", STEP_ENABLE, STEP_NO_IRQ, STEP_NO_TIMER);
}

static void own_step(struct gdb *g, const char *at, u32 bytes)
{
    packet_add(&g->reply, "0x%x", g->step_bits);
}

static void own_set_step(struct gdb *g, const char *at, u32 bytes)
{
    u64 bits;
    bool sound = packet_number(&at, &bits) && bits <= (STEP_ENABLE | STEP_NO_IRQ | STEP_NO_TIMER);
    if (sound) g->step_bits = (unsigned)bits;
    good(g, sound, ERROR_VALUE);
}

static void own_physical(struct gdb *g, const char *at, u32 bytes)
{
    say(g, g->physical ? "1" : "0");
}

static void own_set_physical(struct gdb *g, const char *at, u32 bytes)
{
    u64 on;
    bool sound = packet_number(&at, &on) && on <= 1;
    if (sound) g->physical = on;
    good(g, sound, ERROR_VALUE);
}

/* --- the table --- */

enum command_traits {
    WHOLE = 1,  /* nothing may follow the name */
    SILENT = 2, /* there is no answer, or a later one */
};

/* The row with the longest name that begins the packet counts. */
static const struct {
    const char *name;
    void (*run)(struct gdb *gdb, const char *at, u32 bytes);
    unsigned traits;
} rows[] = {
    {"?", why, 0},
    {"!", accept, 0},
    {"g", read_registers, WHOLE},
    {"G", write_registers, 0},
    {"p", read_register, 0},
    {"P", write_register, 0},
    {"m", read_memory, 0},
    {"M", write_memory, 0},
    {"X", write_binary, 0},
    {"Z", set_point, 0},
    {"z", clear_point, 0},
    {"c", command_continue, SILENT},
    {"s", command_step, SILENT},
    {"C", continue_signal, SILENT},
    {"S", step_signal, SILENT},
    {"bs", step_backward, WHOLE},
    {"bc", continue_backward, WHOLE},
    {"vCont", vcont, 0},
    {"vKill", kill_with_answer, 0},
    {"vMustReplyEmpty", nothing, 0},
    {"k", kill_machine, SILENT},
    {"R", restart, SILENT},
    {"D", detach, 0},
    {"H", accept, 0},
    {"T", accept, 0},
    {"qSupported", supported, 0},
    {"QStartNoAckMode", no_acknowledgements, WHOLE},
    {"qXfer:features:read:", features, 0},
    {"qfThreadInfo", threads, WHOLE},
    {"qsThreadInfo", no_more_threads, WHOLE},
    {"qC", current_thread, WHOLE},
    {"qThreadExtraInfo,", about_thread, 0},
    {"qAttached", attached, 0},
    {"qRcmd,", remote_command, 0},
    {"qemu.Supported", own_supported, WHOLE},
    {"qqemu.sstepbits", own_step_bits, WHOLE},
    {"qqemu.sstep", own_step, WHOLE},
    {"Qqemu.sstep=", own_set_step, 0},
    {"qqemu.PhyMemMode", own_physical, WHOLE},
    {"Qqemu.PhyMemMode:", own_set_physical, 0},
};

void gdb_command(struct gdb *g, char *packet, u32 bytes)
{
    size_t longest = 0;
    unsigned found = 0;
    packet_clear(&g->reply);
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++) {
        size_t length = strlen(rows[n].name);
        if (length <= longest || strncmp(packet, rows[n].name, length)) continue;
        if ((rows[n].traits & WHOLE) && packet[length]) continue;
        longest = length;
        found = n;
    }
    if (longest) rows[found].run(g, packet + longest, bytes - (u32)longest);
    /* A packet that let the machine run is answered when it stands still again. */
    if (!longest || !((rows[found].traits & SILENT) || (g->runs && !g->reply.bytes))) gdb_send(g, &g->reply);
}
