/*
 * A shared folder: the server (server.h) and the threads that run it, for one device.
 *
 * Requests lie in one queue. A thread takes the oldest, carries it out straight into and out of the guest's memory, and sends the
 * request's letter to the machine's mailbox. A thread that has done a request looks out for the next one for some
 * microseconds before it sleeps, because to wake it would cost more than most requests do.
 *
 *   submit() ---> queue ---> at work ---letter---> done()
 *                  ^
 *                  Tversion and forget(): taken when nothing is at work, and nothing is taken until they are done
 *
 * Invariants
 * 1. A Tflush is answered after the request that it names: it waits with that request, and costs no thread. A request
 *    is never cut short, as none of them waits for anything but the host's files.
 * 2. The threads have a table of descriptors of their own, where the host lets them, with nothing in it but the
 *    standard streams and what the server opens. So a guest that opens all that may be open takes nothing from the rest of the process,
 *    and the server cannot reach the process' other files. Descriptors are opened and closed in these threads alone.
 *
 * Deterministic: a request is carried out at a fixed guest time after it was submitted, one after the other, while
 * the vCPU thread waits.
 */
#ifndef RINGER_SHARE_FOLDER_H
#define RINGER_SHARE_FOLDER_H

#include "base/device.h"
#include "base/share.h"
#include "base/share_options.h"

#define FOLDER_THREADS 4

struct folder;

/* All of these are for the vCPU thread. */

/* NULL with one sentence in error. The path in the options must stay. */
struct folder *folder_open(const struct share_options *options, struct mailbox *box,
                           struct clock *deterministic, char *error, size_t error_bytes);
/* Waits for what is under way, and ends the threads. No done() is called afterwards. */
void folder_close(struct folder *folder);
/* What a device submits to. */
struct share *folder_share(struct folder *folder);

#endif
