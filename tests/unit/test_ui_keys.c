/*
 * The table of keys: every lookup finds the key that types the wanted character, and the key sends a PC keyboard's
 * codes.
 */
#include "ui/keys.h"

#include "check.h"

#include <string.h>

static const struct key *named(const char *name)
{
    return key_by_name(name, strlen(name));
}

static bool sends(const char *name, bool down, const char *expected)
{
    u8 bytes[KEY_BYTES_MAX];
    const struct key *key = named(name);
    unsigned count = key ? key_bytes(key, down, bytes) : 0;
    char text[64] = "";
    for (unsigned n = 0; n < count; n++)
        sprintf(text + strlen(text), "%s%02x", n ? " " : "", bytes[n]);
    if (key && !strcmp(text, expected)) return true;
    printf("%s: %s, not %s\n", name, key ? text : "no key", expected);
    return false;
}

static void test_codes(void)
{
    CHECK(sends("a", true, "1e"));
    CHECK(sends("a", false, "9e"));
    CHECK(sends("esc", true, "01"));
    CHECK(sends("F12", true, "58"));
    CHECK(sends("ctrl_r", true, "e0 1d"));
    CHECK(sends("ctrl_r", false, "e0 9d"));
    CHECK(sends("kp_enter", false, "e0 9c"));
    CHECK(sends("delete", true, "e0 53"));
    CHECK(sends("print", true, "e0 2a e0 37"));
    CHECK(sends("print", false, "e0 b7 e0 aa"));
    CHECK(sends("pause", true, "e1 1d 45 e1 9d c5"));
    CHECK(sends("pause", false, ""));
    CHECK(sends("enter", true, "1c"));
    CHECK(sends(";", true, "27"));
    CHECK(!named("") && !named("nokey") && !named("f13"));
}

/* Each character has its key, with Shift if the layout needs it, and each key its character. */
static void test_characters(void)
{
    for (int c = ' '; c <= '~'; c++) {
        bool shift;
        int also;
        const struct key *key = key_by_character((char)c, &shift);
        CHECK(key && (shift ? key->shifted : key->plain) == c);
        CHECK(key_by_keysym((u32)c, &also) == key);
        CHECK(also == (c == ' ' ? -1 : shift));
    }
    bool shift;
    CHECK(key_by_character('\n', &shift) == named("ret") && !shift);
    CHECK(key_by_character(0, &shift) == NULL);
    CHECK(key_by_character((char)0xe4, &shift) == NULL);
    CHECK(key_is_letter(named("q")) && !key_is_letter(named("1")));
    CHECK(key_is_shift(named("shift")) && key_is_shift(named("shift_r")) && !key_is_shift(named("ctrl")));
}

static void test_keysyms_and_usages(void)
{
    int shift;
    CHECK(key_by_keysym(0xff0d, &shift) == named("ret"));
    CHECK(key_by_keysym(0xffc9, &shift) == named("f12"));
    CHECK(key_by_keysym(0xff9f, &shift) == named("kp_decimal"));
    CHECK(key_by_keysym(0, &shift) == NULL && key_by_keysym(0xffffffff, &shift) == NULL);
    CHECK(key_by_usage(4) == named("a"));
    CHECK(key_by_usage(0x52) == named("up"));
    CHECK(key_by_usage(0x48) == named("pause"));
    CHECK(key_by_usage(0) == NULL && key_by_usage(0xffff) == NULL);
    /* No usage and no code occurs twice. */
    for (u32 a = 1; a < 256; a++)
        for (u32 b = a + 1; b < 256; b++) {
            const struct key *x = key_by_usage(a), *y = key_by_usage(b);
            if (x && y) CHECK(x->code != y->code && strcmp(x->name, y->name));
        }
}

int main(void)
{
    test_codes();
    test_characters();
    test_keysyms_and_usages();
    return check_report();
}
