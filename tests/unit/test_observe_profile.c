/*
 * Symbol tables, the profiler's table, and its folded stacks. Their numbers must add up.
 */
#include "cpu/isa.h"
#include "observe/profile.h"

#include "check.h"
#include "devices/video/display.h"

#include <stdlib.h>
#include <string.h>

static struct symbols guest, own;
static struct profile profile;

/* FILE of a text. */
static FILE *text_file(const char *text)
{
    return fmemopen((char *)text, strlen(text), "r");
}

static void test_map(void)
{
    char name[64];
    FILE *in = text_file("c1000100 T second\n"
                         "c1000000 T startup_32\n"
                         "c1000180 d not_code\n"
                         "a line of something else\n"
                         "c1000200 t in_module\t[raid6_pq]\n");
    CHECK(symbols_read_map(&guest, in));
    fclose(in);
    CHECK_EQ(guest.count, 3);
    CHECK_EQ(symbols_find(&guest, 0xc0ffffff), SYMBOL_NONE);
    CHECK_EQ(symbols_find(&guest, 0xc1000000), 0);
    CHECK_EQ(symbols_find(&guest, 0xc10000ff), 0);
    CHECK_EQ(symbols_find(&guest, 0xc1000180), 1);
    CHECK_EQ(symbols_find(&guest, 0xc1000201), 2);
    CHECK_EQ(symbols_find(&guest, 0xd0000000), SYMBOL_NONE);
    symbols_format(&guest, 0xc1000100, name, sizeof(name));
    CHECK(!strcmp(name, "second"));
    symbols_format(&guest, 0xc1000112, name, sizeof(name));
    CHECK(!strcmp(name, "second+0x12"));
    symbols_format(&guest, 0x08048000, name, sizeof(name));
    CHECK(!strcmp(name, "08048000"));
}

static void test_map_without_addresses(void)
{
    struct symbols none = {0};
    FILE *in = text_file("00000000 T startup_32\n00000000 T second\n"); /* kptr_restrict */
    CHECK(!symbols_read_map(&none, in));
    fclose(in);
    CHECK_EQ(symbols_find(&none, 0), SYMBOL_NONE);
    symbols_free(&none);
}

/* The module comes from the section that CMakeLists.txt has renamed. */
static void test_own(void)
{
    u32 n = symbols_find(&own, (u64)(uintptr_t)&profile_count + 1);
    CHECK(n != SYMBOL_NONE && !strcmp(own.list[n].name, "profile_count"));
    CHECK(n != SYMBOL_NONE && own.list[n].module && !strcmp(own.list[n].module, "observe"));
    n = symbols_find(&own, (u64)(uintptr_t)&fpu_park);
    CHECK(n != SYMBOL_NONE && own.list[n].module && !strcmp(own.list[n].module, "cpu"));
    n = symbols_find(&own, (u64)(uintptr_t)&display_take);
    CHECK(n != SYMBOL_NONE && own.list[n].module && !strcmp(own.list[n].module, "devices"));
    n = symbols_find(&own, (u64)(uintptr_t)&test_own);
    CHECK(n != SYMBOL_NONE && !own.list[n].module);
}

static u32 own_index(const void *function)
{
    return symbols_find(&own, (u64)(uintptr_t)function);
}

static void count(unsigned times, struct sample sample, enum profile_engine engine, u32 function)
{
    struct profile_key key;
    memset(&key, 0xa5, sizeof(key)); /* padding must not matter */
    key.sample = sample;
    key.engine = engine;
    key.function = function;
    while (times--) {
        profile.taken++;
        profile_count(&profile, &key);
    }
}

static unsigned cpuid_form(void)
{
    struct insn cpuid;
    static const u8 bytes[INSN_MAX_BYTES] = {0x0f, 0xa2};
    insn_decode(&cpuid, bytes, sizeof(bytes), true);
    return isa_row_number(cpuid.row);
}

static void fill(void)
{
    profile.own = own;
    profile.guest = &guest;
    profile.cpu_ns = 40000000;
    profile.entries = calloc(PROFILE_ENTRIES, sizeof(profile.entries[0]));
    /* Two blocks of one guest function are one line. */
    struct sample kernel = {
        .location = SAMPLE_TRANSLATED, .tier = 1, .eip = 0xc1000110, .block_linear = 0xc1000108};
    count(5, kernel, ENGINE_OF_TRANSLATED, SYMBOL_NONE);
    kernel.block_linear = 0xc1000140, kernel.eip = 0xc1000144;
    count(3, kernel, ENGINE_OF_TRANSLATED, SYMBOL_NONE);
    struct sample user = {
        .location = SAMPLE_TRANSLATED, .tier = 1, .cpl = 3, .eip = 0x08048003, .block_linear = 0x08048000};
    count(20, user, ENGINE_OF_TRANSLATED, SYMBOL_NONE);
    struct sample callout = {.location = SAMPLE_EXIT,
                             .cause = 1,
                             .form = (u16)cpuid_form(),
                             .eip = 0xc1000008,
                             .block_linear = 0xc1000000};
    CHECK(!strcmp(translator_exit_name(1), "callout"));
    count(7, callout, ENGINE_OF_INTERPRETER, own_index(&fpu_park));
    struct sample link = {.location = SAMPLE_EXIT, .cause = 2, .eip = 0xc1000000};
    count(4, link, ENGINE_OF_HOST, SYMBOL_NONE);
    count(1, (struct sample){.location = SAMPLE_OUTSIDE}, ENGINE_OF_MACHINE, own_index(&profile_count));
}

static char *written_by(void (*write)(const struct profile *, FILE *))
{
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    write(&profile, out);
    fclose(out);
    return text;
}

static void test_folding(void)
{
    char *folded = written_by(profile_write_folded);
    static const char expected[] = "ringer;callout;CPUID;kernel;startup_32;interpreter;fpu_park 7\n"
                                   "ringer;dispatcher;profile_count 1\n"
                                   "ringer;translated;kernel;second 8\n"
                                   "ringer;translated;user;08048000 20\n"
                                   "ringer;unlinked edge;kernel;startup_32;host;(outside of Ringer) 4\n";
    CHECK(!strcmp(folded, expected));
    if (strcmp(folded, expected)) fputs(folded, stdout);
    free(folded);
}

static void test_tables(void)
{
    char *tables = written_by(profile_write_tables);
    /* 40 samples in 40 ms. */
    CHECK(strstr(tables, "40 samples in 40.0 ms"));
    CHECK(strstr(tables, "      28.0  70.00  translated code\n"));
    CHECK(strstr(tables, "      20.0  50.00  tier 1, user code\n"));
    CHECK(strstr(tables, "       7.0  17.50  CPUID\n"));
    CHECK(strstr(tables, "       5.0  12.50            5.0  c1000108 kernel second+0x8\n"));
    CHECK(strstr(tables, "       7.0  17.50            0.0  c1000000 kernel startup_32\n"));
    free(tables);
}

static void test_full(void)
{
    struct sample sample = {.location = SAMPLE_TRANSLATED};
    u64 before = profile.used;
    for (u32 n = 0; n < PROFILE_ENTRIES; n++) {
        sample.eip = n;
        count(1, sample, ENGINE_OF_TRANSLATED, SYMBOL_NONE);
    }
    CHECK(profile.used < PROFILE_ENTRIES);
    CHECK_EQ(profile.used - before + profile.lost, PROFILE_ENTRIES);
    sample.eip = 0;
    u64 lost = profile.lost;
    count(1, sample, ENGINE_OF_TRANSLATED, SYMBOL_NONE); /* an old one still counts */
    CHECK_EQ(profile.lost, lost);
}

int main(void)
{
    symbols_load_own(&own);
    test_map();
    test_map_without_addresses();
    test_own();
    fill();
    test_folding();
    test_tables();
    test_full();
    free(profile.entries);
    symbols_free(&guest);
    symbols_free(&own);
    return check_report();
}
