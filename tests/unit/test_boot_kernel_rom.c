/*
 * Kernels that firmware starts. Hazards: boot data under a piece of the kernel, pieces in the firmware's memory, and
 * bytes of the stream that arrive at wrong addresses. The test does the work of the ROM: it reads the record as
 * kernel_rom.S does. firmware/multiboot runs the ROM itself.
 */
#include "boot/load_common.h"
#include "load_fixture.h"

enum { FILE_BYTES = 0x6000, RECORD = 0x50 };

static u8 image[FILE_BYTES];

static u32 big(u32 value)
{
    return __builtin_bswap32(value);
}

/* A Multiboot header with addresses: bytes [0, to - from) to `from`, zeros up to bss_end. */
static void make_multiboot(u32 from, u32 to, u32 bss_end)
{
    for (unsigned n = 0; n < FILE_BYTES; n++)
        image[n] = (u8)(n * 11 + n / 256 + 5);
    const u32 header[] = {0x1badb002, 1 << 16,  0 - 0x1badb002 - (1 << 16), from, from, to,
                          bss_end,    from + 64};
    memcpy(image, header, sizeof header);
}

static struct load_fixture *ready(u32 from, u32 to, u32 bss_end)
{
    struct load_fixture *f = fixture_new(16 * MB);
    make_multiboot(from, to, bss_end);
    write_file(f->path[0], image, sizeof image);
    f->files.kernel = f->path[0];
    f->files.append = "quiet";
    return f;
}

static void read_memory(void *memory, u64 gpa, void *data, u64 bytes)
{
    memcpy(data, ((struct phys *)memory)->ram + gpa, bytes);
}

static void write_memory(void *memory, u64 gpa, const void *data, u64 bytes)
{
    memcpy(((struct phys *)memory)->ram + gpa, data, bytes);
}

static void request(struct fw_cfg *config, u32 gpa)
{
    fw_cfg_dma_ops.write(config, 0, 4, 0);
    fw_cfg_dma_ops.write(config, 4, 4, big(gpa));
}

static u32 record32(const u8 *rom, unsigned offset)
{
    return get32(rom + RECORD + offset);
}

/* Installs the ROM and does its work up to the memory map and after it. Leaves the ROM's image at `rom`. */
static void play(struct load_fixture *f, struct kernel_rom *kernel, u8 rom[1024])
{
    struct dma dma = {.memory = &f->rig->phys, .read = read_memory, .write = write_memory};
    struct fw_cfg config;
    CHECK(fw_cfg_init(&config, &dma));
    CHECK(kernel_rom_install(kernel, &config));
    const struct fw_cfg_item *item = NULL;
    for (unsigned n = 0; n < config.count; n++)
        if (!strcmp(config.item[n].name, KERNEL_ROM_FILE)) item = &config.item[n];
    CHECK(item && item->bytes == 1024);
    if (item) {
        u8 sum = 0;
        memcpy(rom, item->data, 1024);
        for (unsigned n = 0; n < 1024; n++)
            sum += rom[n];
        CHECK_EQ(sum, 0);
        CHECK_EQ(get16(rom), 0xaa55);
        CHECK_EQ(rom[2], 2); /* of 512 bytes */
        memcpy(f->rig->phys.ram + 0x7000, rom + RECORD + 4, 16);
        request(&config, 0x7000);
        CHECK_EQ(guest32(f, 0x7000), 0);
        for (u32 n = 0; n < record32(rom, 24); n++) {
            u32 at = record32(rom, 20) + 16 * n;
            request(&config, at);
            CHECK_EQ(guest32(f, at), 0);
        }
    }
    fw_cfg_destroy(&config);
}

static void test_multiboot(void)
{
    struct load_fixture *f = ready(2 * MB, 2 * MB + FILE_BYTES, 2 * MB + 0x9000);
    u8 rom[1024] = {0};
    memset(f->rig->phys.ram + 2 * MB, 0xee, MB);
    struct kernel_rom *kernel = make_rom(f);
    CHECK(kernel != NULL);
    if (kernel) {
        play(f, kernel, rom);
        CHECK(!memcmp(guest(f, 2 * MB), image, FILE_BYTES));
        CHECK_EQ(guest32(f, 2 * MB + FILE_BYTES), 0);
        CHECK_EQ(guest32(f, 2 * MB + 0x9000 - 4), 0);
        CHECK_EQ(guest32(f, 2 * MB + 0x9000), 0xeeeeeeee);
        u32 information = kernel->registers.ebx;
        CHECK_EQ(kernel->registers.eax, 0x2badb002);
        CHECK_EQ(kernel->information, information);
        CHECK_EQ(kernel->eip, 2 * MB + 64);
        CHECK_EQ(guest32(f, information + 48), kernel->map);
        CHECK_EQ(guest32(f, information + 44), 0); /* the ROM counts */
        const char *line = (const char *)guest(f, guest32(f, information + 16));
        CHECK(strlen(line) > 6 && !strcmp(line + strlen(line) - 6, " quiet"));
        CHECK_EQ(guest32(f, kernel->gdt + 0x10), 0x0000ffff);
    }
    kernel_rom_free(kernel);
    fixture_free(f);
}

/* The boot data does not overlap the kernel, wherever in low memory the kernel is. */
static void test_low_kernel(void)
{
    static const u32 starts[] = {0x600, 0x8000, 0x10000, 0x40000, 0x8f000, 0x90000};
    for (unsigned n = 0; n < ARRAY_SIZE(starts); n++) {
        struct load_fixture *f = ready(starts[n], starts[n] + FILE_BYTES, starts[n] + 0xa000);
        u8 rom[1024] = {0};
        struct kernel_rom *kernel = make_rom(f);
        CHECK(kernel != NULL);
        if (kernel) {
            u32 data = kernel->data_gpa, end = data + kernel->data_bytes;
            CHECK(data >= 0x8000 && end <= 0x90000);
            CHECK(end <= starts[n] || data >= starts[n] + 0xa000);
            play(f, kernel, rom);
            CHECK(!memcmp(guest(f, starts[n]), image, FILE_BYTES));
        }
        kernel_rom_free(kernel);
        fixture_free(f);
    }
}

/* A segment that begins in the page below 1 MB: the part that would go to the BIOS' ROM is left out. */
static void test_page_below(void)
{
    struct load_fixture *f = ready(MB - 0x1000, MB - 0x1000 + FILE_BYTES, 0);
    u8 rom[1024] = {0};
    memset(f->rig->phys.ram + MB - 0x1000, 0xee, 0x2000);
    struct kernel_rom *kernel = make_rom(f);
    CHECK(kernel != NULL);
    if (kernel) {
        play(f, kernel, rom);
        CHECK_EQ(guest32(f, MB - 4), 0xeeeeeeee);
        CHECK(!memcmp(guest(f, MB), image + 0x1000, FILE_BYTES - 0x1000));
    }
    kernel_rom_free(kernel);
    fixture_free(f);
}

#define CHECK_NO_ROM(f, words)                                                                               \
    do {                                                                                                     \
        struct kernel_rom *rom = make_rom(f);                                                                \
        CHECK(rom == NULL);                                                                                  \
        CHECK(strstr((f)->error, words) != NULL);                                                            \
        kernel_rom_free(rom);                                                                                \
    } while (0)

static void test_refusals(void)
{
    struct load_fixture *f = ready(0x9c000, 0x9c000 + FILE_BYTES, 0); /* the extended BIOS data area */
    CHECK_NO_ROM(f, "is used by the firmware");
    fixture_free(f);
    f = ready(0xb0000, 0xb0000 + FILE_BYTES, 0); /* video memory */
    CHECK_NO_ROM(f, "is used by the firmware");
    fixture_free(f);
    f = ready(16 * MB - FILE_BYTES, 16 * MB, 0); /* ACPI tables */
    CHECK_NO_ROM(f, "is used by the firmware");
    fixture_free(f);
    f = ready(0x1000, 0x1000 + FILE_BYTES, 0x9f000); /* no room for boot data */
    CHECK_NO_ROM(f, "does not fit in memory");
    fixture_free(f);
}

/* A program with a bzImage's header. */
static void make_bzimage(u16 version, u8 loadflags)
{
    for (unsigned n = 0; n < FILE_BYTES; n++)
        image[n] = (u8)(n * 17 + n / 256 + 9);
    memset(image + 0x1f1, 0, 0x268 - 0x1f1);
    image[0x1f1] = 4;
    set32(image + 0x1f4, (FILE_BYTES - 5 * 512) / 16);
    set16(image + 0x1fe, 0xaa55);
    image[0x201] = version >= 0x202 ? 0x66 : 0x24;
    memcpy(image + 0x202, "HdrS", 4);
    set16(image + 0x206, version);
    image[0x211] = loadflags;
    if (version >= 0x203) set32(image + 0x22c, 0x37ffffff);
    if (version >= 0x206) set32(image + 0x238, 255);
}

static void test_linux16(u16 version, u8 loadflags, u32 base, u32 stack_end, u32 payload_at)
{
    struct load_fixture *f = fixture_new(16 * MB);
    make_bzimage(version, loadflags);
    write_file(f->path[0], image, sizeof image);
    write_file(f->path[1], "an initrd", 9);
    f->files.kernel = f->path[0];
    f->files.initrd = f->path[1];
    f->files.append = "quiet";
    u8 rom[1024] = {0};
    struct kernel_rom *kernel = make_rom(f);
    CHECK(kernel != NULL);
    if (kernel) {
        play(f, kernel, rom);
        CHECK_EQ(kernel->gdt, 0);
        CHECK_EQ(kernel->code_segment, base / 16 + 0x20);
        CHECK_EQ(kernel->data_segment, base / 16);
        CHECK_EQ(kernel->eip, 0);
        CHECK_EQ(kernel->registers.esp, stack_end);
        CHECK(!memcmp(guest(f, payload_at), image + 5 * 512, FILE_BYTES - 5 * 512));
        CHECK(!memcmp(guest(f, base + 0x268), image + 0x268, 5 * 512 - 0x268)); /* code, as it is */
        CHECK(!strcmp((const char *)guest(f, base + stack_end), "quiet"));
        CHECK_EQ(guest(f, base + 0x210)[0], 0xff);
        if (version >= 0x202)
            CHECK_EQ(guest32(f, base + 0x228), base + stack_end);
        else
            CHECK_EQ(get16(guest(f, base + 0x20)), 0xa33f);
        CHECK(!memcmp(guest(f, guest32(f, base + 0x218)), "an initrd", 9));
        CHECK_EQ(guest32(f, base + 0x21c), 9);
    }
    kernel_rom_free(kernel);
    fixture_free(f);
}

int main(void)
{
    test_multiboot();
    test_low_kernel();
    test_page_below();
    test_refusals();
    test_linux16(0x207, 1, 0x20000, 0xe000, 0x100000);
    test_linux16(0x201, 1, 0x90000, 0x9800, 0x100000);
    test_linux16(0x203, 0, 0x90000, 0x9800, 0x10000); /* a zImage */
    return check_report();
}
