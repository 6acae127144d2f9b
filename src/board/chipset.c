#include "chipset.h"

#include "boot/acpi_tables.h"
#include "cmos.h"
#include "vm/vm.h"
#include "vm/waker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Legacy wiring of COM1 to COM4. */
static const struct {
    u16 port;
    u8 irq;
} serial_places[CHIPSET_SERIAL_PORTS] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

/* The slave 8259A's way to the master: no wire of the ISA bus. */
#define CASCADE_IRQ 2

/* The SCI's IRQ: PIRQ lines may be routed there, too. */
enum { HOLDER_PIRQ = 0, HOLDER_SCI = 1 };

/* --- wires --- */

static void a20(void *machine, bool open)
{
    struct vm *vm = machine;
    u64 mask = open ? ~0ull : ~(1ull << 20);
    if (mask == vm->phys.a20_mask) return;
    vm->phys.a20_mask = mask;
    shadow_flush(&vm->shadow);
}

static void reset(void *machine, bool hard)
{
    machine_request_reset(machine, hard);
}

/* A process has eight bits of status. Where they are one of Ringer's own, a line tells whose it is. */
static void debug_exit(void *machine, u32 status)
{
    u8 seen = (u8)status;
    if (seen <= STATUS_LAST)
        vm_stop(machine, STOP_GUEST, seen,
                "the guest wrote %u to the debug exit port: status %u is the guest's", status >> 1, seen);
    else
        vm_stop(machine, STOP_GUEST, seen, NULL);
}

static void pam(void *machine, u32 gpa, u32 bytes, bool read_ram, bool write_ram)
{
    struct vm *vm = machine;
    shadow_ram_switch(&vm->chipset.shadow_ram, gpa, bytes, read_ram, write_ram);
}

static void debug_byte(void *sink, u8 byte)
{
    struct chipset *chipset = sink;
    chardev_put(&chipset->debug_back_end, byte);
    if (byte == '\n') chardev_flush(&chipset->debug_back_end);
}

/* The pin is the holder's number. */
static void irq9(void *receiver, unsigned pin, bool level)
{
    struct chipset *chipset = receiver;
    chipset->irq9_holders = (u8)((chipset->irq9_holders & ~(1 << pin)) | level << pin);
    irq_set(&chipset->irq9, chipset->irq9_holders != 0);
}

static void irq0(void *receiver, unsigned pin, bool level)
{
    struct chipset *chipset = receiver;
    wire_hpet_input(&chipset->hpet, HPET_REPLACES_PIT, level);
}

/* The RTC's interrupt also is an event of power management. */
static void irq8(void *receiver, unsigned pin, bool level)
{
    struct chipset *chipset = receiver;
    wire_hpet_input(&chipset->hpet, HPET_REPLACES_RTC, level);
    piix4_pm_rtc(&chipset->power, level);
}

static void smbus_ports(void *machine, u16 base, bool mapped)
{
    struct vm *vm = machine;
    ports_move(&vm->ports, vm->chipset.smbus_ports, base, mapped);
}

static void power_ports(void *machine, u16 base, bool mapped)
{
    struct vm *vm = machine;
    ports_move(&vm->ports, vm->chipset.power_ports, base, mapped);
}

static void isa_pnp_port(void *machine, u16 port, bool mapped)
{
    struct vm *vm = machine;
    struct port_window *window = vm->chipset.isa_pnp_read_port;
    if (window->mapped != mapped || (mapped && window->base != port))
        ports_move(&vm->ports, window, port, mapped);
}

static void power_off(void *machine)
{
    vm_stop(machine, STOP_GUEST, STATUS_OK, NULL);
}

static void suspend(void *machine)
{
    machine_request_suspend(machine);
}

static void wake(void *machine)
{
    machine_request_wake(machine);
}

void chipset_ferr(struct chipset *chipset, bool level)
{
    irq_set(&chipset->irq13, level);
}

static s64 start_time(const struct options *options)
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
    ports_claim(ports, 0xcf8, 8, 4, &pci_config_ops, &c->pci);
    ports_claim(ports, 0xcf9, 1, 1, &cf9_ops, &c->reset_control);
    ports_claim(ports, 0xb2, 2, 1, &piix4_smi_ops, &c->power);
}

static void make_chips(struct chipset *c, struct vm *vm)
{
    struct clock *clock = &vm->time.clock;
    i8259_init(&c->pic, apic_wires_intr(vm));
    i8237_init(&c->dma, phys_dma(&vm->phys));
    i8254_init(&c->pit, clock, (struct irq_line){irq0, c, 0});
    c->irq9 = apic_wires_isa(vm, ACPI_SCI_IRQ);
    mc146818_init(&c->rtc, clock, (struct irq_line){irq8, c, 0}, start_time(vm->options));
    cmos_fill(&c->rtc, &(struct cmos_facts){.ram_bytes = vm->options->memory_bytes,
                                            .floppy = {wire_floppy_type(vm, 0), wire_floppy_type(vm, 1)}});
    reset_control_init(&c->reset_control, a20, reset, vm);
    i8042_init(&c->keyboard, clock,
               &(struct i8042_wiring){.irq1 = apic_wires_isa(vm, 1),
                                      .irq12 = apic_wires_isa(vm, 12),
                                      .a20 = reset_control_keyboard_a20,
                                      .reset = reset_control_keyboard_reset,
                                      .machine = &c->reset_control});
    c->irq13 = apic_wires_isa(vm, 13);
    shadow_ram_init(&c->shadow_ram, vm);
    struct irq_line isa[16] = {0};
    for (unsigned irq = 0; irq < ARRAY_SIZE(isa); irq++)
        if (irq != CASCADE_IRQ) isa[irq] = apic_wires_isa(vm, irq);
    isa[ACPI_SCI_IRQ] = (struct irq_line){irq9, c, HOLDER_PIRQ};
    pci_bus_init(&c->pci);
    pci_windows_init(&c->pci_windows, vm, &c->pci);
    i440fx_init(&c->host_bridge, &c->pci, pam, vm);
    piix3_init(&c->isa_bridge, &c->pci, isa);
    c->power_ports = ports_add(&vm->ports, PIIX4_PM_PORTS, 4, &piix4_pm_ops, &c->power);
    c->smbus_ports = ports_add(&vm->ports, PIIX4_SMBUS_PORTS, 1, &piix4_smbus_ops, &c->power.smbus);
    piix4_pm_init(&c->power, &c->pci, clock,
                  &(struct piix4_pm_wiring){.sci = {irq9, c, HOLDER_SCI},
                                            .map = power_ports,
                                            .map_smbus = smbus_ports,
                                            .power_off = power_off,
                                            .suspend = suspend,
                                            .wake = wake,
                                            .machine = vm});
    debug_exit_init(&c->debug_exit, debug_exit, vm);
}

/* Below all other windows: wherever the guest puts the read port, a chip that is there answers. */
static void fit_isa_pnp(struct chipset *c, struct vm *vm)
{
    if (vm->options->no_isa_pnp) return;
    c->isa_pnp_read_port = ports_add(&vm->ports, 1, 1, &isa_pnp_read_ops, &c->isa_pnp);
    isa_pnp_init(&c->isa_pnp, isa_pnp_port, vm);
    ports_claim(&vm->ports, ISA_PNP_ADDRESS, 1, 1, &isa_pnp_address_ops, &c->isa_pnp);
    ports_claim(&vm->ports, ISA_PNP_WRITE, 1, 1, &isa_pnp_write_ops, &c->isa_pnp);
}

static bool fit_serial_ports(struct chipset *c, struct vm *vm, char *error, size_t error_bytes)
{
    for (unsigned n = 0; n < CHIPSET_SERIAL_PORTS; n++) {
        const char *specification = vm->options->serial[n];
        if (!specification) continue;
        struct serial_port *port = &c->serial[n];
        if (!serial_port_init(port, vm, apic_wires_isa(vm, serial_places[n].irq), specification, error,
                              error_bytes))
            return false;
        c->serial_fitted[n] = true;
        chipset_add_link(c, &port->link);
        ports_claim(&vm->ports, serial_places[n].port, 8, 1, &uart16550_ops, &port->uart);
    }
    return true;
}

static bool fit_debug_ports(struct chipset *c, struct vm *vm, char *error, size_t error_bytes)
{
    const struct options *o = vm->options;
    if (o->debug_exit)
        ports_claim(&vm->ports, o->debug_exit_port, o->debug_exit_bytes, o->debug_exit_bytes, &debug_exit_ops,
                    &c->debug_exit);
    if (!o->debugcon) return true;
    const char *specification = vm->role == MACHINE_FOLLOWER ? "null" : o->debugcon;
    if (!chardev_open(&c->debug_back_end, specification, error, error_bytes)) return false;
    debug_console_init(&c->debug_console, debug_byte, c);
    ports_claim(&vm->ports, 0xe9, 1, 1, &debug_console_ops, &c->debug_console);
    return true;
}

bool chipset_init(struct chipset *c, struct vm *vm, char *error, size_t error_bytes)
{
    c->vm = vm;
    c->debug_back_end.in_fd = c->debug_back_end.out_fd = -1;
    ports_init(&vm->ports);
    fit_isa_pnp(c, vm);
    int failed = wire_hpet_init(&c->hpet, vm);
    make_chips(c, vm);
    wire_ports(c, &vm->ports);
    if (!failed) failed = apic_wires_init(&c->apic, vm, &c->pci);
    if (failed) {
        snprintf(error, error_bytes, "cannot fit interrupt controllers: %s", strerror(-failed));
        return false;
    }
    return video_init(&c->video, vm, error, error_bytes) &&
           wire_console_init(&c->console, vm, error, error_bytes) &&
           wire_sound_init(&c->sound, vm, error, error_bytes) &&
           wire_ide_init(&c->ide, vm, error, error_bytes) &&
           wire_floppy_init(&c->floppy, vm, error, error_bytes) &&
           fit_serial_ports(c, vm, error, error_bytes) && fit_debug_ports(c, vm, error, error_bytes) &&
           wire_virtio_init(&c->virtio, vm, error, error_bytes) &&
           firmware_init(&c->firmware, vm, error, error_bytes);
}

void chipset_destroy(struct chipset *c)
{
    if (!c->vm) return; /* power-on failed before there was one */
    for (unsigned n = 0; n < c->links; n++)
        char_link_destroy(c->link[n]);
    wire_virtio_destroy(&c->virtio);
    chardev_close(&c->debug_back_end);
    wire_console_destroy(&c->console);
    wire_sound_destroy(&c->sound);
    firmware_destroy(&c->firmware);
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
    pci_bus_reset(&c->pci);
    piix3_reset(&c->isa_bridge);
    wire_console_reset(&c->console);
    wire_sound_reset(&c->sound);
    video_reset(&c->video);
    wire_floppy_reset(&c->floppy);
    if (c->isa_pnp_read_port) isa_pnp_reset(&c->isa_pnp);
    for (unsigned n = 0; n < CHIPSET_SERIAL_PORTS; n++)
        if (c->serial_fitted[n]) uart_reset(&c->serial[n].uart);
    wire_virtio_reset(&c->virtio);
}

void chipset_reset(struct chipset *c)
{
    reset_core(c);
    mc146818_reset(&c->rtc);
    i440fx_reset(&c->host_bridge);
    piix4_pm_reset(&c->power);
    wire_ide_reset(&c->ide);
    firmware_reset(&c->firmware);
}

/* The host bridge refreshes memory and keeps its registers: firmware that was copied to RAM runs there again,
 * and finds in its own variables that it has started before. */
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

void chipset_power_button(struct chipset *c)
{
    piix4_pm_power_button(&c->power);
}

/* --- back ends --- */

void chipset_add_link(struct chipset *c, struct char_link *link)
{
    assert(c->links < CHIPSET_LINKS);
    c->link[c->links++] = link;
}

/* The one that standard input belongs to. */
static struct char_link *input_link(const struct chipset *c)
{
    for (unsigned n = 0; n < c->links; n++)
        if (c->link[n]->chardev.in_fd >= 0) return c->link[n];
    return NULL;
}

int chipset_input_fd(const struct chipset *c)
{
    struct char_link *link = input_link(c);
    return link ? link->chardev.in_fd : -1;
}

/* A reader that does not read is not waited for when the machine is to end. */
static void may_give_up(struct chipset *c, const u32 *giving_up)
{
    for (unsigned n = 0; n < c->links; n++)
        c->link[n]->chardev.giving_up = giving_up;
    c->debug_back_end.giving_up = c->firmware.log_back_end.giving_up = giving_up;
}

void chipset_start(struct chipset *c)
{
    struct char_link *link = input_link(c);
    if (c->vm->waker) may_give_up(c, &c->vm->waker->giving_up);
    if (link) char_link_start(link);
    if (!c->started) wire_console_start(&c->console);
    c->started = true;
}

void chipset_input_ready(struct chipset *c)
{
    struct char_link *link = input_link(c);
    if (link) char_link_input_ready(link);
}

void chipset_flush_output(struct chipset *c)
{
    for (unsigned n = 0; n < c->links; n++)
        char_link_flush(c->link[n]);
    chardev_flush(&c->debug_back_end);
    firmware_flush_output(&c->firmware);
}

void chipset_mirror_input(struct chipset *leader, struct chipset *follower)
{
    for (unsigned n = 0; n < leader->links; n++)
        char_link_mirror(leader->link[n], follower->link[n]);
    leader->console.mirror = &follower->console;
}
