/*
 * Fetching and decoding for the interpreter, see decode_cache.h. A fetch is checked byte by byte: first the
 * limit of CS, then the page.
 */
#include "decode_cache.h"

#include "interp.h"
#include "interp_private.h"
#include "isa.h"
#include "memory.h"
#include "system.h"

#include <errno.h>
#include <sys/mman.h>

static void *reserve(u64 bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return NULL;
    madvise(at, bytes, MADV_NOHUGEPAGE); /* filled sparsely */
    return at;
}

int decode_cache_init(struct decode_cache *cache)
{
    cache->entries = reserve(DECODE_ENTRIES * sizeof *cache->entries);
    cache->page_count = reserve(DECODE_FRAMES * sizeof *cache->page_count);
    if (cache->entries && cache->page_count) return 0;
    decode_cache_destroy(cache);
    return -ENOMEM;
}

void decode_cache_destroy(struct decode_cache *cache)
{
    if (cache->entries) munmap(cache->entries, DECODE_ENTRIES * sizeof *cache->entries);
    if (cache->page_count) munmap(cache->page_count, DECODE_FRAMES * sizeof *cache->page_count);
    cache->entries = NULL;
    cache->page_count = NULL;
}

/* --- from here on the guest's FPU state may be live --- */

static u16 *count_of(const struct decode_cache *cache, u64 gpa)
{
    return &cache->page_count[(gpa >> PAGE_SHIFT) % DECODE_FRAMES];
}

static void drop(struct decode_cache *cache, struct decoded *d)
{
    --*count_of(cache, decode_gpa(d->tag));
    d->tag = 0;
}

bool decode_cache_written(struct decode_cache *cache, u64 gpa, u64 bytes)
{
    u64 end = gpa + bytes, page = gpa & ~(u64)PAGE_MASK;
    /* An instruction that overlaps the range starts at most 14 bytes before it, in the same page. */
    u64 at = gpa - page < INSN_MAX_BYTES - 1 ? page : gpa - (INSN_MAX_BYTES - 1);
    while (at < end) {
        if (!*count_of(cache, at)) {
            at = (at | PAGE_MASK) + 1;
            continue;
        }
        struct decoded *d = decode_slot(cache, at);
        if (d->tag && decode_gpa(d->tag) == at && at + d->insn.length > gpa) drop(cache, d);
        at++;
    }
    return *count_of(cache, end - 1) != 0;
}

/* Copy `wanted` bytes of code at `linear`, which are in one page. *gpa is the address of the first byte. False:
 * they are in device memory. */
static bool fetch_bytes(struct vcpu *v, u64 linear, unsigned wanted, u8 *to, u64 *gpa)
{
    struct shadow_hit hit;
    if (shadow_access(v->shadow, &v->paging, linear, ACCESS_FETCH, v->cpl == 3, &hit) == SHADOW_FAULT)
        fault_raise_page(v, linear, hit.error);
    *gpa = hit.gpa;
    for (unsigned n = 0; n < wanted; n++)
        to[n] = hit.kind == SHADOW_MMIO ? (u8)phys_read(v->phys, hit.gpa + n, 1) : hit.host[n];
    return hit.kind != SHADOW_MMIO;
}

bool insn_is_plain(const struct vcpu *v, const struct insn *i)
{
    return !(i->row->traits & ISA_UNIT) && !(i->prefixes & PFX_LOCK) && i->encoding != ENC_VEX &&
           isa_exposed(v->model, i);
}

/* Take the entry for this address, and drop its former instruction. */
static struct decoded *take_entry(struct vcpu *v, u64 gpa)
{
    struct decode_cache *cache = v->decode_cache;
    struct decoded *d = decode_slot(cache, gpa);
    if (d->tag) drop(cache, d);
    d->tag = decode_tag(gpa, v->mode);
    ++*count_of(cache, gpa);
    phys_guard(v->phys, gpa, PHYS_CODE);
    return d;
}

static unsigned smaller(u64 a, u64 b)
{
    return a < b ? a : b;
}

/* Bytes from `rip` to the limit of CS, at most those of an instruction. Raises #GP(0) where there are none: in
 * 64-bit mode the limit is the end of canonical addresses. */
static unsigned bytes_in_limit(struct vcpu *v, u64 rip)
{
    u64 limit = v->seg[SEG_CS].limit;
    if (v->mode & MODE_CODE64) {
        if (!is_canonical(rip)) fault_raise_error(v, VEC_GP, 0);
        limit = rip >> 63 ? UINT64_MAX : CANONICAL_LOW_END - 1;
    }
    if (rip > limit) fault_raise_error(v, VEC_GP, 0);
    return smaller(INSN_MAX_BYTES - 1, limit - rip) + 1;
}

const struct decoded *decode_slow(struct vcpu *v, u64 rip)
{
    struct decode_cache *cache = v->decode_cache;
    u8 bytes[INSN_MAX_BYTES];
    u64 gpa, gpa_next;
    enum code_size size = mode_code_size(v->mode);
    unsigned in_limit = bytes_in_limit(v, rip);
    u64 linear = segment_linear(v, SEG_CS, rip);
    unsigned here = smaller(in_limit, PAGE_SIZE - (linear & PAGE_MASK));

    bool cacheable = fetch_bytes(v, linear, here, bytes, &gpa);
    struct insn *i = &cache->scratch.insn;
    fpu_shelter(v); /* the decoder is library code */
    v->counters->decode_misses++;
    int length = insn_decode(i, bytes, here, size);
    if (length < 0 && here < in_limit) {
        u64 next = v->mode & MODE_CODE64 ? linear + here : (u32)(linear + here);
        fetch_bytes(v, next, in_limit - here, bytes + here, &gpa_next);
        fpu_shelter(v);
        length = insn_decode(i, bytes, in_limit, size);
        cacheable = false;
    }
    if (length < 0) fault_raise_error(v, VEC_GP, 0); /* the instruction goes beyond the limit */
    cache->scratch.plain = insn_is_plain(v, i);
    if (!cacheable || length == 0) return &cache->scratch;

    struct decoded *d = take_entry(v, gpa);
    d->insn = *i;
    d->plain = cache->scratch.plain;
    return d;
}
