/*
 * The what-if experiment as text, JSON and one HTML page that needs nothing else: right answers beside those found.
 */
#include "html.h"
#include "what_if.h"
#include "what_if_data.h"

#include <json-c/json.h>
#include <string.h>

static const struct step {
    const char *what;
    u32 right;
} steps[WHAT_IF_STEPS] = {
    [STEP_SGDT] = {"LGDT, then SGDT: the table's address", WHAT_IF_DATA + 0x100},
    [STEP_SIDT] = {"LIDT, then SIDT: the table's address", WHAT_IF_DATA + 0x200},
    [STEP_PUSHF] = {"CLI, then PUSHF: the interrupt flag", 0},
    [STEP_POPF] = {"STI, then POPF that clears IF, then PUSHF", 0},
    [STEP_CS] = {"MOV from CS: the privilege level", 0},
    [STEP_STR] = {"LTR, then STR: the task's selector", 0x28},
    [STEP_SMSW] = {"CR0.TS set, then SMSW: TS", 8},
    [STEP_CR0] = {"CR0.TS set, then MOV from CR0: TS", 8},
    [STEP_LAR] = {"LAR of the kernel's code segment", 0x00cf9b00},
    [STEP_VERR] = {"VERR of the kernel's data segment", 1},
    [STEP_MSR] = {"WRMSR, then RDMSR", 0x10},
    [STEP_PORT] = {"OUT, then IN: the interrupt controller's mask", 0xff},
};

static bool is_right(const struct what_if_run *run, unsigned step)
{
    return run->ended && run->found[step] == steps[step].right;
}

static unsigned count_wrong(const struct what_if_run *run)
{
    unsigned wrong = 0;
    for (unsigned n = 0; n < WHAT_IF_STEPS; n++)
        wrong += !is_right(run, n);
    return wrong;
}

static const char *code_of(const struct what_if *w)
{
    return w->code32 ? "32-bit code" : "64-bit mode: this host executes no 32-bit code";
}

static void print_sums(const struct what_if *w, FILE *out)
{
    fprintf(
        out,
        "The monitor saw %u traps and emulated each of them right. %u answers are wrong all the same: the\n"
        "instructions that gave them did not trap. Under Ringer, %u are wrong.\n",
        w->naive.traps, count_wrong(&w->naive), count_wrong(&w->ringer));
}

/* --- text --- */

static void print_found(FILE *out, const struct what_if_run *run, unsigned step)
{
    if (!run->ended)
        fprintf(out, " %-18s", "(did not end)");
    else
        fprintf(out, " %08x %-9s", run->found[step], is_right(run, step) ? "" : "WRONG");
}

static void print_text(const struct what_if *w, FILE *out)
{
    fprintf(out,
            "A small kernel under a monitor that only traps and emulates (%s), and under Ringer (32-bit "
            "code).\n\n",
            code_of(w));
    fprintf(out, "%-46s %-9s %-18s %s\n", "what the kernel did", "right", "trap-and-emulate", "Ringer");
    for (unsigned n = 0; n < WHAT_IF_STEPS; n++) {
        fprintf(out, "%-46s %08x ", steps[n].what, steps[n].right);
        print_found(out, &w->naive, n);
        print_found(out, &w->ringer, n);
        fprintf(out, "\n");
    }
    fputc('\n', out);
    print_sums(w, out);
}

/* --- JSON --- */

static void add_run(json_object *row, const char *monitor, const struct what_if_run *run, unsigned step)
{
    json_object *j = json_object_new_object();
    json_object_object_add(j, "found", run->ended ? json_object_new_int64(run->found[step]) : NULL);
    json_object_object_add(j, "right", json_object_new_boolean(is_right(run, step)));
    json_object_object_add(row, monitor, j);
}

static void print_json(const struct what_if *w, FILE *out)
{
    json_object *j = json_object_new_object(), *rows = json_object_new_array(),
                *wrong = json_object_new_object();
    json_object_object_add(j, "trap-and-emulate-executes",
                           json_object_new_string(w->code32 ? "32-bit code" : "64-bit mode"));
    json_object_object_add(j, "traps", json_object_new_int64(w->naive.traps));
    for (unsigned n = 0; n < WHAT_IF_STEPS; n++) {
        json_object *row = json_object_new_object();
        json_object_object_add(row, "what", json_object_new_string(steps[n].what));
        json_object_object_add(row, "right", json_object_new_int64(steps[n].right));
        add_run(row, "trap-and-emulate", &w->naive, n);
        add_run(row, "ringer", &w->ringer, n);
        json_object_array_add(rows, row);
    }
    json_object_object_add(j, "steps", rows);
    json_object_object_add(wrong, "trap-and-emulate", json_object_new_int64(count_wrong(&w->naive)));
    json_object_object_add(wrong, "ringer", json_object_new_int64(count_wrong(&w->ringer)));
    json_object_object_add(j, "wrong", wrong);
    fprintf(out, "%s\n",
            json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(j);
}

/* --- HTML --- */

static void print_cell(FILE *out, const struct what_if_run *run, unsigned step)
{
    if (!run->ended)
        fputs("<td class=\"differs\">did not end</td>", out);
    else
        fprintf(out, "<td class=\"%s\"><code>%08x</code>%s</td>", is_right(run, step) ? "traps" : "differs",
                run->found[step], is_right(run, step) ? "" : " wrong");
}

static void print_html(const struct what_if *w, FILE *out)
{
    html_begin("What if a monitor only trapped and emulated?", out);
    fprintf(
        out,
        "<p>A small kernel under a monitor that only traps and emulates (%s), and under Ringer (32-bit "
        "code).</p>\n<table><thead><tr><th>what the kernel did</th><th>right</th><th>trap-and-emulate</th>"
        "<th>Ringer</th></tr></thead><tbody>\n",
        code_of(w));
    for (unsigned n = 0; n < WHAT_IF_STEPS; n++) {
        fputs("<tr><td>", out);
        html_text(steps[n].what, out);
        fprintf(out, "</td><td><code>%08x</code></td>", steps[n].right);
        print_cell(out, &w->naive, n);
        print_cell(out, &w->ringer, n);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n<p>", out);
    print_sums(w, out);
    fputs("</p>\n", out);
    html_end(out);
}

void what_if_print(const struct what_if *w, const char *format, FILE *out)
{
    if (!strcmp(format, "json"))
        print_json(w, out);
    else if (!strcmp(format, "html"))
        print_html(w, out);
    else
        print_text(w, out);
}
