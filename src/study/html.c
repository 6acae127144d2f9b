#include "html.h"

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--soft:#8883;"
    "--bad:#b91c1c;--good:#0f766e;--warn:#92400e;--same:#1d4ed8;--flow:#6d28d9}\n"
    "@media(prefers-color-scheme:dark){:root{"
    "--bad:#f87171;--good:#34d399;--warn:#fbbf24;--same:#60a5fa;--flow:#c084fc}}\n"
    "body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:95rem;padding:0 1rem}\n"
    "table{border-collapse:collapse;font-size:.9rem;width:100%;margin-top:1rem}\n"
    "th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}\n"
    "thead th{position:sticky;top:0;background:Canvas}\n"
    "code,pre,.code{font-family:ui-monospace,monospace;font-size:.9rem}\n"
    "pre{margin:0}\n"
    ".differs,.control-sensitive,.behaviour-sensitive{color:var(--bad);font-weight:600}\n"
    ".traps,.privileged{color:var(--good)}.none{opacity:.5}\n"
    ".mark{font-size:.75rem;border-radius:.3rem;padding:0 .4rem;border:1px solid currentColor}\n"
    ".identical{color:var(--good)}.rewritten{color:var(--same)}.inline{color:var(--warn)}.callout{color:var(-"
    "-bad)}."
    "control{color:var(--flow)}\n"
    ".why{font-size:.85rem;opacity:.8}.note{color:var(--warn)}\n"
    "tr.on{background:var(--soft)}\nsvg text{font:13px ui-monospace,monospace;fill:CanvasText}\n";

void html_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        switch (*text) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        default: fputc(*text, out);
        }
    }
}

void html_begin(const char *title, FILE *out)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width\">\n<title>",
          out);
    html_text(title, out);
    fprintf(out, "</title>\n<style>\n%s</style></head><body>\n<h1>", style);
    html_text(title, out);
    fputs("</h1>\n", out);
}

void html_end(FILE *out)
{
    fputs("</body></html>\n", out);
}
