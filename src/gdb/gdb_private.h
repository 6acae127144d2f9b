/*
 * What the stub's own files share. All of it runs on the vCPU thread with the FPU parked.
 */
#ifndef RINGER_GDB_GDB_PRIVATE_H
#define RINGER_GDB_GDB_PRIVATE_H

#include "agent.h"
#include "chardev/chardev.h"
#include "gdb.h"
#include "packet.h"
#include "replay.h"
#include "vm/vm.h"

#define GDB_ITEMS 512u

/* The vector registers that the CPU model has. */
enum gdb_vectors { GDB_SSE, GDB_AVX, GDB_AVX512 };
enum { REGISTER_MOST_BYTES = 32 };

struct gdb {
    struct char_front front; /* first */
    struct gdb_wiring wiring;
    struct vm *vm;
    struct machine_listener listener;
    struct letter letter;
    u32 posted;  /* atomic: the letter is under way */
    u32 started; /* atomic: the machine takes letters */
    bool open, acknowledges;
    bool runs; /* the client waits for a stop reply */
    bool physical;
    bool wide; /* the CPU model has long mode */
    enum gdb_vectors vectors;
    unsigned step_bits; /* enum step_bits */
    u16 items[GDB_ITEMS];
    u32 from, to;
    struct packet_reader reader;
    struct packet_text reply;
    /* written to the client but not yet taken by the chardev */
    char out[PACKET_BYTES * 2 + 8];
    u32 out_from, out_to;
    char last[PACKET_BYTES * 2 + 8]; /* the last packet, for a client that asks for it again */
    u32 last_bytes;
    struct conditions conditions;
};

/* As QEMU's qqemu.sstepbits names them. */
enum step_bits { STEP_ENABLE = 1, STEP_NO_IRQ = 2, STEP_NO_TIMER = 4 };

/* server.c: send a packet. */
void gdb_send(struct gdb *gdb, const struct packet_text *text);
/* Let the machine run, and owe a stop reply. */
void gdb_resume(struct gdb *gdb);

/* commands.c: handle a packet, which ends with a 0 (its binary data is unescaped). */
void gdb_command(struct gdb *gdb, char *packet, u32 bytes);
/* Why the machine stands still. */
void gdb_stop_reply(struct gdb *gdb, struct packet_text *reply);
/* The client has gone: drop its points. */
void gdb_forget(struct gdb *gdb);

/* memory.c: by the guest's tables or, if gdb->physical, by guest-physical addresses. False: some byte is not there. */
bool gdb_memory(struct gdb *gdb, u64 address, void *bytes, u32 count, bool write);

/* registers.c. `wide`: the 64-bit target's numbers. */
unsigned registers_count(bool wide, enum gdb_vectors vectors);
/* The name of a register's row in the target's description. */
const char *register_name(bool wide, unsigned number, char *text, size_t bytes);
unsigned register_bytes(bool wide, unsigned number);
void register_read(struct vcpu *v, bool wide, unsigned number, u8 *bytes);
/* False: the register cannot have this value. */
bool register_write(struct vcpu *v, bool wide, unsigned number, const u8 *bytes);

/* target_xml.c: the description of the target, to be freed. */
char *target_xml(bool wide, enum gdb_vectors vectors);

#endif
