/*
 * Capstone, which prints instructions in listings, is loaded by the first listing, or earlier if that comes within the
 * sandbox: base/library.h.
 */
#ifndef RINGER_TRANSLATOR_CAPSTONE_LIBRARY_H
#define RINGER_TRANSLATOR_CAPSTONE_LIBRARY_H

#include "base/library.h"

extern struct library capstone_library;

#endif
