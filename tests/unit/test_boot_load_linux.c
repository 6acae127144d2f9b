/*
 * bzImage by the 32-bit and the 64-bit boot protocol, and what all loaders share, on synthetic images: the hazards are
 * memory beyond the file, beyond RAM, or under the kernel.
 */
#include "load_fixture.h"

enum {
    SETUP_SECTORS = 3,
    PAYLOAD = (SETUP_SECTORS + 1) * 512,
    PAYLOAD_BYTES = 0x3000,
    IMAGE = PAYLOAD + PAYLOAD_BYTES
};

static u8 image[IMAGE];

static void make_image(void)
{
    memset(image, 0, sizeof image);
    for (unsigned n = 0; n < PAYLOAD_BYTES; n++)
        image[PAYLOAD + n] = (u8)(n * 13 + n / 256 + 1);
    image[0x1f1] = SETUP_SECTORS;
    set32(image + 0x1f4, PAYLOAD_BYTES / 16);
    set16(image + 0x1fe, 0xaa55);
    image[0x201] = 0x66; /* to 268h */
    memcpy(image + 0x202, "HdrS", 4);
    set16(image + 0x206, 0x20f);
    image[0x211] = 1;
    set32(image + 0x214, 0x100000);
    set32(image + 0x22c, 0x37ffffff);
    set32(image + 0x230, 0x200000); /* alignment */
    image[0x234] = 1;
    set32(image + 0x238, 255);
    set32(image + 0x258, 0x400000);     /* preferred address */
    set32(image + 0x260, 0x300000);     /* init_size: up to 7 MB */
    memset(image + 0x268, 0xee, 0x200); /* code, not header */
}

static struct load_fixture *ready(u64 ram_bytes)
{
    struct load_fixture *f = fixture_new(ram_bytes);
    make_image();
    write_file(f->path[0], image, sizeof image);
    f->files.kernel = f->path[0];
    return f;
}

static void test_load(void)
{
    struct load_fixture *f = ready(16 * MB);
    u8 initrd[5000];
    for (unsigned n = 0; n < sizeof initrd; n++)
        initrd[n] = (u8)(n * 31 + 5);
    write_file(f->path[1], initrd, sizeof initrd);
    f->files.initrd = f->path[1];
    f->files.append = "console=ttyS0 quiet";
    CHECK_EQ(load_files(f), 0);
    check_flat(f);
    const struct vcpu *v = &f->rig->vcpu;
    CHECK_EQ(v->rip, 0x100000);
    CHECK_EQ(v->gpr[REG_EBX] | v->gpr[REG_EBP] | v->gpr[REG_EDI], 0);
    CHECK(!memcmp(guest(f, 0x100000), image + PAYLOAD, PAYLOAD_BYTES));

    u32 zero_page = (u32)v->gpr[REG_ESI];
    CHECK(zero_page && zero_page < 0x9f000 && !(zero_page & 15));
    const u8 *page = guest(f, zero_page);
    CHECK_EQ(page[0x06], 3);
    CHECK_EQ(page[0x07], 80);
    CHECK_EQ(page[0x0e], 25);
    CHECK_EQ(page[0x0f], 1);
    CHECK_EQ(page[0x10], 16);
    CHECK_EQ(page[0x1ef], 0);                        /* sentinel */
    CHECK_EQ(guest32(f, zero_page + 0x70), 0xf0000); /* acpi_rsdp_addr */
    CHECK(!memcmp(page + 0x202, "HdrS", 4));
    CHECK_EQ(page[0x210], 0xff);
    CHECK_EQ(page[0x268] | page[0x28f], 0); /* what lies behind the header in the file is not copied */
    CHECK(!strcmp((char *)guest(f, guest32(f, zero_page + 0x228)), "console=ttyS0 quiet"));
    u32 ramdisk = guest32(f, zero_page + 0x218);
    CHECK_EQ(guest32(f, zero_page + 0x21c), sizeof initrd);
    CHECK_EQ(ramdisk, 16 * MB - 8192); /* as high as it goes */
    CHECK(!memcmp(guest(f, ramdisk), initrd, sizeof initrd));
    /* Once more, as after a reset, with a page that holds code meanwhile. */
    *phys_flags(&f->rig->phys, 0x100000) |= PHYS_CODE;
    memset(guest(f, 0x100000), 0, 0x1000);
    CHECK_EQ(load_files(f), 0);
    CHECK(!memcmp(guest(f, 0x100000), image + PAYLOAD, PAYLOAD_BYTES));
    fixture_free(f);
}

static void check_e820(u64 ram_bytes, const u64 (*expected)[3], unsigned count)
{
    struct load_fixture *f = ready(ram_bytes);
    CHECK_EQ(load_files(f), 0);
    u32 zero_page = (u32)f->rig->vcpu.gpr[REG_ESI];
    CHECK_EQ(*guest(f, zero_page + 0x1e8), count);
    for (unsigned n = 0; n < count; n++) {
        u64 entry[2];
        memcpy(entry, guest(f, zero_page + 0x2d0 + n * 20), 16);
        CHECK_EQ(entry[0], expected[n][0]);
        CHECK_EQ(entry[1], expected[n][1]);
        CHECK_EQ(guest32(f, zero_page + 0x2d0 + n * 20 + 16), expected[n][2]);
    }
    fixture_free(f);
}

static void test_memory_map(void)
{
    static const u64 small[][3] = {
        {0, 0x9fc00, 1},         {0x9fc00, 0x400, 2},      {0xf0000, 0x10000, 2},
        {0x100000, 0xf00000, 1}, {0xfffc0000, 0x40000, 2},
    };
    static const u64 large[][3] = {
        {0, 0x9fc00, 1},           {0x9fc00, 0x400, 2},      {0xf0000, 0x10000, 2},
        {0x100000, 0xbff00000, 1}, {0xfffc0000, 0x40000, 2}, {0x100000000, 0x20000000, 1},
    };
    check_e820(16 * MB, small, ARRAY_SIZE(small));
    check_e820(0xe0000000, large, ARRAY_SIZE(large));
}

static void test_initrd_limits(void)
{
    struct load_fixture *f = ready(16 * MB);
    u8 *initrd = calloc(10, MB);
    f->files.initrd = f->path[1];
    write_file(f->path[1], initrd, 9 * MB + 1); /* the kernel needs 7 of 16 */
    CHECK_REFUSED(f, "does not fit in memory");
    write_file(f->path[1], initrd, 9 * MB);
    CHECK_EQ(load_files(f), 0);
    CHECK_EQ(guest32(f, f->rig->vcpu.gpr[REG_ESI] + 0x218), 7 * MB);
    set32(image + 0x22c, 12 * MB - 1); /* initrd_addr_max */
    write_file(f->path[0], image, sizeof image);
    write_file(f->path[1], initrd, 5 * MB);
    CHECK_EQ(load_files(f), 0);
    CHECK_EQ(guest32(f, f->rig->vcpu.gpr[REG_ESI] + 0x218), 7 * MB);
    write_file(f->path[1], initrd, 5 * MB + 1);
    CHECK_REFUSED(f, "does not fit in memory");
    write_file(f->path[1], initrd, 0);
    CHECK_REFUSED(f, "is empty");
    unlink(f->path[1]);
    CHECK_REFUSED(f, "cannot open initrd");
    free(initrd);
    fixture_free(f);
}

static void test_refusals(void)
{
    struct load_fixture *f = ready(16 * MB);
    char line[300];
    memset(line, 'x', sizeof line);
    f->files.append = line;
    line[256] = '\0';
    CHECK_REFUSED(f, "at most 255");
    line[255] = '\0';
    CHECK_EQ(load_files(f), 0);
    /* A kernel that takes a command line of any length gets one that fits in memory. */
    set32(image + 0x238, 0xffffffff);
    write_file(f->path[0], image, sizeof image);
    char *huge = malloc(2 * MB);
    memset(huge, 'y', 2 * MB);
    huge[2 * MB - 1] = '\0';
    f->files.append = huge;
    CHECK_REFUSED(f, "command line");
    free(huge);
    f->files.append = NULL;

    make_image();
    image[0x211] = 0; /* a zImage */
    write_file(f->path[0], image, sizeof image);
    CHECK_REFUSED(f, "16-bit mode");
    make_image();
    set16(image + 0x206, 0x203);
    write_file(f->path[0], image, sizeof image);
    CHECK_REFUSED(f, "16-bit mode");
    make_image();
    set32(image + 0x214, 0); /* iPXE's ipxe.lkrn: no 32-bit entry */
    write_file(f->path[0], image, sizeof image);
    CHECK_REFUSED(f, "16-bit mode");
    make_image();
    image[0x236] = 1; /* XLF_KERNEL_64 */
    write_file(f->path[0], image, sizeof image);
    CHECK_REFUSED(f, "is for 64-bit CPUs");
    set16(image + 0x206, 0x20b); /* before protocol 2.12 nothing is there */
    write_file(f->path[0], image, sizeof image);
    CHECK_EQ(load_files(f), 0);
    make_image();
    set32(image + 0x260, 16 * MB);
    write_file(f->path[0], image, sizeof image);
    CHECK_REFUSED(f, "needs 20 MB, the machine has 16 MB");
    make_image();
    set32(image + 0x25c, 0x80000000); /* preferred address beyond everything */
    write_file(f->path[0], image, sizeof image);
    CHECK_REFUSED(f, "does not fit in memory");
    make_image();
    write_file(f->path[0], image, sizeof image - 64);
    CHECK_REFUSED(f, "truncated");
    write_file(f->path[0], image, sizeof image - 15); /* the size is in 16 bytes, rounded up */
    CHECK_EQ(load_files(f), 0);

    write_file(f->path[0], "#!/bin/sh\necho no kernel\n", 25);
    CHECK_REFUSED(f, "cannot be started");
    f->files.kernel = f->directory;
    CHECK_REFUSED(f, "not a regular file");
    f->files.kernel = "/nonexistent/kernel";
    CHECK_REFUSED(f, "cannot open kernel '/nonexistent/kernel'");
    f->files.kernel = NULL;
    CHECK_REFUSED(f, "nothing to start");
    f->files.initrd = f->path[0];
    CHECK_REFUSED(f, "initrd needs a kernel");
    fixture_free(f);

    f = ready(1 * MB);
    CHECK_REFUSED(f, "1024 KB of memory");
    fixture_free(f);
}

/* A kernel with a 64-bit entry, which cannot be unpacked: its own code begins 200h behind its start. */
static void test_64bit(void)
{
    struct load_fixture *f = ready(16 * MB);
    f->rig->vcpu.model = cpu_model_find("max64");
    f->rig->vcpu.paging.maxphyaddr = f->rig->vcpu.model->maxphyaddr;
    image[0x236] = 1; /* XLF_KERNEL_64 */
    write_file(f->path[0], image, sizeof image);
    f->files.append = "long";
    f->rig->vcpu.gpr_high[7] = 1;
    CHECK_EQ(load_files(f), 0);
    check_long(f);
    CHECK_EQ(f->rig->vcpu.rip, 0x100200);
    CHECK_EQ(f->rig->vcpu.gpr_high[7], 0);
    CHECK(!memcmp(guest(f, 0x100000), image + PAYLOAD, PAYLOAD_BYTES));
    u32 zero_page = (u32)f->rig->vcpu.gpr[REG_ESI];
    CHECK(!memcmp(guest(f, zero_page + 0x202), "HdrS", 4));
    CHECK(!strcmp((char *)guest(f, guest32(f, zero_page + 0x228)), "long"));
    fixture_free(f);
}

static void test_damage(void)
{
    struct load_fixture *f = ready(16 * MB);
    write_file(f->path[1], image, 1000);
    f->files.initrd = f->path[1];
    f->files.append = "a b";
    srand(3);
    damage(f, f->path[0], image, sizeof image, 0x290, 3000);
    fixture_free(f);
}

/* A mode that was set before: the zero page describes it (struct screen_info). */
static void test_screen(void)
{
    struct load_fixture *f = ready(16 * MB);
    f->screen = (struct boot_screen){
        .base = 0xe0000000, .width = 1024, .height = 768, .bits = 16, .memory_bytes = 16 << 20};
    CHECK_EQ(load_files(f), 0);
    const u8 *page = f->rig->phys.ram + f->rig->vcpu.gpr[REG_ESI];
    static const u8 colors[8] = {5, 11, 6, 5, 5, 0, 0, 0};
    CHECK_EQ(page[0x0f], 0x23);
    CHECK_EQ(page[0x12] | page[0x13] << 8, 1024);
    CHECK_EQ(page[0x14] | page[0x15] << 8, 768);
    CHECK_EQ(page[0x16], 16);
    CHECK(page[0x18] == 0 && page[0x1b] == 0xe0);
    CHECK_EQ(page[0x1c] | page[0x1d] << 8, 256);
    CHECK_EQ(page[0x24] | page[0x25] << 8, 2048);
    CHECK(!memcmp(page + 0x26, colors, 8));
    fixture_free(f);
}

int main(void)
{
    test_load();
    test_memory_map();
    test_initrd_limits();
    test_refusals();
    test_64bit();
    test_damage();
    test_screen();
    return check_report();
}
