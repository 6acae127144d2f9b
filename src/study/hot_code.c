#include "hot_code.h"

#include "base/host_time.h"
#include "base/json.h"
#include "base/log.h"
#include "observe/symbols.h"
#include "tools/qmp_client.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static enum explain_mode mode_of(struct json_object *block)
{
    bool user = json_number_of(block, "cpl") == 3, window = json_number_of(block, "window");
    switch (json_number_of(block, "bits")) {
    case 64: return window ? EXPLAIN_WINDOW64 : user ? EXPLAIN_USER64 : EXPLAIN_KERNEL64;
    case 32: return window ? EXPLAIN_WINDOW : user ? EXPLAIN_USER : EXPLAIN_KERNEL;
    default: return json_number_of(block, "vm86") ? EXPLAIN_VM86 : EXPLAIN_REAL;
    }
}

static void explain_block(const struct hot_request *q, struct explanation *x, struct json_object *block,
                          const struct symbols *symbols, double samples)
{
    char error[256], name[128] = "", note[160];
    struct guest_code code;
    u64 address = strtoull(json_text_of(block, "address"), NULL, 16);
    if (symbols->count) symbols_format(symbols, address, name, sizeof(name));
    snprintf(note, sizeof(note), "%.1f %% of the samples%s%s",
             100 * (double)json_number_of(block, "samples") / samples, name[0] ? ", " : "", name);
    unsigned first = x->count;
    bool good = guest_code_from_hex(&code, json_text_of(block, "code"), address, error, sizeof(error));
    if (good) {
        good = !explain(x, &code, mode_of(block), error, sizeof(error));
        guest_code_free(&code);
    }
    if (good)
        memcpy(x->block[first].note, note, sizeof(note));
    else
        log_warn("the block at %s cannot be explained: %s", json_text_of(block, "address"), error);
}

static int explain_all(const struct hot_request *q, struct explanation *x, struct json_object *hot,
                       const struct symbols *symbols)
{
    struct json_object *blocks;
    double samples = (double)json_number_of(hot, "samples");
    if (!json_object_object_get_ex(hot, "blocks", &blocks) || !json_object_is_type(blocks, json_type_array) ||
        !json_object_array_length(blocks) || samples <= 0) {
        log_error("there are no hot blocks in %s: %s", q->file ? q->file : q->machine,
                  q->file ? "a run writes them with --hot-blocks=FILE" : "the guest runs no translated code");
        return q->file ? STATUS_USAGE : STATUS_GUEST;
    }
    for (size_t n = 0; n < json_object_array_length(blocks) && n < q->most; n++)
        explain_block(q, x, json_object_array_get_idx(blocks, n), symbols, samples);
    return STATUS_OK;
}

/* --- from a machine --- */

static struct json_object *ask(struct qmp_client *client, unsigned most)
{
    struct json_object *arguments = json_object_new_object();
    json_add_number(arguments, "most", most);
    return qmp_client_run(client, "x-ringer-hot", arguments);
}

/* The first answer has what was sampled before, perhaps long ago. */
static struct json_object *from_machine(const struct hot_request *q, int *status)
{
    struct qmp_client client = {.fd = -1};
    struct json_object *hot = NULL;
    *status = STATUS_USAGE;
    if (qmp_client_open(&client, q->machine)) {
        *status = STATUS_GUEST;
        struct json_object *before = ask(&client, 0);
        if (before) {
            host_sleep_ns((u64)(q->seconds * 1e9));
            hot = ask(&client, q->most);
        }
        json_object_put(before);
    }
    qmp_client_close(&client);
    return hot;
}

/* --- both --- */

int hot_code_explain(const struct hot_request *q, struct explanation *x)
{
    struct symbols symbols = {0};
    char error[512];
    int status = STATUS_USAGE;
    if (q->symbols && !symbols_load_guest(&symbols, q->symbols, error, sizeof(error)))
        return log_error("%s", error), STATUS_USAGE;
    struct json_object *hot = q->file ? json_object_from_file(q->file) : from_machine(q, &status);
    if (hot)
        status = explain_all(q, x, hot, &symbols);
    else if (q->file)
        log_error("cannot read hot blocks from %s: a run writes them with --hot-blocks=FILE", q->file);
    json_object_put(hot);
    symbols_free(&symbols);
    return status;
}
