/*
 * A look ahead: do the arithmetic flags die before anyone reads them, if control comes to this place?
 * Answered from the bytes, by a small table of the commonest instructions, at a tenth of a decoding's price.
 * What the table does not know reads the flags. A unit test compares the table with the decoder.
 *
 * The answer holds as long as the bytes looked at do: whoever relies on it depends on them.
 */
#ifndef RINGER_TRANSLATOR_PEEK_H
#define RINGER_TRANSLATOR_PEEK_H

#include "base/types.h"

enum peek_effect {
    PEEK_UNKNOWN, /* reads flags, may end the story, or is not in the table */
    PEEK_KEEPS,   /* reads none */
    PEEK_KILLS,   /* reads none and overwrites all */
};

struct peeked {
    enum peek_effect effect;
    unsigned length;
};

/* One instruction of 32-bit code; `left` bytes may be looked at. */
struct peeked peek_one(const u8 *bytes, unsigned left);

/* Do the flags die from offset `at` of a page on? *last is then the last offset looked at. Does not follow
 * jumps. */
bool peek_flags_die(const u8 *page, unsigned at, unsigned *last);

#endif
