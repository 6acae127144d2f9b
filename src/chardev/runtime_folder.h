/*
 * The folder in which running machines are found. Each has one socket for QMP, named as the machine; "pid-N" if that
 * has no name, "NAME.pid-N" if another machine has the name.
 *
 * The folder is $XDG_RUNTIME_DIR/ringer. Containers and CI runners have no such directory (XDG Base Directory
 * Specification). There it is /tmp/ringer-UID, which must belong to the user and must not let other users in.
 */
#ifndef RINGER_CHARDEV_RUNTIME_FOLDER_H
#define RINGER_CHARDEV_RUNTIME_FOLDER_H

#include "base/types.h"

/* Makes the folder. Its path has no slash at the end. False: it cannot be made, or others could put a socket there. */
bool runtime_folder(char *path, size_t bytes);
/* The path of the socket of the machine with that name. False: there is no folder, or no file can have the name. */
bool runtime_socket(const char *name, char *path, size_t bytes);
/* The path of a socket that this process is to make: for QMP, or for its guest's agent. `name` may be NULL. A running
 * machine keeps its name; another machine of that name gets the number of its process as well. */
bool runtime_new_socket(const char *name, bool agent, char *path, size_t bytes);
/* Returns a descriptor that is connected to the machine's socket, or -errno. */
int runtime_connect(const char *path);
/* Removes the sockets with a process's number that machines left when they were killed. */
void runtime_sweep(void);

#endif
