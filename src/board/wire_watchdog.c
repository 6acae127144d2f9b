/*
 * i6300esb: the watchdog timer, and what is done when it runs out (-watchdog-action).
 */
#include "base/log.h"
#include "board.h"
#include "device_table.h"
#include "devices/chipset/i6300esb.h"

#include <stdio.h>
#include <stdlib.h>

static void run_out(void *owner)
{
    struct board *board = owner;
    enum watchdog_action action = board->watchdog_action;
    board_tell(board, BOARD_WATCHDOG, watchdog_action_names[action], 0);
    switch (action) {
    case WATCHDOG_RESET: board_reset(board, true); break;
    case WATCHDOG_SHUTDOWN: board->host->power_button(board->machine); break;
    case WATCHDOG_POWEROFF: board_stop(board, STOP_GUEST, STATUS_OK, NULL); break;
    case WATCHDOG_PAUSE: board->host->pause(board->machine, PAUSE_USER, true); break;
    case WATCHDOG_DEBUG: log_warn("the watchdog has run out"); break;
    case WATCHDOG_NONE: break;
    case WATCHDOG_NMI: board->host->nmi(board->machine); break;
    }
}

static void destroy(void *device)
{
    struct i6300esb *watchdog = device;
    timer_cancel(&watchdog->timer);
    free(watchdog);
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    u8 devfn;
    if (!board_find_slot(board, option, &devfn, error, error_bytes)) return false;
    struct i6300esb *watchdog = calloc(1, sizeof(*watchdog));
    if (!watchdog) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, watchdog, i6300esb_reset, destroy);
    i6300esb_init(watchdog, &board->pci, devfn, board->clock, run_out, board);
    return true;
}

static const struct property properties[] = {{0}};

const struct device_type i6300esb_type = {
    .name = "i6300esb",
    .bus = &bus_pci,
    .help = "watchdog timer; -watchdog-action says what it does",
    .properties = properties,
    .create = create,
};
