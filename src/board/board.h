/*
 * The board: what a device is wired to. A wire_*.c needs nothing else, neither the CPU nor the machine around it:
 *
 *   ports        the port bus                        irq      interrupt lines of the ISA bus
 *   pci          the PCI bus, and pci_ranges         clock    the guest's time
 *                its ranges of ports and memory      dma      guest memory, for bus masters
 *   memory       the guest-physical address space    mailbox  letters from other threads
 *   drives       the media                           options  what the user asks for, as plain values
 *   host         what the board asks of the machine: the CPU's pins, resets, the end
 *
 * struct chipset (chipset.h) is the chips that sit on the board.
 *
 * Only the vCPU thread calls any of this.
 */
#ifndef RINGER_BOARD_BOARD_H
#define RINGER_BOARD_BOARD_H

#include "base/device.h"
#include "base/mailbox.h"
#include "devices/pci/pci_bus.h"
#include "options/options_board.h"
#include "pci_ranges.h"
#include "ports.h"

struct char_link;
struct chardevs;
struct drives;
struct phys;
struct plug;
struct wire_net;

/* The cause of a stop. */
enum stop_cause {
    STOP_GUEST, /* something that the guest did, and would do again */
    STOP_HOST,  /* the user, a time limit, a broken pipe */
};

/* The reason of a pause. */
enum pause_reason {
    PAUSE_USER = 1,
    PAUSE_DISK = 2, /* a host file cannot be written or read at present */
};

/* Events of the board, for the machine's owner. */
enum board_event {
    BOARD_BALLOON_CHANGED, /* value: bytes that the guest has */
    BOARD_WATCHDOG,        /* text: what is done about it */
    BOARD_DEVICE_DELETED,  /* text: the device's id, or NULL */
    BOARD_TRAY_MOVED,      /* text: the drive's name; value: 1: the tray is open */
};

/* How often held disk requests are tried again. */
#define PAUSE_RETRY_S 2

/* The machine around the board: the CPU in its socket, and the power supply. `machine` is board.machine. */
struct board_host {
    /* --- the CPU's pins and registers --- */
    void (*intr)(void *machine, bool level);
    void (*nmi)(void *machine);
    void (*init)(void *machine);
    u32 (*get_register)(void *machine, unsigned gpr); /* numbered as instructions number them */
    void (*set_register)(void *machine, unsigned gpr, u32 value);
    u64 (*tsc)(void *machine);           /* the value that the guest reads */
    u64 (*tsc_hz)(void *machine);        /* its rate */
    u64 (*apic_timer_hz)(void *machine); /* the rate of the local APIC's timer */
    /* --- memory --- */
    void (*a20)(void *machine, bool open);
    /* Other memory answers at [gpa, gpa + bytes) than before. */
    void (*memory_changed)(void *machine, u64 gpa, u64 bytes);
    /* Set a bit in `pages` for every page of video memory that was written since the last call. */
    void (*collect_written)(void *machine, u64 *pages);
    /* --- the machine --- */
    void (*power_button)(void *machine);
    void (*reset)(void *machine, bool hard);
    /* S3: the guest suspends (the machine then calls chipset_suspend()), or an event wakes it. */
    void (*suspend)(void *machine);
    void (*wake)(void *machine);
    /* `sentence`: a message for the user, or NULL. */
    void (*stop)(void *machine, enum stop_cause cause, int status, const char *sentence);
    void (*pause)(void *machine, enum pause_reason reason, bool paused);
    void (*tell)(void *machine, enum board_event event, const char *text, u64 value);
};

#define BOARD_LINKS        (SERIAL_PORTS + 1 + DEVICES_MAX)
#define BOARD_BOOT_ENTRIES (DRIVES_MAX + DEVICES_MAX)
#define ISA_IRQS           16
#define SCI_IRQ            9 /* of ACPI */

/* A device of a -device option. */
struct board_device {
    void *device; /* made by its wire file; NULL: not yet */
    void (*reset)(void *device);
    void (*destroy)(void *device);
    u8 devfn;   /* on the PCI bus; 0: it is on another one */
    u64 chosen; /* the value of its property that is `chosen` */
};

/* Something that firmware can boot from. */
struct board_boot_entry {
    unsigned index; /* firmware tries small numbers first */
    char path[64];  /* an Open Firmware path, by which SeaBIOS names devices (its src/boot.c) */
};

/* Facts about the board for the tables that operating systems read. */
struct board_facts {
    bool serial[SERIAL_PORTS];
    bool floppy; /* a controller */
    bool parallel;
    bool apic; /* a local APIC and an I/O APIC */
    bool hpet;
    bool suspend; /* the guest is told that it can suspend to RAM */
    bool flash;   /* firmware is in a flash chip */
};

struct board {
    const struct board_options *options;
    const struct board_host *host;
    void *machine;
    bool follower;      /* the second machine of a lockstep run: gets the leader's input, has no output */
    bool deterministic; /* guest time is the number of executed instructions */
    bool tsc_deadline;  /* the CPU model has the local APIC timer's TSC-deadline mode */
    struct clock *clock;
    struct phys *memory;
    struct dma dma;
    struct mailbox *mailbox;
    struct drives *drives;
    struct port_bus ports;
    struct pci_bus pci;
    struct pci_ranges pci_ranges;
    struct console *console;
    struct vdagent *agent;         /* NULL: the guest has no port for one */
    struct wire_net *net;          /* NULL: there is none yet */
    struct irq_line irq[ISA_IRQS]; /* the bus has no wire for IRQ 2 */
    struct board_facts facts;
    enum watchdog_action watchdog_action;
    struct board_boot_entry boot_entry[BOARD_BOOT_ENTRIES];
    unsigned boot_entries;
    struct board_device device[DEVICES_MAX]; /* by number in options->devices */
    struct chardevs *chardevs;               /* the host's ends of character devices; NULL: there are none */
    struct char_link *link[BOARD_LINKS];
    unsigned links;
    bool had_input; /* a character device has given the guest input */
    /* Guest time: until then a replay leaves its output out, which was written before; 0: no replay. */
    u64 quiet_until_ns;
    struct plug *plug; /* devices that come and go; NULL while the board is put together */
};

/* The caller has set the fields from `options` to `drives`. Leaves the buses empty. */
void board_init(struct board *board);

/* --- for wire files --- */

void board_add_link(struct board *board, struct char_link *link);
void board_remove_link(struct board *board, struct char_link *link);
/* index 0: the device is not listed. A device that comes later is not listed either: firmware has read the list.
 * `path`: a format as for printf(). */
void board_add_boot_entry(struct board *board, unsigned index, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

/* For a device_type's create(): `device` is the device that was made for the option. destroy() frees it; reset() is
 * its reset line, or NULL. */
void board_add_device(struct board *board, const struct device_option *option, void *device,
                      void (*reset)(void *device), void (*destroy)(void *device));
/* The device that this one plugs into. */
void *board_parent(const struct board *board, const struct device_option *option);
/* The slot that the option names, or the first that is free, as PCI_DEVFN. False with one sentence in error. */
bool board_find_slot(struct board *board, const struct device_option *option, u8 *devfn, char *error,
                     size_t error_bytes);

static inline void board_memory_changed(struct board *board, u64 gpa, u64 bytes)
{
    board->host->memory_changed(board->machine, gpa, bytes);
}

static inline void board_reset(struct board *board, bool hard)
{
    board->host->reset(board->machine, hard);
}

static inline void board_tell(struct board *board, enum board_event event, const char *text, u64 value)
{
    board->host->tell(board->machine, event, text, value);
}

/* `format`: a sentence for the user, or NULL. */
void board_stop(struct board *board, enum stop_cause cause, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* --- for the chipset: the devices of all -device options, in their order --- */

bool board_create_devices(struct board *board, char *error, size_t error_bytes);
/* The number of an option in options->devices, and so of its board_device. */
unsigned board_number_of(const struct board *board, const struct device_option *option);
/* The device has this value of its property that is `chosen`, given or not. */
void board_choose(struct board *board, const struct device_option *option, u64 value);
void board_reset_devices(struct board *board);
void board_destroy_devices(struct board *board);

/* --- for the machine: the host's ends --- */

/* Begin to look for input. */
void board_start_input(struct board *board);
/* Start the network thread. False: the host refuses. */
bool board_start_net(struct board *board);
/* Pull the cable of a network card, or plug it in: set_link of the monitor. id: that of the -netdev or of the -device.
 * On the vCPU thread. False: there is no such network. */
bool board_set_link(struct board *board, const char *id, bool up);
void board_flush_output(struct board *board);
/* The follower gets the leader's input at the same instruction count. */
void board_mirror_input(struct board *leader, struct board *follower);

#endif
