/*
 * ringer disk create|info|convert: makes image files and shows their headers.
 */
#ifndef RINGER_TOOLS_DISK_COMMAND_H
#define RINGER_TOOLS_DISK_COMMAND_H

/* The words after "ringer disk". Returns an exit status (base/log.h). Errors were printed. */
int disk_command(int argc, char **argv);

#endif
