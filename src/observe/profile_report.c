/*
 * The reports of a profile. All are made in the same way: each entry of the table gets a label, entries with the same
 * label are added up, and the sums are sorted.
 */
#include "profile.h"

#include "cpu/isa.h"

#include <stdlib.h>
#include <string.h>

#define LABEL_BYTES 192

struct row {
    char *label;
    u64 count;
    u64 translated; /* of these, in translated code */
};

/* Writes the label; false: the entry is not for this table. */
typedef bool label_function(const struct profile *p, const struct profile_key *key, char *label);

static int by_label(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->label, ((const struct row *)b)->label);
}

static int by_count(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : by_label(a, b);
}

/* A row for each entry, unsorted. NULL: out of memory, or no entries. */
static struct row *collect(const struct profile *p, label_function *label, unsigned *count)
{
    char text[LABEL_BYTES];
    struct row *rows = p->used ? calloc(p->used, sizeof(*rows)) : NULL;
    *count = 0;
    for (u32 n = 0; rows && n < PROFILE_ENTRIES; n++) {
        const struct profile_entry *entry = &p->entries[n];
        if (!entry->count || !label(p, &entry->key, text)) continue;
        struct row *row = &rows[*count];
        if (!(row->label = strdup(text))) break;
        row->count = entry->count;
        row->translated = entry->key.sample.location == SAMPLE_TRANSLATED ? entry->count : 0;
        ++*count;
    }
    return rows;
}

/* A row for each label, the largest first. Free the rows with discard(). */
static struct row *tally(const struct profile *p, label_function *label, unsigned *count)
{
    unsigned all, merged = 0;
    struct row *rows = collect(p, label, &all);
    if (all) qsort(rows, all, sizeof(*rows), by_label);
    for (unsigned n = 0; n < all; n++) {
        if (merged && !strcmp(rows[merged - 1].label, rows[n].label)) {
            rows[merged - 1].count += rows[n].count;
            rows[merged - 1].translated += rows[n].translated;
            free(rows[n].label);
        } else {
            rows[merged++] = rows[n];
        }
    }
    if (merged) qsort(rows, merged, sizeof(*rows), by_count);
    *count = merged;
    return rows;
}

static void discard(struct row *rows, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        free(rows[n].label);
    free(rows);
}

/* --- labels --- */

const char *profile_engine_name(enum profile_engine engine)
{
    static const char *const names[PROFILE_ENGINES] = {
        [ENGINE_OF_TRANSLATED] = "translated code", [ENGINE_OF_TRANSLATION] = "translation",
        [ENGINE_OF_INTERPRETER] = "interpreter",    [ENGINE_OF_MEMORY] = "memory",
        [ENGINE_OF_RUNTIME] = "runtime and cache",  [ENGINE_OF_DEVICES] = "devices",
        [ENGINE_OF_MACHINE] = "dispatcher",         [ENGINE_OF_HOST] = "host",
    };
    return names[engine];
}

static bool label_engine(const struct profile *p, const struct profile_key *key, char *label)
{
    snprintf(label, LABEL_BYTES, "%s", profile_engine_name(key->engine));
    return true;
}

static bool label_tier(const struct profile *p, const struct profile_key *key, char *label)
{
    snprintf(label, LABEL_BYTES, "tier %u, %s", key->sample.tier,
             key->sample.cpl == 3 ? "user code" : "kernel code");
    return key->sample.location == SAMPLE_TRANSLATED;
}

static const char *form(const struct sample *sample)
{
    const struct isa_row *row = isa_row_numbered(sample->form);
    return row ? row->name : "(unknown)";
}

static bool label_exit(const struct profile *p, const struct profile_key *key, char *label)
{
    const char *cause = translator_exit_name(key->sample.cause);
    snprintf(label, LABEL_BYTES, "%s",
             key->sample.location == SAMPLE_OUTSIDE ? "outside of the engine"
             : cause                                ? cause
                                                    : "unknown exit");
    return key->sample.location != SAMPLE_TRANSLATED;
}

static bool label_callout(const struct profile *p, const struct profile_key *key, char *label)
{
    snprintf(label, LABEL_BYTES, "%s", form(&key->sample));
    return key->sample.location == SAMPLE_EXIT && key->sample.form != SAMPLE_NO_FORM;
}

static const char *privilege(const struct sample *sample)
{
    return sample->cpl == 3 ? "user" : "kernel";
}

static bool label_block(const struct profile *p, const struct profile_key *key, char *label)
{
    u64 linear = key->sample.block_linear;
    u32 symbol = symbols_find(p->guest, linear);
    char name[LABEL_BYTES / 2] = "";
    if (symbol != SYMBOL_NONE) symbols_format(p->guest, linear, name, sizeof(name));
    snprintf(label, LABEL_BYTES, "%08llx %-6s %s", (unsigned long long)linear, privilege(&key->sample), name);
    return linear;
}

/* A guest function, or a block if there are no symbols. */
static void guest_function(const struct profile *p, const struct sample *sample, char *label, size_t bytes)
{
    u64 linear = sample->block_linear ? sample->block_linear : sample->eip;
    u32 symbol = symbols_find(p->guest, linear);
    if (symbol != SYMBOL_NONE)
        snprintf(label, bytes, "%s", p->guest->list[symbol].name);
    else
        snprintf(label, bytes, "%08llx", (unsigned long long)linear);
}

static bool label_guest_function(const struct profile *p, const struct profile_key *key, char *label)
{
    guest_function(p, &key->sample, label, LABEL_BYTES);
    return key->sample.eip && p->guest->count;
}

static const char *host_function(const struct profile *p, const struct profile_key *key)
{
    return key->function == SYMBOL_NONE ? "(outside of Ringer)" : p->own.list[key->function].name;
}

static bool label_host_function(const struct profile *p, const struct profile_key *key, char *label)
{
    const char *module = key->function == SYMBOL_NONE ? NULL : p->own.list[key->function].module;
    snprintf(label, LABEL_BYTES, "%-10s %s", module ? module : "", host_function(p, key));
    return key->sample.location != SAMPLE_TRANSLATED;
}

/* From the root: translated code, or exit and its instruction; guest; what Ringer did for it. */
static bool label_stack(const struct profile *p, const struct profile_key *key, char *label)
{
    char guest[LABEL_BYTES / 2], cause[LABEL_BYTES / 4];
    const struct sample *sample = &key->sample;
    guest_function(p, sample, guest, sizeof(guest));
    label_exit(p, key, cause);
    if (sample->location == SAMPLE_TRANSLATED)
        snprintf(label, LABEL_BYTES, "ringer;translated;%s;%s", privilege(sample), guest);
    else if (sample->location == SAMPLE_OUTSIDE)
        snprintf(label, LABEL_BYTES, "ringer;%s%s%s%s%s;%s", profile_engine_name(key->engine),
                 sample->eip ? ";" : "", sample->eip ? privilege(sample) : "", sample->eip ? ";" : "",
                 sample->eip ? guest : "", host_function(p, key));
    else
        snprintf(label, LABEL_BYTES, "ringer;%s%s%s;%s;%s;%s;%s", cause, sample->form ? ";" : "",
                 sample->form ? form(sample) : "", privilege(sample), guest, profile_engine_name(key->engine),
                 host_function(p, key));
    return true;
}

/* --- output --- */

void profile_write_folded(const struct profile *p, FILE *out)
{
    unsigned count;
    struct row *rows = tally(p, label_stack, &count);
    if (count) qsort(rows, count, sizeof(*rows), by_label);
    for (unsigned n = 0; n < count; n++)
        fprintf(out, "%s %llu\n", rows[n].label, (unsigned long long)rows[n].count);
    discard(rows, count);
}

static void write_table(const struct profile *p, FILE *out, const char *heading, label_function *label,
                        unsigned most, bool with_translated)
{
    unsigned count;
    struct row *rows = tally(p, label, &count);
    double ms = p->taken ? (double)p->cpu_ns / 1e6 / (double)p->taken : 0;
    if (count)
        fprintf(out, "\n%10s %6s%s  %s\n", "ms", "%", with_translated ? "  translated ms" : "", heading);
    for (unsigned n = 0; n < count && n < most; n++) {
        fprintf(out, "%10.1f %6.2f", (double)rows[n].count * ms,
                100.0 * (double)rows[n].count / (double)p->taken);
        if (with_translated) fprintf(out, " %14.1f", (double)rows[n].translated * ms);
        fprintf(out, "  %s\n", rows[n].label);
    }
    discard(rows, count);
}

void profile_write_tables(const struct profile *p, FILE *out)
{
    fprintf(out,
            "Profile: %llu samples in %.1f ms of CPU time of the vCPU thread; %llu more while the guest was "
            "halted, %llu lost\n",
            (unsigned long long)p->taken, (double)p->cpu_ns / 1e6, (unsigned long long)p->idle,
            (unsigned long long)p->lost);
    write_table(p, out, "by engine", label_engine, 100, false);
    write_table(p, out, "translated code", label_tier, 100, false);
    write_table(p, out, "outside of translated code, by the cause of leaving it", label_exit, 100, false);
    write_table(p, out, "callouts, by instruction", label_callout, 30, false);
    write_table(p, out, "functions of Ringer, outside of translated code", label_host_function, 40, false);
    write_table(p, out, "guest functions, with what they cause", label_guest_function, 40, true);
    write_table(p, out, "guest blocks, with what they cause", label_block, 30, true);
}
