/*
 * Telnet on a stream (RFC 854, 855): removes commands from the input, and doubles the byte FFh in the output. The
 * greeting asks the client to send each key at once and not to echo it (options of RFC 856, 857, 858).
 */
#ifndef RINGER_CHARDEV_TELNET_H
#define RINGER_CHARDEV_TELNET_H

#include "base/types.h"

struct telnet {
    enum telnet_state { TELNET_DATA, TELNET_COMMAND, TELNET_OPTION, TELNET_SUB, TELNET_SUB_COMMAND } state;
    bool
        carriage_return; /* the last byte of data was one: a NUL that follows is dropped (RFC 854, "NVT printer") */
};

/* The bytes that a server sends first. */
extern const u8 telnet_greeting[];
extern const u32 telnet_greeting_bytes;

/* One byte of input. Returns a byte of data, TELNET_NOTHING, or TELNET_BREAK. */
#define TELNET_NOTHING (-1)
#define TELNET_BREAK   (-2)
int telnet_take(struct telnet *telnet, u8 byte);
/* Output with FFh doubled. Returns the bytes written to `to`, which has room for 2 * count. */
u32 telnet_escape(const u8 *bytes, u32 count, u8 *to);

#endif
