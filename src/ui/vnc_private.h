/*
 * What the files of the VNC server share: vnc.c serves clients, vnc_input.c takes keys and pointer,
 * vnc_listen.c opens the socket, vnc_clipboard.c shares texts.
 */
#ifndef RINGER_UI_VNC_PRIVATE_H
#define RINGER_UI_VNC_PRIVATE_H

#include "vnc.h"

#include <rfb/rfb.h>

#define VNC_CLIENTS_MAX  16
#define VNC_HELD_MAX     32
#define VNC_PASSWORD_MAX 8 /* as many characters as the protocol uses */

struct vnc {
    struct console *console;
    rfbScreenInfo *screen;
    pthread_t thread;
    bool running;
    int wake_fd; /* eventfd: written when `news` is not 0, or to stop */
    /* atomic */
    u32 news; /* bits below */
    u32 stop;
    struct display_viewer viewer;
    struct console_frontend frontend;
    /* of the server's thread */
    bool wants, asked;
    u64 next_ask_ns, blink_ns;
    u32 clients;
    u32 copied;          /* console.copied when it was last read */
    u32 *blank;          /* shown until there is a picture */
    bool wants_password; /* clients must know it */
    pthread_mutex_t password_lock;
    char password[VNC_PASSWORD_MAX + 1];  /* under the lock; "": no client can know it */
    char *passwords[2];                   /* the same as libvncserver reads it */
    const struct key *held[VNC_HELD_MAX]; /* keys that are down for the guest */
};

enum { VNC_CHANGED = 1, VNC_READY = 2, VNC_STATE = 4 };

/* A listening socket for the specification, or -1 with one sentence in error. Sets vnc->wants_password, and
 * vnc->password if it is in a file. */
int vnc_listen(struct vnc *vnc, const char *specification, int *status, char *error, size_t error_bytes);

/* --- vnc_input.c: libvncserver's hooks --- */

void vnc_key(rfbBool down, rfbKeySym keysym, rfbClientPtr client);
void vnc_pointer(int mask, int x, int y, rfbClientPtr client);
void vnc_release_keys(struct vnc *vnc);
int vnc_leds(rfbScreenInfoPtr screen);
extern rfbProtocolExtension vnc_scan_codes;

/* --- vnc_clipboard.c --- */

/* libvncserver's hooks: a client has copied a text, in Latin 1 as RFB 3.8 has it (7.5.6) or by the extension for
 * UTF-8. */
void vnc_cut_latin(char *text, int bytes, rfbClientPtr client);
void vnc_cut(char *text, int bytes, rfbClientPtr client);
/* The guest may have copied one. */
void vnc_guest_copied(struct vnc *vnc);

#endif
