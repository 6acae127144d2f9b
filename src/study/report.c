#include "report.h"

#include "base/log.h"
#include "base/words.h"

#include <errno.h>
#include <string.h>

bool report_option(struct report_place *place, const char *word)
{
    const char *value = word_value(word, "--output");
    if (value) {
        place->path = value;
        return true;
    }
    value = word_value(word, "--format");
    if (!value) return false;
    for (unsigned n = 0; n < REPORT_FORMATS && place->formats[n]; n++)
        if (!strcmp(place->formats[n], value)) {
            place->format = value;
            return true;
        }
    char names[64] = "";
    for (unsigned n = 0; n < REPORT_FORMATS && place->formats[n]; n++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", n ? ", " : "",
                 place->formats[n]);
    die(STATUS_USAGE, "--format is one of %s, not %s", names, value);
}

static _Noreturn void fail(const struct report_place *place)
{
    die(STATUS_HOST, "cannot write %s: %s", place->path ? place->path : "standard output", strerror(errno));
}

FILE *report_begin(const struct report_place *place)
{
    FILE *out = place->path ? fopen(place->path, "w") : stdout;
    if (!out) fail(place);
    return out;
}

void report_end(const struct report_place *place, FILE *out)
{
    bool bad = fflush(out) || ferror(out);
    if (place->path && fclose(out)) bad = true;
    if (bad) fail(place);
}

void report_print(const struct report_place *place,
                  void (*print)(const void *what, const char *format, FILE *out), const void *what)
{
    FILE *out = report_begin(place);
    print(what, place->format ? place->format : place->formats[0], out);
    report_end(place, out);
}
