#include "census_command.h"
#include "census.h"
#include "report.h"
#include "what_if.h"

#include "base/log.h"
#include "base/words.h"

#include <stdio.h>
#include <string.h>

static void print_help(void)
{
    fputs("ringer census [--format=text|json|html] [--output=FILE]\n"
          "ringer census --what-if=trap-and-emulate [--format=text|json|html] [--output=FILE]\n\n"
          "Executes each system-related form of an instruction on this host at CPL 3, and holds the outcome "
          "against\n"
          "its meaning at CPL 0: which forms are privileged, sensitive, innocuous, and what that means for "
          "Popek and\n"
          "Goldberg's theorems. --what-if runs a small kernel under a monitor that only traps and emulates, "
          "and under\n"
          "Ringer, and shows what the kernel found.\n",
          stdout);
}

static int what_if(const char *monitor, const struct report_place *place)
{
    char error[256];
    struct what_if w;
    if (strcmp(monitor, "trap-and-emulate") != 0)
        die(STATUS_USAGE, "--what-if takes trap-and-emulate, not '%s'", monitor);
    FILE *out = report_begin(place);
    if (!what_if_take(&w, error, sizeof(error))) die(STATUS_HOST, "%s", error);
    what_if_print(&w, place->format ? place->format : "text", out);
    report_end(place, out);
    return STATUS_OK;
}

static void print(const void *what, const char *format, FILE *out)
{
    const struct census *c = what;
    if (!strcmp(format, "json"))
        census_print_json(c, out);
    else if (!strcmp(format, "html"))
        census_print_html(c, out);
    else
        census_print_text(c, out);
}

int census_command(int argc, char **argv)
{
    struct report_place place = {.formats = {"text", "json", "html"}};
    const char *monitor = NULL, *value;
    char error[256];
    for (int n = 0; n < argc; n++) {
        if (!strcmp(argv[n], "--help") || !strcmp(argv[n], "help")) {
            print_help();
            return STATUS_OK;
        }
        if ((value = word_value(argv[n], "--what-if")))
            monitor = value;
        else if (!report_option(&place, argv[n]))
            die(STATUS_USAGE, "census has no option %s, or it lacks its value; see ringer census --help",
                argv[n]);
    }
    if (monitor) return what_if(monitor, &place);
    struct census c;
    if (!census_take(&c, error, sizeof(error))) die(STATUS_HOST, "%s", error);
    report_print(&place, print, &c);
    census_release(&c);
    return STATUS_OK;
}
