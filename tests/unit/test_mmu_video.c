/*
 * Video memory: writes are reported by page, at several addresses at once. Hazard: a write that is not reported
 * because a write entry outlived the collecting of dirty pages.
 */
#include "mmu/shadow.h"

#include "check.h"

#include <string.h>

#define MB (1ull << 20)

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40 };
enum { DIRECTORY = 0x2000, TABLE = 0x3000, BAR = 0x800000, VIDEO_PAGES = 64 };

struct fixture {
    struct phys phys;
    struct shadow shadow;
    struct counters counters;
    struct paging paging;
    unsigned told;
};

static void on_protect(void *owner, u64 gpa_page)
{
    shadow_drop_writes(&((struct fixture *)owner)->shadow, gpa_page);
}
static void on_written(void *owner, u64 gpa, u64 bytes) {}
static void on_video_written(void *owner)
{
    ((struct fixture *)owner)->told++;
}

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    CHECK_EQ(phys_init_with_video(&f->phys, 4 * MB, VIDEO_PAGES * PAGE_SIZE), 0);
    f->phys.owner = f;
    f->phys.protect = on_protect;
    f->phys.guarded_written = on_written;
    f->phys.video_written = on_video_written;
    CHECK_EQ(shadow_init(&f->shadow, &f->phys, &f->counters), 0);
    f->paging = (struct paging){.cr0 = CR0_PG | CR0_PE | CR0_WP, .cr3 = DIRECTORY, .maxphyaddr = 36};
    phys_write(&f->phys, DIRECTORY, 4, TABLE | P | RW | US);
    for (u32 page = 0; page < VIDEO_PAGES;
         page++) /* A and D are set: nothing but a clean page forbids entries */
        phys_write(&f->phys, TABLE + page * 4, 4, (BAR + page * PAGE_SIZE) | P | RW | US | A | D);
    CHECK_EQ(phys_map_video(&f->phys, BAR, VIDEO_PAGES * PAGE_SIZE, 0), 0);
    shadow_load_root(&f->shadow, &f->paging);
}

static void teardown(struct fixture *f)
{
    shadow_destroy(&f->shadow);
    phys_destroy(&f->phys);
}

static void touch(struct fixture *f, u32 linear, enum access access)
{
    struct shadow_hit hit;
    CHECK_EQ(shadow_access(&f->shadow, &f->paging, linear, access, false, &hit), SHADOW_DIRECT);
    CHECK(hit.host == f->phys.video + linear);
}

static u64 collect(struct fixture *f)
{
    u64 pages[1] = {0};
    shadow_collect_dirty(&f->shadow, pages);
    return pages[0];
}

static bool writable(struct fixture *f, u32 page)
{
    return f->shadow.table[SHADOW_SUPERVISOR].write[page];
}

static void test_dirty_pages(void)
{
    struct fixture f;
    setup(&f);
    CHECK_EQ(collect(&f), 0);
    touch(&f, 0x5000, ACCESS_READ);
    CHECK_EQ(f.told, 0);
    CHECK(!writable(&f, 5) && f.shadow.table[SHADOW_SUPERVISOR].read[5]);
    /* The first write is reported, for neighbouring pages too. Further writes are not. */
    touch(&f, 0x9123, ACCESS_WRITE);
    CHECK_EQ(f.told, 1);
    CHECK(writable(&f, 9) && writable(&f, 15) && !writable(&f, 7));
    touch(&f, 0xa000, ACCESS_WRITE);
    CHECK_EQ(f.told, 1);
    CHECK_EQ(collect(&f), 0xff00);
    CHECK_EQ(collect(&f), 0);
    CHECK(!writable(&f, 9) && !writable(&f, 15));
    touch(&f, 0x9000, ACCESS_READ); /* no entry comes back by reading */
    CHECK(!writable(&f, 9));
    touch(&f, 0x9000, ACCESS_WRITE);
    CHECK_EQ(f.told, 2);
    /* Bus masters, and the CPU without paging. */
    u8 bytes[8] = {1};
    struct dma dma = phys_dma(&f.phys);
    dma.write(dma.memory, BAR + 0x20ffc, bytes, sizeof bytes);
    CHECK_EQ(f.told, 3);
    phys_write(&f.phys, BAR + (VIDEO_PAGES - 1) * PAGE_SIZE, 4, 1);
    CHECK_EQ(f.told, 4);
    CHECK_EQ(collect(&f), 0xff000000000000ull << 8 | 0xffull << 32 | 0xff00);
    teardown(&f);
}

/* Sequential writes are reported in ever larger pieces, and write entries are filled in the same pieces, also for pages
 * that have kept their read entries. */
static void test_order(void)
{
    struct fixture f;
    setup(&f);
    for (unsigned round = 0; round < 2; round++) {
        f.told = 0;
        touch(&f, 8 * PAGE_SIZE, ACCESS_WRITE);
        CHECK(writable(&f, 8) && writable(&f, 15) && !writable(&f, 16));
        touch(&f, 16 * PAGE_SIZE, ACCESS_WRITE);
        CHECK(writable(&f, 17) && writable(&f, 31) && !writable(&f, 32));
        touch(&f, 32 * PAGE_SIZE, ACCESS_WRITE);
        CHECK(writable(&f, 33) && writable(&f, 63));
        CHECK_EQ(f.told, 3);
        CHECK_EQ(collect(&f), ~0xffull);
    }
    touch(&f, 5 * PAGE_SIZE, ACCESS_WRITE); /* elsewhere: from small again */
    CHECK_EQ(collect(&f), 0xff);
    CHECK(f.shadow.table[SHADOW_SUPERVISOR].read[40] && !writable(&f, 40));
    teardown(&f);
}

/* The memory is the same at both addresses. */
static void test_alias(void)
{
    struct fixture f;
    setup(&f);
    CHECK_EQ(phys_map_video(&f.phys, 0xa0000, 0x10000, 0x20000), 0);
    touch(&f, 0x21000, ACCESS_WRITE);
    phys_write(&f.phys, 0xa1234, 1, 0x5a);
    CHECK_EQ(f.phys.video[0x21234], 0x5a);
    CHECK_EQ(phys_read(&f.phys, BAR + 0x21234, 1), 0x5a);
    CHECK_EQ(collect(&f), 0xffull << 32);
    /* Code at one address drops the write entries of the other. */
    touch(&f, 0x21000, ACCESS_WRITE);
    CHECK(writable(&f, 0x21));
    phys_guard(&f.phys, 0xa1000, PHYS_CODE);
    CHECK(!writable(&f, 0x21));
    CHECK_EQ(phys_map_ram(&f.phys, 0xa0000, 0x10000), 0);
    CHECK_EQ(phys_read(&f.phys, 0xa1234, 1), 0);
    CHECK_EQ(phys_map_video(&f.phys, 0xa0000, 0x10000, VIDEO_PAGES * PAGE_SIZE - 0xf000), -22);
    CHECK_EQ(phys_map_video(&f.phys, 0xa0000, 0x10000, 0x800), -22);
    teardown(&f);
}

int main(void)
{
    test_dirty_pages();
    test_order();
    test_alias();
    return check_report();
}
