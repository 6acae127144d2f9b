/*
 * VMware's backdoor, the part that absolute pointing needs (register conventions: open-vm-tools,
 * lib/include/backdoor_def.h and vmmouse_defs.h; Linux, drivers/input/mouse/vmmouse.c).
 *
 * Ports: vmware_port_ops at 5658h, 4 ports, dword-wide; the device is the struct vmware_port. A program puts
 * 564D5868h into EAX, a command into CX and 5658h into DX, and executes IN EAX, DX: the answer lies in EAX,
 * EBX, ECX and EDX. So this device sees these registers of the CPU, through two functions.
 *
 *   CX   10 version: EAX 6, EBX magic, ECX product          39 data: EBX words, 1 to 4, in EAX EBX ECX EDX
 *        41 command: EBX enable, disable, absolute, relative  40 status: EAX error << 16 | words queued
 *        86 restrict: which code may ask (accepted, without effect)
 *
 * An event is four words: buttons (and whether it is relative), x, y, wheel. x and y go from 0 to FFFFh
 * over the whole screen; relative ones are counts right and up. After each the PS/2 mouse must send a
 * packet of any content, because its interrupt makes the driver read this port. The next movement replaces one that was
 * not fetched. If the queue is full nevertheless, events are lost.
 */
#ifndef RINGER_DEVICES_INPUT_VMWARE_PORT_H
#define RINGER_DEVICES_INPUT_VMWARE_PORT_H

#include "base/device.h"

#define VMWARE_PORT       0x5658
#define VMWARE_PORT_COUNT 4

#define VMWARE_QUEUE_EVENTS 64
#define VMWARE_EVENT_WORDS  4
#define VMWARE_QUEUE_WORDS  (VMWARE_QUEUE_EVENTS * VMWARE_EVENT_WORDS)

enum vmware_register { VMWARE_EAX, VMWARE_EBX, VMWARE_ECX, VMWARE_EDX };

struct vmware_port_wiring {
    u32 (*get)(void *machine, enum vmware_register reg);
    void (*set)(void *machine, enum vmware_register reg, u32 value);
    /* The driver asks for absolute pointing, or no longer does. */
    void (*absolute)(void *machine, bool on);
    /* An event was queued: the PS/2 mouse must interrupt. */
    void (*nudge)(void *machine);
    void *machine;
};

struct vmware_port {
    struct vmware_port_wiring wiring;
    bool enabled, absolute;
    u32 word[VMWARE_QUEUE_WORDS];
    unsigned head, count;
};

void vmware_port_init(struct vmware_port *port, const struct vmware_port_wiring *wiring);
void vmware_port_reset(struct vmware_port *port);

/* `buttons`: PS2_BUTTON_... now held; `wheel`: clicks towards the user. False: the driver has not enabled the pointer;
 * use the PS/2 mouse. */
bool vmware_port_point(struct vmware_port *port, u16 x, u16 y, int wheel, u8 buttons);
bool vmware_port_move(struct vmware_port *port, int right, int down, int wheel, u8 buttons);

extern const struct io_ops vmware_port_ops;

#endif
