/*
 * The census as one HTML page that needs nothing else: no network, no script.
 */
#include "census.h"
#include "html.h"

#include "cpu/isa.h"

static void print_cell(const struct census_observation *o, FILE *out)
{
    static const char *const classes[] = {"none", "traps", "same", "differs"};
    char text[96];
    fprintf(out, "<td class=\"%s\">", classes[o->verdict]);
    html_text(census_verdict_text(o, text, sizeof(text)), out);
    fputs("</td>", out);
}

static void print_entry(const struct census_entry *e, enum census_cpu reference, FILE *out)
{
    char text[128];
    const char *class = census_class_name(census_class_of(e, reference));
    fputs("<tr><td>", out);
    html_text(e->form, out);
    fprintf(out, "</td><td class=\"%s\">%s</td><td>%s%s%s</td>", class, class,
            e->control ? outcome_control_names(e->control, text, sizeof(text)) : "",
            e->location ? (e->control ? "; location" : "location") : "",
            e->mode ? (e->control || e->location ? "; mode" : "mode") : "");
    for (unsigned cpu = 0; cpu < CENSUS_CPUS; cpu++)
        print_cell(&e->on[cpu], out);
    fprintf(out, "<td>%s</td><td>", census_treatment_text(e->row));
    html_text(e->row->manual ? e->row->manual : "", out);
    fputs("</td></tr>\n", out);
}

static unsigned print_list(const struct census *c, enum census_cpu cpu, const char *title, FILE *out,
                           bool (*breaks)(const struct census_entry *, enum census_cpu))
{
    unsigned count = 0;
    fprintf(out, "<p><strong>%s</strong> ", title);
    for (unsigned n = 0; n < c->count; n++) {
        if (!breaks(&c->entry[n], cpu)) continue;
        fputs(count++ ? ", <code>" : "<code>", out);
        html_text(c->entry[n].form, out);
        fputs("</code>", out);
    }
    fprintf(out, count ? " (%u)</p>\n" : "none</p>\n", count);
    return count;
}

static void print_theorems(const struct census *c, enum census_cpu cpu, bool open, FILE *out)
{
    fprintf(out, "<details%s><summary>On %s</summary>\n", open ? " open" : "", census_cpu_name(cpu));
    unsigned first = print_list(c, cpu, "Theorem 1, sensitive forms that do not always trap:", out,
                                census_breaks_theorem_1);
    unsigned third = print_list(c, cpu, "Theorem 3, what a program in user mode would notice:", out,
                                census_breaks_theorem_3);
    fputs("<p>", out);
    census_print_verdict(first, third, out);
    fputs("</p></details>\n", out);
}

void census_print_html(const struct census *c, FILE *out)
{
    enum census_cpu reference = census_reference(c);
    html_begin("Census of the instruction set", out);
    fputs("<p>Host: ", out);
    html_text(c->host.name, out);
    fprintf(out,
            "; UMIP %s, CPUID faulting %s, 32-bit code %s. Each form was executed at CPL 3 and compared with "
            "its meaning "
            "at CPL 0. The class is that on: %s. Columns marked * are simulated by Ringer's interpreter, "
            "with other "
            "tables than the guest's.</p>\n",
            c->host.umip ? "yes" : "no", c->host.cpuid_faulting ? "yes" : "no", c->has_32 ? "yes" : "no",
            census_cpu_name(reference));
    for (enum census_cpu cpu = 0; cpu < CENSUS_CPUS; cpu++)
        if (cpu != CPU_VM86 && census_tried(c, cpu)) print_theorems(c, cpu, cpu == reference, out);
    fputs("<table><thead><tr><th>form</th><th>class</th><th>changes, depends on</th>", out);
    for (enum census_cpu cpu = 0; cpu < CENSUS_CPUS; cpu++)
        fprintf(out, "<th>%s</th>", census_cpu_heading(cpu));
    fputs("<th>Ringer</th><th>manual</th></tr></thead><tbody>\n", out);
    for (unsigned n = 0; n < c->count; n++)
        print_entry(&c->entry[n], reference, out);
    fputs("</tbody></table>\n", out);
    html_end(out);
}
