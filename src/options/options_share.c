#include "options_share.h"

#include "options_table.h"

#include <stdlib.h>
#include <string.h>

const struct share_option *share_options_find(const struct shares_options *options, const char *id)
{
    for (unsigned n = 0; n < options->count; n++)
        if (!strcmp(options->share[n].id, id)) return &options->share[n];
    return NULL;
}

void share_options_release(struct shares_options *options)
{
    for (unsigned n = 0; n < options->count; n++) {
        free(options->share[n].id);
        free(options->share[n].path);
    }
    options->count = 0;
}

/* --- keys --- */

/* A word of a list; its number is the enumerator's. */
static bool choose(const char *const *words, unsigned count, const char *value, unsigned *number)
{
    for (*number = 0; *number < count; ++*number)
        if (!strcmp(words[*number], value)) return true;
    return false;
}

static bool set_security(struct share_option *share, const char *value, struct complaint *c)
{
    static const char *const words[] = {"none", "passthrough", "mapped-xattr", "mapped"};
    static const enum share_security models[] = {SHARE_NONE, SHARE_PASSTHROUGH, SHARE_MAPPED, SHARE_MAPPED};
    unsigned number;
    if (!choose(words, ARRAY_SIZE(words), value, &number))
        return COMPLAIN(c, "security_model is none, mapped-xattr or passthrough, not \"%s\"", value);
    share->options.security = models[number];
    return true;
}

static bool set_devices(struct share_option *share, const char *value, struct complaint *c)
{
    static const char *const words[] = {"remap", "warn", "forbid"};
    unsigned number;
    if (!choose(words, ARRAY_SIZE(words), value, &number))
        return COMPLAIN(c, "multidevs is remap, warn or forbid, not \"%s\"", value);
    share->options.devices = (enum share_devices)number;
    return true;
}

static bool set_path(struct share_option *share, const char *value, struct complaint *c)
{
    free(share->path);
    share->path = strdup(value);
    share->options.path = share->path;
    return share->path ? true : COMPLAIN(c, "out of memory");
}

static bool set_id(struct share_option *share, const char *value, struct complaint *c)
{
    free(share->id);
    share->id = strdup(value);
    return share->id ? true : COMPLAIN(c, "out of memory");
}

static bool set_mode(u16 *mode, const char *key, const char *value, struct complaint *c)
{
    char *end;
    unsigned long number = strtoul(value, &end, 8);
    if (!*value || *end || number > 0777)
        return COMPLAIN(c, "%s takes an octal mode, not \"%s\"", key, value);
    *mode = (u16)number;
    return true;
}

/* QEMU's: writes are not left in the host's memory. What a guest wants on the disk it says by fsync, so nothing else is
 * done. */
static bool set_writeout(const char *value, struct complaint *c)
{
    return !strcmp(value, "immediate") ? true : COMPLAIN(c, "writeout is immediate, not \"%s\"", value);
}

/* Without a value the switch is on. */
static bool set_read_only(struct share_option *share, const char *value, struct complaint *c)
{
    share->options.read_only = true;
    bool good = !value || option_switch(value, &share->options.read_only);
    return good ? true : COMPLAIN(c, "readonly is on or off, not \"%s\"", value);
}

static bool set_key(struct share_option *share, const char *key, const char *value, struct complaint *c)
{
    if (!strcmp(key, "readonly")) return set_read_only(share, value, c);
    if (!value || !*value) return COMPLAIN(c, "a shared folder's %s has no value", key);
    if (!strcmp(key, "id")) return set_id(share, value, c);
    if (!strcmp(key, "path")) return set_path(share, value, c);
    if (!strcmp(key, "security_model")) return set_security(share, value, c);
    if (!strcmp(key, "multidevs")) return set_devices(share, value, c);
    if (!strcmp(key, "writeout")) return set_writeout(value, c);
    if (!strcmp(key, "fmode")) return set_mode(&share->options.file_mode, key, value, c);
    if (!strcmp(key, "dmode")) return set_mode(&share->options.directory_mode, key, value, c);
    return COMPLAIN(
        c,
        "a shared folder has no key \"%s\"; it has path, id, security_model, readonly, multidevs, "
        "fmode and dmode",
        key);
}

/* --- the options --- */

/* `tag`: of -virtfs, which has this key besides; NULL: -fsdev. */
static bool parse(struct shares_options *shares, const char *value, char **tag, struct complaint *c)
{
    struct option_list list;
    char *key, *text;
    if (shares->count == SHARES_MAX) return COMPLAIN(c, "there are more than %u shared folders", SHARES_MAX);
    struct share_option *share = &shares->share[shares->count++];
    *share = (struct share_option){.options = {.file_mode = 0600, .directory_mode = 0700}};
    if (!option_list_open(&list, value)) return COMPLAIN(c, "out of memory");
    bool good = option_list_next(&list, &key, &text) && !text && !strcmp(key, "local");
    if (!good) good = COMPLAIN(c, "a shared folder is local,path=DIRECTORY,...: there is no other kind");
    while (good && option_list_next(&list, &key, &text)) {
        if (tag && !strcmp(key, "mount_tag") && text) {
            free(*tag);
            *tag = strdup(text);
        } else {
            good = set_key(share, key, text, c);
        }
    }
    option_list_close(&list);
    if (good && !share->path) return COMPLAIN(c, "a shared folder needs path=DIRECTORY");
    return good;
}

static bool check_id(struct shares_options *shares, struct complaint *c)
{
    const struct share_option *share = &shares->share[shares->count - 1];
    return share_options_find(shares, share->id) == share
               ? true
               : COMPLAIN(c, "there are two shared folders with the id \"%s\"", share->id);
}

static bool set_fsdev(struct options *o, const char *value, struct complaint *c)
{
    struct shares_options *shares = &o->board.shares;
    if (!parse(shares, value, NULL, c)) return false;
    if (!shares->share[shares->count - 1].id) return COMPLAIN(c, "-fsdev needs id=NAME");
    return check_id(shares, c);
}

/* The tag and the id may have commas, which are doubled in a list. */
static char *put_doubled(char *to, const char *from)
{
    for (; *from; from++) {
        if (*from == ',') *to++ = ',';
        *to++ = *from;
    }
    *to = 0;
    return to;
}

static bool add_device(struct options *o, const char *id, const char *tag, struct complaint *c)
{
    char *list = malloc(64 + 2 * (strlen(id) + strlen(tag)));
    if (!list) return COMPLAIN(c, "out of memory");
    char *at = put_doubled(stpcpy(list, "virtio-9p-pci,fsdev="), id);
    put_doubled(stpcpy(at, ",mount_tag="), tag);
    bool good = device_options_add(&o->board.devices, list, c->text, c->bytes);
    free(list);
    return good;
}

static bool set_virtfs(struct options *o, const char *value, struct complaint *c)
{
    struct shares_options *shares = &o->board.shares;
    char *tag = NULL;
    bool good = parse(shares, value, &tag, c);
    struct share_option *share = shares->count ? &shares->share[shares->count - 1] : NULL;
    if (good && !tag)
        good = COMPLAIN(c, "-virtfs needs mount_tag=NAME, by which the guest mounts the folder");
    if (good && !share->id && asprintf(&share->id, "#virtfs%u", shares->count) < 0)
        good = COMPLAIN(c, "out of memory");
    good = good && check_id(shares, c) && add_device(o, share->id, tag, c);
    free(tag);
    return good;
}

static const struct option_row rows[] = {
    {"virtfs", "local,path=DIR,mount_tag=TAG,...",
     "a folder of the host that the guest mounts by 9p; see ringer(1)", .set = set_virtfs},
    {"fsdev", "local,id=ID,path=DIR,...", "the same for a -device virtio-9p-pci,fsdev=ID,mount_tag=TAG",
     .set = set_fsdev},
};

const struct option_group options_share = {"Shared folders", rows, ARRAY_SIZE(rows)};
