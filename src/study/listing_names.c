#include "listing_names.h"

#include "base/types.h"
#include "translator/frame.h"

#include <stdlib.h>
#include <string.h>

const char listing_slow_access[] = "slow memory access";
const char listing_segment[] = "another segment";

static const struct {
    long offset; /* from r15 */
    const char *name;
} names[] = {
    {FRAME_RIP, "EIP"},
    {FRAME_EFLAGS, "EFLAGS"},
    {FRAME_PENDING, "pending"},
    {FRAME_ICOUNT, "instruction count"},
    {FRAME_READ_TABLE, "read table"},
    {FRAME_WRITE_TABLE, "write table"},
    {FRAME_EXEC_TABLE, "exec table"},
    {FRAME_JUMP_TABLE, "jump table"},
    {FRAME_JUMP_TAG, "tag of the jump table"},
    {FRAME_REMAINING, "instructions remaining"},
    {FRAME_SLOW_SCRATCH, "scratch"},
    {FRAME_PARKED, "parked flags"},
    {FRAME_INTERRUPT, "interrupt line"},
    {FRAME_CR0, "CR0"},
    {FRAME_CR2, "CR2"},
    {FRAME_CR3, "CR3"},
    {FRAME_GDT_BASE, "GDT base"},
    {FRAME_TSC_OFFSET, "TSC offset"},
    {FRAME_HOISTED, "hoisted check 1"},
    {FRAME_HOISTED + 8, "hoisted check 2"},
    {FRAME_HOISTED + 16, "hoisted check 3"},
    {FRAME_THUNK + 8 * THUNK_SLOW, listing_slow_access},
    {FRAME_THUNK + 8 * THUNK_CALLOUT, "callout: the interpreter's routine"},
    {FRAME_THUNK + 8 * THUNK_LINK, "link the edge"},
    {FRAME_THUNK + 8 * THUNK_INDIRECT, "look up the target"},
    {FRAME_THUNK + 8 * THUNK_DISPATCH, "to C code"},
    {FRAME_THUNK + 8 * THUNK_BUDGET, "instruction budget"},
    {FRAME_THUNK + 8 * THUNK_CROSS, "the second page has moved"},
    {FRAME_THUNK + 8 * THUNK_STEP, "interpret this one"},
    {FRAME_THUNK + 8 * THUNK_STRING, "string callout"},
    {FRAME_THUNK + 8 * THUNK_FAST, "callout: a fast routine"},
    {FRAME_THUNK + 8 * THUNK_LINK_PARKED, "link the edge"},
    {FRAME_THUNK + 8 * THUNK_RETURN_MISS, "return elsewhere"},
    {FRAME_THUNK + 8 * THUNK_FILL_SITE, "fill the site cache"},
    {FRAME_THUNK + 8 * THUNK_SEGMENT, listing_segment},
};

const char *listing_name(const char *operands)
{
    const char *at = strstr(operands, "[r15");
    if (!at) return NULL;
    at += strlen("[r15");
    long offset = 0;
    if (!strncmp(at, " + ", 3) || !strncmp(at, " - ", 3)) {
        offset = strtol(at + 3, NULL, 0);
        if (at[1] == '-') offset = -offset;
    } else if (*at != ']') {
        return NULL; /* an index, too */
    }
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (names[n].offset == offset) return names[n].name;
    return NULL;
}
