#include "telnet.h"

/* RFC 854, "TELNET command structure" */
enum { SE = 240, BREAK = 243, SB = 250, WILL = 251, WONT = 252, DO = 253, DONT = 254, IAC = 255 };
enum { BINARY = 0, ECHO = 1, SUPPRESS_GO_AHEAD = 3 };

const u8 telnet_greeting[] = {IAC, WILL, ECHO,   IAC, WILL, SUPPRESS_GO_AHEAD,
                              IAC, WILL, BINARY, IAC, DO,   BINARY};
const u32 telnet_greeting_bytes = sizeof(telnet_greeting);

static int data(struct telnet *telnet, u8 byte)
{
    bool padding = telnet->carriage_return && !byte;
    telnet->carriage_return = byte == '\r';
    return padding ? TELNET_NOTHING : byte;
}

static int command(struct telnet *telnet, u8 byte)
{
    telnet->state = TELNET_DATA;
    switch (byte) {
    case IAC: return data(telnet, byte);
    case BREAK: return TELNET_BREAK;
    case SB: telnet->state = TELNET_SUB; break;
    case WILL:
    case WONT:
    case DO:
    case DONT: telnet->state = TELNET_OPTION; break;
    }
    return TELNET_NOTHING;
}

int telnet_take(struct telnet *telnet, u8 byte)
{
    switch (telnet->state) {
    case TELNET_DATA:
        if (byte != IAC) return data(telnet, byte);
        telnet->state = TELNET_COMMAND;
        break;
    case TELNET_COMMAND: return command(telnet, byte);
    case TELNET_OPTION: telnet->state = TELNET_DATA; break; /* an answer to the greeting, or a request */
    case TELNET_SUB:
        if (byte == IAC) telnet->state = TELNET_SUB_COMMAND;
        break;
    case TELNET_SUB_COMMAND: telnet->state = byte == SE ? TELNET_DATA : TELNET_SUB; break;
    }
    return TELNET_NOTHING;
}

u32 telnet_escape(const u8 *bytes, u32 count, u8 *to)
{
    u32 out = 0;
    for (u32 n = 0; n < count; n++) {
        if (bytes[n] == IAC) to[out++] = IAC;
        to[out++] = bytes[n];
    }
    return out;
}
