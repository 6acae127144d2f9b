/*
 * The keys of a PC keyboard: one table row each, with what it is called, sends and types. The window looks
 * keys up by USB usage (which SDL's scan codes are), the VNC server by scan code or X keysym, scripts by name
 * and character.
 *
 * Characters are those of the US layout: Ringer presses keys, what they mean is the guest's layout's
 * business.
 */
#ifndef RINGER_UI_KEYS_H
#define RINGER_UI_KEYS_H

#include "base/types.h"

#define KEY_EXTENDED 0xe000 /* in key.code: E0 comes first */

struct key {
    const char *name; /* as QEMU's sendkey has it */
    u16 code;         /* scan code set 1: key_bytes() */
    u8 usage;         /* USB HID Usage Tables, keyboard page */
    char plain, shifted;
    u16 keysym; /* X11's, of keys that type no character (or another one); 0: the characters are */
};

/* NULL: there is no such key. */
const struct key *key_by_name(const char *name, size_t length);
const struct key *key_by_usage(u32 usage);
/* Scan code set 1 in a byte: bit 7 stands for E0 before the other seven. */
const struct key *key_by_scan_code(u32 code);
/* *shift: it takes the shift key. '\n' is Enter, '\t' Tab, '\b' Backspace, 27 Escape. */
const struct key *key_by_character(char character, bool *shift);
/* *shift: whether the shift key must be held to get it; -1: it makes no difference. */
const struct key *key_by_keysym(u32 keysym, int *shift);

#define KEY_BYTES_MAX 6

/* What the key sends when pressed or let go, in set 1. May be nothing (Pause sends all when pressed). */
unsigned key_bytes(const struct key *key, bool down, u8 bytes[KEY_BYTES_MAX]);

bool key_is_shift(const struct key *key);
/* Lock keys turn the other way round what a letter is. */
bool key_is_letter(const struct key *key);

#endif
