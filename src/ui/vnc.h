/*
 * The VNC server (RFB 3.8, by libvncserver): the machine's screen, keyboard and mouse for hosts without a
 * desktop.
 *
 * It has one thread, which sleeps until a client, the guest's picture or the console wakes it. While no
 * client is connected, it does not ask for the picture at all. Clients share one picture and one keyboard.
 *
 * Any program that reaches the port can be a client. So by default the server listens on this host only, and it trusts
 * no client. It drops a client that stops in the middle of a message or does not read (after a second or a few), and a
 * client that does not complete the greeting (after two minutes). The guest never waits for a client.
 */
#ifndef RINGER_UI_VNC_H
#define RINGER_UI_VNC_H

#include "console.h"

struct vnc;

/* "[HOST]:N[,password-file=FILE|,password=on]": listen on port 5900 + N of HOST, or of this host's loopback. From then
 * on clients can connect; they are served between start and stop. NULL with an exit status in *status and one sentence
 * in error. */
struct vnc *vnc_open(struct console *console, const char *specification, int *status, char *error,
                     size_t error_bytes);
void vnc_start(struct vnc *vnc);
void vnc_stop(struct vnc *vnc);
/* The server must be stopped, or never have been started. */
void vnc_close(struct vnc *vnc);

#endif
