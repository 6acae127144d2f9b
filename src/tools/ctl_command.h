/* `ringer ctl`: commands for a running machine. */
#ifndef RINGER_TOOLS_CTL_COMMAND_H
#define RINGER_TOOLS_CTL_COMMAND_H

/* The words behind "ctl". Returns an exit status. */
int ctl_command(int count, char **words);

#endif
