/*
 * The words of a command line.
 */
#ifndef RINGER_BASE_WORDS_H
#define RINGER_BASE_WORDS_H

#include <stdbool.h>
#include <string.h>

/* The value of a word that is OPTION=VALUE; NULL: it is not. */
static inline const char *word_value(const char *word, const char *option)
{
    size_t length = strlen(option);
    return !strncmp(word, option, length) && word[length] == '=' ? word + length + 1 : NULL;
}

/* Of a command whose options all take a value, except --help: "--option VALUE" as one word, "--option=VALUE". *count is
 * the number of words, before and after. The caller frees the list by words_free(). NULL: out of memory. */
char **words_join(int *count, char *const *words);
void words_free(char **list);

#endif
