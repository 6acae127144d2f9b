/*
 * Scripts of keys: each step of the language is a row of a table. See key_script.h.
 */
#include "key_script_private.h"

#include "board/media.h"
#include "observe/screen.h"

#include <stdio.h>
#include <string.h>

#define KEY_HELD_NS   (10 * MS) /* how long a key stays down, and up before the next */
#define LOOK_EVERY_NS (20 * MS)

/* A step returns DONE, or how long to wait before the next call. */
#define DONE 0

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

/* Do keys still wait for room in the keyboard? Then the next one waits too. */
static bool keyboard_is_behind(struct key_script *script)
{
    return wire(script)->feed.count > 0;
}

static u64 run_wait_text(struct key_script *script, struct step *step)
{
    if (wire(script)->console.display)
        vga_text_dump(&script->vm->chipset.video.vga, script->screen, sizeof(script->screen));
    if (!regexec(&step->regex, script->screen, 0, NULL, 0)) return DONE;
    if (now(script) - script->since_ns < step->ns) return LOOK_EVERY_NS;
    vm_stop(script->vm, STOP_GUEST, STATUS_TIMEOUT,
            "%s, line %u: \"%s\" did not appear on the screen within %llu s", script->name, step->line,
            step->text, (unsigned long long)(step->ns / S));
    return DONE;
}

/* The current picture; NULL: there is none. */
static const struct display_frame *look(struct key_script *script)
{
    struct display *display = wire(script)->console.display;
    if (!display || (!script->viewer.display && display_attach(display, &script->viewer))) return NULL;
    display_take(&script->viewer);
    display_draw(&script->viewer, 0); /* the same phase of blinking each time */
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

static u64 run_wait_pixel(struct key_script *script, struct step *step)
{
    const struct display_frame *frame = look(script);
    if (frame && (u32)step->x < frame->width && (u32)step->y < frame->height &&
        (frame->pixel[(u32)step->y * frame->width + (u32)step->x] & 0xffffff) == (u32)step->number)
        return DONE;
    if (now(script) - script->since_ns < step->limit_ns) return LOOK_EVERY_NS;
    vm_stop(script->vm, STOP_GUEST, STATUS_TIMEOUT,
            "%s, line %u: the pixel at %d, %d did not become %06x within %llu s", script->name, step->line,
            step->x, step->y, (unsigned)step->number, (unsigned long long)(step->limit_ns / S));
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
    wire_console_event(wire(script), &(struct console_event){.kind = CONSOLE_POINT,
                                                             .x = console_scale(step->x, width),
                                                             .y = console_scale(step->y, height),
                                                             .buttons = script->buttons});
}

/* The parts of a step: move; button down; up; for a double click, down and up again. */
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

/* "insert DRIVE FILE", "eject DRIVE". A guest that has locked the disc gets time to unlock it. */
static u64 run_medium(struct key_script *script, struct step *step)
{
    char drive[16], error[512];
    struct wire_console *mirror = wire(script)->mirror;
    const char *file = step->text + strcspn(step->text, " ");
    snprintf(drive, sizeof(drive), "%.*s", (int)(file - step->text), step->text);
    file += strspn(file, " ");
    struct chipset *chipset = &script->vm->chipset;
    struct chipset *other = mirror ? container_of(mirror, struct chipset, console) : NULL;
    if (!*file) file = NULL;
    enum media_outcome outcome =
        media_change(chipset, media_find(chipset->board, drive), file, false, error, sizeof(error));
    if (outcome == MEDIA_CHANGED && other)
        outcome = media_change(other, media_find(other->board, drive), file, false, error, sizeof(error));
    if (outcome == MEDIA_LOCKED && now(script) - script->since_ns < WAIT_DEFAULT_NS) return 100 * MS;
    if (outcome != MEDIA_CHANGED)
        vm_stop(script->vm, STOP_HOST, STATUS_HOST, "%s, line %u: %s", script->name, step->line, error);
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

static u64 run_screenshot(struct key_script *script, struct step *step)
{
    return written(script, step,
                   script->vm->role == MACHINE_LEADER ? screen_shot(machine_display(script->vm), step->text)
                                                      : 0);
}

static u64 run_text(struct key_script *script, struct step *step)
{
    return written(script, step,
                   script->vm->role == MACHINE_LEADER ? screen_dump(machine_vga(script->vm), step->text) : 0);
}

const struct verb key_verbs[] = {
    {"wait-text", "REGEX [TIME]", "wait until the text screen matches (POSIX extended), at most 60s or TIME",
     parse_wait_text, run_wait_text},
    {"wait-still", "TIME [TIME]",
     "wait until the picture has not changed for TIME, at most 60s or the second TIME", parse_wait_still,
     run_wait_still},
    {"wait-pixel", "X Y RRGGBB [TIME]", "wait until that pixel has that colour, at most 60s or TIME",
     parse_wait_pixel, run_wait_pixel},
    {"sleep", "TIME", "wait: 500ms, 2s, 1m (all times are guest time)", parse_sleep, run_sleep},
    {"type", "TEXT", "type on the US layout; \\n Enter, \\t Tab, \\e Escape, \\s blank, \\\\", parse_type,
     run_type},
    {"key", "KEY-KEY...", "press all, then release them: a, f10, ctrl-alt-delete; names as in QEMU's sendkey",
     parse_chord, run_key},
    {"hold", "KEY-KEY...", "press keys and keep them down", parse_chord, run_hold},
    {"release", "KEY-KEY...", "release keys", parse_chord, run_hold},
    {"mouse", "X Y [BUTTON]", "move to that pixel, or 50% 50%; BUTTON: left, middle, right, double, down, up",
     parse_mouse, run_mouse},
    {"move", "RIGHT DOWN", "move by that many counts, as a relative mouse does", parse_move, run_move},
    {"wheel", "CLICKS", "turn the wheel towards the user", parse_wheel, run_move},
    {"screenshot", "FILE", "write the picture to FILE, as PNG", parse_text, run_screenshot},
    {"text", "FILE", "write the text screen to FILE", parse_text, run_text},
    {"insert", "DRIVE FILE", "put another medium into fda, fdb, cdrom or hda to hdd", parse_insert,
     run_medium},
    {"eject", "DRIVE", "take the medium out", parse_eject, run_medium},
    {"say", "TEXT", "print TEXT to standard error", parse_text, run_say},
    {"power-button", NULL, "press the power button", parse_nothing, run_command},
    {"reset", NULL, "press the reset button", parse_nothing, run_command},
    {"quit", "[STATUS]", "end the run with that exit status", parse_quit, run_quit},
};

const unsigned key_verb_count = ARRAY_SIZE(key_verbs);

void key_script_help(FILE *out)
{
    fputs("A script for --keys is a list of steps, one on each line; a line that begins with # is a "
          "comment.\n\n",
          out);
    for (unsigned n = 0; n < key_verb_count; n++) {
        char left[40];
        snprintf(left, sizeof(left), "%s %s", key_verbs[n].name,
                 key_verbs[n].argument ? key_verbs[n].argument : "");
        fprintf(out, "  %-29s %s\n", left, key_verbs[n].help);
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
