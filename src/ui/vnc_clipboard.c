/*
 * The VNC server's clipboard. See vnc.h.
 */
#include "vnc_private.h"

#include <stdlib.h>
#include <string.h>

void vnc_cut(char *text, int bytes, rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;
    if (bytes > 0 && !text[bytes - 1]) bytes--; /* the extension counts a 0 at the end */
    if (bytes > 0) console_copy(vnc->console, text, (size_t)bytes);
}

void vnc_cut_latin(char *text, int bytes, rfbClientPtr client)
{
    char *wide = bytes > 0 ? malloc(2 * (size_t)bytes) : NULL;
    int count = 0;
    for (int n = 0; wide && n < bytes; n++) {
        u8 c = (u8)text[n];
        if (c >= 0x80) wide[count++] = (char)(0xc0 | c >> 6);
        wide[count++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
    }
    if (wide) vnc_cut(wide, count, client);
    free(wide);
}

/* For clients without the extension: '?' stands for what Latin 1 has not. Returns the length; never longer than the
 * UTF-8. */
static int to_latin(const char *text, char *latin)
{
    int count = 0;
    for (const u8 *at = (const u8 *)text; *at; at++) {
        if ((*at & 0xc0) == 0x80) continue; /* a later byte of the character before */
        bool high = (*at & 0xfc) == 0xc0;   /* U+0080 to U+00FF */
        latin[count++] = (char)(*at < 0x80 ? *at : high ? (*at & 3) << 6 | (at[1] & 0x3f) : '?');
    }
    return count;
}

void vnc_guest_copied(struct vnc *vnc)
{
    u32 copied = console_get(&vnc->console->copied);
    if (copied == vnc->copied) return;
    vnc->copied = copied;
    char *text = clipboard_get(&vnc->console->clipboard, CLIPBOARD_GUEST);
    char *latin = text ? malloc(strlen(text) + 1) : NULL;
    if (latin) rfbSendServerCutTextUTF8(vnc->screen, text, (int)strlen(text), latin, to_latin(text, latin));
    free(latin);
    free(text);
}
