/*
 * Virtio SCSI host. See virtio_scsi.h.
 */
#include "virtio_scsi.h"

#include "base/big_endian.h"

#include <string.h>

#define CLASS_STORAGE_SCSI 0x010000u
#define F_HOTPLUG          (1ull << 1)

enum { QUEUE_CONTROL, QUEUE_EVENT, QUEUE_REQUEST, QUEUES };

/* Configuration (5.6.4) */
enum {
    CONFIG_QUEUES = 0,
    CONFIG_SEGMENTS = 4,
    CONFIG_SECTORS = 8,
    CONFIG_COMMANDS = 12,
    CONFIG_EVENT_BYTES = 16,
    CONFIG_SENSE_BYTES = 20,
    CONFIG_CDB_BYTES = 24,
    CONFIG_CHANNEL = 28,
    CONFIG_TARGET = 30,
    CONFIG_LUN = 32,
    CONFIG_BYTES = 36,
};
enum { HEADER_BYTES = 19 + SCSI_CDB_BYTES, HEADER_ID = 8, HEADER_CDB = 19 };
enum { RESPONSE_RESIDUAL = 4, RESPONSE_STATUS = 10, RESPONSE_CODE = 11, RESPONSE_SENSE = 12 };
#define TARGET_MAX  255
#define LUN_MAX     16383
#define SECTORS_MAX 0xffff
#define REPORT_LUNS 0xa0

/* --- addresses --- */

static bool parse_lun(const u8 *lun, u8 *target, u16 *number)
{
    *target = lun[1];
    *number = get_be16(lun + 2) & 0x3fff;
    return lun[0] == 1;
}

static struct scsi_unit *find_unit(struct virtio_scsi *scsi, u8 target, u16 lun)
{
    for (unsigned n = 0; n < scsi->units; n++)
        if (scsi->unit[n].target == target && scsi->unit[n].lun == lun) return scsi->unit[n].unit;
    return NULL;
}

static bool has_target(const struct virtio_scsi *scsi, u8 target)
{
    for (unsigned n = 0; n < scsi->units; n++)
        if (scsi->unit[n].target == target) return true;
    return false;
}

/* --- events --- */

enum { TRANSPORT_RESET = 1, EVENTS_MISSED = (int)0x80000000u };
enum { REASON_RESCAN = 1, REASON_REMOVED = 2 };

/* 5.6.6.3.1. A driver that gave no buffer learns with the next event, or when it next fills the queue, that it has
 * missed one. */
static void send_event(struct virtio_scsi *scsi, u32 event, const struct virtio_scsi_unit *unit, u32 reason)
{
    struct virtio_chain *chain = &scsi->event;
    u8 bytes[16] = {0};
    if (!virtio_has(&scsi->virtio, F_HOTPLUG)) return;
    if (!virtio_take(&scsi->virtio, QUEUE_EVENT, chain)) {
        scsi->missed = true;
        return;
    }
    pci_put32(bytes, event | (scsi->missed ? (u32)EVENTS_MISSED : 0));
    if (unit) {
        bytes[4] = 1;
        bytes[5] = unit->target;
        put_be16(bytes + 6, unit->lun < 256 ? unit->lun : unit->lun | 0x4000u);
    }
    pci_put32(bytes + 12, reason);
    scsi->missed = false;
    u64 count = virtio_chain_write(chain, 0, bytes, sizeof(bytes));
    virtio_give(&scsi->virtio, chain, (u32)count);
    virtio_interrupt(&scsi->virtio, QUEUE_EVENT);
}

/* --- task management --- */

static bool is_managed(const struct virtio_scsi *scsi, const struct virtio_scsi_request *request)
{
    return request->active && request->target == scsi->managed_target &&
           (scsi->managed_all ? request->lun == scsi->managed_lun || scsi->managed_lun > LUN_MAX
                              : request->lun == scsi->managed_lun && request->id == scsi->managed_id);
}

static void control_next(struct virtio_scsi *scsi);

static void answer_control(struct virtio_scsi *scsi, u64 offset, u8 code)
{
    virtio_chain_write(&scsi->control, offset, &code, 1);
    virtio_give(&scsi->virtio, &scsi->control, (u32)offset + 1);
    virtio_interrupt(&scsi->virtio, QUEUE_CONTROL);
}

/* Complete the function if no task is left that it waits for. */
static void check_managed(struct virtio_scsi *scsi)
{
    for (unsigned n = 0; n < VIRTIO_SCSI_REQUESTS; n++)
        if (is_managed(scsi, &scsi->request[n])) return;
    for (unsigned n = 0; n < scsi->units && scsi->managed_resets; n++)
        if (scsi->unit[n].target == scsi->managed_target &&
            (scsi->managed_lun > LUN_MAX || scsi->unit[n].lun == scsi->managed_lun))
            scsi_unit_reset(scsi->unit[n].unit);
    scsi->managing = false;
    answer_control(scsi, 0, VIRTIO_SCSI_OK);
    control_next(scsi);
}

/* 5.6.6.2.1 */
static void manage(struct virtio_scsi *scsi, const u8 *bytes)
{
    enum { ABORT_TASK, ABORT_SET, CLEAR_ACA, CLEAR_SET, NEXUS_RESET, UNIT_RESET, QUERY_TASK, QUERY_SET };
    u32 function = pci_get32(bytes + 4);
    bool good = parse_lun(bytes + 8, &scsi->managed_target, &scsi->managed_lun);
    if (!good || !has_target(scsi, scsi->managed_target)) {
        answer_control(scsi, 0, VIRTIO_SCSI_BAD_TARGET);
        return;
    }
    if (function != NEXUS_RESET && !find_unit(scsi, scsi->managed_target, scsi->managed_lun)) {
        answer_control(scsi, 0, VIRTIO_SCSI_INCORRECT_LUN);
        return;
    }
    scsi->managed_id = load_any(bytes + 16, 8);
    scsi->managed_all = function != ABORT_TASK;
    scsi->managed_resets = function == NEXUS_RESET || function == UNIT_RESET;
    if (function == NEXUS_RESET) scsi->managed_lun = LUN_MAX + 1;
    if (function > UNIT_RESET || function == CLEAR_ACA) {
        /* Nothing needs to be aborted: QUERY says that no task is known that could be. */
        answer_control(scsi, 0, function > UNIT_RESET ? VIRTIO_SCSI_OK : VIRTIO_SCSI_FUNCTION_REJECTED);
        return;
    }
    scsi->managing = true;
    check_managed(scsi);
}

static void control_next(struct virtio_scsi *scsi)
{
    enum { MANAGEMENT, QUERY_EVENTS, SUBSCRIBE };
    u8 bytes[24];
    while (!scsi->managing && virtio_take(&scsi->virtio, QUEUE_CONTROL, &scsi->control)) {
        u64 got = virtio_chain_read(&scsi->control, 0, bytes, sizeof(bytes));
        u32 type = got >= 4 ? pci_get32(bytes) : UINT32_MAX;
        if (type == MANAGEMENT && got == sizeof(bytes)) {
            manage(scsi, bytes);
        } else if ((type == QUERY_EVENTS || type == SUBSCRIBE) && got >= 16) {
            static const u8 none[4];
            virtio_chain_write(&scsi->control, 0, none, sizeof(none));
            answer_control(scsi, sizeof(none), VIRTIO_SCSI_OK);
        } else {
            virtio_break(&scsi->virtio, "a control request of SCSI that is too short or of no known type");
            return;
        }
    }
}

/* --- requests --- */

static void notify(struct virtio *virtio, unsigned queue);

static void finish(struct virtio_scsi_request *request, u8 code)
{
    struct virtio_scsi *scsi = request->scsi;
    const struct scsi_command *command = &request->command;
    u8 head[VIRTIO_SCSI_HEAD] = {0};
    u64 wanted = command->out_bytes + command->in_bytes;
    if (code == VIRTIO_SCSI_OK) {
        pci_put32(head, command->sense_bytes);
        pci_put32(head + RESPONSE_RESIDUAL, (u32)(wanted - command->moved));
        head[RESPONSE_STATUS] = (u8)command->status;
        memcpy(head + RESPONSE_SENSE, command->sense, command->sense_bytes);
    }
    head[RESPONSE_CODE] = code;
    if (virtio_chain_is_live(&scsi->virtio, &request->chain))
        virtio_chain_write(&request->chain, 0, head, sizeof(head));
    virtio_give(&scsi->virtio, &request->chain,
                (u32)(VIRTIO_SCSI_HEAD + (command->in_bytes ? command->moved : 0)));
    request->active = false;
    request->next_free = scsi->free;
    scsi->free = request;
    if (scsi->managing) check_managed(scsi);
}

static void done(struct scsi_command *command)
{
    struct virtio_scsi_request *request = command->transport;
    struct virtio_scsi *scsi = request->scsi;
    virtio_release(&scsi->virtio, &request->chain);
    finish(request, VIRTIO_SCSI_OK);
    if (scsi->starved)
        notify(&scsi->virtio, QUEUE_REQUEST);
    else
        virtio_interrupt(&scsi->virtio, QUEUE_REQUEST);
}

/* SPC-4 6.33, for a target. */
static void report_luns(struct virtio_scsi_request *request)
{
    const struct virtio_scsi *scsi = request->scsi;
    u8 reply[8 + 8 * VIRTIO_SCSI_UNITS] = {0};
    u32 used = 8;
    for (unsigned n = 0; n < scsi->units; n++) {
        if (scsi->unit[n].target != request->target) continue;
        put_be16(reply + used, scsi->unit[n].lun < 256 ? scsi->unit[n].lun : scsi->unit[n].lun | 0x4000u);
        used += 8;
    }
    put_be32(reply, used - 8);
    request->command.moved = 0;
    scsi_reply(&request->command, reply, used, get_be32(request->command.cdb + 6));
}

/* Copies the parts behind the first `skip` bytes. Returns how many parts that are. */
static unsigned data_behind(const struct iovec *part, unsigned count, u64 skip, struct iovec *data)
{
    unsigned used = 0;
    for (unsigned n = 0; n < count; n++) {
        u64 cut = skip < part[n].iov_len ? skip : part[n].iov_len;
        skip -= cut;
        if (cut == part[n].iov_len) continue;
        data[used++] = (struct iovec){(u8 *)part[n].iov_base + cut, part[n].iov_len - cut};
    }
    return used;
}

static void begin(struct virtio_scsi_request *request)
{
    struct virtio_scsi *scsi = request->scsi;
    struct virtio_chain *chain = &request->chain;
    struct scsi_command *command = &request->command;
    u8 header[HEADER_BYTES];
    bool whole = virtio_chain_read(chain, 0, header, sizeof(header)) == sizeof(header);
    if (!whole || chain->writable_bytes < VIRTIO_SCSI_HEAD) {
        request->next_free = scsi->free;
        scsi->free = request;
        virtio_break(&scsi->virtio, "a SCSI request without header or response");
        return;
    }
    request->active = true;
    bool good = parse_lun(header, &request->target, &request->lun);
    request->id = load_any(header + HEADER_ID, 8);
    *command = (struct scsi_command){.done = done, .transport = request};
    memcpy(command->cdb, header + HEADER_CDB, SCSI_CDB_BYTES);
    command->out_bytes = chain->readable_bytes - HEADER_BYTES;
    command->in_bytes = chain->writable_bytes - VIRTIO_SCSI_HEAD;
    command->out = command->in = request->data;
    if (command->out_bytes && command->in_bytes) {
        finish(request, VIRTIO_SCSI_FAILURE); /* both ways at once was not negotiated (VIRTIO_SCSI_F_INOUT) */
        return;
    }
    if (command->out_bytes)
        command->out_count = data_behind(chain->part, chain->readable, HEADER_BYTES, request->data);
    else
        command->in_count =
            data_behind(chain->part + chain->readable, chain->writable, VIRTIO_SCSI_HEAD, request->data);
    if (!good || !has_target(scsi, request->target)) {
        finish(request, VIRTIO_SCSI_BAD_TARGET);
        return;
    }
    virtio_hold(&scsi->virtio, chain);
    command->unit = find_unit(scsi, request->target, request->lun);
    if (command->cdb[0] == REPORT_LUNS)
        report_luns(request);
    else if (command->unit)
        scsi_execute(command);
    else
        scsi_execute_nobody(command);
}

static void notify(struct virtio *virtio, unsigned queue)
{
    struct virtio_scsi *scsi = container_of(virtio, struct virtio_scsi, virtio);
    if (queue == QUEUE_CONTROL) control_next(scsi);
    if (queue == QUEUE_EVENT && scsi->missed) send_event(scsi, 0, NULL, 0);
    if (queue != QUEUE_REQUEST) return;
    /* done() may be called from within begin(): it must not start this loop anew. */
    scsi->starved = false;
    while (scsi->free && virtio_take(virtio, queue, &scsi->free->chain)) {
        struct virtio_scsi_request *request = scsi->free;
        scsi->free = request->next_free;
        begin(request);
    }
    scsi->starved = !scsi->free;
    virtio_interrupt(virtio, queue);
}

/* --- set-up --- */

static void reset(struct virtio *virtio)
{
    struct virtio_scsi *scsi = container_of(virtio, struct virtio_scsi, virtio);
    scsi->managing = scsi->starved = scsi->missed = false;
    for (unsigned n = 0; n < scsi->units; n++)
        scsi_unit_reset(scsi->unit[n].unit);
    pci_put32(virtio->config + CONFIG_SENSE_BYTES, VIRTIO_SCSI_SENSE);
    pci_put32(virtio->config + CONFIG_CDB_BYTES, SCSI_CDB_BYTES);
}

bool virtio_scsi_attach(struct virtio_scsi *scsi, u8 target, u16 lun, struct scsi_unit *unit)
{
    if (scsi->units == VIRTIO_SCSI_UNITS || find_unit(scsi, target, lun)) return false;
    scsi->unit[scsi->units] = (struct virtio_scsi_unit){unit, target, lun};
    send_event(scsi, TRANSPORT_RESET, &scsi->unit[scsi->units++], REASON_RESCAN);
    return true;
}

void virtio_scsi_detach(struct virtio_scsi *scsi, const struct scsi_unit *unit)
{
    unsigned n = 0;
    while (n < scsi->units && scsi->unit[n].unit != unit)
        n++;
    if (n == scsi->units) return;
    struct virtio_scsi_unit gone = scsi->unit[n];
    scsi->unit[n] = scsi->unit[--scsi->units];
    send_event(scsi, TRANSPORT_RESET, &gone, REASON_REMOVED);
}

static const struct virtio_kind scsi_kind = {.notify = notify, .reset = reset};

void virtio_scsi_init(struct virtio_scsi *scsi, struct pci_bus *bus, const struct dma *dma,
                      const struct virtio_options *options)
{
    static const u16 sizes[QUEUES] = {16, 16, VIRTIO_SCSI_REQUESTS};
    scsi->units = 0;
    scsi->free = NULL;
    for (unsigned n = 0; n < VIRTIO_SCSI_REQUESTS; n++) {
        scsi->request[n].scsi = scsi;
        scsi->request[n].active = false;
        scsi->request[n].next_free = scsi->free;
        scsi->free = &scsi->request[n];
    }
    virtio_init(&scsi->virtio, &scsi_kind, bus, dma, options, VIRTIO_SCSI, CLASS_STORAGE_SCSI, F_HOTPLUG,
                sizes, QUEUES);
    u8 *config = scsi->virtio.config;
    pci_put32(config + CONFIG_QUEUES, 1);
    pci_put32(config + CONFIG_SEGMENTS, VIRTIO_SEGMENTS - 2);
    pci_put32(config + CONFIG_SECTORS, SECTORS_MAX);
    pci_put32(config + CONFIG_COMMANDS, VIRTIO_SCSI_REQUESTS);
    pci_put32(config + CONFIG_EVENT_BYTES, 16);
    pci_put16(config + CONFIG_TARGET, TARGET_MAX);
    pci_put32(config + CONFIG_LUN, LUN_MAX);
    scsi->virtio.config_bytes = CONFIG_BYTES;
}
