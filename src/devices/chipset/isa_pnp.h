/*
 * A Plug and Play ISA card without functions (Plug and Play ISA Specification 1.0a). It saves time: an
 * operating system that looks for such cards waits some 40 ms at each read port until a card answers. With
 * one card the first port answers, and the search is over.
 *
 * Ports: isa_pnp_address_ops at 279h and isa_pnp_write_ops at A79h, one port each, for writes only;
 * isa_pnp_read_ops, one port, where the system puts it (isa_pnp_wiring.map).
 */
#ifndef RINGER_DEVICES_CHIPSET_ISA_PNP_H
#define RINGER_DEVICES_CHIPSET_ISA_PNP_H

#include "base/device.h"

#define ISA_PNP_ADDRESS 0x279
#define ISA_PNP_WRITE   0xa79

enum isa_pnp_state { ISA_PNP_WAIT_FOR_KEY, ISA_PNP_SLEEP, ISA_PNP_ISOLATION, ISA_PNP_CONFIG };

struct isa_pnp {
    /* The read port moved, or is no longer decoded. */
    void (*map)(void *machine, u16 port, bool mapped);
    void *machine;
    u8 state;    /* enum isa_pnp_state */
    u8 key;      /* the byte of the initiation key that must come next */
    u8 key_left; /* how many bytes must still come */
    u8 index;    /* the register addressed */
    u8 csn;      /* card select number; 0: none assigned */
    u8 bit;      /* of the serial identifier, two reads each */
    bool second_read;
    u8 at; /* next byte of the resource data */
    u16 read_port;
};

void isa_pnp_init(struct isa_pnp *card, void (*map)(void *machine, u16 port, bool mapped), void *machine);
void isa_pnp_reset(struct isa_pnp *card);

extern const struct io_ops isa_pnp_address_ops;
extern const struct io_ops isa_pnp_write_ops;
extern const struct io_ops isa_pnp_read_ops;

#endif
