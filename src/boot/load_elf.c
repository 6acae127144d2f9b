/*
 * ELF kernels: loads segments to their physical addresses and finds entry points. libelf reads the headers. Their
 * contents are checked here against file and memory.
 */
#include "load_common.h"

#include "base/log.h"

#include <gelf.h>
#include <libelf.h>
#include <string.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18           /* Xen, public/elfnote.h: the PVH entry point */
#define NOTE_BYTES_MAX           (1ull << 20) /* a section of notes longer than this is ignored */

static int load_segment(struct load *load, const struct image *kernel, const GElf_Phdr *segment,
                        struct elf_kernel *elf)
{
    if (!segment->p_memsz) return 0;
    if (segment->p_filesz > segment->p_memsz)
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' is damaged: a segment has more bytes in the file than in memory",
                         kernel->path);
    u64 at = segment->p_paddr, end = at + segment->p_memsz;
    if (!guest_is_ram(load, at, segment->p_memsz))
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' does not fit in memory: it has a segment for 0x%llx to 0x%llx",
                         kernel->path, (unsigned long long)at, (unsigned long long)(end - 1));
    int status = image_read_to_guest(load, kernel, segment->p_offset, at, segment->p_filesz);
    if (!status) status = guest_zero(load, at + segment->p_filesz, segment->p_memsz - segment->p_filesz);
    if (status) return status;
    if (at < elf->low) elf->low = at;
    if (end > elf->high) elf->high = end;
    return 0;
}

static void look_for_pvh(Elf *file, const struct image *kernel, const GElf_Phdr *segment,
                         struct elf_kernel *elf)
{
    if (segment->p_filesz > NOTE_BYTES_MAX || segment->p_offset > kernel->bytes ||
        segment->p_filesz > kernel->bytes - segment->p_offset)
        return;
    Elf_Data *data = elf_getdata_rawchunk(file, (int64_t)segment->p_offset, segment->p_filesz, ELF_T_NHDR);
    if (!data) return;
    GElf_Nhdr note;
    size_t name, description;
    for (size_t at = 0; (at = gelf_getnote(data, at, &note, &name, &description)) > 0;) {
        const u8 *bytes = data->d_buf;
        if (note.n_type != XEN_ELFNOTE_PHYS32_ENTRY || note.n_namesz != 4 || note.n_descsz < 4 ||
            memcmp(bytes + name, "Xen", 4))
            continue;
        elf->has_pvh = true;
        elf->pvh_entry = get32(bytes + description);
        return;
    }
}

/* The entry point in the header is a virtual address. Segments may have other physical addresses. */
static void translate_entry(const GElf_Ehdr *header, const GElf_Phdr *segment, struct elf_kernel *elf)
{
    u64 into = header->e_entry - segment->p_vaddr;
    if (segment->p_vaddr != segment->p_paddr && (segment->p_flags & PF_X) &&
        header->e_entry >= segment->p_vaddr && into < segment->p_filesz)
        elf->entry = segment->p_paddr + into;
}

static int load_file(struct load *load, const struct image *kernel, Elf *file, struct elf_kernel *elf)
{
    GElf_Ehdr header;
    size_t count;
    if (!file || elf_kind(file) != ELF_K_ELF || !gelf_getehdr(file, &header) || elf_getphdrnum(file, &count))
        return load_fail(load, STATUS_USAGE, "kernel '%s' is a damaged or truncated ELF file", kernel->path);
    *elf = (struct elf_kernel){
        .entry = header.e_entry, .low = UINT64_MAX, .is_64bit = header.e_machine == EM_X86_64};
    if (header.e_ident[EI_CLASS] != (elf->is_64bit ? ELFCLASS64 : ELFCLASS32) ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || (!elf->is_64bit && header.e_machine != EM_386))
        return load_fail(load, STATUS_USAGE, "kernel '%s' is an ELF file, but not for x86", kernel->path);
    if (elf->is_64bit) {
        int status = load_check_long_mode(load, kernel->path);
        if (status) return status;
    }
    for (size_t n = 0; n < count; n++) {
        GElf_Phdr segment;
        int status = 0;
        if (!gelf_getphdr(file, (int)n, &segment))
            return load_fail(load, STATUS_USAGE,
                             "kernel '%s' is truncated: it ends before its program headers", kernel->path);
        if (segment.p_type == PT_LOAD) {
            status = load_segment(load, kernel, &segment, elf);
            translate_entry(&header, &segment, elf);
        } else if (segment.p_type == PT_NOTE) {
            look_for_pvh(file, kernel, &segment, elf);
        }
        if (status) return status;
    }
    if (!elf->high) return load_fail(load, STATUS_USAGE, "kernel '%s' has no segments to load", kernel->path);
    return 0;
}

int elf_load(struct load *load, const struct image *kernel, struct elf_kernel *elf)
{
    elf_version(EV_CURRENT);
    Elf *file = kernel->memory ? elf_memory((char *)kernel->memory, kernel->bytes)
                               : elf_begin(kernel->fd, ELF_C_READ, NULL);
    int status = load_file(load, kernel, file, elf);
    elf_end(file);
    return status;
}
