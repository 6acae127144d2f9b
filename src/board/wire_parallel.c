#include "wire_parallel.h"

#include "board.h"

#define PARALLEL_PORTS 0x378
#define PARALLEL_IRQ   7

static bool transmit(void *sink, u8 byte)
{
    struct wire_parallel *wire = sink;
    char_link_force(&wire->link, &byte, 1);
    if (char_link_out_room(&wire->link)) return true;
    char_link_flush(&wire->link);
    wire->link.refused = !char_link_out_room(&wire->link);
    return !wire->link.refused;
}

static void room(void *device)
{
    struct wire_parallel *wire = device;
    parallel_port_room(&wire->port);
}

bool wire_parallel_init(struct wire_parallel *wire, struct board *board, char *error, size_t error_bytes)
{
    static const struct char_link_ops ops = {.room = room};
    if (!board->options->parallel) return true;
    if (!char_link_init(&wire->link, board, &ops, wire, board->options->parallel, error, error_bytes))
        return false;
    parallel_port_init(&wire->port, board->clock, board->irq[PARALLEL_IRQ], transmit, wire);
    board->facts.parallel = true;
    board_add_link(board, &wire->link);
    ports_claim(&board->ports, PARALLEL_PORTS, 3, 1, &parallel_port_ops, &wire->port);
    return true;
}

void wire_parallel_destroy(struct wire_parallel *wire)
{
    if (wire->link.board) char_link_destroy(&wire->link);
}

void wire_parallel_reset(struct wire_parallel *wire)
{
    if (wire->link.board) parallel_port_reset(&wire->port);
}
