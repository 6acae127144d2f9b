/*
 * Names for the operands of host code: fields of the vCPU's frame, and the entry points that translated code calls.
 */
#ifndef RINGER_STUDY_LISTING_NAMES_H
#define RINGER_STUDY_LISTING_NAMES_H

/* `operands`: as Capstone prints them, with [r15 + N] or [r15 - N]. NULL: there is no name. */
const char *listing_name(const char *operands);
/* The name of the entry point for slow accesses. */
extern const char listing_slow_access[];

#endif
