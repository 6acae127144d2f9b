/*
 * The lines of a script of keys. See key_script.h.
 */
#include "key_script_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRONG(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* The next word of *text, or NULL. */
static char *next_word(char **text)
{
    char *word = *text + strspn(*text, " \t");
    if (!*word) return NULL;
    char *end = word + strcspn(word, " \t");
    *text = *end ? end + 1 : end;
    *end = 0;
    return word;
}

static bool parse_time(const char *word, u64 *ns)
{
    static const struct {
        const char *unit;
        u64 ns;
    } units[] = {{"ms", MS}, {"s", S}, {"m", 60 * S}};
    char *end;
    if (*word < '0' || *word > '9') return false;
    errno = 0;
    u64 number = strtoull(word, &end, 10);
    for (unsigned n = 0; n < ARRAY_SIZE(units); n++)
        if (!strcmp(end, units[n].unit) && !errno && number <= 1000000) {
            *ns = number * units[n].ns;
            return true;
        }
    return false;
}

static bool parse_int(const char *word, int *number)
{
    char *end;
    if (!word) return false;
    errno = 0;
    long value = strtol(word, &end, 10);
    *number = (int)value;
    return !errno && !*end && end != word && value > -65536 && value < 65536;
}

bool parse_nothing(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text);
    return !word || WRONG("nothing may follow %s", step->verb->name);
}

bool parse_wait_text(struct step *step, char *text, char *error, size_t error_bytes)
{
    step->ns = WAIT_DEFAULT_NS;
    char *last = strrchr(text, ' ');
    if (last && parse_time(last + 1, &step->ns)) *last = 0;
    if (!*text) return WRONG("wait-text: the text is missing");
    step->text = text;
    int failed = regcomp(&step->regex, text, REG_EXTENDED | REG_NEWLINE | REG_NOSUB);
    step->has_regex = !failed;
    if (!failed) return true;
    char why[128];
    regerror(failed, &step->regex, why, sizeof(why));
    return WRONG("\"%s\" is not a regular expression: %s", text, why);
}

bool parse_sleep(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text);
    if (word && parse_time(word, &step->ns) && !next_word(&text)) return true;
    return WRONG("%s takes a time, as 500ms, 2s or 1m", step->verb->name);
}

bool parse_wait_still(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text), *limit = next_word(&text);
    step->limit_ns = WAIT_DEFAULT_NS;
    if (word && parse_time(word, &step->ns) && (!limit || parse_time(limit, &step->limit_ns)) &&
        !next_word(&text))
        return true;
    return WRONG("wait-still takes a time, as 500ms, and perhaps how long to wait for it");
}

bool parse_wait_pixel(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *x = next_word(&text), *y = next_word(&text), *colour = next_word(&text), *limit = next_word(&text);
    step->limit_ns = WAIT_DEFAULT_NS;
    bool good = parse_int(x, &step->x) && parse_int(y, &step->y) && step->x >= 0 && step->y >= 0;
    if (!good || !colour || strlen(colour) != 6 || strspn(colour, "0123456789abcdefABCDEF") != 6 ||
        (limit && !parse_time(limit, &step->limit_ns)) || next_word(&text))
        return WRONG("wait-pixel takes a position and a colour, as 320 200 ff0000");
    step->number = (int)strtoul(colour, NULL, 16);
    return true;
}

/* Replace \n and the other escapes, in place. */
static bool unescape(char *text)
{
    static const char from[] = "ntes\\", to[] = "\n\t\x1b \\";
    char *out = text;
    for (const char *in = text; *in; in++) {
        char c = *in;
        if (c == '\\') {
            const char *at = in[1] ? strchr(from, in[1]) : NULL;
            if (!at) return false;
            c = to[at - from];
            in++;
        }
        *out++ = c;
    }
    *out = 0;
    return true;
}

bool parse_type(struct step *step, char *text, char *error, size_t error_bytes)
{
    if (!unescape(text)) return WRONG("a backslash is followed by n, t, e, s or another backslash");
    for (const char *c = text; *c; c++) {
        bool shift;
        if (!key_by_character(*c, &shift)) return WRONG("no key types the character %02xh", (u8)*c);
    }
    step->text = text;
    return true;
}

/* "ctrl-alt-f1". No name has a dash: the key that types a dash is called minus. */
bool parse_chord(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text);
    if (!word || next_word(&text)) return WRONG("%s takes one key, as ctrl-alt-f1", step->verb->name);
    for (size_t length; *word; word += length + (word[length] == '-')) {
        length = strcspn(word, "-");
        const struct key *key = key_by_name(word, length);
        if (!key) return WRONG("there is no key \"%.*s\"", (int)length, word);
        if (step->keys == CHORD_KEYS) return WRONG("no more than %u keys at once", CHORD_KEYS);
        step->key[step->keys++] = key;
    }
    return true;
}

static bool parse_button(const char *word, struct step *step)
{
    static const struct {
        const char *name;
        u8 button;
        int clicks;
    } buttons[] = {{"left", PS2_BUTTON_LEFT, 1},
                   {"right", PS2_BUTTON_RIGHT, 1},
                   {"middle", PS2_BUTTON_MIDDLE, 1},
                   {"click", PS2_BUTTON_LEFT, 1},
                   {"double", PS2_BUTTON_LEFT, 2},
                   {"down", PS2_BUTTON_LEFT, 0},
                   {"up", 0, 0}};
    for (unsigned n = 0; n < ARRAY_SIZE(buttons); n++)
        if (!strcmp(word, buttons[n].name)) {
            step->buttons = buttons[n].button;
            step->number = buttons[n].clicks;
            step->lets_go = !step->buttons;
            return true;
        }
    return false;
}

bool parse_mouse(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *x = next_word(&text), *y = next_word(&text), *button = next_word(&text);
    size_t length = x ? strlen(x) : 0, height = y ? strlen(y) : 0;
    step->per_cent = length && height && x[length - 1] == '%' && y[height - 1] == '%';
    if (step->per_cent) x[length - 1] = y[height - 1] = 0;
    if (!parse_int(x, &step->x) || !parse_int(y, &step->y) || step->x < 0 || step->y < 0 ||
        (step->per_cent && (step->x > 100 || step->y > 100)))
        return WRONG("mouse takes a position, as 320 200 or 50%% 50%%");
    if ((button && !parse_button(button, step)) || next_word(&text))
        return WRONG("after the position there may be left, right, middle, click, double, down or up");
    return true;
}

bool parse_move(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *x = next_word(&text), *y = next_word(&text);
    if (parse_int(x, &step->x) && parse_int(y, &step->y) && !next_word(&text)) return true;
    return WRONG("move takes counts to the right and down, as 10 -5");
}

bool parse_wheel(struct step *step, char *text, char *error, size_t error_bytes)
{
    if (parse_int(next_word(&text), &step->number) && !next_word(&text)) return true;
    return WRONG("wheel takes a number of clicks");
}

bool parse_text(struct step *step, char *text, char *error, size_t error_bytes)
{
    step->text = text;
    return *text || WRONG("%s: the argument is missing", step->verb->name);
}

bool parse_insert(struct step *step, char *text, char *error, size_t error_bytes)
{
    step->text = text;
    return strchr(text, ' ') || WRONG("insert takes a drive and a file");
}

bool parse_eject(struct step *step, char *text, char *error, size_t error_bytes)
{
    step->text = text;
    return (*text && !strchr(text, ' ')) || WRONG("eject takes a drive");
}

bool parse_quit(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text);
    if (!word || (parse_int(word, &step->number) && step->number >= 0 && step->number < 256)) return true;
    return WRONG("quit takes an exit status");
}
