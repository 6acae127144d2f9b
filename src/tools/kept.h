/*
 * Kept machines: folders in which a machine's settings and disk are, so that it is started by its name.
 *
 *   $XDG_DATA_HOME/ringer/NAME/
 *     machine.ini   the settings, for people to read and edit (GKeyFile)
 *     disk.qcow2    its disk, unless the settings name another file
 *     lock          locked (F_OFD_SETLK) by the process that runs the machine; has the number of that process
 *     ringer.desktop
 *   $XDG_DATA_HOME/applications/ringer-NAME.desktop   a link to it
 *
 * Invariants
 * 1. A folder with a name that does not begin with '.' is a whole machine: it was made under another name and renamed.
 *    A machine that is removed is renamed first.
 * 2. machine.ini is replaced by a rename. So whatever moment a process dies at, the machine starts again.
 * 3. The lock is the kernel's and goes with the process: nothing has to be tidied up after a kill. Only a process that
 *    runs or removes the machine ever holds it.
 * 4. Files are written inside a machine's folder alone, so what an interrupted command leaves there goes with the
 *    folder. Links and renames, which take one step, do the rest.
 */
#ifndef RINGER_TOOLS_KEPT_H
#define RINGER_TOOLS_KEPT_H

#include "base/types.h"

#include <glib.h>

#define KEPT_PATH 512

/* Letters, digits, '-', '_' and '.', which is not the first; 48 at most. */
bool kept_name_is_good(const char *name);
/* The folder of all machines, which is made if it is not there. False: a sentence was printed. */
bool kept_root(char *path, size_t bytes);
/* NAME/file, or the folder if `file` is NULL. False: there is no room, or no such root. */
bool kept_path(const char *name, const char *file, char *path, size_t bytes);
/* False: a sentence was printed. */
bool kept_exists(const char *name);
/* NULL: a sentence was printed. */
GKeyFile *kept_load(const char *name);
/* Replaces the settings in the folder `path`. */
bool kept_save(const char *path, GKeyFile *settings);

/* Take the machine's lock for this process and its children until they end. -EWOULDBLOCK: it runs. */
int kept_lock(const char *name);
/* The process that runs the machine; 0: none; -1: one that starts, and has not said its number yet. */
int kept_runner(const char *name);

/* The command line of the machine: "ringer run --name NAME ...", to be freed by g_strfreev(). NULL: a sentence was
 * printed. */
char **kept_arguments(const char *name, GKeyFile *settings);

/* The machine's desktop entry: made if there is none, or removed. */
void kept_desktop_entry(const char *name, bool there);
/* Delete what interrupted commands have left: folders .NAME.PID of processes that are gone, and of this one. */
void kept_sweep(void);

#endif
