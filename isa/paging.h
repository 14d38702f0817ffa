// isa/paging.h: paging-structure entries and access rights, as pure logic.
//
// MODELS     32-bit paging (with 4 MB pages and PSE-36), PAE paging, 4-level and 5-level paging: which bits of an entry mean what,
//            which are reserved, what an access needs, and the error code of the page fault if it is refused.
//
//            63  62..52  51..M      M-1..12        11..9  8  7       6  5  4    3    2    1    0
//            XD  ign.    reserved   address        ign.   G  PS/PAT  D  A  PCD  PWT  U/S  R/W  P        (PAE, 4-level, 5-level)
//                                   31..12         ign.   G  PS/PAT  D  A  PCD  PWT  U/S  R/W  P        (32-bit)
//
//            In IA-32e mode bits 62..59 of an entry that maps a page are its protection key.
//            M is MAXPHYADDR. Level numbers: 5 PML5E, 4 PML4E, 3 PDPTE, 2 PDE, 1 PTE. With PAE paging the level-3 entries are the
//            PDPTE registers (isa_cpu.pdpte), so a walk starts at level 2.
// PURE       no memory access, no state: the walk itself is the machine's (sim/mmu_walk.c, sim/walk.c).
// MANUAL     "Paging": "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level Paging", "Access Rights", "Page-Fault Exceptions".
#ifndef ISA_PAGING_H
#define ISA_PAGING_H

#include "isa/env.h"
#include "isa/fault.h"

enum isa_pg_mode { ISA_PG_NONE, ISA_PG_32, ISA_PG_PAE, ISA_PG_4L, ISA_PG_5L };

#define ISA_PTE_P        (1ull << 0)
#define ISA_PTE_RW       (1ull << 1)
#define ISA_PTE_US       (1ull << 2)
#define ISA_PTE_PWT      (1ull << 3)
#define ISA_PTE_PCD      (1ull << 4)
#define ISA_PTE_A        (1ull << 5)
#define ISA_PTE_D        (1ull << 6)
#define ISA_PTE_PS       (1ull << 7)
#define ISA_PTE_G        (1ull << 8)
#define ISA_PTE_KEY      (15ull << 59) // of entries that map pages, in IA-32e mode
#define ISA_PTE_XD       (1ull << 63)

// Rights that all levels grant (AND of R/W and U/S, and of not XD), and the protection key of the page.
#define ISA_PG_W         1u
#define ISA_PG_U         2u
#define ISA_PG_X         4u
#define ISA_PG_KEY_SHIFT 8
#define ISA_PG_KEY       (15u << ISA_PG_KEY_SHIFT)

// The paging configuration of a processor: what the registers and the profile say.
struct isa_pg {
    uint8_t mode; // enum isa_pg_mode
    uint8_t maxphyaddr;
    bool nxe, pse, pse36, page1g; // EFER.NXE, CR4.PSE, features
    bool wp, smep, smap, pge;     // CR0.WP, CR4.SMEP, SMAP, PGE
    uint32_t pkru;                // what keys forbid: PKRU with CR4.PKE in IA-32e mode, else 0
};
void isa_pg_init(struct isa_pg *p, const struct isa_cpu *c, unsigned maxphyaddr, bool pse36, bool page1g);

// First level read from memory: 2, 2, 4, 5 (0 without paging).
unsigned isa_pg_top(enum isa_pg_mode mode);
const char *isa_pg_mode_name(enum isa_pg_mode mode);
// Name of an entry of this level: "PML4E", "PTE" ...
const char *isa_pg_level_name(unsigned level);

static inline unsigned isa_pg_shift(enum isa_pg_mode mode, unsigned level)
{
    return mode == ISA_PG_32 ? 2 + 10 * level : 3 + 9 * level;
}
static inline unsigned isa_pg_entry_size(enum isa_pg_mode mode) { return mode == ISA_PG_32 ? 4 : 8; }
static inline unsigned isa_pg_index(enum isa_pg_mode mode, unsigned level, uint64_t la)
{
    return (unsigned)(la >> isa_pg_shift(mode, level)) & (mode == ISA_PG_32 ? 0x3ff : 0x1ff);
}
// Does the entry map a page (else it refers to a table)? The entry is present and has no reserved bit set.
static inline bool isa_pg_leaf(const struct isa_pg *p, unsigned level, uint64_t e)
{
    if (level == 1)
        return true;
    return (e & ISA_PTE_PS) && (level == 2 ? p->mode != ISA_PG_32 || p->pse : level == 3);
}
// Physical address of the page or table that the entry refers to.
static inline uint64_t isa_pg_frame(const struct isa_pg *p, unsigned level, uint64_t e, bool leaf)
{
    if (p->mode == ISA_PG_32)
        return leaf && level == 2 ? (e & 0xffc00000u) | (e >> 13 & 0xff) << 32 : e & 0xfffff000u;
    uint64_t a = e & 0x000ffffffffff000ull;
    return leaf ? a >> isa_pg_shift(p->mode, level) << isa_pg_shift(p->mode, level) : a;
}
// Rights of one entry; AND them over the levels. With PAE paging the PDPTE registers grant everything.
static inline unsigned isa_pg_rights(uint64_t e) { return (unsigned)(e >> 1 & 3) | (unsigned)(~e >> 63) << 2; }

// The protection key in an entry that maps a page, where rights have it.
static inline unsigned isa_pg_key(const struct isa_pg *p, uint64_t e)
{
    return p->mode >= ISA_PG_4L ? ((unsigned)(e >> 59) & 15) << ISA_PG_KEY_SHIFT : 0;
}

// The reserved bits that a present entry of this level must have clear.
uint64_t isa_pg_reserved(const struct isa_pg *p, unsigned level, uint64_t e);
// The same for a PDPTE register of PAE paging.
uint64_t isa_pg_pdpte_reserved(unsigned maxphyaddr);

// Is the access made in user mode? Implicit supervisor accesses (ISA_ACC_SYS) never are.
static inline bool isa_pg_user(const struct isa_cpu *c, unsigned acc)
{
    return !(acc & ISA_ACC_SYS) && ((acc & ISA_ACC_USER) || c->cpl == 3);
}
// Does the protection key of a user-mode page forbid the access? (Manual, "Protection Keys".)
static inline bool isa_pg_key_denies(const struct isa_pg *p, unsigned rights, bool user, unsigned acc)
{
    unsigned no = p->pkru >> 2 * ((rights & ISA_PG_KEY) >> ISA_PG_KEY_SHIFT) & 3; // bit 0: any access, bit 1: writes
    if (!no || !(rights & ISA_PG_U) || (acc & ISA_ACC_X))
        return false;
    return (no & 1) || ((acc & (ISA_ACC_W | ISA_ACC_RMW)) && (user || p->wp));
}
// May an access of kind acc (ISA_ACC_*) with these rights proceed? ac: RFLAGS.AC. Returns the broken rule, or ISA_RULE_NONE.
// Accesses for read-modify-write need what a write needs.
static inline enum isa_rule isa_pg_check(const struct isa_pg *p, unsigned rights, bool user, unsigned acc, bool ac)
{
    bool upage = rights & ISA_PG_U;
    if (user) {
        if (!upage)
            return ISA_RULE_PF_USER;
        if ((acc & (ISA_ACC_W | ISA_ACC_RMW)) && !(rights & ISA_PG_W))
            return ISA_RULE_PF_WRITE;
    } else if (acc & ISA_ACC_X) {
        if (upage && p->smep)
            return ISA_RULE_PF_SMEP;
    } else {
        if (upage && p->smap && (!ac || (acc & ISA_ACC_SYS)))
            return ISA_RULE_PF_SMAP;
        if ((acc & (ISA_ACC_W | ISA_ACC_RMW)) && p->wp && !(rights & ISA_PG_W))
            return ISA_RULE_PF_WRITE;
    }
    if ((acc & ISA_ACC_X) && !(rights & ISA_PG_X))
        return ISA_RULE_PF_XD;
    if (p->pkru && isa_pg_key_denies(p, rights, user, acc))
        return ISA_RULE_PF_PKEY;
    return ISA_RULE_NONE;
}
// Error code of the page fault. rule says why; P is clear only for PF_NOT_PRESENT. rights: of the translation, where there is one (its
// protection key sets PK, even if another rule is broken too).
uint32_t isa_pg_error(const struct isa_pg *p, enum isa_rule rule, unsigned rights, bool user, unsigned acc);

// --- memory types (manual, "Memory Cache Control"): the encodings of MTRRs and PAT.
enum isa_memtype { ISA_MT_UC = 0, ISA_MT_WC = 1, ISA_MT_WT = 4, ISA_MT_WP = 5, ISA_MT_WB = 6, ISA_MT_UC_MINUS = 7 };
// PAT entry that a leaf selects by PAT, PCD, PWT, looked up in IA32_PAT.
enum isa_memtype isa_pg_pat(uint64_t pat_msr, unsigned level, uint64_t leaf);
// Effective type of MTRR type and PAT type.
enum isa_memtype isa_memtype_combine(enum isa_memtype mtrr, enum isa_memtype pat);
const char *isa_memtype_name(unsigned type);

#endif
