#include "post.h"

#include "cpu/cpuid.h"
#include "load_common.h"
#include "mp_table.h"
#include "vm/vm.h"

#include <assert.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define ELCR           0x4d0
#define DMA_2_MASK     0xd4
#define DMA_2_MODE     0xd6
#define DMA_CASCADE    0xc0 /* channel 4: the way of channels 0-3 to the bus */

enum { ISA_BRIDGE = PCI_DEVFN(1, 0), IDE = PCI_DEVFN(1, 1), POWER = PCI_DEVFN(1, 3) };
enum {
    PIRQ_ROUTE = 0x60,
    PIRQS = 4,
    PMBA = 0x40,
    PMREGMISC = 0x80,
    SMBBA = 0x90,
    SMBHSTCFG = 0xd2,
    IDETIM = 0x40
};
#define IDE_BOTH_CHANNELS 0x80008000u /* are decoded */

/* Where PIRQA to PIRQD go, as SeaBIOS has it. */
static const u8 pirq_route[PIRQS] = {10, 10, 11, 11};

struct acpi_machine acpi_machine_of(const struct vm *vm)
{
    /* As SeaBIOS divides the space. */
    struct acpi_machine machine = {.pci_memory =
                                       phys_low_ram_bytes(&vm->phys) <= 2ull << 30 ? 2u << 30 : 3u << 30};
    for (unsigned n = 0; n < ACPI_SERIAL_PORTS; n++)
        machine.serial[n] = vm->chipset.serial_fitted[n];
    machine.floppy = vm->chipset.floppy.fitted;
    machine.apic = vm->chipset.apic.fitted;
    machine.hpet = vm->chipset.hpet.fitted;
    return machine;
}

struct smbios_machine smbios_machine_of(const struct vm *vm)
{
    const struct cpu_model *cpu = vm->options->cpu;
    return (struct smbios_machine){
        .memory_bytes = vm->phys.ram_bytes,
        .low_memory_bytes = phys_low_ram_bytes(&vm->phys),
        .cpu = cpu->brand ? cpu->brand : cpu->name,
        .cpu_signature = cpu->signature,
        .cpu_features = cpu->f1_edx,
    };
}

/* --- chips --- */

static void write_config(struct port_bus *ports, u8 devfn, u8 offset, unsigned bytes, u32 value)
{
    ports_write(ports, CONFIG_ADDRESS, 4, 1u << 31 | devfn << 8 | (offset & ~3u));
    ports_write(ports, (u16)(CONFIG_DATA + (offset & 3)), bytes, value);
}

/* Where the windows of PCI devices go. */
struct windows {
    u32 ports, memory;
};

#define FIRST_PORTS 0xc000

/* Every window a place, one behind the other. */
static void place_windows(struct port_bus *ports, const struct pci_device *device, struct windows *next)
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

/* The power management block to ACPI_PM_BASE, the windows of PCI devices to where there is room, the SCI
 * level-triggered. The PIRQs are routed, but their interrupts stay edge-triggered: an operating system with
 * ACPI switches those that it uses (and Linux complains if the ELCR says anything else before). */
static void set_up_chips(struct vm *vm)
{
    struct port_bus *ports = &vm->ports;
    write_config(ports, POWER, PMBA, 4, ACPI_PM_BASE);
    write_config(ports, POWER, PMREGMISC, 1, 1);
    write_config(ports, POWER, PCI_COMMAND, 2, PCI_COMMAND_IO);
    write_config(ports, POWER, SMBBA, 4, ACPI_SMBUS_BASE);
    write_config(ports, POWER, SMBHSTCFG, 1, 9); /* enabled, interrupt 9 */
    for (u8 pirq = 0; pirq < PIRQS; pirq++)
        write_config(ports, ISA_BRIDGE, PIRQ_ROUTE + pirq, 1, pirq_route[pirq]);
    write_config(ports, IDE, IDETIM, 4, IDE_BOTH_CHANNELS);
    struct windows next = {.ports = FIRST_PORTS, .memory = acpi_machine_of(vm).pci_memory};
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_device *device = vm->chipset.pci.device[devfn];
        if (device) place_windows(ports, device, &next);
        u8 pin = device ? device->config[PCI_INTERRUPT_PIN] : 0;
        if (pin) write_config(ports, (u8)devfn, PCI_INTERRUPT_LINE, 1, route_of((u8)devfn, pin));
    }
    write_config(ports, POWER, PCI_INTERRUPT_LINE, 1, ACPI_SCI_IRQ);
    ports_write(ports, CONFIG_ADDRESS, 4, 0);
    ports_write(ports, ELCR + 1, 1, 1 << (ACPI_SCI_IRQ - 8));
    ports_write(ports, DMA_2_MODE, 1, DMA_CASCADE);
    ports_write(ports, DMA_2_MASK, 1, 0);
}

/* --- tables --- */

static u32 place(struct table_image *image, u32 at, u32 align)
{
    at = (u32)align_up(at, align);
    table_image_place(image, at);
    return at + image->used;
}

static void put(struct vm *vm, struct table_image *image)
{
    assert(image->base + image->used <= ONE_MB);
    table_image_settle(image);
    phys_write_bytes(&vm->phys, image->base, image->bytes, image->used);
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
    return devfn == POWER ? ACPI_SCI_IRQ : IOAPIC_PIN_PIRQA + pci_pirq(devfn, pin);
}

static void build_mp_table(struct vm *vm, struct table_image *image)
{
    struct mp_pci_interrupt interrupt[PCI_INTERRUPTS_MAX];
    struct mp_machine machine = {.cpu_signature = vm->options->cpu->signature,
                                 .cpu_features = vm->options->cpu->f1_edx,
                                 .pci = interrupt};
    for (unsigned devfn = 0; devfn < 256 && machine.pci_count < PCI_INTERRUPTS_MAX; devfn++) {
        const struct pci_device *device = vm->chipset.pci.device[devfn];
        u8 pin = device ? device->config[PCI_INTERRUPT_PIN] : 0;
        if (pin)
            interrupt[machine.pci_count++] = (struct mp_pci_interrupt){
                .device = (u8)(devfn >> 3), .pin = pin - 1, .input = (u8)input_of((u8)devfn, pin)};
    }
    mp_table_build(image, &machine);
}

static void build(struct vm *vm, struct tables *tables)
{
    struct acpi_machine acpi = acpi_machine_of(vm);
    acpi_tables_build(&tables->acpi, &acpi);
    struct smbios_machine smbios = smbios_machine_of(vm);
    smbios.with_bios = true;
    smbios_tables_build(&tables->smbios, &smbios);
    if (acpi.apic) build_mp_table(vm, &tables->mp);
}

static void place_tables(struct tables *tables)
{
    u32 at = place(&tables->acpi.rsdp, POST_RSDP, ACPI_RSDP_ALIGN);
    at = place(&tables->mp, at, MP_TABLE_ALIGN);
    at = place(&tables->smbios.anchor, at, SMBIOS_ALIGN);
    at = place(&tables->smbios.tables, at, SMBIOS_ALIGN);
    place(&tables->acpi.tables, at, ACPI_TABLES_ALIGN);
}

static void put_tables(struct vm *vm, struct tables *tables)
{
    place_tables(tables);
    put(vm, &tables->acpi.rsdp);
    put(vm, &tables->acpi.tables);
    put(vm, &tables->mp);
    put(vm, &tables->smbios.anchor);
    put(vm, &tables->smbios.tables);
}

static void start_chips(struct vm *vm)
{
    set_up_chips(vm);
    video_post(&vm->chipset.video);
    apic_wires_post(&vm->chipset.apic);
}

void post(struct vm *vm)
{
    start_chips(vm);
    struct tables tables = {0};
    build(vm, &tables);
    put_tables(vm, &tables);
}

u32 post_wake(struct vm *vm)
{
    start_chips(vm);
    struct tables tables = {0};
    build(vm, &tables);
    place_tables(&tables);
    u8 vector[4];
    phys_read_bytes(&vm->phys, tables.acpi.tables.base + tables.acpi.waking_vector, vector, sizeof vector);
    return get32(vector);
}
