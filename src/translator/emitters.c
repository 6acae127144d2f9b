/*
 * The emitters by their identifiers in the instruction table (cpu/isa.h): each has its two functions, or this
 * does not link.
 */
#include "build.h"

const struct emitter_row emitter_rows[EMITTER_COUNT] = {
#define X(name) [EMITTER_##name] = {can_##name, emit_##name},
    ISA_EMITTERS(X)
#undef X
};

#define X(name) +1
_Static_assert(1 ISA_EMITTERS(X) == EMITTER_COUNT && EMITTER_NONE == 0, "every emitter but NONE has a row");
#undef X
