/*
 * The formats of `ringer watch`: a screen on a terminal, lines elsewhere, JSON lines, Prometheus' text. A reading is one QMP
 * command, which the machine answers between two blocks.
 */
#include "watch_command.h"
#include "qmp_client.h"
#include "watch_rows.h"

#include "base/log.h"
#include "base/words.h"

#include <curses.h>
#include <errno.h>
#include <json-c/json.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum watch_format { FORMAT_SCREEN, FORMAT_LINES, FORMAT_JSON, FORMAT_PROMETHEUS };

struct request {
    const char *name;
    enum watch_format format;
    double interval;     /* seconds */
    unsigned long count; /* readings; 0: until the machine ends */
};

int watch_usage(FILE *out, int status)
{
    fputs("ringer watch NAME [--interval=SECONDS] [--count=N] [--format=screen|lines|json|prometheus]\n"
          "ringer inspect NAME ADDRESS [--svg=FILE]\n\n"
          "watch shows what a running machine does: exits by cause, the code cache, the shadow, interrupts, "
          "devices. On a\n"
          "terminal it is a screen (q ends it), elsewhere lines. NAME is as for ringer ctl, which lists what "
          "runs.\n"
          "inspect shows the guest's page tables and the shadow's entries for a linear address, or draws "
          "them.\n",
          out);
    return status;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* NULL: the machine has gone. */
static struct json_object *read_counters(struct qmp_client *client)
{
    struct json_object *answer = qmp_client_ask(client, "x-ringer-stats", NULL), *value = NULL;
    if (answer && json_object_object_get_ex(answer, "return", &value)) json_object_get(value);
    json_object_put(answer);
    return value;
}

/* --- formats --- */

static void format_value(const struct watch_row *row, double value, char *text, size_t bytes)
{
    if (isnan(value))
        snprintf(text, bytes, "-");
    else if (row->kind == WATCH_SHARE || row->kind == WATCH_PART)
        snprintf(text, bytes, "%.1f %%", value * 100);
    else if (row->kind == WATCH_LEVEL)
        snprintf(text, bytes, "%.0f", value);
    else
        snprintf(text, bytes, value < 100 && value > 0 ? "%.1f/s" : "%.0f/s", value);
}

static void show_screen(const char *name, const struct watch_readings *r)
{
    int rows, columns, y = 2, x = 0;
    getmaxyx(stdscr, rows, columns);
    erase();
    mvprintw(0, 0, "%.40s   up %.0f s   interval %.1f s   q: end", name, watch_counter(r->now, "seconds"),
             r->seconds);
    for (unsigned n = 0; n < watch_row_count; n++) {
        const struct watch_row *row = &watch_rows[n];
        char text[32];
        if (y >= rows) {
            y = 2;
            x += 52;
        }
        if (x >= columns) break;
        if (row->kind == WATCH_HEADING) attron(A_BOLD);
        mvprintw(y, x, "%s%s", row->kind == WATCH_HEADING ? "" : "  ", row->label);
        if (row->kind == WATCH_HEADING) attroff(A_BOLD);
        if (row->kind != WATCH_HEADING) {
            format_value(row, watch_value(row, r), text, sizeof(text));
            mvprintw(y, x + 34, "%14s", text);
        }
        y++;
    }
    refresh();
}

static void print_lines(const struct watch_readings *r)
{
    for (unsigned n = 0; n < watch_row_count; n++) {
        char text[32];
        if (watch_rows[n].kind == WATCH_HEADING) {
            printf("%s%s\n", n ? "\n" : "", watch_rows[n].label);
            continue;
        }
        format_value(&watch_rows[n], watch_value(&watch_rows[n], r), text, sizeof(text));
        printf("  %-32s %14s\n", watch_rows[n].label, text);
    }
    printf("\n");
}

/* The counters as they are, and the rates under "per_second". */
static void print_json(const struct watch_readings *r)
{
    struct json_object *line = json_object_new_object(), *rates = json_object_new_object();
    json_object_object_foreach(r->now, key, value)
    {
        if (json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double)) {
            double grown = json_object_get_double(value) - watch_counter(r->before, key);
            if (r->seconds > 0)
                json_object_object_add(rates, key, json_object_new_double(grown / r->seconds));
        }
    }
    json_object_object_add(line, "interval", json_object_new_double(r->seconds));
    json_object_object_add(line, "counters", json_object_get(r->now));
    json_object_object_add(line, "per_second", rates);
    printf("%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
    json_object_put(line);
}

/* Prometheus' exposition format 0.0.4: one sample of each counter. */
static void print_prometheus(const char *name, const struct watch_readings *r)
{
    json_object_object_foreach(r->now, key, value)
    {
        if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
            continue;
        printf("# TYPE ringer_%s %s\nringer_%s{machine=\"", key, strcmp(key, "peak_kb") ? "counter" : "gauge",
               key);
        for (const char *c = name; *c; c++) {
            if (*c == '"' || *c == '\\') putchar('\\');
            putchar(*c == '\n' ? ' ' : *c);
        }
        printf("\"} %s\n", json_object_to_json_string(value));
    }
}

static void show(const struct request *q, const struct watch_readings *r)
{
    switch (q->format) {
    case FORMAT_SCREEN: show_screen(q->name, r); break;
    case FORMAT_LINES: print_lines(r); break;
    case FORMAT_JSON: print_json(r); break;
    case FORMAT_PROMETHEUS: print_prometheus(q->name, r); break;
    }
    if (q->format != FORMAT_SCREEN) fflush(stdout);
}

/* --- the loop --- */

/* Waits for the next reading. False: the user has pressed q. */
static bool wait_interval(const struct request *q)
{
    if (q->format != FORMAT_SCREEN) {
        struct timespec wait = {(time_t)q->interval,
                                (long)((q->interval - (double)(time_t)q->interval) * 1e9)};
        while (nanosleep(&wait, &wait) && errno == EINTR)
            ;
        return true;
    }
    timeout((int)(q->interval * 1000));
    int key = getch();
    return key != 'q' && key != 'Q';
}

/* Returns whether the machine still ran at the end. */
static bool watch(const struct request *q, struct qmp_client *client)
{
    struct watch_readings r = {.before = read_counters(client)};
    double at = now_seconds();
    bool alive = r.before;
    for (unsigned long n = 0; alive && (!q->count || n < q->count); n++) {
        /* The first sample for Prometheus needs no interval. */
        if (!(q->format == FORMAT_PROMETHEUS && !n) && !wait_interval(q)) break;
        r.now = read_counters(client);
        alive = r.now;
        if (!alive) break;
        double then = at;
        at = now_seconds();
        r.seconds = at - then;
        show(q, &r);
        json_object_put(r.before);
        r.before = r.now;
    }
    json_object_put(r.before);
    return alive;
}

static void read_format(struct request *q, const char *value)
{
    static const char *const names[] = {"screen", "lines", "json", "prometheus"};
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (!strcmp(names[n], value)) {
            q->format = (enum watch_format)n;
            return;
        }
    die(STATUS_USAGE, "--format is screen, lines, json or prometheus, not %s", value);
}

static void read_word(struct request *q, const char *word)
{
    const char *value;
    char *end = "";
    if ((value = word_value(word, "--interval"))) {
        q->interval = strtod(value, &end);
        if (*end || !(q->interval >= 0.05 && q->interval <= 3600))
            die(STATUS_USAGE, "--interval is 0.05 to 3600 seconds, not %s", value);
    } else if ((value = word_value(word, "--count"))) {
        q->count = strtoul(value, &end, 10);
        if (*end || !q->count) die(STATUS_USAGE, "--count takes a number from 1 on, not %s", value);
    } else if ((value = word_value(word, "--format"))) {
        read_format(q, value);
    } else if (word[0] == '-' || q->name) {
        die(STATUS_USAGE, "watch has no option \"%s\"; see ringer watch --help", word);
    } else {
        q->name = word;
    }
}

int watch_command(int count, char **words)
{
    struct request q = {.format = isatty(STDOUT_FILENO) ? FORMAT_SCREEN : FORMAT_LINES, .interval = 1};
    struct qmp_client client = {.fd = -1};
    if (!count) return watch_usage(stderr, STATUS_USAGE);
    if (!strcmp(words[0], "--help") || !strcmp(words[0], "help")) return watch_usage(stdout, STATUS_OK);
    for (int n = 0; n < count; n++)
        read_word(&q, words[n]);
    if (!q.name) return watch_usage(stderr, STATUS_USAGE);
    if (q.format == FORMAT_SCREEN && !isatty(STDOUT_FILENO))
        die(STATUS_USAGE, "--format=screen needs a terminal");
    if (q.format == FORMAT_PROMETHEUS && !q.count) q.count = 1;
    if (!qmp_client_open(&client, q.name)) {
        qmp_client_close(&client);
        return STATUS_USAGE;
    }
    if (q.format == FORMAT_SCREEN) {
        setlocale(LC_ALL, "");
        initscr();
        cbreak();
        noecho();
        curs_set(0);
    }
    bool alive = watch(&q, &client);
    if (q.format == FORMAT_SCREEN) endwin();
    qmp_client_close(&client);
    if (!alive) fprintf(stderr, "ringer: the machine has ended\n");
    return alive ? STATUS_OK : STATUS_GUEST;
}
