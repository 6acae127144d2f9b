/*
 * The format and destination of a report: --format=FORMAT and --output=FILE, which the commands of this folder share.
 */
#ifndef RINGER_STUDY_REPORT_H
#define RINGER_STUDY_REPORT_H

#include "base/types.h"

#include <stdio.h>

#define REPORT_FORMATS 4

struct report_place {
    const char *formats[REPORT_FORMATS]; /* that the command knows; the first is the default */
    const char *format, *path;           /* NULL: the default, standard output */
};

/* Is the word one of the two options? Ends the program with a sentence if the format is unknown. */
bool report_option(struct report_place *place, const char *word);

/* The file, before work that takes time, and after it. Both end the program with a sentence if it cannot be written. */
FILE *report_begin(const struct report_place *place);
void report_end(const struct report_place *place, FILE *out);

/* Prints `what` there. Ends the program with a sentence if the file cannot be written. */
void report_print(const struct report_place *place,
                  void (*print)(const void *what, const char *format, FILE *out), const void *what);

#endif
