/*
 * ringer disk create|info|convert: making image files, and looking at them.
 */
#ifndef RINGER_VM_DISK_COMMAND_H
#define RINGER_VM_DISK_COMMAND_H

/* What comes behind "ringer disk". Returns an exit status (base/log.h); errors have been told. */
int disk_command(int argc, char **argv);

#endif
