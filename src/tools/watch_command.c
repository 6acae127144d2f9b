/*
 * The formats of `ringer watch`: a screen on a terminal, lines elsewhere, JSON lines, Prometheus' text. A reading is
 * one QMP command, which the machine answers between two blocks.
 */
#include "watch_command.h"
#include "hot_rows.h"
#include "qmp_client.h"
#include "watch_rows.h"

#include "base/host_time.h"
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
    const char *symbols_file;
    struct symbols symbols; /* of the guest; perhaps none */
};

int watch_usage(FILE *out, int status)
{
    fputs("ringer watch NAME [--interval=SECONDS] [--count=N] [--format=screen|lines|json|prometheus] "
          "[--symbols=FILE]\n"
          "ringer inspect NAME ADDRESS [--svg=FILE]\n\n"
          "watch shows what a running machine does: where its time goes, exits by cause, the code cache, the "
          "shadow,\n"
          "interrupts, devices, hot blocks (with names from System.map or an ELF file: --symbols). On a\n"
          "terminal it is a screen (q ends it), elsewhere lines. NAME is as for ringer ctl, which lists what "
          "runs.\n"
          "inspect shows the guest's page tables and the shadow's entries for a linear address, or draws "
          "them.\n",
          out);
    return status;
}

/* Counters, or hot blocks. NULL: the machine has gone. */
static struct json_object *read_answer(struct qmp_client *client, const char *command)
{
    struct json_object *answer = qmp_client_ask(client, command, NULL), *value = NULL;
    if (answer && json_object_object_get_ex(answer, "return", &value)) json_object_get(value);
    json_object_put(answer);
    return value;
}

/* --- formats --- */

static void format_value(const struct watch_row *row, double value, char *text, size_t bytes)
{
    if (isnan(value))
        snprintf(text, bytes, "-");
    else if (row->kind != WATCH_LEVEL && row->kind != WATCH_RATE)
        snprintf(text, bytes, "%.1f %%", value * 100);
    else if (row->kind == WATCH_LEVEL)
        snprintf(text, bytes, "%.0f", value);
    else
        snprintf(text, bytes, value < 100 && value > 0 ? "%.1f/s" : "%.0f/s", value);
}

/* Where a screen's next row goes: columns from left to right. */
struct cursor {
    int rows, columns, y, x;
};

static bool next_row(struct cursor *at)
{
    if (at->y >= at->rows) {
        at->y = 2;
        at->x += 52;
    }
    return at->x < at->columns;
}

static void show_hot(struct cursor *at, const struct request *q, const struct watch_readings *r)
{
    struct hot_row row;
    if (!next_row(at)) return;
    attron(A_BOLD);
    mvprintw(at->y++, at->x, "the machine's time");
    attroff(A_BOLD);
    for (unsigned n = 0; n < hot_share_count && next_row(at); n++)
        mvprintw(at->y++, at->x, "  %-32s %12.1f %%", hot_shares[n].label,
                 hot_share_value(r->hot, &hot_shares[n]) * 100);
    if (!next_row(at)) return;
    attron(A_BOLD);
    mvprintw(at->y++, at->x, "hot blocks");
    attroff(A_BOLD);
    for (unsigned n = 0; next_row(at) && hot_row(r->hot, n, &q->symbols, &row); n++)
        mvprintw(at->y++, at->x, "  %-32.32s %12.1f %%", row.name, row.share * 100);
}

static void show_screen(const struct request *q, const struct watch_readings *r)
{
    struct cursor at = {.y = 2};
    getmaxyx(stdscr, at.rows, at.columns);
    erase();
    mvprintw(0, 0, "%.40s   up %.0f s   interval %.1f s   q: end", q->name, watch_counter(r->now, "seconds"),
             r->seconds);
    for (unsigned n = 0; n < watch_row_count && next_row(&at); n++) {
        const struct watch_row *row = &watch_rows[n];
        char text[32];
        if (row->kind == WATCH_HEADING) attron(A_BOLD);
        mvprintw(at.y, at.x, "%s%s", row->kind == WATCH_HEADING ? "" : "  ", row->label);
        if (row->kind == WATCH_HEADING) attroff(A_BOLD);
        if (row->kind != WATCH_HEADING) {
            format_value(row, watch_value(row, r), text, sizeof(text));
            mvprintw(at.y, at.x + 34, "%14s", text);
        }
        at.y++;
    }
    show_hot(&at, q, r);
    refresh();
}

static void print_lines(const struct request *q, const struct watch_readings *r)
{
    struct hot_row hot;
    for (unsigned n = 0; n < watch_row_count; n++) {
        char text[32];
        if (watch_rows[n].kind == WATCH_HEADING) {
            printf("%s%s\n", n ? "\n" : "", watch_rows[n].label);
            continue;
        }
        format_value(&watch_rows[n], watch_value(&watch_rows[n], r), text, sizeof(text));
        printf("  %-32s %14s\n", watch_rows[n].label, text);
    }
    printf("\nthe machine's time\n");
    for (unsigned n = 0; n < hot_share_count; n++)
        printf("  %-32s %12.1f %%\n", hot_shares[n].label, hot_share_value(r->hot, &hot_shares[n]) * 100);
    printf("\nhot blocks\n");
    for (unsigned n = 0; hot_row(r->hot, n, &q->symbols, &hot); n++)
        printf("  %-32s %12.1f %%\n", hot.name, hot.share * 100);
    printf("\n");
}

/* Adds "symbol" to each block. */
static void name_blocks(const struct request *q, struct json_object *hot)
{
    struct json_object *blocks;
    struct hot_row row;
    if (!q->symbols.count || !json_object_object_get_ex(hot, "blocks", &blocks)) return;
    for (unsigned n = 0; hot_row(hot, n, &q->symbols, &row); n++)
        json_object_object_add(json_object_array_get_idx(blocks, n), "symbol",
                               json_object_new_string(row.name));
}

/* The counters as they are, the rates under "per_second", and the answer of x-ringer-hot. */
static void print_json(const struct request *q, const struct watch_readings *r)
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
    name_blocks(q, r->hot);
    json_object_object_add(line, "hot", json_object_get(r->hot));
    printf("%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
    json_object_put(line);
}

/* A label's value in Prometheus' exposition format 0.0.4. */
static void print_label(const char *key, const char *value)
{
    printf("%s=\"", key);
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\') putchar('\\');
        putchar(*c == '\n' ? ' ' : *c);
    }
    putchar('"');
}

static void print_hot_samples(const struct request *q, const struct watch_readings *r)
{
    struct hot_row row;
    printf("# TYPE ringer_time_share gauge\n");
    for (unsigned n = 0; n < hot_share_count; n++) {
        double share = hot_share_value(r->hot, &hot_shares[n]);
        if (isnan(share)) continue;
        printf("ringer_time_share{");
        print_label("machine", q->name);
        printf(",where=\"%s\"} %.6f\n", hot_shares[n].key, share);
    }
    printf("# TYPE ringer_block_share gauge\n");
    for (unsigned n = 0; hot_row(r->hot, n, &q->symbols, &row); n++) {
        printf("ringer_block_share{");
        print_label("machine", q->name);
        printf(",address=\"%s\",place=\"%u\",", row.address, n);
        print_label("symbol", row.name);
        printf("} %.6f\n", row.share);
    }
}

/* One sample of each counter. */
static void print_prometheus(const struct request *q, const struct watch_readings *r)
{
    json_object_object_foreach(r->now, key, value)
    {
        if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
            continue;
        printf("# TYPE ringer_%s %s\nringer_%s{", key, strcmp(key, "peak_kb") ? "counter" : "gauge", key);
        print_label("machine", q->name);
        printf("} %s\n", json_object_to_json_string(value));
    }
    print_hot_samples(q, r);
}

void watch_written(void)
{
    if (fflush(stdout) || ferror(stdout))
        die(STATUS_HOST, "cannot write standard output: %s", strerror(errno));
}

static void show(const struct request *q, const struct watch_readings *r)
{
    switch (q->format) {
    case FORMAT_SCREEN: show_screen(q, r); break;
    case FORMAT_LINES: print_lines(q, r); break;
    case FORMAT_JSON: print_json(q, r); break;
    case FORMAT_PROMETHEUS: print_prometheus(q, r); break;
    }
    if (q->format != FORMAT_SCREEN) watch_written();
}

/* --- the loop --- */

/* Waits for the next reading. False: the user has pressed q. */
static bool wait_interval(const struct request *q)
{
    if (q->format != FORMAT_SCREEN) {
        host_sleep_ns((u64)(q->interval * 1e9));
        return true;
    }
    timeout((int)(q->interval * 1000));
    int key = getch();
    return key != 'q' && key != 'Q';
}

/* Returns whether the machine still ran at the end. */
static bool watch(const struct request *q, struct qmp_client *client)
{
    struct watch_readings r = {.before = read_answer(client, "x-ringer-stats")};
    json_object_put(read_answer(client, "x-ringer-hot")); /* begins the samples */
    bool alive = r.before;
    for (unsigned long n = 0; alive && (!q->count || n < q->count); n++) {
        if (!wait_interval(q)) break;
        r.now = read_answer(client, "x-ringer-stats");
        r.hot = r.now ? read_answer(client, "x-ringer-hot") : NULL;
        alive = r.hot;
        if (!alive) {
            json_object_put(r.now);
            break;
        }
        r.seconds = watch_counter(r.now, "seconds") - watch_counter(r.before, "seconds");
        show(q, &r);
        json_object_put(r.before);
        json_object_put(r.hot);
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
    } else if ((value = word_value(word, "--symbols"))) {
        q->symbols_file = value;
    } else if (q->name && word[0] != '-') {
        die(STATUS_USAGE, "watch takes the name of one machine, not \"%s\" besides", word);
    } else if (word[0] == '-') {
        die(STATUS_USAGE, "watch has no option \"%s\", or it lacks its value; see ringer watch --help", word);
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
    char error[512];
    if (q.symbols_file && !symbols_load_guest(&q.symbols, q.symbols_file, error, sizeof(error)))
        die(STATUS_USAGE, "%s", error);
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
    symbols_free(&q.symbols);
    if (!alive) fprintf(stderr, "ringer: the machine has ended\n");
    return alive ? STATUS_OK : STATUS_GUEST;
}
