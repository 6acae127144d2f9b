#include "guest_code.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* --- digits --- */

static int digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10 : -1;
}

bool guest_code_from_hex(struct guest_code *g, const char *digits, u64 rip, char *error, size_t error_bytes)
{
    *g = (struct guest_code){.rip = rip, .code = malloc(strlen(digits) / 2 + 1)};
    if (!g->code) return SAY("out of memory");
    for (const char *at = digits; *at;) {
        if (isspace((unsigned char)*at) || *at == ',') {
            at++;
            continue;
        }
        int high = digit(at[0]), low = high < 0 ? -1 : digit(at[1]);
        if (low < 0) {
            guest_code_free(g);
            return SAY("'%s' is not a list of bytes in hexadecimal, as in 'fa 9c 58'",
                       digits + strspn(digits, " "));
        }
        g->code[g->bytes++] = (u8)(high << 4 | low);
        at += 2;
    }
    if (g->bytes && g->bytes <= GUEST_CODE_MAX) return true;
    bool none = !g->bytes;
    guest_code_free(g);
    return none ? SAY("there are no bytes to explain")
                : SAY("at most %u bytes can be explained at once", GUEST_CODE_MAX);
}

/* --- ELF --- */

/* The symbol's address and size; without a size, the distance to the next symbol. */
static bool find_symbol(Elf *elf, const char *name, u64 *address, u64 *size)
{
    GElf_Shdr header;
    u64 next = UINT64_MAX;
    bool found = false;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB || !header.sh_entsize) continue;
        Elf_Data *data = elf_getdata(section, NULL);
        size_t count = header.sh_size / header.sh_entsize;
        GElf_Sym symbol;
        for (size_t n = 0; data && n < count && !found; n++) {
            const char *text =
                gelf_getsym(data, (int)n, &symbol) ? elf_strptr(elf, header.sh_link, symbol.st_name) : NULL;
            if (!text || strcmp(text, name) != 0 || symbol.st_shndx == SHN_UNDEF) continue;
            *address = symbol.st_value;
            *size = symbol.st_size;
            found = true;
        }
        for (size_t n = 0; data && n < count && found && !*size; n++)
            if (gelf_getsym(data, (int)n, &symbol) && symbol.st_value > *address && symbol.st_value < next)
                next = symbol.st_value;
    }
    if (found && !*size && next != UINT64_MAX) *size = next - *address;
    return found;
}

/* The bytes of the segment from `address` on: their offset in the file and how many there are. */
static bool find_segment(Elf *elf, u64 address, u64 *offset, u64 *bytes)
{
    size_t count;
    GElf_Phdr segment;
    if (elf_getphdrnum(elf, &count)) return false;
    for (size_t n = 0; n < count; n++) {
        if (!gelf_getphdr(elf, (int)n, &segment) || segment.p_type != PT_LOAD) continue;
        if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz) continue;
        *offset = segment.p_offset + (address - segment.p_vaddr);
        *bytes = segment.p_filesz - (address - segment.p_vaddr);
        return true;
    }
    return false;
}

static bool read_range(struct guest_code *g, int fd, u64 offset, const char *path, char *error,
                       size_t error_bytes)
{
    g->code = malloc(g->bytes);
    if (!g->code) return SAY("out of memory");
    ssize_t got = pread(fd, g->code, g->bytes, (off_t)offset);
    if (got == (ssize_t)g->bytes) return true;
    guest_code_free(g);
    return got < 0 ? SAY("cannot read '%s': %s", path, strerror(errno))
                   : SAY("'%s' ends within the code asked for", path);
}

static bool from_elf(struct guest_code *g, Elf *elf, int fd, const char *path, const char *name, u32 limit,
                     char *error, size_t error_bytes)
{
    GElf_Ehdr header;
    if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
        return SAY("'%s' is not an ELF file; ringer explain reads vmlinux, not a compressed kernel", path);
    if (header.e_machine != EM_386 && header.e_machine != EM_X86_64) return SAY("'%s' is not for x86", path);
    char *end;
    u64 address = strtoull(name, &end, 0), size = 0, offset, bytes;
    if (*end || end == name)
        if (!find_symbol(elf, name, &address, &size))
            return SAY("'%s' has no symbol %s (a stripped file has none at all)", path, name);
    if (!find_segment(elf, address, &offset, &bytes))
        return SAY("'%s' has no bytes at address %llx", path, (unsigned long long)address);
    if (size && bytes > size) bytes = size;
    if (limit && bytes > limit) bytes = limit;
    if (bytes > GUEST_CODE_MAX) bytes = GUEST_CODE_MAX;
    g->rip = address;
    g->wide = header.e_machine == EM_X86_64;
    g->bytes = (u32)bytes;
    return read_range(g, fd, offset, path, error, error_bytes);
}

bool guest_code_from_elf(struct guest_code *g, const char *path, const char *symbol, u32 limit, char *error,
                         size_t error_bytes)
{
    *g = (struct guest_code){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return SAY("cannot open '%s': %s", path, strerror(errno));
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    bool good =
        elf ? from_elf(g, elf, fd, path, symbol, limit, error, error_bytes) : SAY("cannot read '%s'", path);
    elf_end(elf);
    close(fd);
    return good;
}

void guest_code_free(struct guest_code *g)
{
    free(g->code);
    g->code = NULL;
    g->bytes = 0;
}
