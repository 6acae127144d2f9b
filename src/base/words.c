#include "words.h"

#include <stdio.h>
#include <stdlib.h>

static bool wants_value(const char *word)
{
    return !strncmp(word, "--", 2) && word[2] && !strchr(word, '=') && strcmp(word, "--help") != 0;
}

static char *joined(const char *option, const char *value)
{
    size_t bytes = strlen(option) + strlen(value) + 2;
    char *word = malloc(bytes);
    if (word) snprintf(word, bytes, "%s=%s", option, value);
    return word;
}

char **words_join(int *count, char *const *words)
{
    char **list = calloc((size_t)*count + 1, sizeof(*list));
    int made = 0;
    for (int n = 0; list && n < *count; n++) {
        bool two = wants_value(words[n]) && n + 1 < *count && strncmp(words[n + 1], "--", 2) != 0;
        list[made] = two ? joined(words[n], words[n + 1]) : strdup(words[n]);
        if (!list[made++]) {
            words_free(list);
            return NULL;
        }
        n += two;
    }
    *count = made;
    return list;
}

void words_free(char **list)
{
    for (char **word = list; word && *word; word++)
        free(*word);
    free(list);
}
