/*
 * A shared folder: the server (server.h) and the threads that run it, for one device.
 *
 * Requests lie in one queue. A thread takes the oldest request, serves it directly in the guest's memory, and sends
 * the request's letter to the machine's mailbox. Then it polls for the next request for some microseconds before it
 * sleeps, because waking a thread costs more than most requests.
 *
 *   submit() ---> queue ---> at work ---letter---> done()
 *                  ^
 *                  Tversion and forget(): taken when nothing is at work, and nothing is taken until they are done
 *
 * Invariants
 * 1. A Tflush is answered after the request that it names: it joins that request, and takes no thread. No request is
 *    cancelled, because requests wait only for the host's files.
 * 2. Where the host permits it, the threads have their own table of descriptors, with only the standard streams and
 *    the server's files in it. So a guest that opens as many files as possible takes no descriptor from the rest of
 *    the process, and the server cannot reach the process's other files. Only these threads open and close these
 *    descriptors.
 *
 * Deterministic: each request is served at a fixed guest time after its submission, one after the other, while the
 * vCPU thread waits.
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
/* Waits for requests under way, and ends the threads. No done() is called afterwards. */
void folder_close(struct folder *folder);
/* The interface to which a device submits requests. */
struct share *folder_share(struct folder *folder);

#endif
