#include "instruments.h"

#include "base/log.h"
#include "options/options.h"
#include "translator/translator.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define HOT_BLOCKS_WRITTEN 100

static FILE *open_output(const char *what, const char *path, const char *suffix, char *error,
                         size_t error_bytes)
{
    char *name;
    if (asprintf(&name, "%s%s", path, suffix) < 0) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    FILE *out = fopen(name, "we");
    if (!out) snprintf(error, error_bytes, "cannot write the %s to %s: %s", what, name, strerror(errno));
    free(name);
    return out;
}

static void close_output(FILE *out, const char *what)
{
    if (!out) return;
    bool failed = ferror(out);
    if (fclose(out) || failed) log_warn("the %s could not be written whole: %s", what, strerror(errno));
}

/* The cache is about to forget its blocks; the guest's FPU state may be live. */
static void before_flush(void *owner)
{
    struct instruments *i = owner;
    fpu_park(i->vcpu);
    perf_map_write(i->perf_map, i->vcpu);
}

static bool open_all(struct instruments *i, char *error, size_t error_bytes)
{
    const struct options *options = i->options;
    if (options->symbols && !symbols_load_guest(&i->guest, options->symbols, error, error_bytes))
        return false;
    if (options->profile) {
        i->folded = open_output("profile", options->profile, "", error, error_bytes);
        i->tables = i->folded ? open_output("profile", options->profile, ".txt", error, error_bytes) : NULL;
        i->profile = i->tables ? profile_open(i->vcpu, &i->guest, error, error_bytes) : NULL;
        if (!i->profile) return false;
    }
    if (options->stats_json) {
        i->json = open_output("counters", options->stats_json, "", error, error_bytes);
        if (!i->json) return false;
    }
    if (options->hot_blocks) {
        i->hot_json = open_output("hot blocks", options->hot_blocks, "", error, error_bytes);
        i->hot = i->hot_json ? hot_blocks_open(i->vcpu) : NULL;
        if (i->hot_json && !i->hot) snprintf(error, error_bytes, "out of memory");
        if (!i->hot) return false;
    }
    if (options->perf_map) {
        i->perf_map = perf_map_open(&i->guest, error, error_bytes);
        if (!i->perf_map) return false;
        translator_before_flush(i->vcpu, before_flush, i);
    }
    if (options->block_log) {
        i->block_log = block_log_open(i->vcpu, options->block_log, error, error_bytes);
        if (!i->block_log) return false;
    }
    return true;
}

int instruments_open(struct instruments *i, const struct options *options, struct vcpu *vcpu, char *error,
                     size_t error_bytes)
{
    *i = (struct instruments){.options = options, .vcpu = vcpu};
    return open_all(i, error, error_bytes) ? STATUS_OK : STATUS_USAGE;
}

int instruments_start(struct instruments *i)
{
    int failed = i->profile ? profile_start(i->profile) : 0;
    return !failed && i->hot ? hot_blocks_start(i->hot, 0, HOT_RUN_PERIOD_NS) : failed;
}

void instruments_stop(struct instruments *i)
{
    if (i->hot) hot_blocks_stop(i->hot);
    if (i->profile) profile_stop(i->profile);
}

static void write_hot_blocks(struct instruments *i)
{
    struct json_object *hot = hot_blocks_take(i->hot, HOT_BLOCKS_WRITTEN);
    if (hot) fprintf(i->hot_json, "%s\n", json_object_to_json_string_ext(hot, JSON_C_TO_STRING_PRETTY));
    json_object_put(hot);
}

void instruments_close(struct instruments *i, const struct stats_host *host)
{
    if (i->options->stats) stats_print(i->vcpu, host, stderr);
    if (i->json) stats_print_json(i->vcpu, host, i->json);
    close_output(i->json, "counters");
    if (i->hot) write_hot_blocks(i);
    hot_blocks_close(i->hot);
    close_output(i->hot_json, "hot blocks");
    if (i->profile) {
        profile_write_folded(i->profile, i->folded);
        profile_write_tables(i->profile, i->tables);
        if (i->options->stats) {
            fputc('\n', stderr);
            profile_write_tables(i->profile, stderr);
        }
    }
    profile_close(i->profile);
    if (i->perf_map) {
        translator_before_flush(i->vcpu, NULL, NULL);
        perf_map_write(i->perf_map, i->vcpu);
    }
    perf_map_close(i->perf_map);
    close_output(i->folded, "profile");
    close_output(i->tables, "profile");
    int failed = block_log_close(i->block_log, i->vcpu);
    if (failed) log_warn("the block log could not be written whole: %s", strerror(-failed));
    symbols_free(&i->guest);
}
