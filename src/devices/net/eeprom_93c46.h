/*
 * A 93C46: 64 words of EEPROM behind the Microwire bus, from which network cards load their address (Atmel AT93C46
 * datasheet, table 3).
 *
 * While CS is high, each rising edge of SK takes a bit from DI, or puts the next one on DO. A command is a start bit 1,
 * two bits of operation, six of address, and for WRITE and WRAL 16 of data; it is executed when CS falls.
 *
 *   READ 10 A   WRITE 01 A D   ERASE 11 A   EWEN 00 11xxxx   EWDS 00 00xxxx   ERAL 00 10xxxx   WRAL 00 01xxxx D
 *
 * After the address of READ, DO is 0, then the word follows, high bit first, and then the words behind it.
 */
#ifndef RINGER_DEVICES_NET_EEPROM_93C46_H
#define RINGER_DEVICES_NET_EEPROM_93C46_H

#include "base/types.h"

#define EEPROM_93C46_WORDS 64

struct eeprom_93c46 {
    u16 word[EEPROM_93C46_WORDS];
    bool write_enabled;
    bool selected, clock; /* CS, SK */
    bool out;             /* DO; it is 1 when nothing drives it */
    bool reading;
    u8 bits;     /* of the command that have come, or of the word that have gone */
    u32 command; /* the bits that have come */
    u8 address;
};

/* The pins as they are now. */
void eeprom_93c46_pins(struct eeprom_93c46 *eeprom, bool cs, bool sk, bool di);
/* After power-on; the words stay. */
void eeprom_93c46_reset(struct eeprom_93c46 *eeprom);

#endif
