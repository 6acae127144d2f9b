/*
 * The profiler's table: an open hash of fixed size. Only the signal handler fills it, and it is read when the handler
 * is off.
 */
#include "profile.h"

#include "base/hash.h"

/* Beyond this probing gets slow. */
#define FULL (PROFILE_ENTRIES / 4 * 3)

/* Field by field: padding has no value. */
static bool equal(const struct profile_key *a, const struct profile_key *b)
{
    const struct sample *x = &a->sample, *y = &b->sample;
    return a->engine == b->engine && a->function == b->function && x->location == y->location &&
           x->cause == y->cause && x->tier == y->tier && x->cpl == y->cpl && x->form == y->form &&
           x->eip == y->eip && x->block_linear == y->block_linear;
}

static u32 hash(const struct profile_key *key)
{
    u64 h = hash_multiply(key->sample.eip);
    h = (h ^ key->sample.block_linear ^ (u64)key->function << 32) * 0xd6e8feb86659fd93ull;
    h = hash_multiply(h ^ key->sample.form ^ (u64)key->sample.cause << 16 ^ (u64)key->engine << 24);
    return (u32)(h >> 40) % PROFILE_ENTRIES;
}

void profile_count(struct profile *profile, const struct profile_key *key)
{
    u32 n = hash(key);
    while (profile->entries[n].count && !equal(&profile->entries[n].key, key))
        n = (n + 1) % PROFILE_ENTRIES;
    struct profile_entry *entry = &profile->entries[n];
    if (!entry->count) {
        if (profile->used >= FULL) {
            profile->lost++;
            return;
        }
        profile->used++;
        entry->key = *key;
    }
    entry->count++;
}
