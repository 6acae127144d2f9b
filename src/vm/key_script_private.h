/*
 * What the key_script*.c files share: key_script_load.c reads a script, key_script_parse.c parses its
 * lines, key_script.c runs it.
 */
#ifndef RINGER_VM_KEY_SCRIPT_PRIVATE_H
#define RINGER_VM_KEY_SCRIPT_PRIVATE_H

#include "key_script.h"
#include "vm.h"

#include <regex.h>

#define MS 1000000ull
#define S  1000000000ull

#define WAIT_DEFAULT_NS (60 * S)
#define CHORD_KEYS      6
#define SCREEN_BYTES    32768 /* room for 60 rows of 132 characters, three bytes each */

struct step;

struct verb {
    const char *name, *argument, *help;
    /* `text`: the rest of the line behind the name; it is parsed in place. False with a complaint. */
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
    int number; /* clicks, a status, a colour */
    u8 buttons;
    bool lets_go;
};

struct key_script {
    struct vm *vm;
    char *source, *name;
    struct step *steps;
    unsigned count, at;
    unsigned part;  /* of the current step */
    u64 since_ns;   /* when that step began */
    u64 changed_ns; /* when the picture changed last */
    bool begun;
    struct timer timer;
    u8 buttons; /* of the mouse, held */
    struct display_viewer viewer;
    char screen[SCREEN_BYTES];
};

extern const struct verb key_verbs[];
extern const unsigned key_verb_count;

/* For rows of key_verbs: parse the rest of the line behind the name, in place. False with a complaint. */
#define PARSER(name) bool name(struct step *step, char *text, char *error, size_t error_bytes)
PARSER(parse_nothing);
PARSER(parse_wait_text);
PARSER(parse_wait_still);
PARSER(parse_wait_pixel);
PARSER(parse_sleep);
PARSER(parse_type);
PARSER(parse_chord);
PARSER(parse_mouse);
PARSER(parse_move);
PARSER(parse_wheel);
PARSER(parse_text);
PARSER(parse_insert);
PARSER(parse_eject);
PARSER(parse_quit);
#undef PARSER

#endif
