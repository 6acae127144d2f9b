/*
 * The page walker: where a linear address is mapped, which accesses are allowed there, and the #PF error code
 * of one that is not.
 *
 * A walk first collects the entries of the guest's tables. In a legacy mode at most two are in memory, because the
 * four PDPTEs of PAE are registers. Then it checks the access, and sets accessed and dirty bits only if the access is
 * allowed, because a faulting access changes nothing. May run while the guest's FPU state is live.
 */
#include "walk.h"

#define DEFAULT_MAXPHYADDR 36

/* The entries of a walk, from the top. */
struct path {
    struct {
        u64 gpa, value;
    } entry[WALK_LEVELS];
    unsigned levels;
    u64 page; /* guest-physical address of the page */
    u64 page_bytes;
};

/* Bits first to last (inclusive); none when last < first. */
static u64 bits(unsigned first, unsigned last)
{
    return last < first ? 0 : (UINT64_MAX >> (63 - last)) & (UINT64_MAX << first);
}

static unsigned maxphyaddr(const struct paging *paging)
{
    return paging->maxphyaddr ? paging->maxphyaddr : DEFAULT_MAXPHYADDR;
}

static bool nx_enabled(const struct paging *paging)
{
    return (paging->cr4 & CR4_PAE) && (paging->efer & EFER_NXE);
}

/* Read an entry into the path. Returns whether it is present. */
static bool descend(struct phys *phys, struct path *path, u64 gpa, unsigned entry_bytes)
{
    unsigned n = path->levels++;
    path->entry[n].gpa = gpa;
    path->entry[n].value = phys_read(phys, gpa, entry_bytes);
    return path->entry[n].value & ENTRY_P;
}

/* Results of the collectors. */
enum { FOUND, NOT_PRESENT, RESERVED_SET };

/* SDM 3A 4.3 */
static int collect_32bit(struct phys *phys, const struct paging *paging, u32 linear, struct path *path)
{
    if (!descend(phys, path, (paging->cr3 & 0xfffff000u) | (linear >> 22) << 2, 4)) return NOT_PRESENT;
    u64 pde = path->entry[0].value;
    if ((pde & ENTRY_PS) && (paging->cr4 & CR4_PSE)) {
        /* Bits 20-13 are address bits 39-32 (PSE-36), as far as the CPU has address lines. */
        unsigned lines = maxphyaddr(paging) < 40 ? maxphyaddr(paging) : 40;
        if (pde & bits(lines - 19, 21)) return RESERVED_SET;
        path->page = (pde & 0xffc00000u) | (pde >> 13 & 0xff) << 32;
        path->page_bytes = 4u << 20;
        return FOUND;
    }
    if (!descend(phys, path, (pde & 0xfffff000u) | (linear >> 12 & 0x3ff) << 2, 4)) return NOT_PRESENT;
    path->page = path->entry[1].value & 0xfffff000u;
    path->page_bytes = PAGE_SIZE;
    return FOUND;
}

/* SDM 3A 4.4 */
static int collect_pae(struct phys *phys, const struct paging *paging, u32 linear, struct path *path)
{
    u64 reserved = bits(maxphyaddr(paging), 62) | (nx_enabled(paging) ? 0 : ENTRY_XD);
    u64 address = bits(12, 51);
    u64 pdpte = paging->pdpte[linear >> 30];
    if (!(pdpte & ENTRY_P)) return NOT_PRESENT;
    if (!descend(phys, path, (pdpte & address) | (linear >> 21 & 0x1ff) << 3, 8)) return NOT_PRESENT;
    u64 pde = path->entry[0].value;
    if (pde & reserved) return RESERVED_SET;
    if (pde & ENTRY_PS) {
        if (pde & bits(13, 20)) return RESERVED_SET;
        path->page = pde & bits(21, 51);
        path->page_bytes = 2u << 20;
        return FOUND;
    }
    if (!descend(phys, path, (pde & address) | (linear >> 12 & 0x1ff) << 3, 8)) return NOT_PRESENT;
    if (path->entry[1].value & reserved) return RESERVED_SET;
    path->page = path->entry[1].value & address;
    path->page_bytes = PAGE_SIZE;
    return FOUND;
}

/* SDM 3A 4.5. The linear address is canonical: the check of its segment ensures it. Where the page is large, bit 12
 * is PAT. */
static int collect_4level(struct phys *phys, const struct paging *paging, u64 linear, struct path *path)
{
    u64 reserved = bits(maxphyaddr(paging), 51) | (nx_enabled(paging) ? 0 : ENTRY_XD), address = bits(12, 51);
    u64 table = paging->cr3 & address;
    for (unsigned level = 4;; level--) {
        unsigned shift = 12 + 9 * (level - 1), n = path->levels;
        if (!descend(phys, path, table | (linear >> shift & 0x1ff) << 3, 8)) return NOT_PRESENT;
        u64 entry = path->entry[n].value;
        bool large = (entry & ENTRY_PS) && (level == 2 || (level == 3 && paging->has_1gb_pages));
        u64 misaligned = large ? bits(13, shift - 1) : 0;
        /* PS is reserved in a PML4E, and in a PDPTE of a CPU without 1 GB pages (SDM 3A tables 4-15, 4-17). */
        if (level >= 3 && !large) misaligned |= ENTRY_PS;
        if (entry & (reserved | misaligned)) return RESERVED_SET;
        if (level > 1 && !large) {
            table = entry & address;
            continue;
        }
        path->page = entry & bits(shift, 51);
        path->page_bytes = 1ull << shift;
        return FOUND;
    }
}

/* The rights of this privilege to the page (SDM 3A 4.6.1). out->writable does not look at D yet. */
static void judge(const struct paging *paging, const struct path *path, bool user, bool implicit,
                  struct walk *out)
{
    u64 all = UINT64_MAX, any = 0;
    for (unsigned n = 0; n < path->levels; n++) {
        all &= path->entry[n].value;
        any |= path->entry[n].value;
    }
    out->user = all & ENTRY_US;
    out->ac_decides = !user && out->user && (paging->cr4 & CR4_SMAP);
    if (user) {
        out->readable = out->executable = out->user;
        out->writable = out->user && (all & ENTRY_RW);
    } else {
        out->readable = !out->ac_decides || (paging->ac && !implicit);
        out->writable = out->readable && ((all & ENTRY_RW) || !(paging->cr0 & CR0_WP));
        out->executable = !(out->user && (paging->cr4 & CR4_SMEP));
    }
    /* If bit 63 is not XD, it is reserved and the walk has failed already, or entries have 32 bits. */
    if (any & ENTRY_XD) out->executable = false;
    out->global = (path->entry[path->levels - 1].value & ENTRY_G) && (paging->cr4 & CR4_PGE);
}

static void set_accessed_dirty(struct phys *phys, struct path *path, bool write)
{
    for (unsigned n = 0; n < path->levels; n++) {
        bool leaf = n == path->levels - 1;
        u32 missing = (ENTRY_A | (leaf && write ? ENTRY_D : 0)) & ~path->entry[n].value;
        if (!missing) continue;
        phys_set_bits(phys, path->entry[n].gpa, missing);
        path->entry[n].value |= missing;
    }
}

bool mmu_walk(struct phys *phys, const struct paging *paging, u64 linear, enum access access, bool user,
              bool set_ad, struct walk *out, u32 *error)
{
    if (!(paging->cr0 & CR0_PG)) {
        *out = (struct walk){.gpa = linear & phys->a20_mask,
                             .page_bytes = PAGE_SIZE,
                             .writable = true,
                             .readable = true,
                             .user = true,
                             .executable = true};
        return true;
    }
    bool implicit = access & ACCESS_IMPLICIT;
    enum access kind = access & ~ACCESS_IMPLICIT;
    struct path path = {.levels = 0};
    int result;
    if (paging->efer & EFER_LMA)
        result = collect_4level(phys, paging, linear, &path);
    else if (paging->cr4 & CR4_PAE)
        result = collect_pae(phys, paging, (u32)linear, &path);
    else
        result = collect_32bit(phys, paging, (u32)linear, &path);
    out->levels = path.levels;
    for (unsigned n = 0; n < path.levels; n++)
        out->entry[n] = path.entry[n].gpa;
    bool allowed = false;
    if (result == FOUND) {
        judge(paging, &path, user, implicit, out);
        allowed = kind == ACCESS_READ    ? out->readable
                  : kind == ACCESS_WRITE ? out->writable
                                         : out->executable;
    }
    if (!allowed) {
        *error = (result == NOT_PRESENT ? 0 : PF_PRESENT) | (result == RESERVED_SET ? PF_RESERVED : 0) |
                 (kind == ACCESS_WRITE ? PF_WRITE : 0) | (user ? PF_USER : 0);
        /* A fetch is reported as such only where its rights may differ from those of a read (SDM 3A 4.7). */
        if (kind == ACCESS_FETCH && (nx_enabled(paging) || (paging->cr4 & CR4_SMEP))) *error |= PF_FETCH;
        return false;
    }
    if (set_ad) set_accessed_dirty(phys, &path, kind == ACCESS_WRITE);
    out->writable = out->writable && (path.entry[path.levels - 1].value & ENTRY_D);
    out->page_bytes = path.page_bytes;
    out->gpa = (path.page | (linear & (path.page_bytes - 1))) & phys->a20_mask;
    return true;
}

bool mmu_load_pdptes(struct phys *phys, struct paging *paging)
{
    u64 reserved = bits(1, 2) | bits(5, 8) | bits(maxphyaddr(paging), 63);
    u64 loaded[4];
    for (unsigned n = 0; n < 4; n++) {
        loaded[n] = phys_read(phys, (paging->cr3 & 0xffffffe0u) + 8 * n, 8);
        if ((loaded[n] & ENTRY_P) && (loaded[n] & reserved)) return false;
    }
    for (unsigned n = 0; n < 4; n++)
        paging->pdpte[n] = loaded[n];
    return true;
}
