/*
 * Host windows as the rest of mmu sees them (window.h is for the engines). Private to mmu.
 */
#ifndef RINGER_MMU_WINDOW_STATE_H
#define RINGER_MMU_WINDOW_STATE_H

#include "view.h"

#define WINDOWS   8
#define STALE_MAX 512

struct window {
    bool reserved;
    u64 base;
    u32 first_page; /* the first page that can be mapped */
    u64 used;       /* windows.clock at its last use */
    u32 view;       /* 0: free */
    u32 mappings;
    u32 stale_count; /* STALE_MAX + 1: more than the list holds */
    struct {
        u32 first, pages;
    } stale[STALE_MAX];
};

struct windows {
    struct window window[WINDOWS]; /* the first is the low one, if the host has one */
    u64 clock;                     /* counts uses */
    u64 user_ran;                  /* host cycles in user code since the low window was last reviewed */
    u64 low_ran;                   /* the part of them in the space with the low window */
    bool possible;                 /* the host lets programs set the GS base */
    u32 mappings;                  /* in all windows */
    u32 mapped_twice;              /* pages mapped in windows since RAM's own mapping was given back */
};

void windows_init(struct shadow *shadow);
void windows_destroy(struct shadow *shadow);
/* A page that is mapped in the view's window lost an entry. */
void window_stale(struct shadow *shadow, u32 view, u32 page);
void window_close(struct shadow *shadow, u32 view);
/* Reserves the low window if need be. In IA-32e mode no view uses it. */
bool window_low_reserved(struct shadow *shadow);
/* RAM pages were mapped in a window besides RAM's own mapping. */
void window_mapped_twice(struct shadow *shadow, u32 pages);

#endif
