/*
 * Scripted keys. See key_script.h: one table row a word of the language.
 */
#include "key_script.h"

#include "screen.h"
#include "vm.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define S  1000000000ull

#define KEY_HELD_NS     (10 * MS) /* how long a key stays down, and up before the next */
#define LOOK_EVERY_NS   (20 * MS)
#define WAIT_DEFAULT_NS (60 * S)
#define CHORD_KEYS      6
#define MAX_BYTES       (1u << 20)
#define SCREEN_BYTES    32768 /* 132 columns, 60 rows, three bytes a character, and some */

struct step;
struct key_script;

/* What a step returns: DONE, or how long to wait before it is called again. */
#define DONE 0

struct verb {
    const char *name, *argument, *help;
    /* `text`: what follows the name, to be taken apart in place. False with a complaint. */
    bool (*parse)(struct step *step, char *text, char *error, size_t error_bytes);
    u64 (*run)(struct key_script *script, struct step *step);
};

struct step {
    const struct verb *verb;
    unsigned line;
    u64 ns, limit_ns;
    char *text; /* TEXT, FILE, REGEX */
    regex_t regex;
    bool has_regex;
    const struct key *key[CHORD_KEYS];
    unsigned keys;
    int x, y; /* pixels, or per cent */
    bool per_cent;
    int number;
    u8 buttons;
    bool lets_go;
};

struct key_script {
    struct vm *vm;
    char *source, *name;
    struct step *steps;
    unsigned count, at;
    unsigned part;  /* how far the step at hand is, */
    u64 since_ns;   /* which began then */
    u64 changed_ns; /* when the picture did last */
    bool begun;
    struct timer timer;
    u8 buttons; /* of the mouse, held */
    struct display_viewer viewer;
    char screen[SCREEN_BYTES];
};

/* --- parsing --- */

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

static bool parse_nothing(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text);
    return !word || WRONG("nothing may follow %s", step->verb->name);
}

static bool parse_wait_text(struct step *step, char *text, char *error, size_t error_bytes)
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
    return WRONG("\"%s\" is no regular expression: %s", text, why);
}

static bool parse_sleep(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text);
    if (word && parse_time(word, &step->ns) && !next_word(&text)) return true;
    return WRONG("%s takes a time, as 500ms, 2s or 1m", step->verb->name);
}

static bool parse_wait_still(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text), *limit = next_word(&text);
    step->limit_ns = WAIT_DEFAULT_NS;
    if (word && parse_time(word, &step->ns) && (!limit || parse_time(limit, &step->limit_ns)) &&
        !next_word(&text))
        return true;
    return WRONG("wait-still takes a time, as 500ms, and perhaps how long to wait for it");
}

/* \n and the like, in place. */
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

static bool parse_type(struct step *step, char *text, char *error, size_t error_bytes)
{
    if (!unescape(text)) return WRONG("what may follow a backslash is n, t, e, s and another one");
    for (const char *c = text; *c; c++) {
        bool shift;
        if (!key_by_character(*c, &shift)) return WRONG("no key types the character %02xh", (u8)*c);
    }
    step->text = text;
    return true;
}

/* "ctrl-alt-f1". A name has no dash; the key that types one is called minus. */
static bool parse_chord(struct step *step, char *text, char *error, size_t error_bytes)
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

static bool parse_mouse(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *x = next_word(&text), *y = next_word(&text), *button = next_word(&text);
    size_t length = x ? strlen(x) : 0, height = y ? strlen(y) : 0;
    step->per_cent = length && height && x[length - 1] == '%' && y[height - 1] == '%';
    if (step->per_cent) x[length - 1] = y[height - 1] = 0;
    if (!parse_int(x, &step->x) || !parse_int(y, &step->y) || step->x < 0 || step->y < 0 ||
        (step->per_cent && (step->x > 100 || step->y > 100)))
        return WRONG("mouse takes a place, as 320 200 or 50%% 50%%");
    if ((button && !parse_button(button, step)) || next_word(&text))
        return WRONG("behind the place may stand left, right, middle, double, down or up");
    return true;
}

static bool parse_move(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *x = next_word(&text), *y = next_word(&text);
    if (parse_int(x, &step->x) && parse_int(y, &step->y) && !next_word(&text)) return true;
    return WRONG("move takes counts to the right and down, as 10 -5");
}

static bool parse_wheel(struct step *step, char *text, char *error, size_t error_bytes)
{
    if (parse_int(next_word(&text), &step->number) && !next_word(&text)) return true;
    return WRONG("wheel takes a number of clicks");
}

static bool parse_text(struct step *step, char *text, char *error, size_t error_bytes)
{
    step->text = text;
    return *text || WRONG("%s: the argument is missing", step->verb->name);
}

static bool parse_quit(struct step *step, char *text, char *error, size_t error_bytes)
{
    char *word = next_word(&text);
    if (!word || (parse_int(word, &step->number) && step->number >= 0 && step->number < 256)) return true;
    return WRONG("quit takes an exit status");
}

/* --- running --- */

static u64 now(const struct key_script *script)
{
    return clock_now(&script->vm->time.clock);
}

static struct wire_console *wire(struct key_script *script)
{
    return &script->vm->chipset.console;
}

static void press(struct key_script *script, const struct key *key, bool down)
{
    wire_console_key(wire(script), key, down);
}

/* A guest that is slow to take keys gets them slowly. */
static bool keyboard_is_behind(struct key_script *script)
{
    return wire(script)->feed.count > 0;
}

static u64 run_wait_text(struct key_script *script, struct step *step)
{
    vga_text_dump(&script->vm->chipset.vga, script->screen, sizeof(script->screen));
    if (!regexec(&step->regex, script->screen, 0, NULL, 0)) return DONE;
    if (now(script) - script->since_ns < step->ns) return LOOK_EVERY_NS;
    vm_stop(script->vm, STOP_GUEST, STATUS_TIMEOUT,
            "%s, line %u: \"%s\" did not come to the screen within %llu s", script->name, step->line,
            step->text, (unsigned long long)(step->ns / S));
    return DONE;
}

/* The picture as it is now; NULL: there is none. */
static const struct display_frame *look(struct key_script *script)
{
    struct display *display = wire(script)->console.display;
    if (!display || (!script->viewer.display && display_attach(display, &script->viewer))) return NULL;
    display_take(&script->viewer);
    display_draw(&script->viewer, 0); /* a cursor that never blinks */
    return script->viewer.frame.pixel ? &script->viewer.frame : NULL;
}

static u64 run_wait_still(struct key_script *script, struct step *step)
{
    u64 at = now(script);
    const struct display_frame *frame = look(script);
    if (!frame || frame->damage_count || !script->part++) script->changed_ns = at;
    if (at - script->changed_ns >= step->ns) return DONE;
    if (at - script->since_ns < step->limit_ns) return LOOK_EVERY_NS;
    vm_stop(script->vm, STOP_GUEST, STATUS_TIMEOUT,
            "%s, line %u: the picture did not stand still within %llu s", script->name, step->line,
            (unsigned long long)(step->limit_ns / S));
    return DONE;
}

static u64 run_sleep(struct key_script *script, struct step *step)
{
    return script->part++ ? DONE : step->ns;
}

static const struct key *shift_key(void)
{
    return key_by_name("shift", 5);
}

/* Four calls a character: shift, the key, both up again. */
static u64 run_type(struct key_script *script, struct step *step)
{
    if (keyboard_is_behind(script)) return KEY_HELD_NS;
    char character = step->text[script->part / 2];
    if (!character) return DONE;
    bool shift, down = !(script->part & 1);
    const struct key *key = key_by_character(character, &shift);
    bool caps = script->vm->chipset.keyboard.keyboard.leds & PS2_LED_CAPS;
    if (caps && key_is_letter(key)) shift = !shift;
    if (shift && down) press(script, shift_key(), true);
    press(script, key, down);
    if (shift && !down) press(script, shift_key(), false);
    script->part++;
    return KEY_HELD_NS;
}

static u64 run_key(struct key_script *script, struct step *step)
{
    if (keyboard_is_behind(script)) return KEY_HELD_NS;
    if (script->part == 2 * step->keys) return DONE;
    unsigned n = script->part++;
    bool down = n < step->keys;
    press(script, step->key[down ? n : 2 * step->keys - 1 - n], down);
    return KEY_HELD_NS;
}

static u64 run_hold(struct key_script *script, struct step *step)
{
    bool down = step->verb->name[0] == 'h';
    for (unsigned n = 0; n < step->keys; n++)
        press(script, step->key[n], down);
    return DONE;
}

static void point(struct key_script *script, const struct step *step)
{
    u32 width = 101, height = 101;
    const struct display_frame *frame = step->per_cent ? NULL : look(script);
    if (frame) {
        width = frame->width;
        height = frame->height;
    }
    u32 x = (u32)step->x * 0xffff / (width > 1 ? width - 1 : 1),
        y = (u32)step->y * 0xffff / (height > 1 ? height - 1 : 1);
    wire_console_event(wire(script), &(struct console_event){.kind = CONSOLE_POINT,
                                                             .x = (u16)(x > 0xffff ? 0xffff : x),
                                                             .y = (u16)(y > 0xffff ? 0xffff : y),
                                                             .buttons = script->buttons});
}

/* There, down, up, and down and up again for a double click. */
static u64 run_mouse(struct key_script *script, struct step *step)
{
    unsigned part = script->part++, last = step->number ? 2u * (unsigned)step->number : step->buttons != 0;
    if (part > last) return DONE;
    if (part) script->buttons = part & 1 ? step->buttons : 0;
    if (step->lets_go) script->buttons = 0;
    point(script, step);
    return 2 * KEY_HELD_NS;
}

static u64 run_move(struct key_script *script, struct step *step)
{
    wire_console_event(wire(script), &(struct console_event){.kind = CONSOLE_MOVE,
                                                             .right = (s16)step->x,
                                                             .lower = (s16)step->y,
                                                             .wheel = (s16)step->number,
                                                             .buttons = script->buttons});
    return DONE;
}

static u64 run_command(struct key_script *script, struct step *step)
{
    enum console_command command = step->verb->name[0] == 'p' ? CONSOLE_POWER_BUTTON : CONSOLE_RESET;
    wire_console_event(wire(script), &(struct console_event){.kind = CONSOLE_COMMAND, .command = command});
    return DONE;
}

static u64 run_quit(struct key_script *script, struct step *step)
{
    vm_stop(script->vm, STOP_GUEST, step->number, NULL);
    return DONE;
}

static u64 run_say(struct key_script *script, struct step *step)
{
    if (script->vm->role == MACHINE_LEADER) fprintf(stderr, "%s\n", step->text);
    return DONE;
}

static u64 written(struct key_script *script, const struct step *step, int failed)
{
    if (failed)
        vm_stop(script->vm, STOP_HOST, STATUS_HOST, "%s, line %u: cannot write %s: %s", script->name,
                step->line, step->text, strerror(-failed));
    return DONE;
}

static u64 run_text(struct key_script *script, struct step *step)
{
    return written(script, step,
                   script->vm->role == MACHINE_LEADER ? screen_dump(script->vm, step->text) : 0);
}

static const struct verb verbs[] = {
    {"wait-text", "REGEX [TIME]",
     "until the text screen matches (POSIX extended), 60s at most if nothing is said", parse_wait_text,
     run_wait_text},
    {"wait-still", "TIME [TIME]",
     "until the picture has been the same that long, 60s or the other time at most", parse_wait_still,
     run_wait_still},
    {"sleep", "TIME", "500ms, 2s, 1m: the guest's time, as all others here", parse_sleep, run_sleep},
    {"type", "TEXT", "on the US layout; \\n Enter, \\t Tab, \\e Escape, \\s blank, \\\\", parse_type,
     run_type},
    {"key", "KEY-KEY...", "all down, then up: a, f10, ctrl-alt-delete; names as in QEMU's sendkey",
     parse_chord, run_key},
    {"hold", "KEY-KEY...", "press them", parse_chord, run_hold},
    {"release", "KEY-KEY...", "let them go", parse_chord, run_hold},
    {"mouse", "X Y [BUTTON]", "to that pixel, or 50% 50%; and click left, middle, right, double; down, up",
     parse_mouse, run_mouse},
    {"move", "RIGHT DOWN", "as a mouse that does not know where it is", parse_move, run_move},
    {"wheel", "CLICKS", "towards the user", parse_wheel, run_move},
    {"text", "FILE", "write the text screen there", parse_text, run_text},
    {"say", "TEXT", "to standard error", parse_text, run_say},
    {"power-button", NULL, "press it", parse_nothing, run_command},
    {"reset", NULL, "press the reset button", parse_nothing, run_command},
    {"quit", "[STATUS]", "end the run with that exit status", parse_quit, run_quit},
};

void key_script_help(FILE *out)
{
    fputs("A script for --keys is a list of steps, one a line; what begins with # is a comment.\n\n", out);
    for (unsigned n = 0; n < ARRAY_SIZE(verbs); n++) {
        char left[40];
        snprintf(left, sizeof(left), "%s %s", verbs[n].name, verbs[n].argument ? verbs[n].argument : "");
        fprintf(out, "  %-24s %s\n", left, verbs[n].help);
    }
}

static void run(void *device)
{
    struct key_script *script = device;
    while (script->at < script->count && !script->vm->stopping) {
        struct step *step = &script->steps[script->at];
        if (!script->begun) {
            script->begun = true;
            script->part = 0;
            script->since_ns = now(script);
        }
        u64 wait_ns = step->verb->run(script, step);
        if (wait_ns != DONE) {
            timer_arm(&script->timer, now(script) + wait_ns);
            return;
        }
        script->begun = false;
        script->at++;
    }
}

void key_script_start(struct key_script *script, struct vm *vm)
{
    script->vm = vm;
    timer_init(&script->timer, &vm->time.clock, run, script);
    timer_arm(&script->timer, now(script));
}

/* --- loading --- */

static bool parse_line(struct key_script *script, char *text, unsigned line, char *error, size_t error_bytes)
{
    text += strspn(text, " \t");
    if (!*text || *text == '#') return true;
    size_t length = strcspn(text, " \t");
    struct step *steps = reallocarray(script->steps, script->count + 1, sizeof(*steps));
    if (!steps) return WRONG("out of memory");
    script->steps = steps;
    struct step *step = &steps[script->count];
    *step = (struct step){.line = line};
    for (unsigned n = 0; n < ARRAY_SIZE(verbs) && !step->verb; n++)
        if (strlen(verbs[n].name) == length && !strncmp(verbs[n].name, text, length)) step->verb = &verbs[n];
    if (!step->verb) return WRONG("there is no \"%.*s\"", (int)length, text);
    script->count++;
    text += length;
    return step->verb->parse(step, text + (*text != 0), error, error_bytes);
}

static bool parse_all(struct key_script *script, char *text, char *error, size_t error_bytes)
{
    unsigned line = 0;
    while (text) {
        char why[256], *next = strchr(text, '\n');
        if (next) *next++ = 0;
        size_t length = strlen(text);
        if (length && text[length - 1] == '\r') text[length - 1] = 0;
        if (!parse_line(script, text, ++line, why, sizeof(why)))
            return WRONG("%s, line %u: %s", script->name, line, why);
        text = next;
    }
    return true;
}

static char *read_all(FILE *file)
{
    char *text = malloc(MAX_BYTES + 1);
    size_t bytes = text ? fread(text, 1, MAX_BYTES + 1, file) : 0;
    if (text && bytes > MAX_BYTES) errno = EFBIG;
    if (!text || ferror(file) || bytes > MAX_BYTES) {
        free(text);
        return NULL;
    }
    text[bytes] = 0;
    return text;
}

static bool read_source(struct key_script *script, const char *file, char *error, size_t error_bytes)
{
    bool standard = !strcmp(file, "-");
    FILE *in = standard ? stdin : fopen(file, "re");
    if (in) script->source = read_all(in);
    if (in && !standard) fclose(in);
    if (script->source) return true;
    return WRONG("cannot read the keys in %s: %s", script->name, strerror(errno));
}

struct key_script *key_script_load(const char *file, const char *typed, char *error, size_t error_bytes)
{
    struct key_script *script = calloc(1, sizeof(*script));
    bool good = script && (script->name = strdup(!file ? "--type" : strcmp(file, "-") ? file : "the script"));
    if (good && file) {
        good = read_source(script, file, error, error_bytes) &&
               parse_all(script, script->source, error, error_bytes);
    } else if (good && (good = asprintf(&script->source, "type %s", typed) > 0)) {
        char why[256];
        good = parse_line(script, script->source, 1, why, sizeof(why));
        if (!good) snprintf(error, error_bytes, "--type: %s", why);
    } else {
        snprintf(error, error_bytes, "out of memory");
    }
    if (good) return script;
    key_script_free(script);
    return NULL;
}

void key_script_free(struct key_script *script)
{
    if (!script) return;
    if (script->viewer.display) display_detach(&script->viewer);
    for (unsigned n = 0; n < script->count; n++)
        if (script->steps[n].has_regex) regfree(&script->steps[n].regex);
    free(script->steps);
    free(script->source);
    free(script->name);
    free(script);
}
