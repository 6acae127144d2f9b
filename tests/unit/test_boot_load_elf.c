/*
 * Multiboot 1, PVH and firmware images, made by hand.
 */
#include "load_fixture.h"

#include <elf.h>

enum { FILE_BYTES = 0x4000, SEGMENT = 0x1000, SEGMENT_BYTES = 0x1800, NOTE = 0x200, AT = 0x200000 };

static u8 image[FILE_BYTES];

/* One segment at 2 MB, its addresses virtual at 3 GB and 2 MB, with 20000h bytes of BSS; one note segment. */
static void make_elf(void)
{
    memset(image, 0, sizeof image);
    Elf32_Phdr *segment = (Elf32_Phdr *)(void *)(image + sizeof(Elf32_Ehdr));
    *(Elf32_Ehdr *)(void *)image = elf32_header(0xc0000000 + AT + 0x40, 2);
    segment[0] = elf32_segment(image, SEGMENT, AT, SEGMENT_BYTES, 0x20000);
    segment[1] =
        (Elf32_Phdr){.p_type = PT_NOTE, .p_offset = NOTE, .p_filesz = 40, .p_memsz = 40, .p_align = 4};
}

/* An unrelated note, then Xen's. */
static void add_pvh_note(u32 entry)
{
    static const u32 notes[] = {4, 0, 1, 0x00554e47 /* GNU */, 4, 4, 18, 0x006e6558 /* Xen */};
    memcpy(image + NOTE, notes, sizeof notes);
    set32(image + NOTE + sizeof notes, entry);
}

static void add_multiboot(u32 at, u32 flags)
{
    set32(image + at, 0x1badb002);
    set32(image + at + 4, flags);
    set32(image + at + 8, 0 - 0x1badb002 - flags);
}

static struct load_fixture *ready(void)
{
    struct load_fixture *f = fixture_new(16 * MB);
    f->files.kernel = f->path[0];
    return f;
}

static void put(struct load_fixture *f)
{
    write_file(f->path[0], image, sizeof image);
}

static const char *text(struct load_fixture *f, u32 gpa)
{
    return (const char *)guest(f, gpa);
}

static void check_segment(struct load_fixture *f)
{
    CHECK(!memcmp(guest(f, AT), image + SEGMENT, SEGMENT_BYTES));
    bool zero = true;
    for (u32 n = 0; n < 0x20000; n++)
        zero &= !*guest(f, AT + SEGMENT_BYTES + n);
    CHECK(zero);
}

static void test_multiboot_elf(void)
{
    struct load_fixture *f = ready();
    make_elf();
    add_multiboot(0x300, 3);
    put(f);
    /* Memory is not clean after a reset. */
    memset(guest(f, AT), 0xaa, 0x40000);
    write_file(f->path[1], "one", 3);
    write_file(f->path[2], image, 0x1234);
    char initrd[256], expected[256];
    snprintf(initrd, sizeof initrd, "%s a,,b c,%s", f->path[1], f->path[2]);
    f->files.initrd = initrd;
    f->files.append = "x=1 y";
    CHECK_EQ(load_files(f), 0);
    check_flat(f);
    check_segment(f);
    const struct vcpu *v = &f->rig->vcpu;
    CHECK_EQ(v->gpr[REG_EAX], 0x2badb002);
    CHECK_EQ(v->rip, AT + 0x40);
    u32 info = (u32)v->gpr[REG_EBX];
    CHECK_EQ(guest32(f, info) & 0x24d, 0x24d);
    CHECK_EQ(guest32(f, info + 4), 639);
    CHECK_EQ(guest32(f, info + 8), 15 * 1024);
    snprintf(expected, sizeof expected, "%s x=1 y", f->path[0]);
    CHECK(!strcmp(text(f, guest32(f, info + 16)), expected));
    CHECK(!strcmp(text(f, guest32(f, info + 64)), "Ringer"));

    CHECK_EQ(guest32(f, info + 20), 2);
    u32 modules = guest32(f, info + 24), first = guest32(f, modules), second = guest32(f, modules + 16);
    CHECK(!(first & PAGE_MASK) && !(second & PAGE_MASK) && first >= AT + SEGMENT_BYTES + 0x20000);
    CHECK_EQ(guest32(f, modules + 4) - first, 3);
    CHECK_EQ(guest32(f, modules + 20) - second, 0x1234);
    CHECK(!memcmp(guest(f, first), "one", 3) && !memcmp(guest(f, second), image, 0x1234));
    snprintf(expected, sizeof expected, "%s a,b c", f->path[1]);
    CHECK(!strcmp(text(f, guest32(f, modules + 8)), expected));
    CHECK(!strcmp(text(f, guest32(f, modules + 24)), f->path[2]));

    u32 map = guest32(f, info + 48), bytes = guest32(f, info + 44);
    u64 ram = 0;
    CHECK_EQ(bytes, 5 * 24);
    for (u32 at = map; at < map + bytes; at += 24) {
        CHECK_EQ(guest32(f, at), 20);
        if (guest32(f, at + 20) == 1) ram += guest32(f, at + 12);
    }
    CHECK_EQ(ram, 0x9fc00 + 15 * MB);

    f->files.initrd = "/nonexistent/module x";
    CHECK_REFUSED(f, "cannot open module '/nonexistent/module'");
    u8 *big = calloc(14, MB);
    write_file(f->path[1], big, 14 * MB);
    free(big);
    f->files.initrd = f->path[1];
    CHECK_REFUSED(f, "does not fit in memory");
    f->files.initrd = NULL;
    char *list = malloc(600);
    memset(list, ',', 600);
    for (unsigned n = 0; n < 599; n += 2)
        list[n] = 'z';
    list[599] = '\0';
    f->files.initrd = list;
    CHECK_REFUSED(f, "more than 256");
    free(list);
    fixture_free(f);
}

static void test_multiboot_by_addresses(void)
{
    struct load_fixture *f = ready();
    for (unsigned n = 0; n < sizeof image; n++)
        image[n] = (u8)(n * 5 + 1);
    add_multiboot(0x400, 1 << 16);
    u8 *fields = image + 0x40c;
    set32(fields, AT + 0x300);       /* header_addr: loading starts at file offset 100h */
    set32(fields + 4, AT);           /* load_addr */
    set32(fields + 8, AT + 0x2000);  /* load_end_addr */
    set32(fields + 12, AT + 0x5000); /* bss_end_addr */
    set32(fields + 16, AT + 0x123);  /* entry_addr */
    put(f);
    memset(guest(f, AT), 0xaa, 0x8000);
    CHECK_EQ(load_files(f), 0);
    check_flat(f);
    CHECK_EQ(f->rig->vcpu.rip, AT + 0x123);
    CHECK(!memcmp(guest(f, AT), image + 0x100, 0x2000));
    CHECK_EQ(*guest(f, AT + 0x2000) | *guest(f, AT + 0x4fff), 0);
    CHECK_EQ(*guest(f, AT + 0x5000), 0xaa);
    /* No ends: the whole file, no BSS. */
    set32(fields + 8, 0);
    set32(fields + 12, 0);
    put(f);
    CHECK_EQ(load_files(f), 0);
    CHECK(!memcmp(guest(f, AT), image + 0x100, sizeof image - 0x100));

    set32(fields + 8, AT + 0x5000);
    put(f);
    CHECK_REFUSED(f, "truncated");
    set32(fields + 8, AT - 1);
    put(f);
    CHECK_REFUSED(f, "its end lies before");
    set32(fields + 8, 0);
    set32(fields, AT + 0x500);
    put(f);
    CHECK_REFUSED(f, "its own address lies before");
    set32(fields, AT + 0x300);
    set32(fields + 12, 0xffff0000);
    put(f);
    CHECK_REFUSED(f, "does not fit in memory");
    /* A kernel in low memory: boot data goes elsewhere. */
    set32(fields, 0x10300);
    set32(fields + 4, 0x10000);
    set32(fields + 12, 0x20000);
    put(f);
    CHECK_EQ(load_files(f), 0);
    CHECK(f->rig->vcpu.gpr[REG_EBX] >= MB && f->rig->vcpu.gdtr.base >= MB);
    /* Unknown features, and a bad checksum. */
    add_multiboot(0x400, 1 << 16 | 1 << 5);
    put(f);
    CHECK_REFUSED(f, "do not exist");
    image[0x408] ^= 1;
    put(f);
    CHECK_REFUSED(f, "cannot be started");
    fixture_free(f);
}

static void test_pvh(void)
{
    struct load_fixture *f = ready();
    make_elf();
    put(f);
    CHECK_REFUSED(f, "no boot protocol can start it");
    add_pvh_note(AT + 0x55);
    put(f);
    write_file(f->path[1], "initrd", 6);
    f->files.initrd = f->path[1];
    f->files.append = "root=/dev/ram";
    CHECK_EQ(load_files(f), 0);
    check_flat(f);
    check_segment(f);
    CHECK_EQ(f->rig->vcpu.rip, AT + 0x55);
    CHECK_EQ(f->rig->vcpu.tr.limit, 0x67);
    CHECK_EQ(f->rig->vcpu.tr.access & 0x8f, 0x8b);
    u32 start = (u32)f->rig->vcpu.gpr[REG_EBX];
    CHECK_EQ(guest32(f, start), 0x336ec578);
    CHECK_EQ(guest32(f, start + 4), 1);
    CHECK_EQ(guest32(f, start + 12), 1);
    u32 module = guest32(f, start + 16), at = guest32(f, module);
    CHECK_EQ(at, 16 * MB - 4096);
    CHECK_EQ(guest32(f, module + 8), 6);
    CHECK(!memcmp(guest(f, at), "initrd", 6));
    CHECK(!strcmp(text(f, guest32(f, start + 24)), "root=/dev/ram"));
    CHECK_EQ(guest32(f, start + 48), 5);
    CHECK_EQ(guest32(f, start + 32), 0xf0000); /* RSDP */
    u32 map = guest32(f, start + 40);
    CHECK_EQ(guest32(f, map + 3 * 24), MB);
    CHECK_EQ(guest32(f, map + 3 * 24 + 8), 15 * MB);
    CHECK_EQ(guest32(f, map + 3 * 24 + 16), 1);
    fixture_free(f);
}

/* The same as a 64-bit file. The entry point is a virtual address of 64 bits. */
static void make_elf64(void)
{
    make_elf();
    Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)image;
    *header = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                           .e_type = ET_EXEC,
                           .e_machine = EM_X86_64,
                           .e_version = EV_CURRENT,
                           .e_entry = 0xffffffff80000000 + AT + 0x40,
                           .e_phoff = sizeof *header,
                           .e_ehsize = sizeof *header,
                           .e_phentsize = sizeof(Elf64_Phdr),
                           .e_phnum = 2};
    Elf64_Phdr *segment = (Elf64_Phdr *)(void *)(image + sizeof *header);
    segment[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                              .p_offset = SEGMENT,
                              .p_vaddr = 0xffffffff80000000 + AT,
                              .p_paddr = AT,
                              .p_filesz = SEGMENT_BYTES,
                              .p_memsz = SEGMENT_BYTES + 0x20000,
                              .p_flags = PF_R | PF_W | PF_X};
    segment[1] =
        (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = NOTE, .p_filesz = 40, .p_memsz = 40, .p_align = 4};
}

static void test_elf64(void)
{
    struct load_fixture *f = ready();
    make_elf64();
    add_pvh_note(AT + 0x55);
    put(f);
    CHECK_REFUSED(f, "is for 64-bit CPUs");
    f->rig->vcpu.model = cpu_model_find("max64");
    CHECK_EQ(load_files(f), 0);
    check_flat(f); /* PVH starts all kernels in 32-bit mode */
    check_segment(f);
    CHECK_EQ(f->rig->vcpu.rip, AT + 0x55);
    CHECK_EQ(guest32(f, f->rig->vcpu.gpr[REG_EBX]), 0x336ec578);
    /* QEMU refuses this one, too. */
    add_multiboot(0x300, 3);
    put(f);
    CHECK_REFUSED(f, "Multiboot starts 32-bit files only");
    make_elf64();
    image[EI_CLASS] = ELFCLASS32;
    put(f);
    CHECK_REFUSED(f, "kernel");
    make_elf64();
    add_pvh_note(AT);
    damage(f, f->path[0], image, sizeof image, NOTE + 40, 1000);
    fixture_free(f);
}

static void test_elf_refusals(void)
{
    struct load_fixture *f = ready();
    Elf32_Ehdr *header = (Elf32_Ehdr *)(void *)image;
    Elf32_Phdr *segment = (Elf32_Phdr *)(void *)(image + sizeof *header);
    make_elf();
    add_pvh_note(AT);
    header->e_machine = EM_ARM;
    put(f);
    CHECK_REFUSED(f, "not for x86");
    make_elf();
    segment->p_filesz = segment->p_memsz + 1;
    put(f);
    CHECK_REFUSED(f, "more bytes in the file than in memory");
    make_elf();
    segment->p_paddr = 16 * MB - 0x1000;
    put(f);
    CHECK_REFUSED(f, "does not fit in memory");
    make_elf();
    segment->p_offset = FILE_BYTES - 0x100;
    put(f);
    CHECK_REFUSED(f, "truncated");
    make_elf();
    segment->p_type = PT_NULL;
    put(f);
    CHECK_REFUSED(f, "no segments");
    make_elf();
    header->e_phoff = FILE_BYTES - 8;
    put(f);
    CHECK_REFUSED(f, "kernel");
    fixture_free(f);
}

static void test_firmware(void)
{
    struct load_fixture *f = ready();
    u8 *rom = malloc(256 << 10);
    for (unsigned n = 0; n < 256 << 10; n++)
        rom[n] = (u8)(n * 3 + n / 4096);
    write_file(f->path[1], rom, 256 << 10);
    f->files = (struct boot_files){.firmware = f->path[1]};
    for (unsigned round = 0; round < 2; round++) {
        CHECK_EQ(load_files(f), 0);
        CHECK(!memcmp(phys_host(&f->rig->phys, 0xfffc0000), rom, 256 << 10));
        CHECK(!memcmp(phys_host(&f->rig->phys, 0xe0000), rom + (128 << 10), 128 << 10));
        CHECK_EQ(phys_find(&f->rig->phys, 0xffff0)->kind, PHYS_ROM);
        CHECK_EQ(phys_find(&f->rig->phys, 0xfffffff0)->kind, PHYS_ROM);
        /* The chipset turns the low copy into RAM; the loader maps it again after a reset. */
        CHECK_EQ(phys_map_ram(&f->rig->phys, 0xf0000, 0x10000), 0);
    }
    write_file(f->path[1], rom, 64 << 10);
    fixture_free(f);
    f = ready();
    write_file(f->path[1], rom, 64 << 10);
    f->files = (struct boot_files){.firmware = f->path[1]};
    CHECK_EQ(load_files(f), 0);
    CHECK(!memcmp(phys_host(&f->rig->phys, 0xf0000), rom, 64 << 10));
    CHECK_EQ(phys_find(&f->rig->phys, 0xe0000)->kind, PHYS_RAM);
    fixture_free(f);
    /* Smaller than a segment that the chipset can switch: the whole segment is ROM. */
    f = ready();
    write_file(f->path[1], rom, 4096);
    f->files = (struct boot_files){.firmware = f->path[1]};
    for (unsigned round = 0; round < 2; round++) {
        CHECK_EQ(load_files(f), 0);
        CHECK_EQ(phys_find(&f->rig->phys, 0xfffffff0)->gpa, 0xffffc000);
        CHECK(!memcmp(phys_host(&f->rig->phys, 0xfffff000), rom, 4096));
        CHECK(!memcmp(phys_host(&f->rig->phys, 0xff000), rom, 4096));
        CHECK_EQ(*phys_host(&f->rig->phys, 0xfc000), 0xff);
    }
    write_file(f->path[1], rom, 5000);
    CHECK_REFUSED(f, "multiple of 4096");
    CHECK_EQ(truncate(f->path[1], 32 * MB), 0);
    CHECK_REFUSED(f, "at most 16 MB");
    write_file(f->path[1], rom, 0);
    CHECK_REFUSED(f, "is empty");
    f->files.firmware = "/nonexistent/rom";
    CHECK_REFUSED(f, "cannot open firmware");
    f->files.kernel = f->path[0];
    CHECK_REFUSED(f, "cannot both");
    free(rom);
    fixture_free(f);
}

static void test_damage(void)
{
    srand(4);
    struct load_fixture *f = ready();
    write_file(f->path[1], "module", 6);
    f->files.initrd = f->path[1];
    make_elf();
    add_pvh_note(AT);
    damage(f, f->path[0], image, sizeof image, NOTE + 40, 3000);
    make_elf();
    add_multiboot(0x80, 3);
    damage(f, f->path[0], image, sizeof image, 0x90, 3000);
    make_elf();
    add_multiboot(0x80, 1 << 16);
    set32(image + 0x8c, AT + 0x80);
    set32(image + 0x90, AT);
    set32(image + 0x9c, AT);
    damage(f, f->path[0], image, sizeof image, 0xa0, 3000);
    fixture_free(f);
}

int main(void)
{
    test_multiboot_elf();
    test_multiboot_by_addresses();
    test_pvh();
    test_elf64();
    test_elf_refusals();
    test_firmware();
    test_damage();
    return check_report();
}
