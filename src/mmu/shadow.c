/*
 * Shadow tables: filling, dropping, and the book-keeping that makes dropping cheap. See shadow.h for the
 * invariants.
 *
 * An *id* names one linear page at one privilege: privilege << 20 | page number; the three entries of an id
 * (read, write, exec) are dropped together, but for the write entry alone in shadow_drop_writes(). Beside the
 * tables there are
 *
 *   flags[id]     what the entries were filled from, and which logs name the id
 *   link[id]      the ids whose write entries map the same RAM page, a list that starts at chain[RAM page]
 *   logs          ids with entries of global pages, and of others: a CR3 load looks at the second only. A log
 * names an id once, and may name ids whose entries are gone by now touched[]     2 MB regions of linear
 * space, per privilege, that ever had entries: what bounds the memory of it all large[]       2 MB regions
 * that may have entries filled from large pages: INVLPG must drop all of those
 *
 * Everything is reserved without being touched; a region of 2 MB costs 15 KB when it is used. After
 * REGIONS_MAX of them all pages are given back to the host at once: only a guest that roams the whole linear
 * space comes there.
 */
#include "shadow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGES       (1u << 20)
#define IDS         (SHADOW_PRIVILEGES * PAGES)
#define REGION_BITS 9 /* pages of a region, as a power of 2 */
#define REGIONS     (PAGES >> REGION_BITS)
#define REGIONS_MAX 1024
#define LOG_MAX     (REGIONS_MAX << REGION_BITS)

enum id_flags {
    ID_GLOBAL = 1,   /* all entries come from global pages */
    ID_LARGE_2M = 2, /* some entry comes from a 2 MB page */
    ID_LARGE_4M = 4,
    ID_IN_GLOBAL_LOG = 8,
    ID_IN_LOCAL_LOG = 16,
    ID_LARGE = ID_LARGE_2M | ID_LARGE_4M,
    ID_IN_LOGS = ID_IN_GLOBAL_LOG | ID_IN_LOCAL_LOG,
};

/* Neighbours in a chain, as id + 1; 0 ends the list, and previous 0 is the head. */
struct chain_link {
    u32 next, previous;
};

struct log {
    u32 *id; /* LOG_MAX */
    u32 count;
};

struct shadow_state {
    u8 *flags;               /* IDS */
    struct chain_link *link; /* IDS */
    u32 *chain;              /* one a RAM page: id + 1 */
    u64 chain_bytes;
    struct log local, global;
    u32 regions_touched;
    u8 touched[SHADOW_PRIVILEGES][REGIONS];
    u8 large[REGIONS]; /* ID_LARGE bits */
    bool any_large;
};

/* A log never overflows: it names an id once, and all ids lie in touched regions. */
static_assert(LOG_MAX == REGIONS_MAX << REGION_BITS, "logs hold all ids of the touched regions");

/* Past the end of a table code may look at the entry of page 2^20 (an access at FFFFFFFFh that goes on): it
 * reads 0. */
#define TABLE_BYTES(entry) (PAGES * (u64)(entry) + PAGE_SIZE)

/* --- set-up and destruction --- */

static void *reserve(u64 bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return NULL;
    /* Filled sparsely: one huge page a touched entry would cost more than the guest. */
    madvise(at, bytes, MADV_NOHUGEPAGE);
    return at;
}

static void release(void *at, u64 bytes)
{
    if (at) munmap(at, bytes);
}

int shadow_init(struct shadow *shadow, struct phys *phys, struct counters *counters)
{
    *shadow = (struct shadow){.phys = phys, .counters = counters};
    struct shadow_state *state = shadow->state = calloc(1, sizeof *state);
    if (!state) return -ENOMEM;
    bool complete = true;
    for (unsigned p = 0; p < SHADOW_PRIVILEGES; p++) {
        struct shadow_table *table = &shadow->table[p];
        complete &= (table->read = reserve(TABLE_BYTES(sizeof *table->read))) != NULL;
        complete &= (table->write = reserve(TABLE_BYTES(sizeof *table->write))) != NULL;
        complete &= (table->exec = reserve(TABLE_BYTES(sizeof *table->exec))) != NULL;
    }
    state->chain_bytes = align_up((phys->ram_bytes >> PAGE_SHIFT) * sizeof *state->chain, PAGE_SIZE);
    complete &= (state->flags = reserve(IDS)) != NULL;
    complete &= (state->link = reserve(IDS * sizeof *state->link)) != NULL;
    complete &= (state->chain = reserve(state->chain_bytes)) != NULL;
    complete &= (state->local.id = reserve(LOG_MAX * sizeof(u32))) != NULL;
    complete &= (state->global.id = reserve(LOG_MAX * sizeof(u32))) != NULL;
    if (complete) return 0;
    shadow_destroy(shadow);
    return -ENOMEM;
}

void shadow_destroy(struct shadow *shadow)
{
    struct shadow_state *state = shadow->state;
    if (!state) return;
    for (unsigned p = 0; p < SHADOW_PRIVILEGES; p++) {
        struct shadow_table *table = &shadow->table[p];
        release(table->read, TABLE_BYTES(sizeof *table->read));
        release(table->write, TABLE_BYTES(sizeof *table->write));
        release(table->exec, TABLE_BYTES(sizeof *table->exec));
    }
    release(state->flags, IDS);
    release(state->link, IDS * sizeof *state->link);
    release(state->chain, state->chain_bytes);
    release(state->local.id, LOG_MAX * sizeof(u32));
    release(state->global.id, LOG_MAX * sizeof(u32));
    free(state);
    *shadow = (struct shadow){.phys = NULL};
}

/* --- from here on the guest's FPU state may be live: no libc --- */

static struct shadow_table *table_of(struct shadow *shadow, u32 id)
{
    return &shadow->table[id / PAGES];
}

/* The RAM page that a write entry maps. */
static u32 *chain_of(struct shadow *shadow, u32 id, u64 entry)
{
    struct shadow_state *state = shadow->state;
    u64 host = entry + ((u64)(id % PAGES) << PAGE_SHIFT);
    return &state->chain[(host - (u64)(uintptr_t)shadow->phys->ram) >> PAGE_SHIFT];
}

static void set_write(struct shadow *shadow, u32 id, u64 entry)
{
    struct shadow_state *state = shadow->state;
    u32 *head = chain_of(shadow, id, entry);
    state->link[id] = (struct chain_link){.next = *head, .previous = 0};
    if (*head) state->link[*head - 1].previous = id + 1;
    *head = id + 1;
    table_of(shadow, id)->write[id % PAGES] = entry;
}

static void clear_write(struct shadow *shadow, u32 id)
{
    struct shadow_state *state = shadow->state;
    u64 *entry = &table_of(shadow, id)->write[id % PAGES];
    if (!*entry) return;
    struct chain_link link = state->link[id];
    if (link.next) state->link[link.next - 1].previous = link.previous;
    if (link.previous)
        state->link[link.previous - 1].next = link.next;
    else
        *chain_of(shadow, id, *entry) = link.next;
    *entry = 0;
}

/* Returns whether there was something to drop. Never touches a page of the tables that was not touched
 * before. */
static bool drop_id(struct shadow *shadow, u32 id)
{
    struct shadow_state *state = shadow->state;
    if (!(state->flags[id] & ID_IN_LOGS)) return false;
    struct shadow_table *table = table_of(shadow, id);
    u32 page = id % PAGES;
    bool had = table->read[page] || table->write[page] || table->exec[page];
    clear_write(shadow, id);
    if (table->exec[page]) shadow->exec_drops++;
    table->read[page] = 0;
    table->exec[page] = 0;
    state->flags[id] &= ID_IN_LOGS;
    return had;
}

static void flush_log(struct shadow *shadow, struct log *log, u8 in_log, bool keep_global)
{
    struct shadow_state *state = shadow->state;
    for (u32 n = 0; n < log->count; n++) {
        u32 id = log->id[n];
        /* An id that is global now is in the global log as well. */
        if (!keep_global || !(state->flags[id] & ID_GLOBAL)) drop_id(shadow, id);
        state->flags[id] &= ~in_log;
    }
    log->count = 0;
}

static void forget_large(struct shadow_state *state)
{
    if (!state->any_large) return;
    for (unsigned n = 0; n < REGIONS; n++)
        state->large[n] = 0;
    state->any_large = false;
}

void shadow_flush(struct shadow *shadow, bool keep_global)
{
    struct shadow_state *state = shadow->state;
    shadow->counters->shadow_flushes++;
    flush_log(shadow, &state->local, ID_IN_LOCAL_LOG, keep_global);
    if (keep_global) return;
    flush_log(shadow, &state->global, ID_IN_GLOBAL_LOG, false);
    forget_large(state);
}

/* madvise() without libc. Failure costs memory, nothing else. */
static void give_back(void *at, u64 bytes)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_madvise), "D"(at), "S"(bytes), "d"(MADV_DONTNEED)
                     : "rcx", "r11", "memory");
    (void)result;
}

/* The guest has roamed too far: flush, and return the memory of tables and book-keeping, all zero now, to the
 * host. */
static void shrink(struct shadow *shadow)
{
    struct shadow_state *state = shadow->state;
    shadow_flush(shadow, false);
    for (unsigned p = 0; p < SHADOW_PRIVILEGES; p++) {
        struct shadow_table *table = &shadow->table[p];
        give_back(table->read, TABLE_BYTES(sizeof *table->read));
        give_back(table->write, TABLE_BYTES(sizeof *table->write));
        give_back(table->exec, TABLE_BYTES(sizeof *table->exec));
        for (unsigned n = 0; n < REGIONS; n++)
            state->touched[p][n] = 0;
    }
    give_back(state->flags, IDS);
    give_back(state->link, IDS * sizeof *state->link);
    state->regions_touched = 0;
}

static void log_id(struct log *log, u8 *flags, u8 in_log, u32 id)
{
    if (*flags & in_log) return;
    log->id[log->count++] = id;
    *flags |= in_log;
}

/* Make the id ready for new entries from this walk: logged, and without entries of another frame. */
static void prepare_id(struct shadow *shadow, u32 id, const struct walk *walk, u64 entry, u32 frame_plus_1)
{
    struct shadow_state *state = shadow->state;
    struct shadow_table *table = table_of(shadow, id);
    u32 page = id % PAGES, region = page >> REGION_BITS;
    u8 *touched = &state->touched[id / PAGES][region];
    if (!*touched) {
        if (state->regions_touched == REGIONS_MAX) shrink(shadow);
        state->regions_touched++;
        *touched = 1;
    }
    u64 read = table->read[page], write = table->write[page];
    u32 exec = table->exec[page];
    if ((read && read != entry) || (write && write != entry) || (exec && exec != frame_plus_1))
        drop_id(shadow, id);
    u8 *flags = &state->flags[id];
    bool empty = !table->read[page] && !table->write[page] && !table->exec[page];
    if (walk->global && (empty || (*flags & ID_GLOBAL))) {
        *flags |= ID_GLOBAL;
        log_id(&state->global, flags, ID_IN_GLOBAL_LOG, id);
    } else {
        *flags &= ~ID_GLOBAL;
        log_id(&state->local, flags, ID_IN_LOCAL_LOG, id);
    }
    if (walk->page_bytes == 2u << 20) {
        *flags |= ID_LARGE_2M;
        state->large[region] |= ID_LARGE_2M;
        state->any_large = true;
    } else if (walk->page_bytes == 4u << 20) {
        *flags |= ID_LARGE_4M;
        state->large[region & ~1u] |= ID_LARGE_4M;
        state->large[region | 1u] |= ID_LARGE_4M;
        state->any_large = true;
    }
}

/* Drop what a large page of this kind has filled in the regions it covers. Returns how many ids that were. */
static u32 drop_large(struct shadow *shadow, u32 region, u32 regions, u8 kind)
{
    struct shadow_state *state = shadow->state;
    u32 dropped = 0;
    for (unsigned p = 0; p < SHADOW_PRIVILEGES; p++) {
        u32 first = p * PAGES + (region << REGION_BITS);
        for (u32 id = first; id < first + (regions << REGION_BITS); id++)
            if (state->flags[id] & kind) dropped += drop_id(shadow, id);
    }
    for (u32 n = 0; n < regions; n++)
        state->large[region + n] &= ~kind;
    return dropped;
}

static u32 drop_linear(struct shadow *shadow, u32 linear)
{
    struct shadow_state *state = shadow->state;
    u32 page = linear >> PAGE_SHIFT, region = page >> REGION_BITS, dropped = 0;
    for (unsigned p = 0; p < SHADOW_PRIVILEGES; p++)
        dropped += drop_id(shadow, p * PAGES + page);
    if (unlikely(state->large[region] & ID_LARGE_2M)) dropped += drop_large(shadow, region, 1, ID_LARGE_2M);
    if (unlikely(state->large[region] & ID_LARGE_4M))
        dropped += drop_large(shadow, region & ~1u, 2, ID_LARGE_4M);
    return dropped;
}

void shadow_invlpg(struct shadow *shadow, u32 linear)
{
    shadow->counters->shadow_invlpgs += drop_linear(shadow, linear);
}

void shadow_drop_writes(struct shadow *shadow, u64 gpa_page)
{
    struct shadow_state *state = shadow->state;
    const u8 *host = phys_host(shadow->phys, gpa_page);
    u64 offset = (u64)(uintptr_t)host - (u64)(uintptr_t)shadow->phys->ram;
    if (!host || offset >= shadow->phys->ram_bytes) return; /* ROM has no write entries */
    u32 *head = &state->chain[offset >> PAGE_SHIFT];
    while (*head)
        clear_write(shadow, *head - 1);
}

enum shadow_kind shadow_access(struct shadow *shadow, const struct paging *paging, u32 linear,
                               enum access access, bool user, struct shadow_hit *hit)
{
    enum access kind = access & ~ACCESS_IMPLICIT;
    struct walk walk;
    *hit = (struct shadow_hit){.kind = SHADOW_FAULT};
    shadow->counters->page_walks++;
    if (!mmu_walk(shadow->phys, paging, linear, access, user, true, &walk, &hit->error)) {
        drop_linear(shadow, linear);
        return hit->kind;
    }
    hit->gpa = walk.gpa;
    const struct phys_region *region = phys_find(shadow->phys, walk.gpa);
    if (!region || region->kind == PHYS_MMIO) return hit->kind = SHADOW_MMIO;
    u64 in_region = walk.gpa - region->gpa;
    u8 *host = region->host + in_region, *flags = &region->page_flags[in_region >> PAGE_SHIFT];
    bool ram = region->kind == PHYS_RAM, watched = *flags & (PHYS_CODE | PHYS_TRACED);
    u32 page = linear >> PAGE_SHIFT, id = (user ? SHADOW_USER : SHADOW_SUPERVISOR) * PAGES + page;
    struct shadow_table *table = table_of(shadow, id);
    u64 entry = (u64)(uintptr_t)host - linear;
    u32 frame_plus_1 = (u32)(walk.gpa >> PAGE_SHIFT) + 1;

    bool data = kind != ACCESS_FETCH && !shadow->forced_slow && !walk.ac_decides;
    bool fill_read = data && walk.readable;
    bool fill_write = data && walk.writable && ram && !watched;
    bool fill_exec = kind == ACCESS_FETCH;
    if (fill_read || fill_write || fill_exec) {
        prepare_id(shadow, id, &walk, entry, frame_plus_1);
        if (fill_read && !table->read[page]) {
            table->read[page] = entry;
            shadow->counters->shadow_fills++;
        }
        if (fill_write && !table->write[page]) {
            set_write(shadow, id, entry);
            *flags |= PHYS_DIRTY; /* writes through the entry will not be seen */
            shadow->counters->shadow_fills++;
        }
        if (fill_exec && !table->exec[page]) {
            table->exec[page] = frame_plus_1;
            shadow->counters->shadow_fills++;
        }
    }
    if (kind == ACCESS_WRITE && !ram) return hit->kind = SHADOW_MMIO;
    hit->host = host;
    if (kind != ACCESS_WRITE) return hit->kind = SHADOW_DIRECT;
    *flags |= PHYS_DIRTY;
    return hit->kind = watched ? SHADOW_CODE : SHADOW_DIRECT;
}
