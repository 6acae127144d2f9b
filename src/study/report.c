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
    die(STATUS_USAGE, "this report has no format %s", value);
}

void report_print(const struct report_place *place,
                  void (*print)(const void *what, const char *format, FILE *out), const void *what)
{
    const char *name = place->path ? place->path : "standard output";
    FILE *out = place->path ? fopen(place->path, "w") : stdout;
    if (!out) die(STATUS_HOST, "cannot write %s: %s", name, strerror(errno));
    print(what, place->format ? place->format : place->formats[0], out);
    bool bad = fflush(out) || ferror(out);
    if (place->path && fclose(out)) bad = true;
    if (bad) die(STATUS_HOST, "cannot write %s: %s", name, strerror(errno));
}
