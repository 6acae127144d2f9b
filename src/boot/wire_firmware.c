#include "wire_firmware.h"

#include "acpi_tables.h"
#include "cpu/cpuid.h"
#include "kernel_rom.h"
#include "load_common.h"
#include "post.h"
#include "smbios_tables.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_NAME     "bios-256k.bin"
#define LOG_PORT       0x402
#define ROM_MAX_BYTES  (256u << 10)
#define BOOT_INDEX_MAX 100

static const char *const usual_directories[] = {"/usr/share/seabios", "/usr/share/qemu"};

bool firmware_find(const char *directory, const char *name, char path[FIRMWARE_PATH_BYTES])
{
    const char *const *list = directory ? &directory : usual_directories;
    unsigned count = directory ? 1 : ARRAY_SIZE(usual_directories);
    for (unsigned n = 0; n < count; n++) {
        snprintf(path, FIRMWARE_PATH_BYTES, "%s/%s", list[n], name);
        if (!access(path, R_OK)) return true;
    }
    snprintf(path, FIRMWARE_PATH_BYTES, "%s/%s", list[0], name);
    return false;
}

/* --- files as items --- */

static bool put_rom_file(struct fw_cfg *config, const char *path, const char *item, char *error,
                         size_t error_bytes)
{
    struct load load = {.error = error, .error_bytes = error_bytes};
    struct image file;
    if (image_open(&load, &file, "option ROM", path)) return false;
    u8 *data = NULL;
    bool good = false;
    if (file.bytes > ROM_MAX_BYTES)
        load_fail(&load, STATUS_USAGE, "option ROM '%s' is larger than %u KB", path, ROM_MAX_BYTES >> 10);
    else if (!(data = malloc(file.bytes)))
        load_fail(&load, STATUS_HOST, "out of memory");
    else if (!image_read(&load, &file, 0, data, file.bytes) &&
             !(good = fw_cfg_put_file(config, item, data, (u32)file.bytes, false)))
        load_fail(&load, STATUS_USAGE, "option ROM '%s': its name is too long, or there are too many", path);
    free(data);
    image_close(&file);
    return good;
}

/* "genroms/" in front of the file's own name: SeaBIOS starts all of these. */
static bool put_option_roms(struct firmware *f, char *error, size_t error_bytes)
{
    const struct options *o = f->vm->options;
    for (unsigned n = 0; n < o->option_rom_count; n++) {
        char item[FW_CFG_NAME_BYTES + 1];
        const char *slash = strrchr(o->option_rom[n], '/');
        snprintf(item, sizeof(item), "genroms/%s", slash ? slash + 1 : o->option_rom[n]);
        if (!put_rom_file(&f->config, o->option_rom[n], item, error, error_bytes)) return false;
    }
    return true;
}

/* --- facts as items --- */

/* RAM as INT 15h E820h tells it: address, bytes, type. SeaBIOS takes reservations out by itself. */
static bool put_memory_map(struct firmware *f)
{
    enum { ENTRY_BYTES = 20 };
    const struct phys *phys = &f->vm->phys;
    u64 low = phys_low_ram_bytes(phys), high = phys->ram_bytes - low;
    u8 map[2 * ENTRY_BYTES] = {0};
    put64(map + 8, low);
    put32(map + 16, MEMORY_RAM);
    put64(map + ENTRY_BYTES, PHYS_HIGH_RAM);
    put64(map + ENTRY_BYTES + 8, high);
    put32(map + ENTRY_BYTES + 16, MEMORY_RAM);
    return fw_cfg_put_file(&f->config, "etc/e820", map, high ? sizeof(map) : ENTRY_BYTES, false);
}

static bool put_acpi(struct firmware *f, const struct acpi_machine *machine)
{
    struct acpi_tables acpi = {0};
    acpi_tables_build(&acpi, machine);
    const struct table_file files[] = {
        {&acpi.rsdp, "etc/acpi/rsdp", TABLE_ZONE_F_SEGMENT, ACPI_RSDP_ALIGN},
        {&acpi.tables, "etc/acpi/tables", TABLE_ZONE_HIGH, ACPI_TABLES_ALIGN},
    };
    u32 bytes = table_script(files, ARRAY_SIZE(files), NULL);
    u8 *script = malloc(bytes);
    bool good = script != NULL;
    if (good) {
        table_script(files, ARRAY_SIZE(files), script);
        good = fw_cfg_put_file(&f->config, "etc/table-loader", script, bytes, false);
    }
    for (unsigned n = 0; n < ARRAY_SIZE(files); n++)
        good = good &&
               fw_cfg_put_file(&f->config, files[n].name, files[n].image->bytes, files[n].image->used, false);
    free(script);
    return good;
}

static bool put_smbios(struct firmware *f)
{
    struct smbios_tables smbios = {0};
    struct smbios_machine machine = smbios_machine_of(f->vm);
    smbios_tables_build(&smbios, &machine);
    return fw_cfg_put_file(&f->config, "etc/smbios/smbios-anchor", smbios.anchor.bytes, smbios.anchor.used,
                           false) &&
           fw_cfg_put_file(&f->config, "etc/smbios/smbios-tables", smbios.tables.bytes, smbios.tables.used,
                           false);
}

static bool put_little_number(struct firmware *f, const char *name, u64 value, u32 bytes)
{
    u8 data[8];
    put64(data, value);
    return fw_cfg_put_file(&f->config, name, data, bytes, false);
}

/* SeaBIOS, docs/Runtime_config.md. */
static bool put_boot_plan(struct firmware *f)
{
    const struct boot_plan *plan = &f->vm->options->boot_plan;
    if (!fw_cfg_put_number(&f->config, FW_CFG_BOOT_MENU, plan->menu, 2)) return false;
    if (plan->menu_wait_given && !put_little_number(f, "etc/boot-menu-wait", plan->menu_wait_ms, 2))
        return false;
    return put_little_number(f, "etc/boot-fail-wait", (u64)(s64)plan->fail_wait_ms, 4);
}

static bool put_facts(struct firmware *f)
{
    /* Sleep states S0 to S5: bit 7 there is such, the rest its SLP_TYP. There are S0 and S5. */
    static const u8 states[] = {0x80, 0, 0, 1, 2, 0x80};
    struct acpi_machine machine = acpi_machine_of(f->vm);
    return fw_cfg_put_number(&f->config, FW_CFG_CPUS, 1, 2) &&
           fw_cfg_put_number(&f->config, FW_CFG_MAX_CPUS, 1, 2) && put_boot_plan(f) && put_memory_map(f) &&
           fw_cfg_put_file(&f->config, "etc/system-states", states, sizeof(states), false) &&
           put_acpi(f, &machine) && put_smbios(f);
}

/* Where SeaBIOS looks a drive up in its list (src/boot.c there): a path of Open Firmware. */
static void boot_path(const struct drive *drive, char *path, size_t bytes)
{
    if (drive->slot)
        snprintf(path, bytes, "/pci@i0cf8/scsi@%x/disk@0,0", drive->slot);
    else if (drive->interface == DRIVE_IDE)
        snprintf(path, bytes, "/pci@i0cf8/ide@1,1/drive@%u/disk@%u", drive->index / 2, drive->index % 2);
    else
        snprintf(path, bytes, "/pci@i0cf8/isa@1/fdc@03f0/floppy@%u", drive->index);
}

/* The kernel's ROM, and then the drives that have a boot index, in its order, a line each. */
static bool put_boot_order(struct firmware *f)
{
    const struct drives *drives = &f->vm->drives;
    char list[(DRIVES_MAX + 1) * 64] = "";
    size_t used = 0;
    if (f->kernel) used = (size_t)snprintf(list, sizeof(list), "/rom@%s", KERNEL_ROM_FILE);
    for (unsigned index = 1; index <= BOOT_INDEX_MAX; index++)
        for (unsigned n = 0; n < drives->count; n++) {
            if (drives->drive[n].boot_index != index) continue;
            if (used) list[used++] = '\n';
            boot_path(&drives->drive[n], list + used, sizeof(list) - used);
            used += strlen(list + used);
        }
    return !used || fw_cfg_put_file(&f->config, "bootorder", list, (u32)used + 1, false);
}

static void tell_disks(struct vm *vm)
{
    u64 bytes[CMOS_DISKS] = {0};
    for (unsigned n = 0; n < CMOS_DISKS; n++) {
        struct drive *drive = drives_at(&vm->drives, DRIVE_IDE, n);
        if (drive && drive->medium == MEDIUM_DISK) bytes[n] = drive_disk(drive)->bytes;
    }
    cmos_set_disks(&vm->chipset.rtc, bytes);
}

/* --- the log --- */

static void log_byte(void *sink, u8 byte)
{
    struct firmware *f = sink;
    chardev_put(&f->log_back_end, byte);
    if (byte == '\n') chardev_flush(&f->log_back_end);
}

static bool open_log(struct firmware *f, char *error, size_t error_bytes)
{
    const char *specification = f->vm->options->firmware_log;
    if (!specification) return true;
    if (f->vm->role == MACHINE_FOLLOWER) specification = "null";
    if (!chardev_open(&f->log_back_end, specification, error, error_bytes)) return false;
    debug_console_init(&f->log, log_byte, f);
    ports_claim(&f->vm->ports, LOG_PORT, 1, 1, &debug_console_ops, &f->log);
    return true;
}

void firmware_flush_output(struct firmware *f)
{
    chardev_flush(&f->log_back_end);
}

/* --- power --- */

bool firmware_runs(const struct firmware *f)
{
    return !f->vm->options->boot.kernel || f->kernel;
}

bool firmware_init(struct firmware *f, struct vm *vm, char *error, size_t error_bytes)
{
    struct dma dma = phys_dma(&vm->phys);
    f->vm = vm;
    f->log_back_end.in_fd = f->log_back_end.out_fd = -1;
    if (loader_make_rom(&vm->vcpu, &vm->options->boot, &f->kernel, error, error_bytes)) return false;
    if (!fw_cfg_init(&f->config, &dma) || !put_facts(f) || !put_boot_order(f) ||
        (f->kernel && !kernel_rom_install(f->kernel, &f->config))) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    tell_disks(vm);
    ports_claim(&vm->ports, 0x510, 2, 2, &fw_cfg_ops, &f->config);
    ports_claim(&vm->ports, 0x514, 8, 4, &fw_cfg_dma_ops, &f->config);
    if (!open_log(f, error, error_bytes)) return false;
    if (!firmware_runs(f)) return true;
    if (!firmware_find(vm->options->firmware_directory, IMAGE_NAME, f->image) &&
        !vm->options->boot.firmware) {
        snprintf(error, error_bytes,
                 "there is no firmware '%s': SeaBIOS is missing (Debian's package seabios)%s", f->image,
                 f->kernel ? ", which this kernel is started by unless --start=direct is given" : "");
        return false;
    }
    return put_option_roms(f, error, error_bytes);
}

void firmware_destroy(struct firmware *f)
{
    if (!f->vm) return;
    chardev_close(&f->log_back_end);
    fw_cfg_destroy(&f->config);
    kernel_rom_free(f->kernel);
}

void firmware_reset(struct firmware *f)
{
    const struct boot_plan *plan = &f->vm->options->boot_plan;
    bool once = !f->started && plan->once[0] != BOOT_NOTHING;
    cmos_set_boot_order(&f->vm->chipset.rtc, once ? plan->once : plan->order);
    f->started = true;
    fw_cfg_reset(&f->config);
}
