/*
 * Reading a script of keys. See key_script.h.
 */
#include "key_script_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (1u << 20)

#define WRONG(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

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
    for (unsigned n = 0; n < key_verb_count && !step->verb; n++)
        if (strlen(key_verbs[n].name) == length && !strncmp(key_verbs[n].name, text, length))
            step->verb = &key_verbs[n];
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
