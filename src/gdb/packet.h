/*
 * Packets of the remote serial protocol: $DATA#CC, CC the sum of DATA's bytes modulo 256. In DATA, } escapes the next
 * byte, which is XORed with 20h.
 */
#ifndef RINGER_GDB_PACKET_H
#define RINGER_GDB_PACKET_H

#include "base/types.h"

#define PACKET_BYTES 16384u /* of DATA, at most */

struct packet_reader {
    enum { PACKET_OUTSIDE, PACKET_INSIDE, PACKET_SUM_HIGH, PACKET_SUM_LOW } state;
    char data[PACKET_BYTES + 1]; /* unescaped, with a 0 behind it */
    u32 bytes;
    bool escaped, too_long;
    u8 sum, told_sum;
};

enum packet_event {
    PACKET_NOTHING,
    PACKET_WHOLE,     /* reader.data */
    PACKET_DAMAGED,   /* a wrong sum */
    PACKET_LONG,      /* more than PACKET_BYTES */
    PACKET_AGAIN,     /* "-": the client wants the last answer again */
    PACKET_INTERRUPT, /* Ctrl-C between packets */
};
enum packet_event packet_take(struct packet_reader *reader, u8 byte);

/* An answer. What does not fit is dropped. */
struct packet_text {
    char text[PACKET_BYTES + 1];
    u32 bytes;
};
void packet_clear(struct packet_text *text);
void packet_add(struct packet_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void packet_add_hex(struct packet_text *text, const void *bytes, u32 count);
/* Binary data, escaped. Returns how many bytes fitted. */
u32 packet_add_binary(struct packet_text *text, const char *bytes, u32 count);
/* The packet as it goes to the client: at least 2 * PACKET_BYTES + 4 bytes. Returns its length. */
u32 packet_frame(const struct packet_text *text, char *out);

/* Read from *at on, and move it. False: there is no such thing. */
bool packet_number(const char **at, u64 *value); /* hexadecimal */
bool packet_char(const char **at, char c);
/* Exactly `count` bytes in hexadecimal. */
bool packet_bytes(const char **at, void *bytes, u32 count);

#endif
