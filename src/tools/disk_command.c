#include "disk_command.h"

#include "base/log.h"
#include "block/new_file.h"
#include "block/qcow2_format.h"
#include "disk_info.h"
#include "options/options_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 2

/* The command line. */
struct request {
    const char *word[WORDS_MAX];
    unsigned words;
    const char *format;  /* -f */
    const char *output;  /* -O */
    const char *backing; /* -b */
    const char *backing_format;
    bool force, json;
    struct qcow2_recipe recipe;
    bool host_failed; /* the error is the host's, not the user's */
    char error[8192];
};

#define SAY(r, ...)      (snprintf((r)->error, sizeof((r)->error), __VA_ARGS__), false)
#define SAY_HOST(r, ...) ((r)->host_failed = true, SAY(r, __VA_ARGS__))

static void print_help(void)
{
    fputs(
        "ringer disk create [-f FORMAT] [-b BASE [-F FORMAT]] [-o KEY=VALUE,...] [--force] FILE [SIZE]\n"
        "ringer disk info [--json] FILE\n"
        "ringer disk convert [-f FORMAT] [-O FORMAT] [-o KEY=VALUE,...] [--force] FROM TO\n\n"
        "Formats are raw and qcow2. Without -f (convert: -O) a new file is qcow2 if its name ends in .qcow2 "
        "or\nif there is a BASE, from which unwritten clusters are read. SIZE: 10G, 512M, "
        "...\nOptions of qcow2: cluster_size=64K, refcount_bits=16, compat=1.1.\n",
        stdout);
}

/* --- words --- */

static bool is_format(const char *name)
{
    return !name || !strcmp(name, "raw") || !strcmp(name, "qcow2");
}

static bool power_of(u64 value, unsigned least, unsigned most, unsigned *power)
{
    for (*power = least; *power <= most; ++*power)
        if (value == 1ull << *power) return true;
    return false;
}

static bool read_recipe_item(struct request *r, const char *key, const char *value)
{
    struct qcow2_recipe *recipe = &r->recipe;
    u64 number;
    if (!strcmp(key, "cluster_size"))
        return option_size(value, 0, &number) &&
                       power_of(number, QCOW2_CLUSTER_BITS_MIN, QCOW2_CLUSTER_BITS_MAX, &recipe->cluster_bits)
                   ? true
                   : SAY(r, "a cluster has 512, 1K, 2K, ... or 2M bytes, not %s", value);
    if (!strcmp(key, "refcount_bits"))
        return option_number(value, &number) && power_of(number, 0, 6, &recipe->refcount_order)
                   ? true
                   : SAY(r, "a refcount has 1, 2, 4, ... or 64 bits, not %s", value);
    if (strcmp(key, "compat")) return SAY(r, "-o takes cluster_size, refcount_bits and compat, not %s", key);
    bool old = !strcmp(value, "0.10") || !strcmp(value, "v2");
    if (!old && strcmp(value, "1.1") && strcmp(value, "v3"))
        return SAY(r, "compat is 0.10 or 1.1, not %s", value);
    recipe->version = old ? 2 : 3;
    return true;
}

static bool read_recipe(struct request *r, const char *list)
{
    struct option_list items;
    char *key, *value;
    bool good = option_list_open(&items, list) ? true : SAY_HOST(r, "out of memory");
    while (good && option_list_next(&items, &key, &value))
        good = read_recipe_item(r, key, value ? value : "");
    option_list_close(&items);
    return good;
}

static bool read_words(struct request *r, int argc, char **argv)
{
    const struct {
        const char *name;
        const char **value;
    } valued[] = {{"-f", &r->format}, {"-O", &r->output}, {"-b", &r->backing}, {"-F", &r->backing_format}};
    for (int n = 0; n < argc; n++) {
        const char *word = argv[n], **value = NULL;
        for (unsigned v = 0; v < ARRAY_SIZE(valued); v++)
            if (!strcmp(word, valued[v].name)) value = valued[v].value;
        bool recipe = !strcmp(word, "-o");
        if ((value || recipe) && n + 1 == argc) return SAY(r, "%s: the argument is missing", word);
        if (value)
            *value = argv[++n];
        else if (recipe ? !read_recipe(r, argv[++n]) : false)
            return false;
        else if (recipe)
            continue;
        else if (!strcmp(word, "--force") || !strcmp(word, "-force"))
            r->force = true;
        else if (!strcmp(word, "--json") || !strcmp(word, "--output=json"))
            r->json = true;
        else if (word[0] == '-' && word[1])
            return SAY(r, "there is no option \"%s\"; see ringer disk", word);
        else if (r->words == WORDS_MAX)
            return SAY(r, "the word \"%s\" is superfluous; see ringer disk", word);
        else
            r->word[r->words++] = word;
    }
    if (!is_format(r->format) || !is_format(r->output) || !is_format(r->backing_format))
        return SAY(r, "the formats are raw and qcow2");
    return true;
}

static const char *format_for(const char *asked, const char *file, const char *backing)
{
    size_t length = strlen(file);
    if (asked) return asked;
    bool named = length > 6 && !strcmp(file + length - 6, ".qcow2");
    return named || backing ? "qcow2" : "raw";
}

/* --- create --- */

/* Size and format of the new image's base. */
static bool look_at_backing(struct request *r, const char *file)
{
    char path[4096];
    disk_image_beside(file, r->backing, path, sizeof(path));
    const struct disk_image_how how = {.format = r->backing_format, .read_only = true};
    struct disk_image *image = disk_image_open(path, &how, r->error, sizeof(r->error));
    if (!image) return false;
    r->recipe.backing = r->backing;
    r->recipe.backing_format = image->ops->format;
    if (!r->recipe.bytes) r->recipe.bytes = image->bytes;
    disk_image_close(image);
    return true;
}

/* An empty image in a new file. */
static bool fill_new(struct request *r, const char *format, struct new_file *file)
{
    struct store *store = new_file_store(file);
    if (!store) return SAY_HOST(r, "out of memory");
    int failed = strcmp(format, "raw") ? qcow2_create(store, &r->recipe)
                                       : store->ops->set_size(store, r->recipe.bytes);
    store->ops->close(store);
    if (failed == -EINVAL && r->recipe.version == 2)
        return SAY(r, "compat=0.10 allows only refcounts of 16 bits");
    return failed ? SAY_HOST(r, "cannot create %s: %s", file->path, strerror(-failed)) : true;
}

static bool create(struct request *r)
{
    if (!r->words) return SAY(r, "a file is missing; see ringer disk");
    const char *path = r->word[0], *format = format_for(r->format, path, r->backing);
    if (r->words > 1 && (!option_size(r->word[1], 0, &r->recipe.bytes) || r->recipe.bytes > 1ull << 50))
        return SAY(r, "the size \"%s\" is not a number with K, M, G or T behind it, up to 1024T", r->word[1]);
    r->recipe.bytes = align_up(r->recipe.bytes, QCOW2_SECTOR_BYTES);
    if (r->backing && strcmp(format, "qcow2")) return SAY(r, "only a qcow2 image can be based on another");
    if (r->backing_format && !r->backing) return SAY(r, "-F is the format of the base, but there is no -b");
    if (r->backing && !look_at_backing(r, path)) return false;
    if (!r->recipe.bytes) return SAY(r, "a size is missing, as 10G or 512M");
    struct new_file file;
    if (!new_file_begin(&file, path, r->force, r->error, sizeof(r->error))) return false;
    return new_file_end(&file, fill_new(r, format, &file), r->error, sizeof(r->error));
}

/* --- convert --- */

#define COPY_BYTES (1u << 20)
/* Shorter runs of zeros are copied. */
#define GRAIN_BYTES 4096u

static int copy_piece(struct disk_image *from, struct disk_image *to, u64 offset, u8 *buffer, u64 bytes)
{
    struct iovec part;
    int failed = from->ops->read(from, offset, span_of(&part, buffer, bytes));
    for (u64 at = 0, run; at < bytes && !failed; at += run) {
        bool zero = false;
        for (run = 0; at + run < bytes; run += GRAIN_BYTES) {
            u64 grain = bytes - at - run < GRAIN_BYTES ? bytes - at - run : GRAIN_BYTES;
            bool this_zero = span_is_zero(span_of(&part, buffer + at + run, grain));
            if (run && this_zero != zero) break;
            zero = this_zero;
        }
        if (at + run > bytes) run = bytes - at;
        if (!zero) failed = to->ops->write(to, offset + at, span_of(&part, buffer + at, run));
    }
    return failed;
}

static bool copy(struct request *r, struct disk_image *from, struct disk_image *to)
{
    u8 *buffer = malloc(COPY_BYTES);
    int failed = buffer ? 0 : -ENOMEM;
    u64 offset = 0, bytes = 0;
    for (; offset < from->bytes && !failed; offset += bytes) {
        enum extent_kind kind;
        failed = from->ops->extent(from, offset, &bytes, &kind);
        if (failed || kind != EXTENT_DATA) continue;
        if (bytes > COPY_BYTES) bytes = COPY_BYTES;
        failed = copy_piece(from, to, offset, buffer, bytes);
    }
    free(buffer);
    if (!failed) failed = to->ops->flush(to);
    return failed ? SAY(r, "cannot copy the data at byte %llu: %s", (unsigned long long)(offset - bytes),
                        strerror(-failed))
                  : true;
}

static bool copy_into(struct request *r, struct disk_image *from, const char *format, struct new_file *file)
{
    if (!fill_new(r, format, file)) return false;
    struct store *store = new_file_store(file);
    struct disk_image *to = NULL;
    if (store)
        to = strcmp(format, "raw") ? qcow2_open(store, file->path, false, NULL, r->error, sizeof(r->error))
                                   : raw_open(store, false, false, r->error, sizeof(r->error));
    if (!to) {
        if (store) store->ops->close(store);
        return store ? false : SAY_HOST(r, "out of memory");
    }
    bool good = copy(r, from, to);
    int failed = disk_image_close(to);
    return good && failed ? SAY_HOST(r, "cannot write %s: %s", file->path, strerror(-failed)) : good;
}

static bool convert(struct request *r)
{
    if (r->words < 2) return SAY(r, "convert needs two files; see ringer disk");
    if (r->backing) return SAY(r, "convert has no -b, because it copies everything");
    const char *format = format_for(r->output, r->word[1], NULL);
    const struct disk_image_how how = {.format = r->format, .read_only = true};
    struct disk_image *from = disk_image_open(r->word[0], &how, r->error, sizeof(r->error));
    if (!from) return false;
    r->recipe.bytes = from->bytes;
    struct new_file file;
    bool good = new_file_begin(&file, r->word[1], r->force, r->error, sizeof(r->error));
    if (good) good = new_file_end(&file, copy_into(r, from, format, &file), r->error, sizeof(r->error));
    disk_image_close(from);
    return good;
}

/* --- the command --- */

/* Was the failure the host's? Functions that open images report failures as sentences only, so errno decides: with a
 * good file and a good command, system calls fail for these reasons only. errno is 0 before the command. */
static bool host_failed(const struct request *r)
{
    static const int reasons[] = {EIO, ENOMEM, ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, EROFS};
    for (unsigned n = 0; n < ARRAY_SIZE(reasons); n++)
        if (errno == reasons[n]) return true;
    return r->host_failed;
}

static bool info(struct request *r)
{
    if (!r->words) return SAY(r, "a file is missing; see ringer disk");
    if (r->words > 1) return SAY(r, "the word \"%s\" is superfluous; see ringer disk", r->word[1]);
    return disk_info(r->word[0], r->json, stdout, r->error, sizeof(r->error));
}

int disk_command(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*run)(struct request *r);
    } commands[] = {{"create", create}, {"info", info}, {"convert", convert}};
    int status = STATUS_USAGE;
    struct request r = {.recipe = {.version = 3, .cluster_bits = 16, .refcount_order = 4}};
    bool (*run)(struct request *) = NULL;
    if (argc < 1 || !strcmp(argv[0], "help") || !strcmp(argv[0], "--help")) {
        print_help();
        return STATUS_OK;
    }
    for (unsigned n = 0; n < ARRAY_SIZE(commands); n++)
        if (!strcmp(argv[0], commands[n].name)) run = commands[n].run;
    errno = 0;
    if (!run)
        snprintf(r.error, sizeof(r.error),
                 "there is no command \"disk %s\"; there are disk create, info and convert", argv[0]);
    else if (read_words(&r, argc - 1, argv + 1) && run(&r))
        status = STATUS_OK;
    else if (host_failed(&r))
        status = STATUS_HOST;
    if (status != STATUS_OK) fprintf(stderr, "ringer: %s\n", r.error);
    return status;
}
