#include "packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- input --- */

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static void begin(struct packet_reader *r)
{
    r->state = PACKET_INSIDE;
    r->bytes = 0;
    r->sum = 0;
    r->escaped = r->too_long = false;
}

static void take_data(struct packet_reader *r, u8 byte)
{
    r->sum += byte;
    if (byte == '}' && !r->escaped) {
        r->escaped = true;
        return;
    }
    if (r->bytes == PACKET_BYTES)
        r->too_long = true;
    else
        r->data[r->bytes++] = (char)(r->escaped ? byte ^ 0x20 : byte);
    r->escaped = false;
}

static enum packet_event finish(struct packet_reader *r, int low)
{
    r->state = PACKET_OUTSIDE;
    r->data[r->bytes] = 0;
    if (low < 0 || r->told_sum + low != r->sum) return PACKET_DAMAGED;
    return r->too_long ? PACKET_LONG : PACKET_WHOLE;
}

enum packet_event packet_take(struct packet_reader *r, u8 byte)
{
    int value = digit((char)byte);
    switch (r->state) {
    case PACKET_OUTSIDE:
        if (byte == '$') begin(r);
        return byte == 3 ? PACKET_INTERRUPT : byte == '-' ? PACKET_AGAIN : PACKET_NOTHING;
    case PACKET_INSIDE:
        if (byte == '#') {
            r->state = PACKET_SUM_HIGH;
        } else if (byte == '$') { /* the client has given up what it began */
            begin(r);
        } else {
            take_data(r, byte);
        }
        return PACKET_NOTHING;
    case PACKET_SUM_HIGH:
        r->state = value < 0 ? PACKET_OUTSIDE : PACKET_SUM_LOW;
        if (value < 0) return PACKET_DAMAGED;
        r->told_sum = (u8)(value << 4);
        return PACKET_NOTHING;
    case PACKET_SUM_LOW: return finish(r, value);
    }
    return PACKET_NOTHING;
}

/* --- output --- */

void packet_clear(struct packet_text *t)
{
    t->bytes = 0;
    t->text[0] = 0;
}

void packet_add(struct packet_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(t->text + t->bytes, sizeof(t->text) - t->bytes, format, args);
    va_end(args);
    if (bytes > 0) t->bytes += (u32)bytes;
    if (t->bytes > PACKET_BYTES) t->bytes = PACKET_BYTES;
}

void packet_add_hex(struct packet_text *t, const void *bytes, u32 count)
{
    static const char digits[] = "0123456789abcdef";
    for (u32 n = 0; n < count && t->bytes + 2 <= PACKET_BYTES; n++) {
        u8 byte = ((const u8 *)bytes)[n];
        t->text[t->bytes++] = digits[byte >> 4];
        t->text[t->bytes++] = digits[byte & 15];
    }
    t->text[t->bytes] = 0;
}

u32 packet_add_binary(struct packet_text *t, const char *bytes, u32 count)
{
    u32 n = 0;
    for (; n < count && t->bytes + 2 <= PACKET_BYTES; n++) {
        bool special = memchr("#$*}", bytes[n], 4);
        if (special) t->text[t->bytes++] = '}';
        t->text[t->bytes++] = (char)(special ? bytes[n] ^ 0x20 : bytes[n]);
    }
    t->text[t->bytes] = 0;
    return n;
}

u32 packet_frame(const struct packet_text *t, char *out)
{
    u8 sum = 0;
    out[0] = '$';
    memcpy(out + 1, t->text, t->bytes);
    for (u32 n = 0; n < t->bytes; n++)
        sum += (u8)t->text[n];
    return t->bytes + 1 + (u32)sprintf(out + 1 + t->bytes, "#%02x", sum);
}

/* --- parsing --- */

bool packet_number(const char **at, u64 *value)
{
    const char *from = *at;
    *value = 0;
    for (int d; (d = digit(**at)) >= 0; ++*at)
        *value = *value << 4 | (unsigned)d;
    return *at != from;
}

bool packet_char(const char **at, char c)
{
    if (**at != c) return false;
    ++*at;
    return true;
}

bool packet_bytes(const char **at, void *bytes, u32 count)
{
    for (u32 n = 0; n < count; n++) {
        int high = digit((*at)[0]), low = high < 0 ? -1 : digit((*at)[1]);
        if (low < 0) return false;
        ((u8 *)bytes)[n] = (u8)(high << 4 | low);
        *at += 2;
    }
    return true;
}
