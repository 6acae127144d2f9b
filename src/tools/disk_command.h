/*
 * ringer disk create|info|convert: making image files, and looking at them.
 */
#ifndef RINGER_TOOLS_DISK_COMMAND_H
#define RINGER_TOOLS_DISK_COMMAND_H

/* What comes behind "ringer disk". Returns an exit status (base/log.h); errors have been told. */
int disk_command(int argc, char **argv);

#endif
