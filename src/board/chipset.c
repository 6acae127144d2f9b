#include "chipset.h"

#include "base/log.h"
#include "cmos.h"
#include "drives.h"
#include "wire_net.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Legacy wiring of COM1 to COM4. */
static const struct {
    u16 port;
    u8 irq;
} serial_wiring[SERIAL_PORTS] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

#define HOTPLUG_PORTS 0xae00 /* also in boot/acpi/hotplug.asl.in */

enum { PIT_IRQ = 0, KEYBOARD_IRQ = 1, RTC_IRQ = 8, MOUSE_IRQ = 12, FERR_IRQ = 13 };

/* Bit numbers of irq9_holders. PIRQ lines may be routed to the SCI's IRQ. */
enum { HOLDER_PIRQ = 0, HOLDER_SCI = 1 };

/* --- wires --- */

static void a20(void *machine, bool open)
{
    struct board *board = machine;
    board->host->a20(board->machine, open);
}

static void reset(void *machine, bool hard)
{
    board_reset(machine, hard);
}

static void power_off(void *machine)
{
    struct chipset *chipset = machine;
    board_stop(chipset->board, STOP_GUEST, STATUS_OK, NULL);
}

static void suspend(void *machine)
{
    struct board *board = ((struct chipset *)machine)->board;
    board->host->suspend(board->machine);
}

static void wake(void *machine)
{
    struct board *board = ((struct chipset *)machine)->board;
    board->host->wake(board->machine);
}

static void pam(void *machine, u32 gpa, u32 bytes, bool read_ram, bool write_ram)
{
    struct chipset *chipset = machine;
    shadow_ram_switch(&chipset->shadow_ram, gpa, bytes, read_ram, write_ram);
}

/* `pin`: a bit number of irq9_holders. */
static void irq9(void *receiver, unsigned pin, bool level)
{
    struct chipset *chipset = receiver;
    chipset->irq9_holders = (u8)((chipset->irq9_holders & ~(1 << pin)) | level << pin);
    irq_set(&chipset->board->irq[SCI_IRQ], chipset->irq9_holders != 0);
}

/* The RTC's interrupt is also an event of power management. */
static void irq8(void *receiver, unsigned pin, bool level)
{
    struct chipset *chipset = receiver;
    irq_set(&chipset->board->irq[RTC_IRQ], level);
    piix4_pm_rtc(&chipset->power, level);
}

static void plugged(void *machine)
{
    piix4_pm_gpi(&((struct chipset *)machine)->power);
}

static void smbus_ports(void *machine, u16 base, bool mapped)
{
    struct chipset *chipset = machine;
    ports_move(&chipset->board->ports, chipset->smbus_ports, base, mapped);
}

static void power_ports(void *machine, u16 base, bool mapped)
{
    struct chipset *chipset = machine;
    ports_move(&chipset->board->ports, chipset->power_ports, base, mapped);
}

static void isa_pnp_port(void *machine, u16 port, bool mapped)
{
    struct chipset *chipset = machine;
    struct port_range *range = chipset->isa_pnp_read_port;
    if (range->mapped != mapped || (mapped && range->base != port))
        ports_move(&chipset->board->ports, range, port, mapped);
}

void chipset_ferr(struct chipset *chipset, bool level)
{
    irq_set(&chipset->board->irq[FERR_IRQ], level);
}

static s64 start_time(const struct board_options *options)
{
    if (options->rtc_base != RTC_BASE_NOW && options->rtc_base != RTC_BASE_LOCAL) return options->rtc_base;
    time_t now = time(NULL);
    struct tm local;
    if (options->rtc_base == RTC_BASE_LOCAL && localtime_r(&now, &local)) return now + local.tm_gmtoff;
    return now;
}

/* --- set-up --- */

static void wire_ports(struct chipset *c, struct port_bus *ports)
{
    ports_claim(ports, 0x00, 16, 1, &i8237_ops, &c->dma.controller[0]);
    ports_claim(ports, 0xc0, 32, 1, &i8237_ops, &c->dma.controller[1]);
    ports_claim(ports, 0x80, 16, 1, &dma_page_ops, &c->dma);
    ports_claim(ports, 0x20, 2, 1, &i8259_ops, &c->pic.master);
    ports_claim(ports, 0xa0, 2, 1, &i8259_ops, &c->pic.slave);
    ports_claim(ports, 0x4d0, 2, 1, &i8259_elcr_ops, &c->pic);
    ports_claim(ports, 0x40, 4, 1, &i8254_ops, &c->pit);
    ports_claim(ports, 0x61, 1, 1, &i8254_port61_ops, &c->pit);
    ports_claim(ports, 0x70, 2, 1, &mc146818_ops, &c->rtc);
    ports_claim(ports, 0x60, 1, 1, &i8042_data_ops, &c->keyboard);
    ports_claim(ports, 0x64, 1, 1, &i8042_command_ops, &c->keyboard);
    ports_claim(ports, 0x92, 1, 1, &port92_ops, &c->reset_control);
    ports_claim(ports, 0xcf8, 8, 4, &pci_config_ops, &c->board->pci);
    ports_claim(ports, 0xcf9, 1, 1, &cf9_ops, &c->reset_control);
    ports_claim(ports, 0xb2, 2, 1, &piix4_smi_ops, &c->power);
    ports_claim(ports, HOTPLUG_PORTS, PCI_HOTPLUG_PORTS, 4, &pci_hotplug_ops, &c->plug.controller);
}

static void make_bridges(struct chipset *c, struct board *board)
{
    struct irq_line pirq_targets[ISA_IRQS];
    memcpy(pirq_targets, board->irq, sizeof(pirq_targets));
    pirq_targets[SCI_IRQ] = (struct irq_line){irq9, c, HOLDER_PIRQ};
    i440fx_init(&c->host_bridge, &board->pci, pam, c);
    piix3_init(&c->isa_bridge, &board->pci, pirq_targets);
    c->power_ports = ports_add(&board->ports, PIIX4_PM_PORTS, 4, &piix4_pm_ops, &c->power);
    c->smbus_ports = ports_add(&board->ports, PIIX4_SMBUS_PORTS, 1, &piix4_smbus_ops, &c->power.smbus);
    piix4_pm_init(&c->power, &board->pci, board->clock,
                  &(struct piix4_pm_wiring){.sci = {irq9, c, HOLDER_SCI},
                                            .map = power_ports,
                                            .map_smbus = smbus_ports,
                                            .power_off = power_off,
                                            .suspend = suspend,
                                            .wake = wake,
                                            .machine = c});
    board->facts.suspend = !board->options->no_suspend;
}

/* Returns 0 or -errno. */
static int make_chips(struct chipset *c, struct board *board)
{
    struct clock *clock = board->clock;
    apic_wires_lay(&c->apic, board, &c->pic);
    int failed = wire_hpet_init(&c->hpet, board, board->options->no_apic ? NULL : &c->apic.ioapic);
    i8237_init(&c->dma, board->dma);
    i8254_init(&c->pit, clock, board->irq[PIT_IRQ]);
    mc146818_init(&c->rtc, clock, (struct irq_line){irq8, c, 0}, start_time(board->options));
    cmos_fill(&c->rtc,
              &(struct cmos_facts){.ram_bytes = board->options->memory_bytes,
                                   .floppy = {wire_floppy_type(board, 0), wire_floppy_type(board, 1)}});
    reset_control_init(&c->reset_control, a20, reset, board);
    i8042_init(&c->keyboard, clock,
               &(struct i8042_wiring){.irq1 = board->irq[KEYBOARD_IRQ],
                                      .irq12 = board->irq[MOUSE_IRQ],
                                      .a20 = reset_control_keyboard_a20,
                                      .reset = reset_control_keyboard_reset,
                                      .machine = &c->reset_control});
    shadow_ram_init(&c->shadow_ram, board);
    make_bridges(c, board);
    return failed;
}

/* Claimed first, so that all other ranges cover it: if the guest moves the read port to the port of another chip, that
 * chip answers. */
static void fit_isa_pnp(struct chipset *c, struct board *board)
{
    if (board->options->no_isa_pnp) return;
    c->isa_pnp_read_port = ports_add(&board->ports, 1, 1, &isa_pnp_read_ops, &c->isa_pnp);
    isa_pnp_init(&c->isa_pnp, isa_pnp_port, c);
    ports_claim(&board->ports, ISA_PNP_ADDRESS, 1, 1, &isa_pnp_address_ops, &c->isa_pnp);
    ports_claim(&board->ports, ISA_PNP_WRITE, 1, 1, &isa_pnp_write_ops, &c->isa_pnp);
}

static bool fit_serial_ports(struct chipset *c, struct board *board, char *error, size_t error_bytes)
{
    for (unsigned n = 0; n < SERIAL_PORTS; n++) {
        const char *chardev = board->options->serial[n];
        if (!chardev) continue;
        struct serial_port *port = &c->serial[n];
        if (!serial_port_init(port, board, board->irq[serial_wiring[n].irq], chardev, error, error_bytes))
            return false;
        board->facts.serial[n] = true;
        board_add_link(board, &port->link);
        ports_claim(&board->ports, serial_wiring[n].port, 8, 1, &uart16550_ops, &port->uart);
    }
    return true;
}

/* The firmware chooses the translation of disk addresses by their size. */
static void tell_disks(struct chipset *c)
{
    u64 bytes[CMOS_DISKS] = {0};
    for (unsigned n = 0; n < CMOS_DISKS; n++) {
        struct drive *drive = drives_at(c->board->drives, DRIVE_IDE, n);
        if (drive && drive->medium == MEDIUM_DISK) bytes[n] = drive_disk(drive)->bytes;
    }
    cmos_set_disks(&c->rtc, bytes);
}

bool chipset_init(struct chipset *c, struct board *board, char *error, size_t error_bytes)
{
    c->board = board;
    fit_isa_pnp(c, board);
    int failed = make_chips(c, board);
    wire_ports(c, &board->ports);
    tell_disks(c);
    if (!failed) failed = apic_wires_fit(&c->apic);
    if (failed) {
        snprintf(error, error_bytes, "cannot fit interrupt controllers: %s", strerror(-failed));
        return false;
    }
    if (!video_init(&c->video, board, error, error_bytes)) return false;
    wire_console_init(&c->console, board, &c->keyboard, &c->power, video_display(&c->video));
    c->console.console.font = vga_find_font(c->video.rom, c->video.rom_bytes);
    bool good = wire_sound_init(&c->sound, board, &c->pit, error, error_bytes) &&
                wire_ide_init(&c->ide, board, error, error_bytes) &&
                wire_floppy_init(&c->floppy, board, &c->dma, error, error_bytes) &&
                wire_flash_init(&c->flash, board, error, error_bytes) &&
                fit_serial_ports(c, board, error, error_bytes) &&
                wire_parallel_init(&c->parallel, board, error, error_bytes) &&
                wire_net_init(board, error, error_bytes) && board_create_devices(board, error, error_bytes);
    if (good) plug_init(&c->plug, board, plugged, c);
    return good;
}

void chipset_destroy(struct chipset *c)
{
    if (!c->board) return; /* power-on failed before chipset_init() */
    for (unsigned n = 0; n < SERIAL_PORTS; n++)
        if (c->board->facts.serial[n]) char_link_destroy(&c->serial[n].link);
    wire_parallel_destroy(&c->parallel);
    wire_net_stop(c->board); /* cards lend it guest memory */
    board_destroy_devices(c->board);
    wire_net_destroy(c->board);
    wire_console_destroy(&c->console);
    wire_sound_destroy(&c->sound);
    wire_flash_destroy(&c->flash);
    video_destroy(&c->video);
}

/* The chips that lose their power in S3. */
static void reset_core(struct chipset *c)
{
    i8259_reset(&c->pic);
    apic_wires_reset(&c->apic);
    wire_hpet_reset(&c->hpet);
    i8254_reset(&c->pit);
    i8237_reset(&c->dma);
    reset_control_reset(&c->reset_control);
    i8042_reset(&c->keyboard);
    pci_bus_reset(&c->board->pci);
    piix3_reset(&c->isa_bridge);
    wire_console_reset(&c->console);
    wire_sound_reset(&c->sound);
    video_reset(&c->video);
    wire_floppy_reset(&c->floppy);
    wire_flash_reset(&c->flash);
    if (c->isa_pnp_read_port) isa_pnp_reset(&c->isa_pnp);
    for (unsigned n = 0; n < SERIAL_PORTS; n++)
        if (c->board->facts.serial[n]) uart_reset(&c->serial[n].uart);
    wire_parallel_reset(&c->parallel);
    board_reset_devices(c->board);
}

void chipset_reset(struct chipset *c)
{
    plug_reset(&c->plug);
    reset_core(c);
    mc146818_reset(&c->rtc);
    i440fx_reset(&c->host_bridge);
    piix4_pm_reset(&c->power);
    wire_ide_reset(&c->ide);
}

/* The host bridge keeps its power: it refreshes memory and keeps its registers. So firmware that has copied itself to
 * RAM runs from there again, and finds in its variables that it has run before. */
void chipset_suspend(struct chipset *c)
{
    reset_core(c);
    wire_ide_suspend(&c->ide);
    cmos_set_resume(&c->rtc);
    piix4_pm_suspend(&c->power);
}

void chipset_firmware_loaded(struct chipset *c)
{
    shadow_ram_find_rom(&c->shadow_ram);
}

void chipset_mirror_input(struct chipset *leader, struct chipset *follower)
{
    board_mirror_input(leader->board, follower->board);
    leader->console.mirror = &follower->console;
}
