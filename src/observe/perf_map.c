#include "perf_map.h"

#include "cpu/mode.h"
#include "translator/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct perf_map {
    FILE *out;
    const struct symbols *guest;
};

struct perf_map *perf_map_open(const struct symbols *guest, char *error, size_t error_bytes)
{
    char path[64];
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    FILE *out = fopen(path, "we");
    struct perf_map *map = out ? calloc(1, sizeof(*map)) : NULL;
    if (!map) {
        snprintf(error, error_bytes, "cannot write %s: %s", path, strerror(errno));
        if (out) fclose(out);
        return NULL;
    }
    *map = (struct perf_map){out, guest};
    return map;
}

/* perf takes everything after the second blank as the name. */
static void write_block(const struct perf_map *map, const struct block_location *location)
{
    char name[256];
    bool user = (location->mode & MODE_CPL) == 3;
    if (symbols_find(map->guest, location->linear) != SYMBOL_NONE)
        symbols_format(map->guest, location->linear, name, sizeof(name));
    else
        snprintf(name, sizeof(name), "guest_%s_%08llx", user ? "user" : "kernel",
                 (unsigned long long)location->linear);
    fprintf(map->out, "%llx %llx %s\n", (unsigned long long)location->host,
            (unsigned long long)location->bytes, name);
}

void perf_map_write(struct perf_map *map, const struct vcpu *v)
{
    struct block_location location;
    for (const struct block *block = NULL; (block = translator_block_after(v, block, &location));)
        write_block(map, &location);
}

void perf_map_close(struct perf_map *map)
{
    if (!map) return;
    fclose(map->out);
    free(map);
}
