/*
 * The table of keys. See keys.h. Scan codes: IBM PS/2 Hardware Interface Technical Reference, "101/102-key
 * keyboard", set 1; usages: USB HID Usage Tables 1.12, chapter 10; keysyms: X Window System Protocol,
 * appendix A.
 */
#include "keys.h"

#include <string.h>

#define CODE_PAUSE 0xe11d
#define CODE_PRINT (KEY_EXTENDED | 0x37)
/* Ctrl-Pause's code, E0 46: Pause's own code does not fit into a byte. */
#define SHORT_PAUSE 0xc6

/* clang-format off */
static const struct key keys[] = {
    {"esc", 0x01, 0x29, 0, 0, 0xff1b}, {"1", 0x02, 0x1e, '1', '!', 0x0}, {"2", 0x03, 0x1f, '2', '@', 0x0},
    {"3", 0x04, 0x20, '3', '#', 0x0}, {"4", 0x05, 0x21, '4', '$', 0x0}, {"5", 0x06, 0x22, '5', '%', 0x0},
    {"6", 0x07, 0x23, '6', '^', 0x0}, {"7", 0x08, 0x24, '7', '&', 0x0}, {"8", 0x09, 0x25, '8', '*', 0x0},
    {"9", 0x0a, 0x26, '9', '(', 0x0}, {"0", 0x0b, 0x27, '0', ')', 0x0}, {"minus", 0x0c, 0x2d, '-', '_', 0x0},
    {"equal", 0x0d, 0x2e, '=', '+', 0x0}, {"backspace", 0x0e, 0x2a, 0, 0, 0xff08}, {"tab", 0x0f, 0x2b, 0, 0, 0xff09},
    {"q", 0x10, 0x14, 'q', 'Q', 0x0}, {"w", 0x11, 0x1a, 'w', 'W', 0x0}, {"e", 0x12, 0x08, 'e', 'E', 0x0},
    {"r", 0x13, 0x15, 'r', 'R', 0x0}, {"t", 0x14, 0x17, 't', 'T', 0x0}, {"y", 0x15, 0x1c, 'y', 'Y', 0x0},
    {"u", 0x16, 0x18, 'u', 'U', 0x0}, {"i", 0x17, 0x0c, 'i', 'I', 0x0}, {"o", 0x18, 0x12, 'o', 'O', 0x0},
    {"p", 0x19, 0x13, 'p', 'P', 0x0}, {"bracket_left", 0x1a, 0x2f, '[', '{', 0x0}, {"bracket_right", 0x1b, 0x30, ']', '}', 0x0},
    {"ret", 0x1c, 0x28, 0, 0, 0xff0d}, {"ctrl", 0x1d, 0xe0, 0, 0, 0xffe3}, {"a", 0x1e, 0x04, 'a', 'A', 0x0},
    {"s", 0x1f, 0x16, 's', 'S', 0x0}, {"d", 0x20, 0x07, 'd', 'D', 0x0}, {"f", 0x21, 0x09, 'f', 'F', 0x0},
    {"g", 0x22, 0x0a, 'g', 'G', 0x0}, {"h", 0x23, 0x0b, 'h', 'H', 0x0}, {"j", 0x24, 0x0d, 'j', 'J', 0x0},
    {"k", 0x25, 0x0e, 'k', 'K', 0x0}, {"l", 0x26, 0x0f, 'l', 'L', 0x0}, {"semicolon", 0x27, 0x33, ';', ':', 0x0},
    {"apostrophe", 0x28, 0x34, '\'', '"', 0x0}, {"grave_accent", 0x29, 0x35, '`', '~', 0x0}, {"shift", 0x2a, 0xe1, 0, 0, 0xffe1},
    {"backslash", 0x2b, 0x31, '\\', '|', 0x0}, {"z", 0x2c, 0x1d, 'z', 'Z', 0x0}, {"x", 0x2d, 0x1b, 'x', 'X', 0x0},
    {"c", 0x2e, 0x06, 'c', 'C', 0x0}, {"v", 0x2f, 0x19, 'v', 'V', 0x0}, {"b", 0x30, 0x05, 'b', 'B', 0x0},
    {"n", 0x31, 0x11, 'n', 'N', 0x0}, {"m", 0x32, 0x10, 'm', 'M', 0x0}, {"comma", 0x33, 0x36, ',', '<', 0x0},
    {"dot", 0x34, 0x37, '.', '>', 0x0}, {"slash", 0x35, 0x38, '/', '?', 0x0}, {"shift_r", 0x36, 0xe5, 0, 0, 0xffe2},
    {"kp_multiply", 0x37, 0x55, 0, 0, 0xffaa}, {"alt", 0x38, 0xe2, 0, 0, 0xffe9}, {"spc", 0x39, 0x2c, ' ', ' ', 0x0},
    {"caps_lock", 0x3a, 0x39, 0, 0, 0xffe5}, {"f1", 0x3b, 0x3a, 0, 0, 0xffbe}, {"f2", 0x3c, 0x3b, 0, 0, 0xffbf},
    {"f3", 0x3d, 0x3c, 0, 0, 0xffc0}, {"f4", 0x3e, 0x3d, 0, 0, 0xffc1}, {"f5", 0x3f, 0x3e, 0, 0, 0xffc2},
    {"f6", 0x40, 0x3f, 0, 0, 0xffc3}, {"f7", 0x41, 0x40, 0, 0, 0xffc4}, {"f8", 0x42, 0x41, 0, 0, 0xffc5},
    {"f9", 0x43, 0x42, 0, 0, 0xffc6}, {"f10", 0x44, 0x43, 0, 0, 0xffc7}, {"num_lock", 0x45, 0x53, 0, 0, 0xff7f},
    {"scroll_lock", 0x46, 0x47, 0, 0, 0xff14}, {"kp_7", 0x47, 0x5f, 0, 0, 0xffb7}, {"kp_8", 0x48, 0x60, 0, 0, 0xffb8},
    {"kp_9", 0x49, 0x61, 0, 0, 0xffb9}, {"kp_subtract", 0x4a, 0x56, 0, 0, 0xffad}, {"kp_4", 0x4b, 0x5c, 0, 0, 0xffb4},
    {"kp_5", 0x4c, 0x5d, 0, 0, 0xffb5}, {"kp_6", 0x4d, 0x5e, 0, 0, 0xffb6}, {"kp_add", 0x4e, 0x57, 0, 0, 0xffab},
    {"kp_1", 0x4f, 0x59, 0, 0, 0xffb1}, {"kp_2", 0x50, 0x5a, 0, 0, 0xffb2}, {"kp_3", 0x51, 0x5b, 0, 0, 0xffb3},
    {"kp_0", 0x52, 0x62, 0, 0, 0xffb0}, {"kp_decimal", 0x53, 0x63, 0, 0, 0xffae}, {"less", 0x56, 0x64, 0, 0, 0x0},
    {"f11", 0x57, 0x44, 0, 0, 0xffc8}, {"f12", 0x58, 0x45, 0, 0, 0xffc9}, {"kp_enter", 0xe01c, 0x58, 0, 0, 0xff8d},
    {"ctrl_r", 0xe01d, 0xe4, 0, 0, 0xffe4}, {"kp_divide", 0xe035, 0x54, 0, 0, 0xffaf}, {"print", 0xe037, 0x46, 0, 0, 0xff61},
    {"alt_r", 0xe038, 0xe6, 0, 0, 0xffea}, {"home", 0xe047, 0x4a, 0, 0, 0xff50}, {"up", 0xe048, 0x52, 0, 0, 0xff52},
    {"pgup", 0xe049, 0x4b, 0, 0, 0xff55}, {"left", 0xe04b, 0x50, 0, 0, 0xff51}, {"right", 0xe04d, 0x4f, 0, 0, 0xff53},
    {"end", 0xe04f, 0x4d, 0, 0, 0xff57}, {"down", 0xe050, 0x51, 0, 0, 0xff54}, {"pgdn", 0xe051, 0x4e, 0, 0, 0xff56},
    {"insert", 0xe052, 0x49, 0, 0, 0xff63}, {"delete", 0xe053, 0x4c, 0, 0, 0xffff}, {"meta_l", 0xe05b, 0xe3, 0, 0, 0xffeb},
    {"meta_r", 0xe05c, 0xe7, 0, 0, 0xffec}, {"menu", 0xe05d, 0x65, 0, 0, 0xff67}, {"pause", 0xe11d, 0x48, 0, 0, 0xff13},
};
/* clang-format on */

/* Alternative names of keys, */
static const struct {
    const char *name, *key;
} names[] = {
    {"enter", "ret"},     {"return", "ret"},  {"space", "spc"},     {"escape", "esc"},   {"pageup", "pgup"},
    {"pagedown", "pgdn"}, {"ins", "insert"},  {"del", "delete"},    {"control", "ctrl"}, {"win", "meta_l"},
    {"ctrl_l", "ctrl"},   {"alt_l", "alt"},   {"shift_l", "shift"}, {"altgr", "alt_r"},  {"compose", "menu"},
    {"bs", "backspace"},  {"sysrq", "print"},
};

/* and keysyms without a row of their own: the keypad without Num Lock, Shift-Tab, other names of
 * modifiers. */
static const struct {
    u16 keysym;
    const char *key;
} keysyms[] = {
    {0xff95, "kp_7"},       {0xff96, "kp_4"},       {0xff97, "kp_8"},  {0xff98, "kp_6"},  {0xff99, "kp_2"},
    {0xff9a, "kp_9"},       {0xff9b, "kp_3"},       {0xff9c, "kp_1"},  {0xff9d, "kp_5"},  {0xff9e, "kp_0"},
    {0xff9f, "kp_decimal"}, {0xffac, "kp_decimal"}, {0xff15, "print"}, {0xff6b, "pause"}, {0xfe20, "tab"},
    {0xfe03, "alt_r"},      {0xff7e, "alt_r"},      {0xffe7, "alt"},   {0xffe8, "alt_r"}, {0xffed, "meta_l"},
    {0xffee, "meta_r"},
};

const struct key *key_by_name(const char *name, size_t length)
{
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (strlen(names[n].name) == length && !strncasecmp(names[n].name, name, length))
            return key_by_name(names[n].key, strlen(names[n].key));
    for (unsigned n = 0; n < ARRAY_SIZE(keys); n++)
        if (strlen(keys[n].name) == length && !strncasecmp(keys[n].name, name, length)) return &keys[n];
    bool shift;
    return length == 1 ? key_by_character(name[0], &shift) : NULL;
}

const struct key *key_by_usage(u32 usage)
{
    for (unsigned n = 0; n < ARRAY_SIZE(keys); n++)
        if (keys[n].usage == usage) return &keys[n];
    return NULL;
}

const struct key *key_by_scan_code(u32 code)
{
    u32 wanted = code == SHORT_PAUSE ? CODE_PAUSE : code & 0x80 ? KEY_EXTENDED | (code & 0x7f) : code;
    for (unsigned n = 0; code < 0x100 && n < ARRAY_SIZE(keys); n++)
        if (keys[n].code == wanted) return &keys[n];
    return NULL;
}

static const struct key *key_of_keysym(u32 keysym)
{
    for (unsigned n = 0; n < ARRAY_SIZE(keys); n++)
        if (keys[n].keysym && keys[n].keysym == keysym) return &keys[n];
    for (unsigned n = 0; n < ARRAY_SIZE(keysyms); n++)
        if (keysyms[n].keysym == keysym) return key_by_name(keysyms[n].key, strlen(keysyms[n].key));
    return NULL;
}

const struct key *key_by_character(char character, bool *shift)
{
    static const struct {
        char character;
        u16 keysym;
    } controls[] = {{'\n', 0xff0d}, {'\r', 0xff0d}, {'\t', 0xff09}, {'\b', 0xff08}, {27, 0xff1b}};
    *shift = false;
    for (unsigned n = 0; n < ARRAY_SIZE(controls); n++)
        if (controls[n].character == character) return key_of_keysym(controls[n].keysym);
    for (unsigned n = 0; character && n < ARRAY_SIZE(keys); n++) {
        *shift = keys[n].plain != character;
        if (keys[n].plain == character || keys[n].shifted == character) return &keys[n];
    }
    return NULL;
}

/* Keysyms of Latin 1 equal their characters. */
const struct key *key_by_keysym(u32 keysym, int *shift)
{
    bool shifted;
    *shift = -1;
    if (keysym < ' ' || keysym > '~') return key_of_keysym(keysym);
    const struct key *key = key_by_character((char)keysym, &shifted);
    if (key && key->plain != key->shifted) *shift = shifted;
    return key;
}

static unsigned put(u8 *to, unsigned count, const u8 *from)
{
    for (unsigned n = 0; n < count; n++)
        to[n] = from[n];
    return count;
}

unsigned key_bytes(const struct key *key, bool down, u8 bytes[KEY_BYTES_MAX])
{
    static const u8 pause[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};
    static const u8 print[2][4] = {{0xe0, 0xb7, 0xe0, 0xaa}, {0xe0, 0x2a, 0xe0, 0x37}};
    if (key->code == CODE_PAUSE) return put(bytes, down ? sizeof(pause) : 0, pause);
    if (key->code == CODE_PRINT) return put(bytes, sizeof(print[0]), print[down]);
    unsigned count = 0;
    if (key->code & KEY_EXTENDED) bytes[count++] = 0xe0;
    bytes[count++] = (u8)(key->code | (down ? 0 : 0x80));
    return count;
}

bool key_is_shift(const struct key *key)
{
    return key->code == 0x2a || key->code == 0x36;
}

bool key_is_letter(const struct key *key)
{
    return key->plain >= 'a' && key->plain <= 'z';
}
