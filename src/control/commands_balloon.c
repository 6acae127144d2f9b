/*
 * Commands about the memory balloon.
 */
#include "board/wire_virtio_balloon.h"
#include "control_private.h"
#include "vm/vm.h"

/* NULL: there is none, and the call has failed. */
static struct virtio_balloon *balloon_of(struct control_call *call)
{
    struct virtio_balloon *balloon = board_balloon(&call->vm->board);
    if (balloon) return balloon;
    call_fail(call, "No balloon device has been activated");
    call->error_class = "DeviceNotActive";
    return NULL;
}

/* HMP counts in megabytes, QMP in bytes. */
void run_balloon(struct control_call *call)
{
    struct virtio_balloon *balloon = balloon_of(call);
    s64 value = call_number(call, "value", 0);
    u64 all = call->vm->phys.ram_bytes;
    if (!balloon) return;
    u64 bytes = value <= 0 ? 0 : (u64)value;
    if (call->by_line) bytes = bytes < all >> 20 ? bytes << 20 : all;
    if (!bytes) {
        call_fail(call, "Parameter 'target' expects a size");
        return;
    }
    virtio_balloon_set_target(balloon, bytes < all ? (u32)((all - bytes) >> PAGE_SHIFT) : 0);
}

void run_query_balloon(struct control_call *call)
{
    struct virtio_balloon *balloon = balloon_of(call);
    if (!balloon) return;
    call->result = json_object_new_object();
    json_object_object_add(call->result, "actual",
                           json_object_new_uint64(board_balloon_bytes(&call->vm->board, balloon)));
}

void print_balloon(const struct json_object *result, struct json_object *text)
{
    struct json_object *actual;
    json_object_object_get_ex(result, "actual", &actual);
    text_add(text, "balloon: actual=%llu\n", (unsigned long long)json_object_get_uint64(actual) >> 20);
}

/* What the driver has told last; new statistics are asked for. */
void run_guest_memory(struct control_call *call)
{
    static const char *const names[VIRTIO_BALLOON_STATS] = {
        "swap-in",      "swap-out",         "major-faults", "minor-faults",        "free-memory",
        "total-memory", "available-memory", "disk-caches",  "hugetlb-allocations", "hugetlb-failures"};
    struct virtio_balloon *balloon = balloon_of(call);
    if (!balloon) return;
    call->result = json_object_new_object();
    for (unsigned n = 0; n < VIRTIO_BALLOON_STATS; n++)
        if (balloon->stat[n] != UINT64_MAX)
            json_object_object_add(call->result, names[n], json_object_new_uint64(balloon->stat[n]));
    json_object_object_add(call->result, "given-back", json_object_new_uint64(balloon->released_bytes));
    virtio_balloon_ask_stats(balloon);
}
