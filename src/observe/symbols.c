#include "symbols.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The size of the last symbol of a map, which has no successor. */
#define LAST_REACHES PAGE_SIZE

static void add(struct symbols *symbols, u64 address, const char *name, const char *module)
{
    if (symbols->count == symbols->room) {
        unsigned room = symbols->room ? symbols->room * 2 : 1024;
        struct symbol *list = realloc(symbols->list, room * sizeof(*list));
        if (!list) return;
        symbols->list = list;
        symbols->room = room;
    }
    char *copy = strdup(name);
    if (copy) symbols->list[symbols->count++] = (struct symbol){address, copy, module};
}

static int ascending(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

static void settle(struct symbols *symbols, u64 last_reaches)
{
    if (!symbols->count) return;
    qsort(symbols->list, symbols->count, sizeof(symbols->list[0]), ascending);
    symbols->end = symbols->list[symbols->count - 1].address + last_reaches;
}

/* --- a guest's map --- */

bool symbols_read_map(struct symbols *symbols, FILE *in)
{
    char line[512], name[256], type;
    unsigned long long address;
    for (unsigned n = 0; fgets(line, sizeof(line), in); n++) {
        bool read = sscanf(line, "%llx %c %255s", &address, &type, name) == 3;
        if (!read && !n) return false; /* another kind of file, in which some line may look right by chance */
        if (!read) continue;
        /* Under kptr_restrict all addresses read as 0. */
        if (address && strchr("tTwW", type)) add(symbols, address, name, NULL);
    }
    settle(symbols, LAST_REACHES);
    return symbols->count > 0;
}

/* --- ELF files --- */

static int first_object(struct dl_phdr_info *info, size_t size, void *base)
{
    *(u64 *)base = info->dlpi_addr; /* the program itself comes first */
    return 1;
}

/* CMakeLists.txt puts the code of src/NAME into a section text_NAME. */
static const char *module_of(Elf *elf, size_t names, size_t index)
{
    static const char *const modules[] = {"base",    "mmu",  "cpu",   "cache", "translator", "devices",
                                          "block",   "net",  "share", "vhost", "chardev",    "ui",
                                          "options", "boot", "board", "vm",    "observe",    "tools"};
    GElf_Shdr header;
    Elf_Scn *section = elf_getscn(elf, index);
    if (!section || !gelf_getshdr(section, &header)) return NULL;
    const char *name = elf_strptr(elf, names, header.sh_name);
    if (!name || strncmp(name, "text_", 5)) return NULL;
    for (unsigned n = 0; n < ARRAY_SIZE(modules); n++)
        if (!strcmp(name + 5, modules[n])) return modules[n];
    return NULL;
}

enum elf_kind { ELF_OF_GUEST, ELF_OWN };

/* Assembly code may have functions that are not marked so: of a guest, labels in code count too. */
static bool is_function(Elf *elf, const GElf_Sym *symbol, enum elf_kind kind)
{
    unsigned type = GELF_ST_TYPE(symbol->st_info);
    if (type == STT_FUNC) return true;
    if (kind == ELF_OWN || type != STT_NOTYPE || symbol->st_shndx == SHN_UNDEF) return false;
    GElf_Shdr header;
    Elf_Scn *section = elf_getscn(elf, symbol->st_shndx);
    return section && gelf_getshdr(section, &header) && header.sh_flags & SHF_EXECINSTR;
}

static void read_table(struct symbols *symbols, Elf *elf, Elf_Scn *section, const GElf_Shdr *header, u64 base,
                       enum elf_kind kind)
{
    size_t names;
    Elf_Data *data = elf_getdata(section, NULL);
    if (!data || elf_getshdrstrndx(elf, &names) < 0) return;
    for (int n = 0; n < (int)(header->sh_size / header->sh_entsize); n++) {
        GElf_Sym symbol;
        if (!gelf_getsym(data, n, &symbol) || !symbol.st_value || !is_function(elf, &symbol, kind)) continue;
        const char *name = elf_strptr(elf, header->sh_link, symbol.st_name);
        if (name && *name)
            add(symbols, base + symbol.st_value, name,
                kind == ELF_OWN ? module_of(elf, names, symbol.st_shndx) : NULL);
    }
}

static void read_elf(struct symbols *symbols, int fd, u64 base, enum elf_kind kind)
{
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    while (elf && (section = elf_nextscn(elf, section)))
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
            read_table(symbols, elf, section, &header, base, kind);
    if (elf) elf_end(elf);
    settle(symbols, LAST_REACHES);
}

void symbols_load_own(struct symbols *symbols)
{
    u64 base = 0;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    dl_iterate_phdr(first_object, &base);
    read_elf(symbols, fd, base, ELF_OWN);
    close(fd);
}

/* --- a guest's file --- */

bool symbols_load_guest(struct symbols *symbols, const char *path, char *error, size_t error_bytes)
{
    FILE *in = fopen(path, "re");
    if (!in) {
        snprintf(error, error_bytes, "cannot read the symbols in %s: %s", path, strerror(errno));
        return false;
    }
    char magic[SELFMAG] = "";
    bool elf = fread(magic, 1, SELFMAG, in) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG);
    rewind(in);
    if (elf)
        read_elf(symbols, fileno(in), 0, ELF_OF_GUEST);
    else
        symbols_read_map(symbols, in);
    fclose(in);
    if (symbols->count) return true;
    snprintf(error, error_bytes,
             elf ? "%s has no symbols: it is stripped"
                 : "there is no symbol in %s: it should be an ELF file, or read as System.map does",
             path);
    return false;
}

void symbols_free(struct symbols *symbols)
{
    for (unsigned n = 0; n < symbols->count; n++)
        free((char *)symbols->list[n].name);
    free(symbols->list);
    *symbols = (struct symbols){0};
}

/* --- lookups --- */

u32 symbols_find(const struct symbols *symbols, u64 address)
{
    u32 low = 0, high = symbols->count;
    if (address >= symbols->end || address < symbols->list[0].address) return SYMBOL_NONE;
    while (low < high) { /* the first above the address */
        u32 middle = (low + high) / 2;
        if (symbols->list[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

void symbols_format(const struct symbols *symbols, u64 address, char *text, size_t bytes)
{
    u32 n = symbols_find(symbols, address);
    if (n == SYMBOL_NONE)
        snprintf(text, bytes, "%08llx", (unsigned long long)address);
    else if (address == symbols->list[n].address)
        snprintf(text, bytes, "%s", symbols->list[n].name);
    else
        snprintf(text, bytes, "%s+%#llx", symbols->list[n].name,
                 (unsigned long long)(address - symbols->list[n].address));
}
