/*
 * The census as one HTML page that needs nothing else: no network, no script.
 */
#include "census.h"

#include "cpu/isa.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Census of the instruction "
    "set</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width\"><style>\n"
    ":root{color-scheme:light dark;--line:#8884;--bad:#d33;--good:#2a8;--warn:#c80}\n"
    "body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem}\n"
    "table{border-collapse:collapse;font-size:.9rem;width:100%}\n"
    "th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}\n"
    "thead th{position:sticky;top:0;background:Canvas}\n"
    "td:first-child{font-family:monospace;font-weight:600;white-space:nowrap}\n"
    ".differs{color:var(--bad);font-weight:600}.traps{color:var(--good)}.same{color:inherit}\n"
    ".none{opacity:.5}.privileged{color:var(--good)}.control-sensitive,.behaviour-sensitive{color:var(--bad)}"
    "\n"
    "code{font-family:monospace}\n</style></head><body>\n";

static void print_escaped(const char *text, FILE *out)
{
    for (; *text; text++)
        switch (*text) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        default: fputc(*text, out);
        }
}

static void print_cell(const struct census_observation *o, FILE *out)
{
    static const char *const classes[] = {"none", "traps", "same", "differs"};
    char text[96];
    fprintf(out, "<td class=\"%s\">", classes[o->verdict]);
    print_escaped(census_verdict_text(o, text, sizeof(text)), out);
    fputs("</td>", out);
}

static void print_entry(const struct census_entry *e, enum census_cpu reference, FILE *out)
{
    char text[128];
    const char *class = census_class_name(e->on[reference].class);
    fputs("<tr><td>", out);
    print_escaped(e->form, out);
    fprintf(out, "</td><td class=\"%s\">%s</td><td>%s%s%s</td>", class, class,
            e->control ? outcome_control_names(e->control, text, sizeof(text)) : "",
            e->location ? (e->control ? "; location" : "location") : "",
            e->mode ? (e->control || e->location ? "; mode" : "mode") : "");
    for (unsigned cpu = 0; cpu < CENSUS_CPUS; cpu++)
        print_cell(&e->on[cpu], out);
    fprintf(out, "<td>%s</td><td>", census_treatment_text(e->row));
    print_escaped(e->row->manual ? e->row->manual : "", out);
    fputs("</td></tr>\n", out);
}

static void print_list(const struct census *c, enum census_cpu cpu, const char *title, FILE *out,
                       bool (*breaks)(const struct census_entry *, enum census_cpu))
{
    unsigned count = 0;
    fprintf(out, "<p><strong>%s</strong> ", title);
    for (unsigned n = 0; n < c->count; n++) {
        if (!breaks(&c->entry[n], cpu)) continue;
        fputs(count++ ? ", <code>" : "<code>", out);
        print_escaped(c->entry[n].form, out);
        fputs("</code>", out);
    }
    fprintf(out, count ? " (%u)</p>\n" : "none</p>\n", count);
}

void census_print_html(const struct census *c, FILE *out)
{
    enum census_cpu reference = census_reference(c);
    fputs(head, out);
    fputs("<h1>Census of the instruction set</h1>\n<p>Host: ", out);
    print_escaped(c->host.name, out);
    fprintf(out,
            "; UMIP %s, CPUID faulting %s, 32-bit code %s. Each form was executed at CPL 3 and compared with "
            "its meaning "
            "at CPL 0. The class is that on: %s. Columns marked * are simulated by Ringer's interpreter, "
            "with other "
            "tables than the guest's.</p>\n",
            c->host.umip ? "yes" : "no", c->host.cpuid_faulting ? "yes" : "no", c->has_32 ? "yes" : "no",
            census_cpu_name(reference));
    print_list(c, reference, "Theorem 1: sensitive forms that do not always trap:", out,
               census_breaks_theorem_1);
    print_list(c, reference, "Theorem 3: what a program in user mode would notice:", out,
               census_breaks_theorem_3);
    fputs("<table><thead><tr><th>form</th><th>class</th><th>changes, depends on</th><th>host, 32-bit</th>"
          "<th>host, 64-bit</th><th>no "
          "UMIP*</th><th>UMIP*</th><th>virtual-8086*</th><th>Ringer</th><th>manual</th>"
          "</tr></thead><tbody>\n",
          out);
    for (unsigned n = 0; n < c->count; n++)
        print_entry(&c->entry[n], reference, out);
    fputs("</tbody></table>\n</body></html>\n", out);
}
