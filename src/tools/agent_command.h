/*
 * `ringer ctl NAME agent ...`: asks QEMU's guest agent (Debian's package qemu-guest-agent) in a guest to shut down, to
 * freeze its file systems, to run programs.
 */
#ifndef RINGER_TOOLS_AGENT_COMMAND_H
#define RINGER_TOOLS_AGENT_COMMAND_H

struct qmp_client;

/* The words behind "agent". Returns an exit status: that of the program for exec. */
int agent_command(struct qmp_client *machine, int count, char **words);

#endif
