/*
 * The VNC server (RFB 3.8, by libvncserver): the machine's screen, keyboard and mouse for hosts without a
 * desktop.
 *
 * It has one thread, which sleeps until a client, the guest's picture or the console wakes it; while nobody
 * is connected it does not look at the picture at all. Clients share one picture and one keyboard.
 *
 * A client may be anybody who reaches the port, so it listens on this host only unless told otherwise, and
 * trusts no client: one that stops in the middle of a message, or does not read, is dropped after a second or
 * a few, one that does not get through the greeting after two minutes; the guest never waits for any of them.
 */
#ifndef RINGER_UI_VNC_H
#define RINGER_UI_VNC_H

#include "console.h"

struct vnc;

/* "[HOST]:N[,password-file=FILE]": listens at port 5900 + N of HOST, or of this host's loopback. From then on
 * clients may connect, but are served only between start and stop. NULL with an exit status in *status and
 * one sentence in error. */
struct vnc *vnc_open(struct console *console, const char *specification, int *status, char *error,
                     size_t error_bytes);
void vnc_start(struct vnc *vnc);
void vnc_stop(struct vnc *vnc);
/* Stopped or never started. */
void vnc_close(struct vnc *vnc);

#endif
