#include "block_disk.h"

#include "base/host_time.h"
#include "base/log.h"
#include "disk_work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the I/O: any thread --- */

static void finish_refused(struct letter *letter);

static int flush(struct block_disk *disk)
{
    if (disk->never_flush || disk->image->read_only) return 0;
    bool written = __atomic_exchange_n(&disk->written, false, __ATOMIC_SEQ_CST);
    int failed = disk->image->ops->flush(disk->image);
    if (failed && written) __atomic_store_n(&disk->written, true, __ATOMIC_SEQ_CST);
    return failed;
}

static struct span span_of_request(const struct disk_request *request)
{
    struct span whole = {request->part, request->part_count, 0, request->bytes};
    return span_slice(whole, 0, request->bytes); /* skips empty parts at the front */
}

static int perform_write(struct block_disk *disk, struct disk_request *request)
{
    struct disk_image *image = disk->image;
    struct span span = span_of_request(request);
    bool zero =
        request->operation == DISK_ZERO || (disk->detect_zeroes != DETECT_ZEROES_OFF && span_is_zero(span));
    int failed = zero ? image->ops->zero(image, request->offset, request->bytes)
                      : image->ops->write(image, request->offset, span);
    return failed || !disk->write_through ? failed : flush(disk);
}

static int perform(struct disk_request *request)
{
    struct block_disk *disk = block_disk_of(request);
    struct disk_image *image = disk->image;
    if (!request->bytes && request->operation != DISK_FLUSH) return 0;
    switch (request->operation) {
    case DISK_READ: return image->ops->read(image, request->offset, span_of_request(request));
    case DISK_ZERO:
    case DISK_WRITE: return perform_write(disk, request);
    case DISK_FLUSH: return flush(disk);
    case DISK_DISCARD: return disk->discard ? image->ops->discard(image, request->offset, request->bytes) : 0;
    }
    return -EINVAL;
}

void block_disk_perform(struct disk_request *request)
{
    if (request->letter.run != finish_refused) request->error = perform(request);
}

bool block_disk_changed(struct block_disk *disk, enum disk_operation operation)
{
    bool changes = operation != DISK_READ && operation != DISK_FLUSH;
    if (!changes || !disk->image->ops->keeps_tables) return false;
    __atomic_store_n(&disk->written, true, __ATOMIC_SEQ_CST);
    return true;
}

bool block_disk_write_back(struct block_disk *disk)
{
    return !__atomic_load_n(&disk->written, __ATOMIC_SEQ_CST) || !flush(disk);
}

/* Up to this size, data in the host's page cache are copied at once: waking a thread costs more than the rest of a
 * small request. A thread does larger requests while the guest runs. A guest that reads files through its own cache
 * requests up to this size. */
#define NOW_BYTES 131072u

bool *block_disk_quickness(const struct disk_request *request)
{
    bool moves = request->operation == DISK_READ || request->operation == DISK_WRITE;
    if (!moves || request->bytes > NOW_BYTES) return NULL;
    return &block_disk_of(request)->quick[request->operation == DISK_WRITE];
}

/* --- completion: the vCPU thread --- */

static const char *const verbs[] = {[DISK_READ] = "read",
                                    [DISK_WRITE] = "write",
                                    [DISK_FLUSH] = "flush",
                                    [DISK_DISCARD] = "discard",
                                    [DISK_ZERO] = "zero"};

static enum error_policy policy_of(const struct block_disk *disk, const struct disk_request *request)
{
    enum error_policy policy = request->operation == DISK_READ ? disk->on_read_error : disk->on_write_error;
    bool full = request->error == -ENOSPC || request->error == -EDQUOT;
    if (policy == ON_ERROR_ENOSPC) return full ? ON_ERROR_STOP : ON_ERROR_REPORT;
    return policy;
}

static void hold(struct disk_crew *crew, struct disk_request *request)
{
    struct block_disk *disk = block_disk_of(request);
    bool first = !crew->held.first && !crew->retrying;
    request_queue_put(&crew->held, request);
    if (!first || !crew->stalled) return;
    char message[512];
    snprintf(message, sizeof(message), "%s: cannot %s at byte %" PRIu64 ": %s", disk->name,
             verbs[request->operation], request->offset, strerror(-request->error));
    crew->stalled(crew->machine, message);
}

/* Print the first, second, fourth, eighth ... failure: a guest can cause any number of failures. */
static void tell(struct block_disk *disk, const struct disk_request *request)
{
    if (!request->error) return;
    disk->failures++;
    if (disk->failures & (disk->failures - 1)) return;
    log_warn("%s: cannot %s at byte %" PRIu64 ": %s (failure %" PRIu64 ")", disk->name,
             verbs[request->operation], request->offset, strerror(-request->error), disk->failures);
}

/* The request ends, and is no longer held. */
static void end(struct disk_request *request)
{
    struct block_disk_counts *counts = &block_disk_of(request)->counts;
    counts->last_ns = host_now_ns();
    counts->of[request->operation].total_ns += counts->last_ns - request->submitted_ns;
    if (request->error) {
        counts->of[request->operation].failed++;
    } else {
        counts->of[request->operation].done++;
        counts->of[request->operation].bytes += request->bytes;
        bool writes = request->operation == DISK_WRITE || request->operation == DISK_ZERO;
        if (writes && request->offset + request->bytes > counts->written_to)
            counts->written_to = request->offset + request->bytes;
    }
    request->done(request);
}

static void finish(struct letter *letter)
{
    struct disk_request *request = container_of(letter, struct disk_request, letter);
    struct block_disk *disk = block_disk_of(request);
    disk->crew->under_way--;
    enum error_policy policy = request->error ? policy_of(disk, request) : ON_ERROR_REPORT;
    if (policy == ON_ERROR_STOP) {
        hold(disk->crew, request);
        return;
    }
    tell(disk, request);
    if (policy == ON_ERROR_IGNORE) request->error = 0;
    end(request);
}

/* A request that was held has been tried again. */
static void finish_retry(struct letter *letter)
{
    struct disk_request *request = container_of(letter, struct disk_request, letter);
    struct disk_crew *crew = block_disk_of(request)->crew;
    request->letter.run = finish;
    finish(letter); /* may hold it again, without a call of stalled(), because it still counts as retrying */
    if (--crew->retrying || crew->held.first) return;
    if (crew->resumed) crew->resumed(crew->machine);
}

/* A refusal comes as a letter too, because done() must not be called from within submit(). */
static void finish_refused(struct letter *letter)
{
    struct disk_request *request = container_of(letter, struct disk_request, letter);
    block_disk_of(request)->counts.of[request->operation].refused++;
    request->done(request);
}

/* --- submission --- */

static int refusal(const struct block_disk *disk, const struct disk_request *request)
{
    u64 memory = 0, sector = DISK_SECTOR_BYTES - 1;
    if (!disk->image) return -ENOMEDIUM;
    if (request->operation == DISK_FLUSH) return 0;
    if ((request->offset | request->bytes) & sector || request->offset > disk->disk.bytes ||
        request->bytes > disk->disk.bytes - request->offset)
        return -EINVAL;
    if (request->operation != DISK_READ && disk->disk.read_only) return -EROFS;
    if (request->operation != DISK_READ && request->operation != DISK_WRITE) return 0;
    for (unsigned n = 0; n < request->part_count; n++)
        memory += request->part[n].iov_len;
    return memory < request->bytes ? -EINVAL : 0;
}

static bool read_now(const struct block_disk *disk, struct disk_request *request)
{
    const struct disk_image *image = disk->image;
    return request->operation == DISK_READ && request->bytes <= NOW_BYTES && !disk->crew->clock &&
           !image->ops->read_now(disk->image, request->offset, span_of_request(request));
}

static void submit(struct disk *seen, struct disk_request *request)
{
    struct block_disk *disk = container_of(seen, struct block_disk, disk);
    request->disk = seen;
    request->submitted_ns = host_now_ns();
    request->error = refusal(disk, request);
    request->letter.run = request->error ? finish_refused : finish;
    if (!request->error) disk->crew->under_way++;
    if (request->error ? !disk->crew->clock : read_now(disk, request))
        mailbox_send(disk->crew->box, &request->letter);
    else
        disk_crew_enqueue(disk->crew, request);
}

void disk_crew_retry(struct disk_crew *crew)
{
    struct request_queue again = crew->held;
    if (crew->retrying || !again.count) return;
    request_queue_init(&crew->held);
    crew->retrying = again.count;
    for (struct disk_request *request; (request = request_queue_take(&again));) {
        request->letter.run = finish_retry;
        crew->under_way++;
        if (crew->clock) {
            block_disk_perform(request);
            finish_retry(&request->letter);
        } else {
            disk_crew_enqueue(crew, request);
        }
    }
}

/* --- set-up --- */

static void put_in(struct block_disk *disk, struct disk_image *image)
{
    disk->image = image;
    disk->disk.bytes = image ? image->bytes : 0;
    disk->disk.read_only = image && image->read_only;
    disk->disk.can_discard = image && !image->read_only;
    disk->written = false;
    disk->failures = 0;
}

/* Some devices have no flush command, and some guests do not use it. */
static void flush_at_end(struct block_disk *disk)
{
    int failed = disk->image ? flush(disk) : 0;
    if (failed) log_warn("%s: cannot flush: %s", disk->name, strerror(-failed));
}

static void take_out(struct block_disk *disk)
{
    flush_at_end(disk);
    disk_image_close(disk->image);
}

void block_disk_init(struct block_disk *disk, struct disk_crew *crew, struct disk_image *image,
                     const char *name)
{
    *disk = (struct block_disk){.disk = {.submit = submit},
                                .crew = crew,
                                .name = strdup(name),
                                .on_write_error = ON_ERROR_ENOSPC,
                                .discard = true};
    put_in(disk, image);
    disk_crew_add(crew, disk);
}

bool block_disk_change(struct block_disk *disk, struct disk_image *image, const char *name)
{
    struct disk_crew *crew = disk->crew;
    char *new_name = strdup(name);
    if (!new_name) return false;
    disk_crew_drain(crew);
    disk_crew_lock_idle(crew);
    take_out(disk);
    put_in(disk, image);
    disk_crew_unlock(crew);
    free(disk->name);
    disk->name = new_name;
    return true;
}

void block_disk_swap(struct block_disk *one, struct block_disk *other)
{
    struct disk_crew *crew = one->crew;
    disk_crew_drain(crew);
    disk_crew_lock_idle(crew);
    flush_at_end(one);
    flush_at_end(other);
    struct disk_image *image = one->image;
    char *name = one->name;
    put_in(one, other->image);
    put_in(other, image);
    one->name = other->name;
    other->name = name;
    disk_crew_unlock(crew);
}

void block_disk_give_up(struct block_disk *disk)
{
    struct disk_crew *crew = disk->crew;
    struct request_queue others;
    bool any = crew->held.first != NULL;
    request_queue_init(&others);
    for (struct disk_request *request; (request = request_queue_take(&crew->held));) {
        if (block_disk_of(request) == disk)
            end(request);
        else
            request_queue_put(&others, request);
    }
    for (struct disk_request *request; (request = request_queue_take(&others));)
        request_queue_put(&crew->held, request);
    if (any && !crew->held.first && !crew->retrying && crew->resumed) crew->resumed(crew->machine);
}

void block_disk_leave(struct block_disk *disk)
{
    disk_crew_remove(disk->crew, disk);
}

void block_disk_destroy(struct block_disk *disk)
{
    take_out(disk);
    free(disk->name);
}
