#include "wire_firmware.h"

#include "acpi_tables.h"
#include "base/log.h"
#include "board/board.h"
#include "board/cmos.h"
#include "cpu/cpuid.h"
#include "direct_start.h"
#include "kernel_rom.h"
#include "load_common.h"
#include "smbios_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_NAME     "bios-256k.bin"
#define ROM_MAX_BYTES  (256u << 10)
#define ITEM_MAX_BYTES (256u << 20)
#define BOOT_INDEX_MAX 100

/* --- files as items --- */

/* `what`: for messages. */
static bool put_host_file(struct fw_cfg *config, const char *what, const char *path, const char *item,
                          u32 most, char *error, size_t error_bytes)
{
    struct load load = {.error = error, .error_bytes = error_bytes};
    struct image file;
    if (image_open(&load, &file, what, path)) return false;
    u8 *data = NULL;
    bool good = false;
    if (file.bytes > most)
        load_fail(&load, STATUS_USAGE, "%s '%s' is larger than %u KB", what, path, most >> 10);
    else if (!(data = malloc(file.bytes ? file.bytes : 1)))
        load_fail(&load, STATUS_HOST, "out of memory");
    else if (!image_read(&load, &file, 0, data, file.bytes) &&
             !(good = fw_cfg_put_file(config, item, data, (u32)file.bytes, false)))
        load_fail(&load, STATUS_USAGE, "%s '%s': its name is too long, or there are too many", what, path);
    free(data);
    image_close(&file);
    return good;
}

/* Items "genroms/NAME": SeaBIOS runs all of these. */
static bool put_option_roms(struct firmware *f, char *error, size_t error_bytes)
{
    const struct boot_plan *plan = f->wiring.plan;
    for (unsigned n = 0; n < plan->option_roms; n++) {
        char item[FW_CFG_NAME_BYTES + 1];
        const char *slash = strrchr(plan->option_rom[n], '/');
        snprintf(item, sizeof(item), "genroms/%s", slash ? slash + 1 : plan->option_rom[n]);
        if (!put_host_file(&f->config, "option ROM", plan->option_rom[n], item, ROM_MAX_BYTES, error,
                           error_bytes))
            return false;
    }
    return true;
}

/* -fw_cfg, and the UUID. */
static bool put_user_items(struct firmware *f, char *error, size_t error_bytes)
{
    const struct firmware_options *user = &f->wiring.board->options->firmware;
    for (unsigned n = 0; n < user->items; n++) {
        const struct fw_cfg_option *item = &user->item[n];
        bool good = item->string ? fw_cfg_put_file(&f->config, item->name, item->string,
                                                   (u32)strlen(item->string), false)
                                 : put_host_file(&f->config, "-fw_cfg file", item->file, item->name,
                                                 ITEM_MAX_BYTES, error, error_bytes);
        if (!good && item->string) snprintf(error, error_bytes, "-fw_cfg %s: out of memory", item->name);
        if (!good) return false;
    }
    return true;
}

/* --- facts as items --- */

/* RAM in the format of INT 15h E820h: address, bytes, type. SeaBIOS removes reserved ranges itself. */
static bool put_memory_map(struct firmware *f)
{
    enum { ENTRY_BYTES = 20 };
    const struct phys *phys = f->wiring.board->memory;
    u64 low = phys_low_ram_bytes(phys), high = phys->ram_bytes - low;
    u8 map[2 * ENTRY_BYTES] = {0};
    put64(map + 8, low);
    put32(map + 16, MEMORY_RAM);
    put64(map + ENTRY_BYTES, PHYS_HIGH_RAM);
    put64(map + ENTRY_BYTES + 8, high);
    put32(map + ENTRY_BYTES + 16, MEMORY_RAM);
    return fw_cfg_put_file(&f->config, "etc/e820", map, high ? sizeof(map) : ENTRY_BYTES, false);
}

/* The tables name the ports of the power management, which firmware puts where it likes before it reads them: SeaBIOS
 * at 600h, OVMF at B000h. */
static void read_tables(void *source, u32 offset, u8 *buffer, u32 bytes)
{
    struct firmware *f = source;
    if (offset == 0) {
        struct acpi_machine machine = acpi_machine_of(f->wiring.board);
        memset(&f->acpi, 0, sizeof f->acpi);
        acpi_tables_build(&f->acpi, &machine);
    }
    memcpy(buffer, f->acpi.tables.bytes + offset, bytes);
}

static bool put_acpi(struct firmware *f)
{
    struct acpi_machine machine = acpi_machine_of(f->wiring.board);
    acpi_tables_build(&f->acpi, &machine);
    const struct table_file files[] = {
        {&f->acpi.rsdp, "etc/acpi/rsdp", TABLE_ZONE_F_SEGMENT, ACPI_RSDP_ALIGN},
        {&f->acpi.tables, "etc/acpi/tables", TABLE_ZONE_HIGH, ACPI_TABLES_ALIGN},
    };
    u32 bytes = table_script(files, ARRAY_SIZE(files), NULL);
    u8 *script = malloc(bytes);
    bool good = script != NULL;
    if (good) {
        table_script(files, ARRAY_SIZE(files), script);
        good = fw_cfg_put_file(&f->config, "etc/table-loader", script, bytes, false);
    }
    good = good && fw_cfg_put_file(&f->config, files[0].name, f->acpi.rsdp.bytes, f->acpi.rsdp.used, false) &&
           fw_cfg_put_source(&f->config, files[1].name, f->acpi.tables.used, read_tables, f);
    free(script);
    return good;
}

static bool put_smbios(struct firmware *f)
{
    struct smbios_tables smbios = {0};
    struct smbios_machine machine = smbios_machine_of(f->wiring.board, f->wiring.cpu);
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
    const struct boot_plan *plan = f->wiring.plan;
    if (!fw_cfg_put_number(&f->config, FW_CFG_BOOT_MENU, plan->menu, 2)) return false;
    if (plan->menu_wait_given && !put_little_number(f, "etc/boot-menu-wait", plan->menu_wait_ms, 2))
        return false;
    return put_little_number(f, "etc/boot-fail-wait", (u64)(s64)plan->fail_wait_ms, 4);
}

/* Sleep states S0 to S5, a byte each: bit 7, the machine has it; bits 2-0, its SLP_TYP. QEMU has the same file;
 * firmware that makes the ACPI tables itself reads it there. S1, S2 and S4 are missing, as in the ACPI tables. */
static bool put_sleep_states(struct firmware *f)
{
    enum { HAS_STATE = 0x80, SLEEP_OFF = 0, SLEEP_TO_RAM = 1 };
    u8 to_ram = f->wiring.board->facts.suspend ? HAS_STATE | SLEEP_TO_RAM : 0;
    u8 states[6] = {[0] = HAS_STATE, [3] = to_ram, [5] = HAS_STATE | SLEEP_OFF};
    return fw_cfg_put_file(&f->config, "etc/system-states", states, sizeof(states), false);
}

/* What firmware asks about the machine. */
static bool put_machine(struct firmware *f)
{
    const struct firmware_options *user = &f->wiring.board->options->firmware;
    return fw_cfg_put(&f->config, FW_CFG_UUID, user->uuid, UUID_BYTES) &&
           fw_cfg_put_number(&f->config, FW_CFG_CPUS, 1, 2) &&
           fw_cfg_put_number(&f->config, FW_CFG_MAX_CPUS, 1, 2) && put_boot_plan(f) && put_memory_map(f) &&
           put_sleep_states(f) && put_acpi(f) && put_smbios(f);
}

/* The kernel's ROM, then the paths of devices with a boot index, in order. Each has a line. */
static bool put_boot_order(struct firmware *f)
{
    const struct board *board = f->wiring.board;
    char list[(1 + BOARD_BOOT_ENTRIES) * (sizeof(board->boot_entry[0].path) + 1)] = "";
    size_t used = 0;
    if (f->kernel) used = (size_t)snprintf(list, sizeof(list), "/rom@%s", KERNEL_ROM_FILE);
    for (unsigned index = 1; index <= BOOT_INDEX_MAX; index++)
        for (unsigned n = 0; n < board->boot_entries; n++) {
            if (board->boot_entry[n].index != index) continue;
            used += (size_t)sprintf(list + used, "%s%s", used ? "\n" : "", board->boot_entry[n].path);
        }
    return !used || fw_cfg_put_file(&f->config, "bootorder", list, (u32)used + 1, false);
}

/* --- power --- */

bool firmware_runs(const struct firmware *f)
{
    return !f->wiring.files->kernel || f->kernel;
}

/* The kernel that firmware starts, if it is not started directly. Firmware that the user names starts it unless --start
 * says otherwise. By its looks nothing tells a BIOS from UEFI firmware, so the kernel is there for both. */
static bool put_kernel(struct firmware *f, bool own, char *error, size_t error_bytes)
{
    struct boot_files files = *f->wiring.files;
    if (own && files.way == BOOT_WAY_USUAL) files.way = BOOT_WAY_FIRMWARE;
    if (loader_make_rom(f->wiring.board->memory, f->wiring.cpu, &files, &f->kernel, error, error_bytes))
        return false;
    if (!f->kernel) return true;
    struct load load = {.files = &files, .error = error, .error_bytes = error_bytes};
    if (own && kernel_items_install(&load, &f->items, &f->config)) return false;
    if (kernel_rom_install(f->kernel, &f->config)) return true;
    snprintf(error, error_bytes, "out of memory");
    return false;
}

bool firmware_init(struct firmware *f, const struct firmware_wiring *wiring, char *error, size_t error_bytes)
{
    struct board *board = wiring->board;
    bool flash = board->facts.flash;
    f->wiring = *wiring;
    if (flash && wiring->files->firmware) {
        snprintf(error, error_bytes,
                 "a firmware image and a flash chip with firmware cannot both be started");
        return false;
    }
    if (!fw_cfg_init(&f->config, &board->dma)) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    if (!put_kernel(f, flash || wiring->files->firmware, error, error_bytes)) return false;
    if (!put_machine(f) || !put_boot_order(f)) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    ports_claim(&board->ports, 0x510, 2, 2, &fw_cfg_ops, &f->config);
    ports_claim(&board->ports, 0x514, 8, 4, &fw_cfg_dma_ops, &f->config);
    if (!put_user_items(f, error, error_bytes)) return false;
    if (!firmware_runs(f)) return true;
    if (!flash && !firmware_find(board->options->firmware_directory, IMAGE_NAME, f->image) &&
        !wiring->files->firmware) {
        snprintf(error, error_bytes,
                 "there is no firmware '%s': SeaBIOS is missing (Debian's package seabios)%s", f->image,
                 f->kernel ? "; without --start=direct it starts this kernel" : "");
        return false;
    }
    return put_option_roms(f, error, error_bytes);
}

void firmware_destroy(struct firmware *f)
{
    if (!f->wiring.board) return;
    fw_cfg_destroy(&f->config);
    kernel_items_destroy(&f->items);
    kernel_rom_free(f->kernel);
}

void firmware_reset(struct firmware *f)
{
    const struct boot_plan *plan = f->wiring.plan;
    bool once = !f->started && plan->once[0] != BOOT_NOTHING;
    cmos_set_boot_order(f->wiring.rtc, once ? plan->once : plan->order);
    f->started = true;
    fw_cfg_reset(&f->config);
}
