/*
 * `ringer inspect`: how a linear address of a running machine is mapped, as text or drawn. Both show the answer of one
 * QMP command (control/commands_machine.c: run_inspect()).
 */
#include "qmp_client.h"
#include "watch_command.h"

#include "base/log.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* --- text --- */

static void print_side(const char *title, struct json_object *side)
{
    printf("%s\n", title);
    json_object_object_foreach(side, key, value) printf("  %-16s %s\n", key, json_object_get_string(value));
}

static void print_text(struct json_object *mapping)
{
    json_object_object_foreach(mapping, key, inner)
    {
        if (json_object_is_type(inner, json_type_object))
            print_side(key, inner);
        else
            printf("%-18s %s\n", key, json_object_get_string(inner));
    }
}

/* --- a drawing --- */

/* Bit 0 of a page fault's error code: the page is present (SDM 3A 4.7). */
#define PF_PRESENT 1

/* A row for each privilege: the guest's tables and the page from left to right, and the shadow beneath. */
enum { BOX_WIDTH = 205, BOX_HEIGHT = 78, GAP = 34, MARGIN = 20, ROW_HEIGHT = 250, MOST_LEVELS = 4 };

static const char *field(struct json_object *side, const char *key)
{
    struct json_object *value;
    return json_object_object_get_ex(side, key, &value) ? json_object_get_string(value) : NULL;
}

static bool is_true(struct json_object *side, const char *key)
{
    const char *text = field(side, key);
    return text && !strcmp(text, "true");
}

/* The texts come from the machine's answer: numbers and words of ours, nothing that XML reserves. */
static void draw_box(FILE *out, int x, int y, const char *class, const char *title, const char *one,
                     const char *two)
{
    fprintf(out, "<g class=\"%s\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>", class, x, y,
            BOX_WIDTH, BOX_HEIGHT);
    fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"title\">%s</text>", x + 10, y + 20, title);
    fprintf(out, "<text x=\"%d\" y=\"%d\">%s</text><text x=\"%d\" y=\"%d\">%s</text></g>\n", x + 10, y + 43,
            one, x + 10, y + 64, two);
}

static void draw_arrow(FILE *out, int x, int y)
{
    fprintf(out, "<path d=\"M%d %d h%d m-7 -5 l7 5 l-7 5\" class=\"arrow\"/>\n", x, y, GAP - 4);
}

/* Returns where the next box begins. */
static int draw_tables(FILE *out, struct json_object *side, int x, int y)
{
    for (unsigned n = 0; n < MOST_LEVELS; n++) {
        char name[32], title[32], entry[80];
        snprintf(name, sizeof(name), "entry%u-gpa", n);
        const char *gpa = field(side, name);
        if (!gpa) break;
        snprintf(title, sizeof(title), "table %u, at %s", n, gpa);
        snprintf(name, sizeof(name), "entry%u", n);
        snprintf(entry, sizeof(entry), "entry %s", field(side, name));
        snprintf(name, sizeof(name), "entry%u-traced", n);
        bool traced = is_true(side, name);
        draw_box(out, x, y, traced ? "traced" : "guest", title, entry,
                 traced ? "write-traced" : "no write trace");
        draw_arrow(out, x + BOX_WIDTH + 2, y + BOX_HEIGHT / 2);
        x += BOX_WIDTH + GAP;
    }
    return x;
}

static void draw_page(FILE *out, struct json_object *side, int x, int y)
{
    char one[80], two[80];
    const char *gpa = field(side, "gpa");
    if (!gpa) {
        snprintf(one, sizeof(one), "error code %s", field(side, "fault"));
        bool present = atoi(field(side, "fault")) & PF_PRESENT;
        draw_box(out, x, y, "missing", "page fault", one,
                 present ? "mapped, without the right" : "not present");
        return;
    }
    snprintf(one, sizeof(one), "gpa %s, %s bytes", gpa, field(side, "page-bytes"));
    snprintf(two, sizeof(two), "%s%s%s%s", is_true(side, "user") ? "user " : "supervisor ",
             is_true(side, "writable") ? "W " : "", is_true(side, "executable") ? "X " : "",
             is_true(side, "code") ? "holds code" : "");
    draw_box(out, x, y, is_true(side, "traced") ? "traced" : "guest", "page", one, two);
}

static void draw_entry(FILE *out, struct json_object *side, const char *key, const char *title, int x, int y)
{
    const char *value = field(side, key);
    bool present = value && strcmp(value, "0x0");
    draw_box(out, x, y, present ? "shadow" : "missing", title, value ? value : "no entry",
             present ? "fast path" : "slow path");
}

static void draw_side(FILE *out, struct json_object *side, const char *name, int y)
{
    int x = MARGIN, shadow = y + BOX_HEIGHT + 56;
    const char *pdpte = field(side, "pdpte"), *place = field(side, "tlb-place"),
               *page = field(side, "tlb-page");
    fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"title\">%s: tables of the guest%s%s</text>\n", x, y - 10,
            name, pdpte ? ", PDPTE " : "", pdpte ? pdpte : "");
    draw_page(out, side, draw_tables(out, side, x, y), y);
    if (place)
        fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"title\">%s: slot %s of the TLB, page %s</text>\n", x,
                shadow - 10, name, place, page);
    else
        fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"title\">%s: the view of the current space</text>\n", x,
                shadow - 10, name);
    draw_entry(out, side, "read-entry", "read entry", x, shadow);
    draw_entry(out, side, "write-entry", "write entry", x += BOX_WIDTH + GAP, shadow);
    draw_entry(out, side, "exec-entry", "exec entry", x += BOX_WIDTH + GAP, shadow);
    const char *window = field(side, "window");
    if (!place || window)
        draw_box(out, x + BOX_WIDTH + GAP, shadow, window ? "shadow" : "missing", "host window",
                 window ? window : "none", window ? "host address" : "checked accesses");
}

static void draw(FILE *out, struct json_object *mapping)
{
    int width = MARGIN * 2 + (MOST_LEVELS + 1) * (BOX_WIDTH + GAP);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"13\">\n"
            "<style>svg { background: #fff } text { fill: #1a202c } .title { font-weight: bold } .arrow { "
            "stroke: #4a5568; fill: none }\n"
            "rect { stroke: #4a5568; fill: #f1f5f9 } .traced rect { fill: #fde68a } .shadow rect { fill: "
            "#bbf7d0 }\n"
            ".missing rect { fill: #fff; stroke-dasharray: 4 3 }\n"
            "@media (prefers-color-scheme: dark) { svg { background: #12161d } text { fill: #e2e8f0 } rect { "
            "fill: #1e2530 }\n"
            ".traced rect { fill: #713f12 } .shadow rect { fill: #14532d } .missing rect { fill: #12161d } "
            "}</style>\n"
            "<text x=\"%d\" y=\"30\" class=\"title\" font-size=\"17\">Linear address %s</text>\n",
            width, 70 + 2 * ROW_HEIGHT, MARGIN, field(mapping, "linear"));
    static const char *const sides[] = {"supervisor", "user"};
    for (unsigned n = 0; n < ARRAY_SIZE(sides); n++) {
        struct json_object *side;
        if (json_object_object_get_ex(mapping, sides[n], &side))
            draw_side(out, side, sides[n], 75 + (int)n * ROW_HEIGHT);
    }
    fprintf(out, "</svg>\n");
}

static int write_drawing(const char *path, struct json_object *mapping)
{
    FILE *out = fopen(path, "we");
    if (out) draw(out, mapping);
    bool failed = !out || ferror(out);
    if ((out && fclose(out)) || failed) {
        log_error("cannot write the drawing to %s: %s", path, strerror(errno));
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

/* --- the command --- */

static int show(struct json_object *value, const char *svg)
{
    if (!value) return STATUS_GUEST;
    if (svg) return write_drawing(svg, value);
    print_text(value);
    return STATUS_OK;
}

int inspect_command(int count, char **words)
{
    struct qmp_client client = {.fd = -1};
    if (count == 1 && (!strcmp(words[0], "--help") || !strcmp(words[0], "help")))
        return watch_usage(stdout, STATUS_OK);
    const char *svg = count == 3 && !strncmp(words[2], "--svg=", 6) ? words[2] + 6 : NULL;
    if (count == 1)
        die(STATUS_USAGE, "inspect takes a machine and a linear address, as in inspect %s 0xc0100000",
            words[0]);
    if (count != 2 && !svg) return watch_usage(stderr, STATUS_USAGE);
    char *end;
    unsigned long long address = strtoull(words[1], &end, 0);
    if (*end || end == words[1] || words[1][0] == '-')
        die(STATUS_USAGE, "inspect takes a linear address, as 0xc0100000, not \"%s\"", words[1]);
    int status = STATUS_USAGE;
    if (qmp_client_open(&client, words[0])) {
        struct json_object *arguments = json_object_new_object();
        json_object_object_add(arguments, "address", json_object_new_int64((int64_t)address));
        struct json_object *value = qmp_client_run(&client, "x-ringer-inspect", arguments);
        status = show(value, svg);
        watch_written();
        json_object_put(value);
    }
    qmp_client_close(&client);
    return status;
}
