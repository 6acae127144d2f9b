/*
 * bzImages with kernels that the loader unpacks: each format; and what it must leave to the guest's own unpacking
 * without a failure or an overrun: damage, unknown formats, impossible sizes.
 */
#include "load_fixture.h"

#include <elf.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

enum {
    SETUP_SECTORS = 3,
    SETUP = (SETUP_SECTORS + 1) * 512,
    STUB = 0x123, /* bytes of the unpacking program before the payload */
    ELF_BYTES = 0x5000,
    SEGMENT = 0x1000,
    SEGMENT_BYTES = 0x3000,
    AT = 0x400000,
    ENTRY = AT + 0x40,
};

static u8 elf[ELF_BYTES], image[SETUP + STUB + 2 * ELF_BYTES];
static u64 image_bytes, payload_bytes;

static void make_elf(void)
{
    memset(elf, 0, sizeof elf);
    *(Elf32_Ehdr *)(void *)elf = elf32_header(ENTRY, 1);
    *(Elf32_Phdr *)(void *)(elf + sizeof(Elf32_Ehdr)) =
        elf32_segment(elf, SEGMENT, AT, SEGMENT_BYTES, 0x1000);
}

static u64 pack_xz(u8 *out, u64 room)
{
    lzma_options_lzma lzma;
    size_t written = 0;
    lzma_lzma_preset(&lzma, 6);
    /* As kernels are packed: with the x86 filter. */
    lzma_filter filters[] = {{.id = LZMA_FILTER_X86, .options = NULL},
                             {.id = LZMA_FILTER_LZMA2, .options = &lzma},
                             {.id = LZMA_VLI_UNKNOWN, .options = NULL}};
    CHECK_EQ(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, elf, sizeof elf, out, &written, room),
             LZMA_OK);
    return written;
}

static u64 pack_gzip(u8 *out, u64 room)
{
    z_stream stream = {.next_in = elf, .avail_in = sizeof elf, .next_out = out, .avail_out = (uInt)room};
    CHECK_EQ(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    CHECK_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out - 4; /* its last four bytes are the size already */
}

static u64 pack_zstd(u8 *out, u64 room)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1); /* as the zstd program does */
    u64 bytes = ZSTD_compress2(context, out, room, elf, sizeof elf);
    ZSTD_freeCCtx(context);
    return bytes;
}

/* A legacy frame of two blocks. */
static u64 pack_lz4(u8 *out, u64 room)
{
    static const u8 magic[] = {0x02, 0x21, 0x4c, 0x18};
    enum { HALF = sizeof elf / 2 };
    u8 *at = out + sizeof magic;
    memcpy(out, magic, sizeof magic);
    for (unsigned n = 0; n < 2; n++) {
        s32 bytes = LZ4_compress_default((const char *)elf + n * HALF, (char *)at + sizeof bytes, HALF,
                                         (int)(out + room - at) - (int)sizeof bytes);
        memcpy(at, &bytes, sizeof bytes);
        at += (int)sizeof bytes + bytes;
    }
    return (u64)(at - out);
}

static u64 pack_unknown(u8 *out, u64 room)
{
    memset(out, 0x5a, 1000);
    return 1000;
}

static void make_image(u64 pack(u8 *out, u64 room))
{
    memset(image, 0, sizeof image);
    u64 packed = pack(image + SETUP + STUB, 2 * ELF_BYTES - 4);
    set32(image + SETUP + STUB + packed, ELF_BYTES);
    payload_bytes = packed + 4;
    image_bytes = align_up(SETUP + STUB + payload_bytes, 16);
    image[0x1f1] = SETUP_SECTORS;
    set32(image + 0x1f4, (u32)(image_bytes - SETUP) / 16);
    set16(image + 0x1fe, 0xaa55);
    image[0x201] = 0x66;
    memcpy(image + 0x202, "HdrS", 4);
    set16(image + 0x206, 0x20f);
    image[0x211] = 1;
    set32(image + 0x214, 0x100000);
    set32(image + 0x22c, 0x37ffffff);
    set32(image + 0x230, 0x200000);
    image[0x234] = 1;
    set32(image + 0x238, 255);
    set32(image + 0x248, STUB);
    set32(image + 0x24c, (u32)payload_bytes);
    set32(image + 0x258, AT);
    set32(image + 0x260, 0x300000);
}

static struct load_fixture *ready(u64 pack(u8 *out, u64 room))
{
    struct load_fixture *f = fixture_new(16 * MB);
    make_elf();
    make_image(pack);
    f->files.kernel = f->path[0];
    return f;
}

static void start(struct load_fixture *f)
{
    memset(guest(f, AT), 0xcc, SEGMENT_BYTES + 0x1000);
    write_file(f->path[0], image, image_bytes);
    CHECK_EQ(load_files(f), 0);
    check_flat(f);
    CHECK(f->rig->vcpu.gpr[REG_ESI] && !memcmp(guest(f, f->rig->vcpu.gpr[REG_ESI] + 0x202), "HdrS", 4));
}

static void check_unpacked(struct load_fixture *f)
{
    start(f);
    CHECK_EQ(f->rig->vcpu.rip, ENTRY);
    CHECK(!memcmp(guest(f, AT), elf + SEGMENT, SEGMENT_BYTES));
    CHECK_EQ(guest32(f, AT + SEGMENT_BYTES), 0); /* BSS */
}

/* The guest's own program is started, as if nothing had been tried. */
static void check_left_to_guest(struct load_fixture *f)
{
    start(f);
    CHECK_EQ(f->rig->vcpu.rip, 0x100000);
    CHECK(!memcmp(guest(f, 0x100000), image + SETUP, image_bytes - SETUP));
}

static void test_formats(void)
{
    /* LZ4's frame has no checksum, so only damage to its structure is found: here to the size of the first block. */
    static const struct {
        u64 (*pack)(u8 *, u64);
        unsigned damage_at;
    } formats[] = {{pack_xz, 100}, {pack_gzip, 100}, {pack_zstd, 100}, {pack_lz4, 5}};
    for (unsigned n = 0; n < ARRAY_SIZE(formats); n++) {
        struct load_fixture *f = ready(formats[n].pack);
        check_unpacked(f);
        f->files.guest_unpacks = true;
        check_left_to_guest(f);
        f->files.guest_unpacks = false;
        image[SETUP + STUB + formats[n].damage_at] ^= 0x40;
        check_left_to_guest(f);
        make_image(formats[n].pack);
        u64 size_at = SETUP + STUB + payload_bytes - 4;
        set32(image + size_at, ELF_BYTES - 1); /* the result is larger than the given size */
        check_left_to_guest(f);
        set32(image + size_at, ELF_BYTES + 1);
        check_left_to_guest(f);
        set32(image + size_at, 0xffffffff);
        check_left_to_guest(f);
        set32(image + size_at, 0);
        check_left_to_guest(f);
        fixture_free(f);
    }
}

static void test_not_for_us(void)
{
    struct load_fixture *f = ready(pack_unknown);
    check_left_to_guest(f);
    make_image(pack_xz);
    set32(image + 0x24c, 0); /* the header has no payload */
    check_left_to_guest(f);
    set32(image + 0x24c, 0x7fffffff); /* beyond the file */
    check_left_to_guest(f);
    set32(image + 0x24c, 3);
    check_left_to_guest(f);
    make_image(pack_xz);
    set16(image + 0x206, 0x207); /* a protocol without these fields */
    check_left_to_guest(f);
    make_elf();
    elf[EI_CLASS] = ELFCLASS64;
    make_image(pack_xz);
    check_left_to_guest(f);
    make_elf();
    set32(elf + sizeof(Elf32_Ehdr) + offsetof(Elf32_Phdr, p_paddr), 0x1000); /* on top of the boot data */
    make_image(pack_xz);
    check_left_to_guest(f);
    fixture_free(f);
}

/* A 64-bit kernel: the file ends with a table of relocations (Linux, arch/x86/tools/relocs.c), which this start does
 * not need. Where header and file disagree about the width, the guest's own program is started. */
static void test_64bit(void)
{
    struct load_fixture *f = ready(pack_gzip);
    f->rig->vcpu.model = cpu_model_find("max64");
    f->rig->vcpu.paging.maxphyaddr = f->rig->vcpu.model->maxphyaddr;
    Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)elf;
    Elf64_Phdr *segment = (Elf64_Phdr *)(void *)(elf + sizeof *header);
    *header = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                           .e_type = ET_EXEC,
                           .e_machine = EM_X86_64,
                           .e_version = EV_CURRENT,
                           .e_entry = ENTRY,
                           .e_phoff = sizeof *header,
                           .e_ehsize = sizeof *header,
                           .e_phentsize = sizeof(Elf64_Phdr),
                           .e_phnum = 1};
    *segment = (Elf64_Phdr){.p_type = PT_LOAD,
                            .p_offset = SEGMENT,
                            .p_vaddr = 0xffffffff80000000 + AT,
                            .p_paddr = AT,
                            .p_filesz = SEGMENT_BYTES,
                            .p_memsz = SEGMENT_BYTES + 0x1000,
                            .p_flags = PF_R | PF_W | PF_X};
    make_image(pack_gzip);
    check_left_to_guest(f);
    set16(image + 0x236, 1); /* XLF_KERNEL_64 */
    write_file(f->path[0], image, image_bytes);
    memset(guest(f, AT), 0xcc, SEGMENT_BYTES + 0x1000);
    CHECK_EQ(load_files(f), 0);
    check_long(f);
    CHECK_EQ(f->rig->vcpu.rip, ENTRY);
    CHECK(!memcmp(guest(f, AT), elf + SEGMENT, SEGMENT_BYTES));
    CHECK_EQ(guest32(f, AT + SEGMENT_BYTES), 0);
    make_elf();
    make_image(pack_gzip);
    set16(image + 0x236, 1);
    write_file(f->path[0], image, image_bytes);
    CHECK_EQ(load_files(f), 0);
    check_long(f);
    CHECK_EQ(f->rig->vcpu.rip, 0x100200);
    fixture_free(f);
}

static void test_damage(void)
{
    struct load_fixture *f = ready(pack_xz);
    srand(5);
    damage(f, f->path[0], image, image_bytes, 0x290, 300);
    for (unsigned n = 0; n < 300; n++) {
        make_image(n % 3 ? n % 3 == 1 ? pack_gzip : pack_zstd : pack_lz4);
        image[SETUP + STUB + (unsigned)rand() % (image_bytes - SETUP - STUB)] ^= (u8)(1 << rand() % 8);
        write_file(f->path[0], image, image_bytes);
        CHECK_EQ(load_files(f), 0);
    }
    fixture_free(f);
}

int main(void)
{
    test_formats();
    test_not_for_us();
    test_64bit();
    test_damage();
    return check_report();
}
