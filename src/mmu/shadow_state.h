/*
 * What a struct shadow hides: the state of views, spaces, traces and host windows, one struct each. Private
 * to mmu.
 */
#ifndef RINGER_MMU_SHADOW_STATE_H
#define RINGER_MMU_SHADOW_STATE_H

#include "long_window_state.h"
#include "space.h"
#include "trace.h"
#include "view.h"
#include "window_state.h"

/* No CR3 has these values: the root while paging is off, and that of a free space. */
#define CR3_UNPAGED UINT64_MAX
#define CR3_NONE    (UINT64_MAX - 1)

struct shadow_state {
    struct views views;
    struct spaces spaces;
    struct traces traces;
    struct windows windows;
    struct long_windows long_windows;
    u32 long_rights; /* in IA-32e mode, the bits that rights depend on */
    u32 format;      /* the paging bits under which all entries of all views were filled */
    bool pae, paged;
    bool untraceable; /* some entry came through a table that is not in RAM */
    u32 borrowed;     /* the page of the last borrowed entry */
    u32 borrows;      /* and how many times in a row */
};

static inline struct shadow_state *state_of(struct shadow *shadow)
{
    return shadow->state;
}

static inline struct view *view_at(struct shadow *shadow, u32 view)
{
    return &state_of(shadow)->views.view[view];
}

#endif
