#include "hot_rows.h"

#include "base/json.h"

#include <math.h>
#include <stdlib.h>

const struct hot_share hot_shares[] = {
    {"translated", "in translated code"},
    {"windowed", "of this, in host windows"},
    {"outside", "in Ringer's own code"},
    {"halted", "the guest is halted"},
};
const unsigned hot_share_count = ARRAY_SIZE(hot_shares);

double hot_share_value(struct json_object *hot, const struct hot_share *share)
{
    double samples = json_double_of(hot, "samples");
    return samples > 0 ? json_double_of(hot, share->key) / samples : NAN;
}

bool hot_row(struct json_object *hot, unsigned place, const struct symbols *symbols, struct hot_row *row)
{
    struct json_object *blocks, *address;
    if (!json_object_object_get_ex(hot, "blocks", &blocks) || place >= json_object_array_length(blocks))
        return false;
    struct json_object *block = json_object_array_get_idx(blocks, place);
    if (!json_object_object_get_ex(block, "address", &address)) return false;
    row->address = json_object_get_string(address);
    row->share = json_double_of(block, "samples") / fmax(json_double_of(hot, "samples"), 1);
    symbols_format(symbols, strtoull(row->address, NULL, 16), row->name, sizeof(row->name));
    return true;
}
