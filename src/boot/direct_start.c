#include "direct_start.h"

#include "board/board.h"
#include "board/wire_apic.h"
#include "cpu/cpuid.h"
#include "direct_video.h"
#include "load_common.h"
#include "mp_table.h"

#include <assert.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define ELCR           0x4d0
#define DMA_2_MASK     0xd4
#define DMA_2_MODE     0xd6
#define DMA_CASCADE    0xc0 /* channel 4 passes on the requests of channels 0-3 */

enum { ISA_BRIDGE = PCI_DEVFN(1, 0), POWER = PCI_DEVFN(1, 3) };
enum { PIRQ_ROUTE = 0x60, PIRQS = 4, PMBA = 0x40, PMREGMISC = 0x80, SMBBA = 0x90, SMBHSTCFG = 0xd2 };
#define PMBA_PORTS 0xffc0u /* of 64 ports */

/* The IRQs of PIRQA to PIRQD, as SeaBIOS sets them. */
static const u8 pirq_route[PIRQS] = {10, 10, 11, 11};

struct acpi_machine acpi_machine_of(const struct board *board)
{
    const struct pci_device *power = board->pci.device[POWER];
    u16 pm_base = power ? pci_get16(&power->config[PMBA]) & PMBA_PORTS : 0;
    /* SeaBIOS divides the space in the same way. */
    return (struct acpi_machine){.facts = board->facts,
                                 .pci_memory =
                                     phys_low_ram_bytes(board->memory) <= 2ull << 30 ? 2u << 30 : 3u << 30,
                                 .pm_base = pm_base ? pm_base : ACPI_PM_BASE};
}

struct smbios_machine smbios_machine_of(const struct board *board, const struct cpu_model *cpu)
{
    return (struct smbios_machine){
        .memory_bytes = board->memory->ram_bytes,
        .low_memory_bytes = phys_low_ram_bytes(board->memory),
        .cpu = cpu->brand ? cpu->brand : cpu->name,
        .cpu_signature = cpu->signature,
        .cpu_features = cpu->f1_edx,
        .user = &board->options->firmware,
    };
}

/* --- chips --- */

static void write_config(struct port_bus *ports, u8 devfn, u8 offset, unsigned bytes, u32 value)
{
    ports_write(ports, CONFIG_ADDRESS, 4, 1u << 31 | devfn << 8 | (offset & ~3u));
    ports_write(ports, (u16)(CONFIG_DATA + (offset & 3)), bytes, value);
}

/* The next free ports and addresses for PCI devices. */
struct pci_room {
    u32 ports, memory;
};

#define FIRST_PORTS 0xc000

/* Give every base address register the next range. */
static void set_ranges(struct port_bus *ports, const struct pci_device *device, struct pci_room *next)
{
    u16 command = 0;
    for (unsigned n = 0; n < PCI_BARS; n++) {
        const struct pci_bar *bar = &device->bar[n];
        if (bar->kind == PCI_BAR_NONE) continue;
        u32 *at = bar->kind == PCI_BAR_PORTS ? &next->ports : &next->memory;
        *at = (u32)align_up(*at, bar->bytes);
        write_config(ports, device->devfn, (u8)(PCI_BAR0 + 4 * n), 4, *at);
        *at += bar->bytes;
        command |= bar->kind == PCI_BAR_PORTS ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    }
    if (command) write_config(ports, device->devfn, PCI_COMMAND, 2, command | PCI_COMMAND_MASTER);
}

static u8 route_of(u8 devfn, u8 pin)
{
    return pirq_route[pci_pirq(devfn, pin)];
}

/* Put the power management ports at ACPI_PM_BASE, give PCI devices their ranges, and make the SCI level-triggered.
 * The PIRQs are routed, but their interrupts stay edge-triggered: an operating system with ACPI switches those
 * that it uses, and Linux complains if the ELCR has other bits set before. */
static void set_up_chips(struct board *board)
{
    struct port_bus *ports = &board->ports;
    write_config(ports, POWER, PMBA, 4, ACPI_PM_BASE);
    write_config(ports, POWER, PMREGMISC, 1, 1);
    write_config(ports, POWER, PCI_COMMAND, 2, PCI_COMMAND_IO);
    write_config(ports, POWER, SMBBA, 4, ACPI_SMBUS_BASE);
    write_config(ports, POWER, SMBHSTCFG, 1, 9); /* enabled, interrupt 9 */
    for (u8 pirq = 0; pirq < PIRQS; pirq++)
        write_config(ports, ISA_BRIDGE, PIRQ_ROUTE + pirq, 1, pirq_route[pirq]);
    struct pci_room next = {.ports = FIRST_PORTS, .memory = acpi_machine_of(board).pci_memory};
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_device *device = board->pci.device[devfn];
        if (device) set_ranges(ports, device, &next);
        u8 pin = device ? device->config[PCI_INTERRUPT_PIN] : 0;
        if (pin) write_config(ports, (u8)devfn, PCI_INTERRUPT_LINE, 1, route_of((u8)devfn, pin));
    }
    write_config(ports, POWER, PCI_INTERRUPT_LINE, 1, SCI_IRQ);
    ports_write(ports, CONFIG_ADDRESS, 4, 0);
    ports_write(ports, ELCR + 1, 1, 1 << (SCI_IRQ - 8));
    ports_write(ports, DMA_2_MODE, 1, DMA_CASCADE);
    ports_write(ports, DMA_2_MASK, 1, 0);
}

/* --- tables --- */

static u32 assign(struct table_image *image, u32 at, u32 align)
{
    at = (u32)align_up(at, align);
    table_image_place(image, at);
    return at + image->used;
}

static void put(struct board *board, struct table_image *image)
{
    assert(image->base + image->used <= ONE_MB);
    table_image_settle(image);
    phys_write_bytes(board->memory, image->base, image->bytes, image->used);
}

struct tables {
    struct acpi_tables acpi;
    struct smbios_tables smbios;
    struct table_image mp;
};

#define PCI_INTERRUPTS_MAX 32

/* The power management function's interrupt is the SCI. */
static unsigned input_of(u8 devfn, u8 pin)
{
    return devfn == POWER ? SCI_IRQ : IOAPIC_PIN_PIRQA + pci_pirq(devfn, pin);
}

static void build_mp_table(const struct direct_machine *direct, struct table_image *image)
{
    struct mp_pci_interrupt interrupt[PCI_INTERRUPTS_MAX];
    const struct board *board = direct->board;
    struct mp_machine machine = {
        .cpu_signature = direct->cpu->signature, .cpu_features = direct->cpu->f1_edx, .pci = interrupt};
    for (unsigned devfn = 0; devfn < 256 && machine.pci_count < PCI_INTERRUPTS_MAX; devfn++) {
        const struct pci_device *device = board->pci.device[devfn];
        u8 pin = device ? device->config[PCI_INTERRUPT_PIN] : 0;
        if (pin)
            interrupt[machine.pci_count++] = (struct mp_pci_interrupt){
                .device = (u8)(devfn >> 3), .pin = pin - 1, .input = (u8)input_of((u8)devfn, pin)};
    }
    mp_table_build(image, &machine);
}

static void build(const struct direct_machine *direct, struct tables *tables)
{
    struct acpi_machine acpi = acpi_machine_of(direct->board);
    acpi_tables_build(&tables->acpi, &acpi);
    struct smbios_machine smbios = smbios_machine_of(direct->board, direct->cpu);
    smbios.with_bios = true;
    smbios_tables_build(&tables->smbios, &smbios);
    if (acpi.facts.apic) build_mp_table(direct, &tables->mp);
}

static void assign_tables(struct tables *tables)
{
    u32 at = assign(&tables->acpi.rsdp, DIRECT_RSDP, ACPI_RSDP_ALIGN);
    at = assign(&tables->mp, at, MP_TABLE_ALIGN);
    at = assign(&tables->smbios.anchor, at, SMBIOS_ALIGN);
    at = assign(&tables->smbios.tables, at, SMBIOS_ALIGN);
    assign(&tables->acpi.tables, at, ACPI_TABLES_ALIGN);
}

static void put_tables(struct board *board, struct tables *tables)
{
    assign_tables(tables);
    put(board, &tables->acpi.rsdp);
    put(board, &tables->acpi.tables);
    put(board, &tables->mp);
    put(board, &tables->smbios.anchor);
    put(board, &tables->smbios.tables);
}

/* --- interrupts --- */

/* The 8259 pair goes through LINT0 ("virtual wire mode", MP Specification 1.4 3.6.2.2), LINT1 is NMI. */
static void set_up_apic(struct apic_wires *wires)
{
    enum { SVR = 0xf0, LINT0 = 0x350, LINT1 = 0x360, ENABLED = 0x1ff };
    if (!wires->fitted) return;
    lapic_ops.write(&wires->lapic, SVR, 4, ENABLED);
    lapic_ops.write(&wires->lapic, LINT0, 4, APIC_EXTINT << APIC_DELIVERY_SHIFT);
    lapic_ops.write(&wires->lapic, LINT1, 4, APIC_NMI << APIC_DELIVERY_SHIFT);
}

static struct boot_screen start_chips(const struct direct_machine *direct, const char *command_line)
{
    set_up_chips(direct->board);
    struct boot_screen screen = direct_video(direct->video, command_line);
    set_up_apic(direct->apic);
    return screen;
}

struct boot_screen direct_start(const struct direct_machine *direct, const char *command_line)
{
    struct boot_screen screen = start_chips(direct, command_line);
    struct tables tables = {0};
    build(direct, &tables);
    put_tables(direct->board, &tables);
    return screen;
}

u32 direct_wake(const struct direct_machine *direct, const char *command_line)
{
    start_chips(direct, command_line);
    struct tables tables = {0};
    build(direct, &tables);
    assign_tables(&tables);
    u8 vector[4];
    phys_read_bytes(direct->board->memory, tables.acpi.tables.base + tables.acpi.waking_vector, vector,
                    sizeof vector);
    return get32(vector);
}
