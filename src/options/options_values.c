/*
 * The values in the arguments of options. See options_values.h.
 */
#include "options_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *text, u64 *out, const char **end)
{
    char *stop;
    errno = 0;
    if (*text < '0' || *text > '9') return false; /* strtoull would take signs and blanks */
    *out = strtoull(text, &stop, 0);
    *end = stop;
    return !errno;
}

bool option_number(const char *text, u64 *out)
{
    const char *end;
    return parse_number(text, out, &end) && !*end;
}

bool option_size(const char *text, unsigned default_shift, u64 *out)
{
    static const char suffixes[] = "bBkKmMgGtT";
    const char *end;
    if (!parse_number(text, out, &end)) return false;
    unsigned shift = default_shift;
    if (*end) {
        const char *suffix = strchr(suffixes, *end);
        if (!suffix || end[1]) return false;
        shift = (unsigned)(suffix - suffixes) / 2 * 10;
    }
    if (*out > UINT64_MAX >> shift) return false;
    *out <<= shift;
    return true;
}

bool option_switch(const char *text, bool *on)
{
    *on = text && (!strcmp(text, "on") || !strcmp(text, "yes"));
    return *on || (text && (!strcmp(text, "off") || !strcmp(text, "no")));
}

bool option_list_open(struct option_list *list, const char *text)
{
    list->text = list->rest = strdup(text);
    return list->text;
}

bool option_list_next(struct option_list *list, char **key, char **value)
{
    char *from = list->rest, *to = from;
    if (!from || !*from) return false;
    *key = from;
    *value = NULL;
    for (; *from && (*from != ',' || from[1] == ','); from++) {
        if (*from == ',') from++;
        *to++ = *from;
        if (*from != '=' || *value) continue;
        to[-1] = 0;
        *value = to;
    }
    list->rest = *from ? from + 1 : from;
    *to = 0;
    return true;
}

void option_list_close(struct option_list *list)
{
    free(list->text);
}

char *option_item(const char *list, const char *key)
{
    size_t length = strlen(key);
    for (const char *item = list; item; item = strchr(item, ',') ? strchr(item, ',') + 1 : NULL)
        if (!strncmp(item, key, length) && item[length] == '=')
            return strndup(item + length + 1, strcspn(item + length + 1, ","));
    return NULL;
}
