/*
 * The folder in which running machines are found. Each has one socket for QMP, $XDG_RUNTIME_DIR/ringer/NAME. NAME is
 * the machine's name, or "pid-N" if it has none.
 */
#ifndef RINGER_CHARDEV_RUNTIME_FOLDER_H
#define RINGER_CHARDEV_RUNTIME_FOLDER_H

#include "base/types.h"

/* Without a slash at the end. False: the host has no such folder for this user. */
bool runtime_folder(char *path, size_t bytes);
/* The path of the socket of the machine with that name. False: there is no folder, or no file can have the name. */
bool runtime_socket(const char *name, char *path, size_t bytes);
/* Returns a descriptor that is connected to the machine's socket, or -errno. */
int runtime_connect(const char *path);

#endif
