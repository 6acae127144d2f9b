/*
 * Names for the operands of host code: fields of the vCPU's frame, and the entry points that translated code calls.
 */
#ifndef RINGER_STUDY_LISTING_NAMES_H
#define RINGER_STUDY_LISTING_NAMES_H

/* `operands`: as Capstone and Zydis print them, with [r15 + N] or [r15 - N]; a whole instruction will do. NULL: there
 * is no name. */
const char *listing_name(const char *operands);
/* The names of the entry points whose calls are followed by bytes that are not code. */
extern const char listing_slow_access[], listing_segment[];

#endif
