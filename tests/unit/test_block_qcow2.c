/*
 * qcow2 images of every shape under random operations, compared with a plain array, and judged by qemu-img:
 * "check" finds no error and no leak, "compare" no difference. Snapshots within the image, images below it,
 * and compressed clusters are left as they were.
 */
#include "block_rig.h"

#define SIZE (5u << 20)

static u8 *model;

static bool judge(const char *name)
{
    return rig_run("qemu-img check -f qcow2 %s", name);
}

/* Clusters that are marked as zeros read as zeros. */
static void check_extents(struct disk_image *image)
{
    for (u64 at = 0, bytes = 0; at < SIZE; at += bytes) {
        enum extent_kind kind;
        struct iovec part;
        CHECK_EQ(image->ops->extent(image, at, &bytes, &kind), 0);
        if (!bytes || bytes > SIZE - at) {
            CHECK(false);
            return;
        }
        CHECK(kind == EXTENT_DATA || span_is_zero(span_of(&part, model + at, bytes)));
    }
}

/* Does random operations on an image and on a model of its contents, and compares. */
static void exercise(const char *name, unsigned steps)
{
    struct rig_model m = {rig_open(name, "qcow2", false), model, SIZE};
    CHECK(m.image != NULL);
    if (!m.image) return;
    CHECK_EQ(m.image->bytes, SIZE);
    rig_check(&m);
    for (unsigned n = 0; n < steps; n++)
        rig_step(&m);
    rig_check(&m);
    CHECK_EQ(disk_image_close(m.image), 0);
    CHECK(judge(name));
    CHECK(rig_save("model", model, SIZE));
    CHECK(rig_run("qemu-img compare -f raw -F qcow2 model %s", name));
    m.image = rig_open(name, "qcow2", true);
    CHECK(m.image != NULL);
    if (!m.image) return;
    rig_check(&m);
    check_extents(m.image);
    CHECK_EQ(disk_image_close(m.image), 0);
}

static void create(const char *name, const struct qcow2_recipe *recipe)
{
    int fd = open(rig_path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct store *store = host_file_of(fd, NULL);
    CHECK_EQ(qcow2_create(store, recipe), 0);
    store->ops->close(store);
}

static void test_shapes(void)
{
    for (unsigned bits = 9; bits <= 21; bits += 3)
        for (unsigned order = 0; order <= 6; order++) {
            memset(model, 0, SIZE);
            create("shape", &(struct qcow2_recipe){SIZE, 3, bits, order, NULL, NULL});
            CHECK(judge("shape"));
            exercise("shape", 150);
        }
    memset(model, 0, SIZE);
    create("old", &(struct qcow2_recipe){SIZE, 2, 16, 4, NULL, NULL});
    exercise("old", 400);
    memset(model, 0, SIZE);
    create("usual", &(struct qcow2_recipe){SIZE, 3, 16, 4, NULL, NULL});
    exercise("usual", 1000);
    exercise("usual", 1000);
}

/* A base with data everywhere, shorter than the image over it. */
static void make_base(const char *name)
{
    u64 bytes = SIZE - 700 * 512;
    memset(model, 0, SIZE);
    rig_fill(model, bytes);
    memset(model + (1 << 20), 0, 1 << 20);
    CHECK(rig_save(name, model, bytes));
}

static void test_backing(void)
{
    static const char *const options[] = {"compat=v3", "compat=v3,cluster_size=512", "compat=0.10",
                                          "compat=v3,refcount_bits=1,cluster_size=2M"};
    for (unsigned n = 0; n < ARRAY_SIZE(options); n++) {
        make_base("base.raw");
        CHECK(rig_run("cp base.raw kept.raw && qemu-img create -f qcow2 -b base.raw -F raw -o %s top %u && "
                      "qemu-img create -f qcow2 -b top -F qcow2 -o %s higher %u",
                      options[n], SIZE, options[n], SIZE));
        exercise("higher", 300);
        CHECK(judge("top"));
        CHECK(rig_run("cmp base.raw kept.raw"));
    }
    /* An overlay by Ringer, with the name of the format in it. */
    make_base("base.raw");
    create("own", &(struct qcow2_recipe){SIZE, 3, 16, 4, "base.raw", "raw"});
    exercise("own", 300);
    CHECK(rig_run("qemu-img info own | grep -q 'backing file format: raw'"));
}

static void test_compressed(void)
{
    static const char *const options[] = {"compat=v3", "compat=0.10,cluster_size=4k",
                                          "compat=v3,compression_type=zstd",
                                          "compat=v3,cluster_size=2M,compression_type=zstd"};
    for (unsigned n = 0; n < ARRAY_SIZE(options); n++) {
        make_base("base.raw");
        CHECK(rig_run(
            "qemu-img resize -f raw base.raw %u && qemu-img convert -c -f raw -O qcow2 -o %s base.raw packed",
            SIZE, options[n]));
        exercise("packed", 200);
    }
}

static void test_snapshots(void)
{
    static const char *const options[] = {"compat=v3", "compat=v3,cluster_size=512,refcount_bits=64",
                                          "compat=0.10,cluster_size=8k"};
    for (unsigned n = 0; n < ARRAY_SIZE(options); n++) {
        make_base("base.raw");
        CHECK(
            rig_run("qemu-img resize -f raw base.raw %u && "
                    "qemu-img convert -f raw -O qcow2 -o %s base.raw image && qemu-img snapshot -c one image",
                    SIZE, options[n]));
        exercise("image", 200);
        CHECK(rig_run("qemu-img snapshot -c two image && cp model two"));
        exercise("image", 200);
        CHECK(rig_run("qemu-img snapshot -c three image && qemu-img snapshot -d three image"));
        exercise("image", 50);
        CHECK(rig_run("qemu-img compare -s -f raw -F qcow2 base.raw image || "
                      "{ qemu-img convert -l snapshot.name=one -O raw image a && cmp a base.raw; }"));
        CHECK(rig_run("qemu-img convert -l snapshot.name=two -O raw image b && cmp b two"));
        CHECK(rig_run("qemu-img snapshot -a one image"));
        CHECK(judge("image"));
    }
}

/* Allocated clusters that read as zeros, and images with lazy refcounts. */
static void test_preallocated(void)
{
    memset(model, 0, SIZE);
    CHECK(rig_run("qemu-img create -f qcow2 -o preallocation=metadata,lazy_refcounts=on image %u", SIZE));
    exercise("image", 300);
    CHECK(rig_run("qemu-io -f qcow2 -c 'write -z 0 3M' -c 'write -P 7 1M 1M' image"));
    memset(model, 0, 3 << 20);
    memset(model + (1 << 20), 7, 1 << 20);
    exercise("image", 300);
}

/* A process ended before it wrote its refcounts. */
static void test_dirty(void)
{
    memset(model, 0, SIZE);
    CHECK(rig_run("qemu-img create -f qcow2 -o lazy_refcounts=on image %u && qemu-img snapshot -c s image",
                  SIZE));
    for (unsigned round = 0; round < 3; round++) {
        CHECK(rig_run("qemu-io -f qcow2 -c 'write -P %u 512k 2M' -c flush -c abort image; true", round + 1));
        memset(model + (512 << 10), (int)round + 1, 2 << 20);
        CHECK(rig_run("qemu-img info image | grep -q 'lazy refcounts: true'"));
        exercise("image", 20);
    }
}

/* The same, but a refcount block is missing too. There may be data where it would be made. */
static void test_dirty_uncounted(void)
{
    static u8 bytes[256 << 10];
    u64 table = 0, none = 0;
    u8 dirty = QCOW2_DIRTY;
    rig_fill(bytes, sizeof(bytes));
    create("uncounted", &(struct qcow2_recipe){SIZE, 3, 9, 4, NULL, NULL});
    struct disk_image *image = rig_open("uncounted", NULL, false);
    CHECK_EQ(rig_write(image, 0, bytes, sizeof(bytes)), 0);
    CHECK_EQ(disk_image_close(image), 0);
    int fd = open(rig_path("uncounted"), O_RDWR);
    CHECK(pread(fd, &table, 8, offsetof(struct qcow2_header, reftable_offset)) == 8);
    CHECK(pwrite(fd, &none, 8, (off_t)be64toh(table) + 8) == 8); /* the second block */
    CHECK(pwrite(fd, &dirty, 1, offsetof(struct qcow2_header, incompatible) + 7) == 1);
    close(fd);
    CHECK(rig_run("cp uncounted before"));
    CHECK(!rig_open("uncounted", NULL, false));
    CHECK(rig_run("cmp uncounted before"));
    CHECK(rig_run("qemu-img check -q -f qcow2 -r all uncounted; qemu-img check -f qcow2 uncounted"));
    image = rig_open("uncounted", NULL, false);
    static u8 read[sizeof(bytes)];
    CHECK(image && !rig_read(image, 0, read, sizeof(read)) && !memcmp(read, bytes, sizeof(read)));
    disk_image_close(image);
}

/* More clusters than the refcount table counts at first. */
static void test_growth(void)
{
    struct disk_image *image;
    u8 bytes[4096];
    create("large", &(struct qcow2_recipe){64u << 20, 3, 9, 6, NULL, NULL});
    image = rig_open("large", NULL, false);
    CHECK(image != NULL);
    for (u64 at = 0; image && at < 48u << 20; at += sizeof(bytes)) {
        memset(bytes, (int)(at >> 12), sizeof(bytes));
        if (rig_write(image, at, bytes, sizeof(bytes))) CHECK(false);
        if (at % (5u << 20) == 0) CHECK_EQ(image->ops->flush(image), 0);
    }
    CHECK_EQ(disk_image_close(image), 0);
    CHECK(judge("large"));
    image = rig_open("large", NULL, true);
    for (u64 at = 0; image && at < 48u << 20; at += sizeof(bytes)) {
        CHECK(!rig_read(image, at, bytes, sizeof(bytes)) && bytes[0] == (u8)(at >> 12) &&
              bytes[4095] == bytes[0]);
    }
    disk_image_close(image);
    /* Sizes at which the tables at the start take more than a cluster each. */
    create("huge", &(struct qcow2_recipe){1ull << 45, 3, 16, 4, NULL, NULL});
    CHECK(judge("huge"));
    create("odd", &(struct qcow2_recipe){1ull << 36, 3, 12, 0, NULL, NULL});
    CHECK(judge("odd"));
}

/* Discarded clusters are given back to the host, and are used again. */
static void test_reuse(void)
{
    static u8 bytes[1 << 20];
    rig_fill(bytes, sizeof(bytes));
    create("reuse", &(struct qcow2_recipe){SIZE, 3, 16, 4, NULL, NULL});
    struct disk_image *image = rig_open("reuse", NULL, false);
    for (unsigned n = 0; n < 50; n++) {
        CHECK_EQ(rig_write(image, n % 4 << 20, bytes, sizeof(bytes)), 0);
        CHECK_EQ(image->ops->discard(image, n % 4 << 20, sizeof(bytes)), 0);
        CHECK_EQ(image->ops->flush(image), 0);
    }
    CHECK_EQ(disk_image_close(image), 0);
    CHECK(judge("reuse"));
    CHECK(rig_run("[ $(stat -c %%s reuse) -lt 4000000 ] && [ $(stat -c %%b reuse) -lt 2000 ]"));
}

/* Truncated while it is in use: lost data never reads as zeros, whatever is written afterwards. */
static void test_cut(void)
{
    static u8 bytes[1 << 20];
    rig_fill(bytes, sizeof(bytes));
    create("cut", &(struct qcow2_recipe){SIZE, 3, 16, 4, NULL, NULL});
    struct disk_image *image = rig_open("cut", NULL, false);
    CHECK_EQ(rig_write(image, 0, bytes, sizeof(bytes)), 0);
    CHECK_EQ(image->ops->flush(image), 0);
    CHECK(!truncate(rig_path("cut"), 640 << 10));
    CHECK_EQ(rig_read(image, 0, bytes, 65536), 0);
    CHECK_EQ(rig_read(image, 0, bytes, sizeof(bytes)), -EIO);
    CHECK_EQ(rig_write(image, 2 << 20, bytes, 65536), -EIO);
    CHECK_EQ(rig_write(image, 1 << 19, bytes, 65536), -EIO);
    CHECK_EQ(rig_read(image, 0, bytes, sizeof(bytes)), -EIO);
    CHECK_EQ(image->ops->flush(image), -EIO);
    CHECK_EQ(disk_image_close(image), -EIO);
}

int main(void)
{
    if (!rig_begin()) return 0;
    model = malloc(SIZE);
    test_shapes();
    test_backing();
    test_compressed();
    test_snapshots();
    test_preallocated();
    test_dirty();
    test_dirty_uncounted();
    test_growth();
    test_reuse();
    test_cut();
    free(model);
    return rig_end();
}
