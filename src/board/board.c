#include "board.h"

#include "char_link.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void board_init(struct board *board)
{
    ports_init(&board->ports);
    pci_bus_init(&board->pci);
    pci_ranges_init(&board->pci_ranges, board);
}

void board_add_link(struct board *board, struct char_link *link)
{
    assert(board->links < BOARD_LINKS);
    board->link[board->links++] = link;
}

void board_add_output(struct board *board, struct chardev *output)
{
    assert(board->outputs < BOARD_OUTPUTS);
    board->output[board->outputs++] = output;
}

void board_add_boot_entry(struct board *board, unsigned index, const char *path, ...)
{
    if (!index) return;
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

/* The link that has standard input. */
static struct char_link *input_link(const struct board *board)
{
    for (unsigned n = 0; n < board->links; n++)
        if (board->link[n]->chardev.in_fd >= 0) return board->link[n];
    return NULL;
}

int board_input_fd(const struct board *board)
{
    struct char_link *link = input_link(board);
    return link ? link->chardev.in_fd : -1;
}

void board_start_input(struct board *board, const u32 *giving_up)
{
    struct char_link *link = input_link(board);
    for (unsigned n = 0; n < board->links && giving_up; n++)
        board->link[n]->chardev.giving_up = giving_up;
    for (unsigned n = 0; n < board->outputs && giving_up; n++)
        board->output[n]->giving_up = giving_up;
    if (link) char_link_start(link);
}

void board_input_ready(struct board *board)
{
    struct char_link *link = input_link(board);
    if (link) char_link_input_ready(link);
}

void board_flush_output(struct board *board)
{
    for (unsigned n = 0; n < board->links; n++)
        char_link_flush(board->link[n]);
    for (unsigned n = 0; n < board->outputs; n++)
        chardev_flush(board->output[n]);
}

void board_mirror_input(struct board *leader, struct board *follower)
{
    for (unsigned n = 0; n < leader->links; n++)
        char_link_mirror(leader->link[n], follower->link[n]);
}
