/*
 * A machine without devices for the loader tests, files made on the spot, and random damage to them.
 */
#ifndef RINGER_TESTS_LOAD_FIXTURE_H
#define RINGER_TESTS_LOAD_FIXTURE_H

#include "base/log.h"
#include "boot/kernel_rom.h"
#include "boot/loader.h"
#include "check.h"
#include "cpu/cpuid.h"
#include "cpu/mode.h"
#include "cpu/rig.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MB (1u << 20)

struct load_fixture {
    struct rig *rig;
    char directory[32];
    char path[4][48];
    struct boot_files files;
    struct boot_screen screen;
    char error[512];
};

static struct load_fixture *fixture_new(u64 ram_bytes)
{
    struct load_fixture *f = calloc(1, sizeof *f);
    CHECK(f && (f->rig = rig_open(ram_bytes)));
    strcpy(f->directory, "/tmp/ringer-load-XXXXXX");
    CHECK(mkdtemp(f->directory) != NULL);
    for (unsigned n = 0; n < 4; n++)
        snprintf(f->path[n], sizeof f->path[n], "%s/file%u", f->directory, n);
    return f;
}

static void fixture_free(struct load_fixture *f)
{
    for (unsigned n = 0; n < 4; n++)
        unlink(f->path[n]);
    rmdir(f->directory);
    rig_close(f->rig);
    free(f);
}

/* The header of a 32-bit ELF file for the i386, with `segments` program headers right behind it. */
static inline Elf32_Ehdr elf32_header(u32 entry, unsigned segments)
{
    return (Elf32_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                        .e_type = ET_EXEC,
                        .e_machine = EM_386,
                        .e_version = EV_CURRENT,
                        .e_entry = entry,
                        .e_phoff = sizeof(Elf32_Ehdr),
                        .e_ehsize = sizeof(Elf32_Ehdr),
                        .e_phentsize = sizeof(Elf32_Phdr),
                        .e_phnum = (Elf32_Half)segments};
}

/* Code and data of a kernel: bytes at `offset` of the file, linked at 3 GB above their address, with zeros behind
 * them. */
static inline Elf32_Phdr elf32_segment(u8 *file, u32 offset, u32 at, u32 bytes, u32 zeros)
{
    for (u32 n = 0; n < bytes; n++)
        file[offset + n] = (u8)(n * 7 + n / 256 + 3);
    return (Elf32_Phdr){.p_type = PT_LOAD,
                        .p_offset = offset,
                        .p_vaddr = 0xc0000000 + at,
                        .p_paddr = at,
                        .p_filesz = bytes,
                        .p_memsz = bytes + zeros,
                        .p_flags = PF_R | PF_W | PF_X};
}

static void write_file(const char *path, const void *data, u64 bytes)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, bytes, file) == bytes);
    if (file) fclose(file);
}

/* The option ROM by which firmware starts the kernel, or NULL and the error's sentence. The caller frees it. */
static inline struct kernel_rom *make_rom(struct load_fixture *f)
{
    struct boot_files files = f->files;
    struct kernel_rom *rom;
    files.way = BOOT_WAY_FIRMWARE;
    f->error[0] = '\0';
    int status = loader_make_rom(&f->rig->phys, f->rig->vcpu.model, &files, &rom, f->error, sizeof f->error);
    CHECK((status == 0) == (f->error[0] == '\0'));
    CHECK(status == 0 || status == STATUS_USAGE || status == STATUS_HOST);
    CHECK(!status || !rom);
    return rom;
}

static inline int load_files(struct load_fixture *f)
{
    kernel_rom_free(make_rom(f));
    f->error[0] = '\0';
    int status = loader_load(&f->rig->vcpu, &f->files, f->screen, f->error, sizeof f->error);
    /* Holds for any file: status 0 and no message, or a documented status and a sentence. */
    CHECK((status == 0) == (f->error[0] == '\0'));
    CHECK(status == 0 || status == STATUS_USAGE || status == STATUS_HOST);
    return status;
}

#define CHECK_REFUSED(f, words)                                                                              \
    do {                                                                                                     \
        CHECK_EQ(load_files(f), STATUS_USAGE);                                                               \
        if (!strstr((f)->error, words))                                                                      \
            printf("%s:%d: the sentence is: %s\n", __FILE__, __LINE__, (f)->error);                          \
        CHECK(strstr((f)->error, words) != NULL);                                                            \
    } while (0)

/* Every truncation of a file, and many random changes in the `head` bytes where its headers are. There is nothing to
 * compare: the loader must only return. */
static inline void damage(struct load_fixture *f, const char *path, const u8 *data, u64 bytes, u64 head,
                          unsigned rounds)
{
    for (u64 length = 0; length < bytes; length += length < head ? 7 : 1 + bytes / 64) {
        write_file(path, data, length);
        load_files(f);
    }
    static const u32 odd[] = {0,          1,          0xff,     0x7fffffff, 0x80000000,
                              0xffffffff, 0xfffff000, 0x100000, 0x1000000};
    u8 *copy = malloc(bytes);
    for (unsigned n = 0; n < rounds; n++) {
        memcpy(copy, data, bytes);
        for (unsigned changes = 1 + rand() % 3; changes; changes--) {
            u64 at = (u64)rand() % (head - 3);
            u32 value = rand() % 2 ? odd[rand() % ARRAY_SIZE(odd)] : (u32)rand();
            memcpy(copy + (rand() % 3 ? at & ~3ull : at), &value, rand() % 2 ? 4 : 1);
        }
        write_file(path, copy, bytes);
        load_files(f);
    }
    free(copy);
    write_file(path, data, bytes);
}

static inline u8 *guest(struct load_fixture *f, u64 gpa)
{
    return f->rig->phys.ram + gpa;
}

static inline u32 guest32(struct load_fixture *f, u64 gpa)
{
    u32 value;
    memcpy(&value, guest(f, gpa), 4);
    return value;
}

static inline void set32(u8 *at, u32 value)
{
    memcpy(at, &value, 4);
}
static inline void set16(u8 *at, u16 value)
{
    memcpy(at, &value, 2);
}

/* What all three protocols promise. */
static inline void check_flat(struct load_fixture *f)
{
    const struct vcpu *v = &f->rig->vcpu;
    CHECK_EQ(v->paging.cr0 & (CR0_PE | CR0_PG), CR0_PE);
    CHECK_EQ(v->eflags & (FL_IF | FL_VM | FL_TF), 0);
    CHECK_EQ(v->cpl, 0);
    for (unsigned n = 0; n < SEG_COUNT; n++) {
        const struct segment *seg = &v->seg[n];
        CHECK_EQ(seg->base, 0);
        CHECK_EQ(seg->limit, 0xffffffff);
        CHECK_EQ(seg->selector, n == SEG_CS ? 0x10 : 0x18);
        CHECK_EQ(seg->access, n == SEG_CS ? 0xc09b : 0xc093);
        /* The GDT in memory has the same contents. */
        CHECK_EQ(guest32(f, v->gdtr.base + seg->selector), 0x0000ffff);
        CHECK_EQ(guest32(f, v->gdtr.base + seg->selector + 4), n == SEG_CS ? 0x00cf9b00 : 0x00cf9300);
    }
}

/* What the 64-bit entry of a bzImage promises: 64-bit mode, interrupts off, and 4 GB mapped to themselves. */
static inline void check_long(struct load_fixture *f)
{
    struct vcpu *v = &f->rig->vcpu;
    CHECK(vcpu_code64(v));
    CHECK_EQ(v->mode & (MODE_LONG | MODE_CODE64 | MODE_CPL), MODE_LONG | MODE_CODE64);
    CHECK_EQ(v->paging.cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG);
    CHECK_EQ(v->paging.cr4 & CR4_PAE, CR4_PAE);
    CHECK_EQ(v->eflags & (FL_IF | FL_VM | FL_TF), 0);
    for (unsigned n = 0; n < SEG_COUNT; n++) {
        CHECK_EQ(v->seg[n].selector, n == SEG_CS ? 0x10 : 0x18);
        CHECK_EQ(v->seg[n].access, n == SEG_CS ? 0xa09b : 0xc093);
        CHECK_EQ(guest32(f, v->gdtr.base + v->seg[n].selector), 0x0000ffff);
        CHECK_EQ(guest32(f, v->gdtr.base + v->seg[n].selector + 4), n == SEG_CS ? 0x00af9b00 : 0x00cf9300);
    }
    for (u64 linear = 0; linear < 1ull << 32; linear += 0x1ffff000) {
        struct walk walk;
        u32 error;
        CHECK(mmu_walk(&f->rig->phys, &v->paging, linear, ACCESS_WRITE, false, false, &walk, &error) &&
              walk.gpa == linear && walk.executable);
    }
    struct walk walk;
    u32 error;
    CHECK(!mmu_walk(&f->rig->phys, &v->paging, 1ull << 32, ACCESS_READ, false, false, &walk, &error));
}

#endif
