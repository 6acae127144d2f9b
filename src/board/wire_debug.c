/*
 * Ports for tests and early consoles, as QEMU has them: isa-debug-exit and isa-debugcon. SeaBIOS writes its log
 * to a debug console at port 402h.
 */
#include "base/log.h"
#include "board.h"
#include "char_link.h"
#include "device_table.h"
#include "devices/chipset/debug_ports.h"

#include <stdio.h>
#include <stdlib.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* --- the exit port --- */

#define EXIT_PORT  0x501
#define EXIT_BYTES 2

/* A process has eight bits of status. If they are one of Ringer's own statuses, a line says that the guest wrote it. */
static void end(void *machine, u32 status)
{
    u8 seen = (u8)status;
    if (seen <= STATUS_LAST)
        board_stop(machine, STOP_GUEST, seen,
                   "the guest wrote %u to the debug exit port: status %u is the guest's", status >> 1, seen);
    else
        board_stop(machine, STOP_GUEST, seen, NULL);
}

static bool check_exit(const struct device_option *option, char *error, size_t error_bytes)
{
    u64 port = device_number(option, "iobase"), bytes = device_number(option, "iosize");
    if ((bytes == 1 || bytes == 2 || bytes == 4) && port + bytes <= PORT_COUNT) return true;
    return SAY("-device isa-debug-exit takes iobase=PORT and iosize=1, 2 or 4");
}

static bool create_exit(struct board *board, const struct device_option *option, char *error,
                        size_t error_bytes)
{
    struct debug_exit *port = malloc(sizeof(*port));
    u8 bytes = (u8)device_number(option, "iosize");
    if (!port) return SAY("out of memory");
    debug_exit_init(port, end, board);
    board_add_device(board, option, port, NULL, free);
    ports_claim(&board->ports, (u16)device_number(option, "iobase"), bytes, bytes, &debug_exit_ops, port);
    return true;
}

static const struct property exit_properties[] = {
    {"iobase", PROPERTY_NUMBER, .help = "port (default 501h)", .most = 0xffff, .preset = EXIT_PORT},
    {"iosize", PROPERTY_NUMBER, .help = "1, 2 or 4 bytes (default 2)", .most = 4, .preset = EXIT_BYTES},
    {0},
};

const struct device_type isa_debug_exit_type = {
    .name = "isa-debug-exit",
    .bus = &bus_isa,
    .help = "a port that ends the run: writing V gives exit status 2V+1",
    .properties = exit_properties,
    .check = check_exit,
    .create = create_exit,
};

/* --- the console --- */

#define CONSOLE_PORT 0xe9

struct debug_output {
    struct debug_console port;
    struct char_link link;
};

static void transmit(void *sink, u8 byte)
{
    struct debug_output *output = sink;
    char_link_force(&output->link, &byte, 1);
}

static void destroy_console(void *device)
{
    struct debug_output *output = device;
    char_link_destroy(&output->link);
    free(output);
}

static bool create_console(struct board *board, const struct device_option *option, char *error,
                           size_t error_bytes)
{
    static const struct char_link_ops output_only = {0};
    struct debug_output *output = malloc(sizeof(*output));
    if (!output) return SAY("out of memory");
    if (!char_link_init(&output->link, board, &output_only, output, device_text(option, "chardev"), error,
                        error_bytes)) {
        free(output);
        return false;
    }
    board_add_device(board, option, output, NULL, destroy_console);
    board_add_link(board, &output->link);
    debug_console_init(&output->port, transmit, output);
    ports_claim(&board->ports, (u16)device_number(option, "iobase"), 1, 1, &debug_console_ops, &output->port);
    return true;
}

static const struct property console_properties[] = {
    {"chardev", PROPERTY_CHARDEV, .help = "where the bytes go", .required = true},
    {"iobase", PROPERTY_NUMBER, .help = "port (default E9h)", .most = 0xffff, .preset = CONSOLE_PORT},
    {0},
};

const struct device_type isa_debugcon_type = {
    .name = "isa-debugcon",
    .bus = &bus_isa,
    .help = "a port for bytes to be printed (SeaBIOS's log: 402h)",
    .properties = console_properties,
    .create = create_console,
};
