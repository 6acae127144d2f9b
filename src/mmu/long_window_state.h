/*
 * Windows of 64-bit user code as the rest of mmu sees them (long_window.h is for the engines). Private to mmu.
 */
#ifndef RINGER_MMU_LONG_WINDOW_STATE_H
#define RINGER_MMU_LONG_WINDOW_STATE_H

#include "long_window.h"

#define LONG_WINDOWS  8
#define LONG_SEGMENTS 24   /* of a window */
#define LONG_SPACES   256  /* address spaces whose time is measured */
#define LONG_REGIONS  8192 /* of all windows */
#define LONG_BUCKETS  4096u

/* The pages of a window in 2 MB of linear space. */
struct long_region {
    u64 number;        /* linear address / 2 MB */
    u16 next;          /* the next region of its bucket, or of the free list, + 1; 0: none */
    u16 before, after; /* in its window's list */
    u8 window;
    u8 uppers;  /* entries above the PTEs; a large page has no PTEs */
    bool large; /* the last of `upper` maps a large page */
    u64 upper[3];
    u64 mapped[8], writable[8]; /* a bit a page */
    u64 entry[512];             /* the PTEs of mapped pages */
};

struct long_segment {
    u16 number; /* linear address / 4 GB */
    u8 class;
};

struct long_window {
    u32 space; /* + 1; 0: free */
    u64 delta; /* host address - linear address of LONG_HIGH segments */
    u64 used;  /* long_windows.clock at its last use */
    u32 mappings, segments;
    u16 first; /* region + 1; 0: none */
    bool same; /* it has had the lowest segment from the first: others are LONG_SAME if possible */
    struct long_segment segment[LONG_SEGMENTS];
};

/* What tells whether a space still belongs to the same process (long_process.c). */
struct long_process {
    u64 linear; /* of its highest 2 MB, where Linux has the stack at a random address */
    u64 table;  /* the entry that maps them: the frame of a page table; 0: not known */
};

/* One moment by three clocks of the host: the cycles that pass, the time that passes, the processor time of the vCPU's
 * thread. */
struct long_moment {
    u64 cycles, wall_ns, cpu_ns;
};

struct long_space {
    u64 cr3; /* 0: free */
    /* In cycles: what user code ran since the last decision; what the window cost of that, or one would have cost; what
     * a new window may cost besides; what user code ran since the process began. */
    u64 ran, cost, grace, lived;
    struct long_moment began; /* when `ran` began */
    u64 misses;               /* TLB misses that were filled since the last decision */
    struct long_process process;
    u8 patience, window; /* window: + 1; 0: none */
    bool wants_low;      /* it has something in the lowest segment */
};

struct long_windows {
    struct long_window window[LONG_WINDOWS];
    struct long_space space[LONG_SPACES];
    u32 current_space;
    u32 current;    /* window + 1; 0: none */
    unsigned room;  /* of the TLB, where the current window's classes are */
    u32 low;        /* the window with the low segment, + 1 */
    u64 clock;      /* cycles of user code */
    u32 cost_scale; /* of the figures below, in 1/LONG_COST_ONE; 0: not known yet */
    s64 account;    /* cycles that windows may cost now (long_policy.c) */
    u64 low_used;   /* clock when the low segment was last in use */
    u32 mappings;   /* of all windows */
    u64 due;        /* shadow.window_due: where the guest had a page fault */
    bool due_write;
    struct long_region *region; /* LONG_REGIONS */
    u16 fresh;                  /* regions that were never used begin here */
    u16 free;                   /* list */
    u16 bucket[LONG_BUCKETS];
};

void long_windows_destroy(struct shadow *shadow);
/* CR3 was loaded in IA-32e mode, and the TLB's room selected. Whether the load keeps the PCID's entries does not
 * matter. */
void long_windows_load(struct shadow *shadow, const struct paging *paging);
/* IA-32e mode ends. */
void long_windows_close(struct shadow *shadow);
/* Unmap all pages of all windows. */
void long_windows_empty(struct shadow *shadow);
/* Unmap what maps this page in the current window. */
void long_windows_invlpg(struct shadow *shadow, u64 linear);
/* A page with PHYS_WINDOW becomes guarded. */
void long_windows_drop_writes(struct shadow *shadow, u64 gpa_page);

/* A TLB miss of user code was filled. */
void long_windows_filled(struct shadow *shadow);
/* The guest gets a page fault at an address of user memory. */
void long_windows_page_fault(struct shadow *shadow, u64 linear, bool write);

/* Note which process runs in the space. Call this after user code has run: exec moves the stack before that. */
void long_process_note(struct shadow *shadow, u64 cr3, struct long_process *process);
/* Is anything mapped in the lowest 4 GB of the space, where programs at a fixed address lie? */
bool long_process_is_low(struct shadow *shadow, u64 cr3);
/* Is it another one by now? */
bool long_process_changed(struct shadow *shadow, u64 cr3, const struct long_process *process);

/* Shared by long_window.c and long_policy.c. */
/* What windows cost, in cycles. The figures lie between those of hardware and of hosts that are virtual machines with
 * shadowed page tables, where they are three times as high. Each is scaled by what one of them costs on this host
 * (long_cost.c), except in a deterministic machine, which decides the same each time. */
enum {
    LONG_FAULT_CYCLES = 40000, /* a host page fault and its signal */
    LONG_MAP_CYCLES = 10000,   /* one run of pages is mapped, and what the host does on its first use */
    LONG_UNMAP_CYCLES = 20000, /* one run of used pages is unmapped */
    LONG_REGION_CYCLES = 300,  /* the entries of a region are compared */
};
#define LONG_COST_ONE 64u /* a scale of 1 */
/* The scale of this host. */
u32 long_cost_measure(const struct shadow *shadow);
#define LONG_LOW_FIRST                                                                                       \
    (64u << 10) /* the usual value of vm.mmap_min_addr; the interpreter accesses what is below */
struct long_window *long_window_current(struct shadow *shadow);
/* May the window have the lowest segment? */
bool long_low_taken(struct shadow *shadow, struct long_window *window);
/* Unmap all pages; with `end`, give up the segments, too. */
void long_window_empty(struct shadow *shadow, struct long_window *window, bool end);
/* Enter the classes of the window's segments into the table, or take them out. */
void long_window_show(struct shadow *shadow, const struct long_window *window, bool visible);
/* Unmap the pages whose entries have changed. */
void long_window_compare(struct shadow *shadow, struct long_window *window, u64 cr3);
void long_window_charge(struct shadow *shadow, u64 cycles);

#endif
