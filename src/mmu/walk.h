/*
 * The guest's page tables, walked as the hardware walks them (SDM 3A chapter 4): none, 32-bit with PSE, PAE with NX,
 * and the four levels of IA-32e mode. This file does not see the vCPU: callers pass the control registers in a struct
 * paging.
 */
#ifndef RINGER_MMU_WALK_H
#define RINGER_MMU_WALK_H

#include "phys.h"

/* Bits of CR0, CR4 and EFER (SDM 3A 2.5, 2.2.1). Paging depends on some of them. */
enum cr0_bits {
    CR0_PE = 1 << 0,
    CR0_MP = 1 << 1,
    CR0_EM = 1 << 2,
    CR0_TS = 1 << 3,
    CR0_ET = 1 << 4,
    CR0_NE = 1 << 5,
    CR0_WP = 1 << 16,
    CR0_AM = 1 << 18,
    CR0_NW = 1 << 29,
    CR0_CD = 1 << 30,
};
#define CR0_PG (1u << 31)

enum cr4_bits {
    CR4_VME = 1 << 0,
    CR4_PVI = 1 << 1,
    CR4_TSD = 1 << 2,
    CR4_DE = 1 << 3,
    CR4_PSE = 1 << 4,
    CR4_PAE = 1 << 5,
    CR4_MCE = 1 << 6,
    CR4_PGE = 1 << 7,
    CR4_PCE = 1 << 8,
    CR4_OSFXSR = 1 << 9,
    CR4_OSXMMEXCPT = 1 << 10,
    CR4_UMIP = 1 << 11,
    CR4_FSGSBASE = 1 << 16,
    CR4_PCIDE = 1 << 17,
    CR4_OSXSAVE = 1 << 18,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21,
};

enum efer_bits {
    EFER_SCE = 1 << 0,
    EFER_LME = 1 << 8,
    EFER_LMA = 1 << 10,
    EFER_NXE = 1 << 11,
};

/* A canonical address of 48 bits: bits 63 to 47 are equal (SDM 1 3.3.7.1). */
static inline bool is_canonical(u64 linear)
{
    return (u64)((s64)(linear << 16) >> 16) == linear;
}
#define CANONICAL_LOW_END (1ull << 47)

enum access {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_FETCH,
    /* ORed to READ or WRITE: the processor itself accesses descriptor tables, the TSS, or an inner stack
     * during delivery, always at supervisor privilege. EFLAGS.AC does not suspend SMAP here (SDM 3A 4.6.1).
     */
    ACCESS_IMPLICIT = 4,
};

/* Page-fault error code bits (SDM 3A 4.7). */
enum {
    PF_PRESENT = 1,
    PF_WRITE = 2,
    PF_USER = 4,
    PF_RESERVED = 8,
    PF_FETCH = 16,
};

/*
 * Entries, both formats (SDM 3A tables 4-4 to 4-6 and 4-9 to 4-11); PS in a PDE only, G and D in the entry
 * that maps the page:
 *
 *   63 XD (PAE) | address | 8 G | 7 PS | 6 D | 5 A | 4 PCD | 3 PWT | 2 U/S | 1 R/W | 0 P
 */
enum {
    ENTRY_P = 1 << 0,
    ENTRY_RW = 1 << 1,
    ENTRY_US = 1 << 2,
    ENTRY_A = 1 << 5,
    ENTRY_D = 1 << 6,
    ENTRY_PS = 1 << 7,
    ENTRY_G = 1 << 8,
};
#define ENTRY_XD      (1ull << 63)
#define ENTRY_ADDRESS 0x000ffffffffff000ull /* in the 64-bit format; of CR3, too, in IA-32e mode */

struct paging {
    u32 cr0, cr4;
    u64 cr3;
    u64 efer;
    u64 pdpte[4]; /* PAE: as loaded by MOV CR3 (SDM 3A 4.4.1) */
    bool ac;      /* EFLAGS.AC, for SMAP */
    /* Bits of a guest-physical address by the guest's CPUID: those above are reserved. 0 is 36. */
    u8 maxphyaddr;
    bool has_1gb_pages; /* by the same */
};

/* The current process-context identifier (SDM 3A 4.10.1). */
#define CR3_PCID 0xfffu
static inline unsigned pcid_of(const struct paging *paging)
{
    return paging->cr4 & CR4_PCIDE ? paging->cr3 & CR3_PCID : 0;
}

#define WALK_LEVELS 4

struct walk {
    u64 gpa; /* of the byte asked for, a20 mask applied */
    /* Guest-physical addresses of the entries that were read from memory, from the top. The PDPTEs of PAE are
     * registers. */
    u64 entry[WALK_LEVELS];
    unsigned levels; /* entries in memory: 0 without paging; in a legacy mode 1 for a large page, 2 for a
                        small one; in IA-32e mode 2 to 4 */
    u64 page_bytes;  /* 4 KB, 2 MB, 4 MB or 1 GB: the size of the guest's mapping */
    bool writable;   /* a write at this privilege is allowed *and* D is set: a write entry may exist */
    bool readable;   /* a data read at this privilege is allowed */
    bool user;       /* U/S of the translation */
    bool executable; /* a fetch at this privilege is allowed */
    bool global;
    bool ac_decides; /* SMAP: supervisor rights depend on EFLAGS.AC, so no shadow entry may remember them */
};

/* Translate `linear` for one access at supervisor or user privilege. With `set_ad` sets accessed bits, and
 * for writes dirty bits. Returns true and fills *out, or returns false and the #PF error code in *error;
 * *out then has only the entries that were read. */
bool mmu_walk(struct phys *phys, const struct paging *paging, u64 linear, enum access access, bool user,
              bool set_ad, struct walk *out, u32 *error);

/* PAE: load the four PDPTEs from guest memory at cr3. Returns false when a reserved bit is set: #GP(0). */
bool mmu_load_pdptes(struct phys *phys, struct paging *paging);

#endif
