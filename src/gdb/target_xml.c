/*
 * The description of the target (the manual's appendix "Target Descriptions"), made from the table of registers.
 * Registers have explicit numbers, because gdb wants x87 registers in its core feature and QEMU's order has the bases
 * and control registers before them.
 */
#include "gdb_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flag {
    const char *name;
    u8 bit;
};

static const struct flag eflags[] = {{"CF", 0},  {"", 1},    {"PF", 2},   {"AF", 4},   {"ZF", 6},  {"SF", 7},
                                     {"TF", 8},  {"IF", 9},  {"DF", 10},  {"OF", 11},  {"NT", 14}, {"RF", 16},
                                     {"VM", 17}, {"AC", 18}, {"VIF", 19}, {"VIP", 20}, {"ID", 21}, {NULL, 0}};
static const struct flag mxcsr[] = {{"IE", 0},  {"DE", 1},  {"ZE", 2},  {"OE", 3},  {"UE", 4},
                                    {"PE", 5},  {"DAZ", 6}, {"IM", 7},  {"DM", 8},  {"ZM", 9},
                                    {"OM", 10}, {"UM", 11}, {"PM", 12}, {"FZ", 15}, {NULL, 0}};
static const struct flag cr0[] = {{"PE", 0},  {"MP", 1},  {"EM", 2},  {"TS", 3},  {"ET", 4},  {"NE", 5},
                                  {"WP", 16}, {"AM", 18}, {"NW", 29}, {"CD", 30}, {"PG", 31}, {NULL, 0}};
static const struct flag cr4[] = {
    {"VME", 0},       {"PVI", 1},    {"TSD", 2},      {"DE", 3},     {"PSE", 4},         {"PAE", 5},
    {"MCE", 6},       {"PGE", 7},    {"PCE", 8},      {"OSFXSR", 9}, {"OSXMMEXCPT", 10}, {"UMIP", 11},
    {"FSGSBASE", 16}, {"PCIDE", 17}, {"OSXSAVE", 18}, {"SMEP", 20},  {"SMAP", 21},       {NULL, 0}};
static const struct flag efer[] = {{"SCE", 0}, {"LME", 8}, {"LMA", 10}, {"NXE", 11}, {NULL, 0}};

static void add_flags(FILE *out, const char *id, unsigned bytes, const struct flag *flags)
{
    fprintf(out, "<flags id=\"%s\" size=\"%u\">", id, bytes);
    for (; flags->name; flags++)
        fprintf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", flags->name, flags->bit, flags->bit);
    fputs("</flags>", out);
}

static void add_vector_types(FILE *out)
{
    static const struct {
        const char *id, *type, *field;
        unsigned count;
    } vectors[] = {{"v4f", "ieee_single", "v4_float", 4}, {"v2d", "ieee_double", "v2_double", 2},
                   {"v16i8", "int8", "v16_int8", 16},     {"v8i16", "int16", "v8_int16", 8},
                   {"v4i32", "int32", "v4_int32", 4},     {"v2i64", "int64", "v2_int64", 2}};
    for (unsigned n = 0; n < ARRAY_SIZE(vectors); n++)
        fprintf(out, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>", vectors[n].id, vectors[n].type,
                vectors[n].count);
    fputs("<union id=\"vec128\">", out);
    for (unsigned n = 0; n < ARRAY_SIZE(vectors); n++)
        fprintf(out, "<field name=\"%s\" type=\"%s\"/>", vectors[n].field, vectors[n].id);
    fputs("<field name=\"uint128\" type=\"uint128\"/></union>", out);
}

enum feature { CORE, SYSTEM, SSE, AVX, AVX512 };

static enum feature feature_of(const char *name)
{
    bool vector = strstr(name, "mm");
    if ((vector && atoi(name + 3) >= 16) || name[0] == 'z' || (name[0] == 'k' && name[1] != '_'))
        return AVX512;
    if (!strncmp(name, "xmm", 3) || !strcmp(name, "mxcsr")) return SSE;
    if (!strncmp(name, "ymm", 3)) return AVX;
    if (!strncmp(name, "cr", 2) || !strcmp(name, "efer") || strstr(name, "_base")) return SYSTEM;
    return CORE;
}

static const char *type_of(const char *name, bool wide)
{
    static const char *const typed[][2] = {{"eflags", "i386_eflags"},
                                           {"mxcsr", "i386_mxcsr"},
                                           {"cr0", "i386_cr0"},
                                           {"cr4", "i386_cr4"},
                                           {"efer", "i386_efer"}};
    for (unsigned n = 0; n < ARRAY_SIZE(typed); n++)
        if (!strcmp(name, typed[n][0])) return typed[n][1];
    if (!strncmp(name, "st", 2)) return "i387_ext";
    if (!strncmp(name, "xmm", 3)) return "vec128";
    if (!strncmp(name, "ymm", 3)) return "uint128";
    if (!strncmp(name, "zmm", 3)) return "v2ui128";
    if (name[0] == 'k' && name[1] != '_') return "uint64";
    if (!strcmp(name + 1, "ip")) return "code_ptr";
    if (!strcmp(name + 1, "sp") || !strcmp(name + 1, "bp")) return "data_ptr";
    bool narrow = name[0] == 'f' || (strlen(name) == 2 && name[1] == 's');
    return wide && (!narrow || strstr(name, "_base")) ? "int64" : "int32";
}

static void add_registers(FILE *out, bool wide, enum feature feature)
{
    char name[16];
    enum gdb_vectors vectors = feature == AVX512 ? GDB_AVX512 : feature == AVX ? GDB_AVX : GDB_SSE;
    for (unsigned n = 0; n < registers_count(wide, vectors); n++) {
        register_name(wide, n, name, sizeof(name));
        if (feature_of(name) != feature) continue;
        bool floating = feature == CORE && name[0] == 'f' && name[2];
        fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s/>", name,
                8 * register_bytes(wide, n), type_of(name, wide), n, floating ? " group=\"float\"" : "");
    }
    fputs("</feature>", out);
}

char *target_xml(bool wide, enum gdb_vectors vectors)
{
    char *text = NULL;
    size_t bytes;
    unsigned control = wide ? 8 : 4;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return NULL;
    fprintf(out,
            "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM "
            "\"gdb-target.dtd\"><target><architecture>%s</architecture>"
            "<feature name=\"org.gnu.gdb.i386.core\">",
            wide ? "i386:x86-64" : "i386");
    add_flags(out, "i386_eflags", 4, eflags);
    add_registers(out, wide, CORE);
    fputs("<feature name=\"org.gnu.gdb.i386.sse\">", out);
    add_vector_types(out);
    add_flags(out, "i386_mxcsr", 4, mxcsr);
    add_registers(out, wide, SSE);
    if (vectors >= GDB_AVX) {
        fputs("<feature name=\"org.gnu.gdb.i386.avx\">", out);
        add_registers(out, wide, AVX);
    }
    if (vectors >= GDB_AVX512) {
        fputs("<feature name=\"org.gnu.gdb.i386.avx512\">", out);
        add_vector_types(out);
        fputs("<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>", out);
        add_registers(out, wide, AVX512);
    }
    fputs("<feature name=\"org.ringer.i386.system\">", out);
    add_flags(out, "i386_cr0", control, cr0);
    add_flags(out, "i386_cr4", control, cr4);
    add_flags(out, "i386_efer", control, efer);
    add_registers(out, wide, SYSTEM);
    fputs("</target>", out);
    fclose(out);
    return text;
}
