#include "board.h"

#include "char_link.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void board_init(struct board *board)
{
    board->watchdog_action = board->options->watchdog_action;
    ports_init(&board->ports);
    pci_bus_init(&board->pci);
    pci_ranges_init(&board->pci_ranges, board);
}

void board_add_link(struct board *board, struct char_link *link)
{
    assert(board->links < BOARD_LINKS);
    board->link[board->links++] = link;
}

void board_remove_link(struct board *board, struct char_link *link)
{
    unsigned n = 0;
    while (board->link[n] != link)
        n++;
    board->links--;
    memmove(&board->link[n], &board->link[n + 1], (board->links - n) * sizeof(board->link[0]));
}

void board_add_boot_entry(struct board *board, unsigned index, const char *path, ...)
{
    if (!index || board->plug) return;
    assert(board->boot_entries < BOARD_BOOT_ENTRIES);
    struct board_boot_entry *entry = &board->boot_entry[board->boot_entries++];
    va_list args;
    va_start(args, path);
    vsnprintf(entry->path, sizeof(entry->path), path, args);
    va_end(args);
    entry->index = index;
}

void board_stop(struct board *board, enum stop_cause cause, int status, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    if (format) vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    board->host->stop(board->machine, cause, status, format ? sentence : NULL);
}

/* --- the host's ends --- */

void board_start_input(struct board *board)
{
    for (unsigned n = 0; n < board->links; n++)
        char_link_start(board->link[n]);
}

void board_flush_output(struct board *board)
{
    for (unsigned n = 0; n < board->links; n++)
        char_link_flush(board->link[n]);
}

void board_mirror_input(struct board *leader, struct board *follower)
{
    for (unsigned n = 0; n < leader->links; n++)
        char_link_mirror(leader->link[n], follower->link[n]);
}
