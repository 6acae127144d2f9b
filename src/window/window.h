/*
 * ringer-window: the window that lists kept machines, and makes, starts, stops, edits and removes them.
 *
 * It is a program of its own, so that `ringer` needs no toolkit, and it knows nothing about machines: it runs `ringer
 * list --json` to see them, and `ringer new`, `start`, `stop`, `edit` and `remove` for what the user wants. Their
 * sentences about what is wrong are shown as they are. GTK 3 gives it what SDL does not have: keyboard use, screen
 * readers (AT-SPI), themes, file choosers.
 *
 * Everything runs on GTK's thread; programs are waited for in the main loop.
 */
#ifndef RINGER_WINDOW_WINDOW_H
#define RINGER_WINDOW_WINDOW_H

#include <gtk/gtk.h>
#include <stdbool.h>

enum column {
    COLUMN_NAME,
    COLUMN_STATE,
    COLUMN_MEMORY,
    COLUMN_DISK,
    COLUMN_RUNNING,
    COLUMN_CDROM,
    COLUMN_DISPLAY,
    COLUMNS
};

struct window {
    const char *ringer; /* the program */
    GtkApplication *application;
    GtkWidget *top, *view, *empty, *pages;
    GtkWidget *message, *message_text, *busy; /* what went wrong; a program that takes its time */
    GtkWidget *start, *stop, *edit, *remove;
    GtkListStore *store;
    unsigned jobs; /* programs under way that the user waits for */
    bool listing;  /* `ringer list` runs */
};

/* --- run.c --- */

/* Run `ringer WORDS...` (NULL at the end), shown as `doing` while it runs (NULL: not shown). If it fails its sentence
 * is shown; in any case the list is read again. */
void window_run(struct window *w, const char *doing, const char *const *words);
/* Read the list of machines. */
void window_list(struct window *w);
void window_say(struct window *w, const char *text);

/* --- dialogs.c --- */

void dialog_new(struct window *w);
/* For the machine in this row. */
void dialog_edit(struct window *w, GtkTreeIter *row);
void dialog_stop(struct window *w, const char *name);
void dialog_remove(struct window *w, const char *name);

/* --- window.c --- */

/* Buttons that fit the selected machine; the empty page if there is none. */
void window_refresh(struct window *w);

#endif
