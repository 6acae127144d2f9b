/*
 * Parts of the HTML reports. Each report is one page that needs no network.
 */
#ifndef RINGER_STUDY_HTML_H
#define RINGER_STUDY_HTML_H

#include <stdio.h>

/* Text with the characters that HTML reserves replaced. */
void html_text(const char *text, FILE *out);
/* From <!DOCTYPE> to <body>, with a style for tables, marks and code, light and dark. */
void html_begin(const char *title, FILE *out);
void html_end(FILE *out);

#endif
