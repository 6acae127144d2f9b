#include "policy.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const struct cache_policy *const policies[] = {&policy_flush, &policy_fifo, &policy_lru, &policy_generations,
                                               NULL};

/* A segment must hold a few of the longest blocks. */
#define SEGMENT_LEAST_BYTES (128u << 10)

unsigned policy_segments(const struct cache_policy *policy, unsigned wanted, uint64_t bytes, unsigned *young)
{
    unsigned count = policy->segments > 1 && wanted ? wanted : policy->segments;
    if (count > bytes / SEGMENT_LEAST_BYTES) count = (unsigned)(bytes / SEGMENT_LEAST_BYTES);
    *young = count * policy->young / 8;
    if (count > 1 && *young > 0 && *young < count) return count;
    *young = count = count ? count : 1;
    return count;
}

static const char *fault_of(const struct cache_policy *policy)
{
    if (!policy->name || !policy->what) return "has no name or no description";
    if (!policy->next) return "has no next()";
    if (policy->segments < 1 || policy->segments > POLICY_MAX_SEGMENTS) return "must have 1 to 64 segments";
    if (policy->young > 7) return "must leave an eighth to the old generation";
    return NULL;
}

/* It stays loaded as long as the process lives. */
static const struct cache_policy *load(const char *file, char *error, size_t error_bytes)
{
    void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const struct cache_policy *policy = object ? dlsym(object, "policy") : NULL;
    if (!policy) {
        snprintf(error, error_bytes, "cannot load a cache policy: %s", dlerror());
        return NULL;
    }
    const char *fault = fault_of(policy);
    if (!fault) return policy;
    snprintf(error, error_bytes, "the cache policy in %s %s", file, fault);
    return NULL;
}

const struct cache_policy *policy_find(const char *name, char *error, size_t error_bytes)
{
    if (strchr(name, '/')) return load(name, error, error_bytes);
    for (unsigned n = 0; policies[n]; n++)
        if (!strcmp(policies[n]->name, name)) return policies[n];
    int used = snprintf(error, error_bytes, "there is no cache policy \"%s\"; there are", name);
    for (unsigned n = 0; policies[n] && used > 0 && (size_t)used < error_bytes; n++)
        used += snprintf(error + used, error_bytes - (size_t)used, "%s %s", n ? "," : "", policies[n]->name);
    return NULL;
}
