// sim/elf.c: see sim/elf.h. Every offset and size is checked against the file before use.
#include "sim/elf.h"

#include <elf.h>
#include <string.h>

#include "sim/inspect.h"

bool elf_is(const void *bytes, uint64_t n) { return n >= 4 && !memcmp(bytes, ELFMAG, 4); }

static bool inside(uint64_t off, uint64_t len, uint64_t n) { return off <= n && len <= n - off; }

// The program headers of both classes, as one form.
struct phdr {
    uint32_t type;
    uint64_t vaddr, paddr, offset, filesz, memsz;
};

static struct phdr phdr_at(const uint8_t *p, bool is64)
{
    if (is64) {
        Elf64_Phdr h;
        memcpy(&h, p, sizeof h);
        return (struct phdr){h.p_type, h.p_vaddr, h.p_paddr, h.p_offset, h.p_filesz, h.p_memsz};
    }
    Elf32_Phdr h;
    memcpy(&h, p, sizeof h);
    return (struct phdr){h.p_type, h.p_vaddr, h.p_paddr, h.p_offset, h.p_filesz, h.p_memsz};
}

static int add_segment(const char *name, unsigned i, const struct phdr *h, uint64_t n, struct elf_image *out, struct sim_error *err)
{
    if (!inside(h->offset, h->filesz, n))
        return sim_fail(err, SIM_IMAGE,
                        "%s: program header %u wants file bytes 0x%llx..+0x%llx, but the file has 0x%llx: the image is truncated; "
                        "build or copy it again",
                        name, i, (unsigned long long)h->offset, (unsigned long long)h->filesz, (unsigned long long)n);
    if (h->filesz > h->memsz || h->paddr + h->memsz < h->paddr)
        return sim_fail(err, SIM_IMAGE,
                        "%s: program header %u is inconsistent (file size 0x%llx, memory size 0x%llx at 0x%llx); the linker script "
                        "is wrong or the file is damaged",
                        name, i, (unsigned long long)h->filesz, (unsigned long long)h->memsz, (unsigned long long)h->paddr);
    if (out->nsegments == ELF_MAX_SEGMENTS)
        return sim_fail(err, SIM_IMAGE, "%s: more than %d load segments; link with fewer sections", name, ELF_MAX_SEGMENTS);
    if (out->entry >= h->vaddr && out->entry - h->vaddr < h->memsz && !out->nsegments)
        out->entry = out->entry - h->vaddr + h->paddr;
    out->segment[out->nsegments++] = (struct elf_segment){h->paddr, h->offset, h->filesz, h->memsz};
    return 0;
}

int elf_parse(const char *name, const void *bytes, uint64_t n, struct elf_image *out, struct sim_error *err)
{
    const uint8_t *b = bytes;
    memset(out, 0, sizeof *out);
    if (n < sizeof(Elf32_Ehdr))
        return sim_fail(err, SIM_IMAGE, "%s: an ELF header of %zu bytes does not fit in %llu bytes: the image is truncated", name,
                        sizeof(Elf32_Ehdr), (unsigned long long)n);
    if (b[EI_DATA] != ELFDATA2LSB || (b[EI_CLASS] != ELFCLASS32 && b[EI_CLASS] != ELFCLASS64))
        return sim_fail(err, SIM_IMAGE, "%s: ELF class %u, data encoding %u: only little-endian ELF32 and ELF64 for x86 are loaded",
                        name, b[EI_CLASS], b[EI_DATA]);
    out->is64 = b[EI_CLASS] == ELFCLASS64;
    uint64_t phoff;
    uint16_t type, machine, phentsize, phnum;
    if (out->is64) {
        Elf64_Ehdr h;
        if (n < sizeof h)
            return sim_fail(err, SIM_IMAGE, "%s: the ELF64 header is truncated", name);
        memcpy(&h, b, sizeof h);
        type = h.e_type, machine = h.e_machine, phoff = h.e_phoff, phentsize = h.e_phentsize, phnum = h.e_phnum,
        out->entry = h.e_entry;
    } else {
        Elf32_Ehdr h;
        memcpy(&h, b, sizeof h);
        type = h.e_type, machine = h.e_machine, phoff = h.e_phoff, phentsize = h.e_phentsize, phnum = h.e_phnum,
        out->entry = h.e_entry;
    }
    out->x86_64 = machine == EM_X86_64;
    if (machine != EM_386 && machine != EM_X86_64)
        return sim_fail(err, SIM_IMAGE, "%s: ELF machine type %u: Ringside runs x86 (3) and x86-64 (62) only", name, machine);
    if (type != ET_EXEC && type != ET_DYN)
        return sim_fail(err, SIM_IMAGE,
                        "%s: ELF type %u is not an executable (an object file?); link it first, for example: ld -Ttext=0x100000 -o "
                        "guest.elf %s",
                        name, type, name);
    uint64_t want = out->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (!phnum || phentsize < want || !inside(phoff, (uint64_t)phentsize * phnum, n))
        return sim_fail(
            err, SIM_IMAGE,
            "%s: the program header table (%u entries of %u bytes at 0x%llx) is missing or outside the file: nothing to load", name,
            phnum, phentsize, (unsigned long long)phoff);
    bool moved = false;
    for (unsigned i = 0; i < phnum; i++) {
        struct phdr h = phdr_at(b + phoff + (uint64_t)i * phentsize, out->is64);
        if (h.type == PT_INTERP)
            return sim_fail(
                err, SIM_IMAGE,
                "%s: this is a program for an operating system: it wants a dynamic linker and system calls, and the machine "
                "has neither; link a guest with -static -nostdlib",
                name);
        if (h.type != PT_LOAD || !h.memsz)
            continue;
        uint64_t entry = out->entry;
        bool holds = !moved && entry >= h.vaddr && entry - h.vaddr < h.memsz;
        if (add_segment(name, i, &h, n, out, err) < 0)
            return -1;
        out->entry = holds ? entry - h.vaddr + h.paddr : entry;
        moved |= holds;
    }
    if (!out->nsegments)
        return sim_fail(err, SIM_IMAGE, "%s: no PT_LOAD segment: nothing to load", name);
    return 0;
}

struct shdr {
    uint32_t type, link;
    uint64_t offset, size, entsize;
};

static bool shdr_at(const uint8_t *b, uint64_t n, bool is64, unsigned i, struct shdr *out)
{
    if (is64) {
        Elf64_Ehdr e;
        Elf64_Shdr s;
        memcpy(&e, b, sizeof e);
        if (i >= e.e_shnum || e.e_shentsize < sizeof s || !inside(e.e_shoff, (uint64_t)e.e_shentsize * e.e_shnum, n))
            return false;
        memcpy(&s, b + e.e_shoff + (uint64_t)i * e.e_shentsize, sizeof s);
        *out = (struct shdr){s.sh_type, s.sh_link, s.sh_offset, s.sh_size, s.sh_entsize};
    } else {
        Elf32_Ehdr e;
        Elf32_Shdr s;
        memcpy(&e, b, sizeof e);
        if (i >= e.e_shnum || e.e_shentsize < sizeof s || !inside(e.e_shoff, (uint64_t)e.e_shentsize * e.e_shnum, n))
            return false;
        memcpy(&s, b + e.e_shoff + (uint64_t)i * e.e_shentsize, sizeof s);
        *out = (struct shdr){s.sh_type, s.sh_link, s.sh_offset, s.sh_size, s.sh_entsize};
    }
    return inside(out->offset, out->size, n);
}

static void add_symbols(struct sim_machine *m, const uint8_t *b, bool is64, const struct shdr *tab, const struct shdr *str)
{
    uint64_t size = is64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    if (tab->entsize < size)
        return;
    for (uint64_t off = 0; off + size <= tab->size; off += tab->entsize) {
        uint64_t name, value;
        unsigned type, shndx;
        if (is64) {
            Elf64_Sym s;
            memcpy(&s, b + tab->offset + off, sizeof s);
            name = s.st_name, value = s.st_value, type = ELF64_ST_TYPE(s.st_info), shndx = s.st_shndx;
        } else {
            Elf32_Sym s;
            memcpy(&s, b + tab->offset + off, sizeof s);
            name = s.st_name, value = s.st_value, type = ELF32_ST_TYPE(s.st_info), shndx = s.st_shndx;
        }
        if (type > STT_FUNC || shndx == SHN_UNDEF || shndx == SHN_ABS || name >= str->size)
            continue;
        const char *text = (const char *)b + str->offset + name;
        if (*text && memchr(text, 0, str->size - name))
            sim_symbol_add(m, text, value);
    }
}

void elf_symbols(struct sim_machine *m, const void *bytes, uint64_t n)
{
    const uint8_t *b = bytes;
    if (!elf_is(b, n) || n < sizeof(Elf64_Ehdr))
        return;
    bool is64 = b[EI_CLASS] == ELFCLASS64;
    struct shdr tab, str;
    for (unsigned i = 0; shdr_at(b, n, is64, i, &tab) || i == 0; i++)
        if (i && tab.type == SHT_SYMTAB && shdr_at(b, n, is64, tab.link, &str))
            add_symbols(m, b, is64, &tab, &str);
}
