/*
 * The words of a command line.
 */
#ifndef RINGER_BASE_WORDS_H
#define RINGER_BASE_WORDS_H

#include <string.h>

/* The value of a word that is OPTION=VALUE; NULL: it is not. */
static inline const char *word_value(const char *word, const char *option)
{
    size_t length = strlen(option);
    return !strncmp(word, option, length) && word[length] == '=' ? word + length + 1 : NULL;
}

#endif
