/*
 * The keys of a PC keyboard, one table row each: names, codes, characters. The SDL window looks a key up by
 * USB usage (SDL's scan codes are usages), the VNC server by scan code or X keysym, a script of keys by name
 * and character.
 *
 * Characters are those of the US layout. Ringer presses keys, and the guest's layout gives them their meaning.
 */
#ifndef RINGER_UI_KEYS_H
#define RINGER_UI_KEYS_H

#include "base/types.h"

#define KEY_EXTENDED 0xe000 /* in key.code: the byte E0 comes first */

struct key {
    const char *name; /* QEMU's sendkey name */
    u16 code;         /* scan code set 1: key_bytes() */
    u8 usage;         /* USB HID Usage Tables, keyboard page */
    char plain, shifted;
    u16 keysym; /* X11's keysym, for keys that type no character or another one; 0: use the characters */
};

/* NULL: there is no such key. */
const struct key *key_by_name(const char *name, size_t length);
const struct key *key_by_usage(u32 usage);
/* A scan code of set 1 in one byte: bit 7 stands for the prefix E0. */
const struct key *key_by_scan_code(u32 code);
/* *shift: whether the shift key must be held. '\n' is Enter, '\t' Tab, '\b' Backspace, 27 Escape. */
const struct key *key_by_character(char character, bool *shift);
/* *shift: whether the shift key must be held; -1: it makes no difference. */
const struct key *key_by_keysym(u32 keysym, int *shift);

#define KEY_BYTES_MAX 6

/* The bytes of set 1 that the key sends when pressed or released. There may be none: Pause sends everything
 * when it is pressed. */
unsigned key_bytes(const struct key *key, bool down, u8 bytes[KEY_BYTES_MAX]);

bool key_is_shift(const struct key *key);
/* Caps Lock reverses the effect of shift on letters. */
bool key_is_letter(const struct key *key);

#endif
