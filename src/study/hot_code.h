/*
 * The hottest blocks of a run (--hot-blocks=FILE) or of a running machine (x-ringer-hot), with their guest code, for
 * `ringer explain`.
 */
#ifndef RINGER_STUDY_HOT_CODE_H
#define RINGER_STUDY_HOT_CODE_H

#include "explain.h"

struct hot_request {
    const char *file, *machine; /* one of them is given */
    const char *symbols;        /* NULL: no names */
    unsigned most;
    double seconds; /* to sample a machine for */
};

/* Explains the blocks, the hottest first. Returns an exit status; after a failure a sentence was printed. */
int hot_code_explain(const struct hot_request *request, struct explanation *x);

#endif
