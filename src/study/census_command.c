#include "census_command.h"
#include "census.h"
#include "what_if.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_help(void)
{
    fputs("ringer census [--format=text|json|html] [--output=FILE]\n"
          "ringer census --what-if=trap-and-emulate\n\n"
          "Executes each system-related form of an instruction on this host at CPL 3, and holds the outcome "
          "against\n"
          "its meaning at CPL 0: which forms are privileged, sensitive, innocuous, and what that means for "
          "Popek and\n"
          "Goldberg's theorems.\n",
          stdout);
}

typedef void census_printer(const struct census *c, FILE *out);

static census_printer *printer_of(const char *format)
{
    static const struct {
        const char *name;
        census_printer *print;
    } printers[] = {{"text", census_print_text}, {"json", census_print_json}, {"html", census_print_html}};
    for (unsigned n = 0; n < ARRAY_SIZE(printers); n++)
        if (!strcmp(printers[n].name, format)) return printers[n].print;
    return NULL;
}

static const char *value_of(const char *word, const char *option)
{
    size_t length = strlen(option);
    return !strncmp(word, option, length) && word[length] == '=' ? word + length + 1 : NULL;
}

static bool print_to(const struct census *c, census_printer *print, const char *path)
{
    FILE *out = path ? fopen(path, "w") : stdout;
    if (!out) return false;
    print(c, out);
    bool bad = fflush(out) || ferror(out);
    int error = errno;
    if (path && fclose(out)) {
        bad = true;
        error = errno;
    }
    errno = error;
    return !bad;
}

static int what_if(const char *monitor)
{
    char error[256];
    if (strcmp(monitor, "trap-and-emulate") != 0)
        die(STATUS_USAGE, "--what-if knows one monitor, trap-and-emulate, not %s", monitor);
    if (!what_if_print(stdout, error, sizeof(error))) die(STATUS_HOST, "%s", error);
    return STATUS_OK;
}

int census_command(int argc, char **argv)
{
    const char *format = "text", *path = NULL;
    char error[256];
    for (int n = 0; n < argc; n++) {
        const char *value;
        if (!strcmp(argv[n], "--help") || !strcmp(argv[n], "help")) {
            print_help();
            return STATUS_OK;
        }
        if ((value = value_of(argv[n], "--what-if"))) return what_if(value);
        if (!strcmp(argv[n], "--what-if")) return what_if(n + 1 < argc ? argv[n + 1] : "");
        if ((value = value_of(argv[n], "--format")))
            format = value;
        else if ((value = value_of(argv[n], "--output")))
            path = value;
        else
            die(STATUS_USAGE, "census has no option %s; see ringer census --help", argv[n]);
    }
    census_printer *print = printer_of(format);
    if (!print) die(STATUS_USAGE, "the census is printed as text, json or html, not %s", format);
    struct census c;
    if (!census_take(&c, error, sizeof(error))) die(STATUS_HOST, "%s", error);
    bool good = print_to(&c, print, path);
    int failed = errno;
    census_release(&c);
    if (!good) die(STATUS_HOST, "cannot write %s: %s", path ? path : "the census", strerror(failed));
    return STATUS_OK;
}
