/*
 * Part of the test of the instruction table: forms that only 64-bit mode has.
 */
#ifndef RINGER_LOCKSTEP_TABLE_LONG_H
#define RINGER_LOCKSTEP_TABLE_LONG_H

#include <stdbool.h>

/* Is the form one of them? */
bool long_form_known(const char *form);
void check_long_forms(void);

#endif
