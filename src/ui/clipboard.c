#include "clipboard.h"

#include <stdlib.h>
#include <string.h>

void clipboard_init(struct clipboard *clipboard)
{
    *clipboard = (struct clipboard){.text = NULL};
    pthread_mutex_init(&clipboard->lock, NULL);
}

void clipboard_destroy(struct clipboard *clipboard)
{
    pthread_mutex_destroy(&clipboard->lock);
    free(clipboard->text);
}

/* The bytes of the UTF-8 character at `at` (Unicode 15, table 3-7), 0: there is none. */
static size_t character(const u8 *at, size_t left)
{
    static const struct {
        u8 first, last;            /* of the first byte */
        u8 second_from, second_to; /* of the second one; further ones are 80h to BFh */
        u8 bytes;
    } forms[] = {{0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (unsigned n = 0; n < ARRAY_SIZE(forms); n++) {
        if (*at < forms[n].first || *at > forms[n].last) continue;
        if (left < forms[n].bytes) return 0;
        if (forms[n].bytes > 1 && (at[1] < forms[n].second_from || at[1] > forms[n].second_to)) return 0;
        for (unsigned more = 2; more < forms[n].bytes; more++)
            if (at[more] < 0x80 || at[more] > 0xbf) return 0;
        return forms[n].bytes;
    }
    return 0;
}

static bool is_text(const char *text, size_t bytes)
{
    for (size_t at = 0, step; at < bytes; at += step)
        if (!(step = character((const u8 *)text + at, bytes - at))) return false;
    return true;
}

bool clipboard_put(struct clipboard *clipboard, enum clipboard_side side, const char *text, size_t bytes)
{
    if (!bytes || bytes > CLIPBOARD_BYTES_MAX || !is_text(text, bytes)) return false;
    char *copy = malloc(bytes);
    if (!copy) return false;
    memcpy(copy, text, bytes);
    pthread_mutex_lock(&clipboard->lock);
    bool same = clipboard->text && clipboard->bytes == bytes && !memcmp(clipboard->text, text, bytes);
    if (!same) {
        char *old = clipboard->text;
        clipboard->text = copy;
        clipboard->bytes = bytes;
        clipboard->side = side;
        copy = old;
    }
    pthread_mutex_unlock(&clipboard->lock);
    free(copy);
    return !same;
}

char *clipboard_get(struct clipboard *clipboard, enum clipboard_side side)
{
    char *copy = NULL;
    pthread_mutex_lock(&clipboard->lock);
    if (clipboard->text && clipboard->side == side) copy = malloc(clipboard->bytes + 1);
    if (copy) {
        memcpy(copy, clipboard->text, clipboard->bytes);
        copy[clipboard->bytes] = 0;
    }
    pthread_mutex_unlock(&clipboard->lock);
    return copy;
}
