#include "wire_debug.h"

#include "base/log.h"
#include "board.h"

#define CONSOLE_PORT      0xe9
#define FIRMWARE_LOG_PORT 0x402 /* SeaBIOS, src/fw/paravirt.h: of QEMU's debug console */

/* A process has eight bits of status. Where they are one of Ringer's own, a line tells whose it is. */
static void end(void *machine, u32 status)
{
    u8 seen = (u8)status;
    if (seen <= STATUS_LAST)
        board_stop(machine, STOP_GUEST, seen,
                   "the guest wrote %u to the debug exit port: status %u is the guest's", status >> 1, seen);
    else
        board_stop(machine, STOP_GUEST, seen, NULL);
}

static void transmit(void *sink, u8 byte)
{
    struct debug_output *output = sink;
    chardev_put(&output->back_end, byte);
    if (byte == '\n') chardev_flush(&output->back_end);
}

static bool fit(struct debug_output *output, struct board *board, u16 port, const char *specification,
                char *error, size_t error_bytes)
{
    if (!specification) return true;
    if (board->follower) specification = "null";
    if (!chardev_open(&output->back_end, specification, error, error_bytes)) return false;
    board_add_output(board, &output->back_end);
    debug_console_init(&output->port, transmit, output);
    ports_claim(&board->ports, port, 1, 1, &debug_console_ops, &output->port);
    return true;
}

bool wire_debug_init(struct wire_debug *wire, struct board *board, char *error, size_t error_bytes)
{
    const struct board_options *o = board->options;
    *wire = (struct wire_debug){.console.back_end = {.in_fd = -1, .out_fd = -1},
                                .firmware_log.back_end = {.in_fd = -1, .out_fd = -1}};
    debug_exit_init(&wire->exit, end, board);
    if (o->debug_exit)
        ports_claim(&board->ports, o->debug_exit_port, o->debug_exit_bytes, o->debug_exit_bytes,
                    &debug_exit_ops, &wire->exit);
    return fit(&wire->console, board, CONSOLE_PORT, o->debugcon, error, error_bytes) &&
           fit(&wire->firmware_log, board, FIRMWARE_LOG_PORT, o->firmware_log, error, error_bytes);
}

void wire_debug_destroy(struct wire_debug *wire)
{
    chardev_close(&wire->console.back_end);
    chardev_close(&wire->firmware_log.back_end);
}
