/*
 * The clipboard: the text that guest and desktop share. The side that copied last has the text; the other side may
 * paste it.
 *
 *   frontend's thread                                vCPU thread
 *   console_copy(text) -> clipboard, event           take(): ui/vdagent.c tells the guest's agent
 *   console.copied has changed: clipboard_get()  <-  the agent's text -> clipboard, console_set()
 *
 * Text is UTF-8 without a 0 byte. Anything else is refused, because a desktop's other programs get what the guest says.
 */
#ifndef RINGER_UI_CLIPBOARD_H
#define RINGER_UI_CLIPBOARD_H

#include "base/types.h"

#include <pthread.h>

#define CLIPBOARD_BYTES_MAX (1u << 20)

enum clipboard_side { CLIPBOARD_HOST, CLIPBOARD_GUEST };

struct clipboard {
    pthread_mutex_t lock;
    enum clipboard_side side; /* that copied it */
    char *text;               /* NULL: nothing was copied yet */
    size_t bytes;
};

void clipboard_init(struct clipboard *clipboard);
void clipboard_destroy(struct clipboard *clipboard);

/* Any thread. False, and nothing changes: it is no text, too long, or what the clipboard has already, so that a text
 * does not travel in circles. */
bool clipboard_put(struct clipboard *clipboard, enum clipboard_side side, const char *text, size_t bytes);
/* A copy of what that side has copied last, with a 0 behind it, to be freed. NULL: the text is the other side's, or
 * there is none. */
char *clipboard_get(struct clipboard *clipboard, enum clipboard_side side);

#endif
