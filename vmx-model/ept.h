// vmx-model/ept.h: extended page tables, as pure logic.
//
// MODELS     EPT entries of 4-level (and 5-level) EPT: what they grant, which are misconfigured, what an access needs, the exit
//            qualification of a violation, accessed and dirty flags, memory types.
//
//            63    62..52  51..M      M-1..12   11..10  9  8  7   6     5..3  2  1  0
//            s#VE  ign.    reserved   address   ign.    D  A  PS  IPAT  type  X  W  R       an entry that maps a page
//            ignored       reserved   address   ignored    A  0   reserved    X  W  R       an entry that refers to a table
//
//            With mode-based execute control X (2) is for fetches from supervisor-mode linear addresses, and bit 10, XU, for those from
//            user-mode ones. A linear address is user-mode if all entries that map it say U; without paging all are.
//
// PURE       no memory access: the walks are the machine's (sim/mmu_walk.c live, sim/walk.c explaining).
// MANUAL     "The Extended Page Table Mechanism (EPT)", "EPT Misconfigurations", "EPT Violations", "Accessed and Dirty Flags for EPT",
//            "Exit Qualification for EPT Violations".
#ifndef VMX_EPT_H
#define VMX_EPT_H

#include <stdbool.h>
#include <stdint.h>

#define EPT_R             (1ull << 0)
#define EPT_W             (1ull << 1)
#define EPT_X             (1ull << 2)
#define EPT_RWX           (EPT_R | EPT_W | EPT_X)
#define EPT_XU            (1ull << 10)
#define EPT_TYPE(e)       ((unsigned)((e) >> 3) & 7)
#define EPT_IPAT          (1ull << 6)
#define EPT_PS            (1ull << 7)
#define EPT_A             (1ull << 8)
#define EPT_D             (1ull << 9)
#define EPT_SUPPRESS_VE   (1ull << 63)
#define EPT_ADDR          0x000ffffffffff000ull

// EPTP: address 51:12, A/D enable 6, walk length - 1 5:3, memory type 2:0.
#define EPTP_AD           (1ull << 6)
#define EPTP_LEVELS(eptp) (((unsigned)((eptp) >> 3) & 7) + 1)

struct ept {
    uint64_t root;  // host-physical address of the top table: EPTP bits 51:12 ("EPTRTA")
    uint8_t levels; // 4, or 5
    bool ad;        // accessed and dirty flags are enabled
    uint8_t maxphyaddr;
    bool exec_only, page2m, page1g; // capabilities (IA32_VMX_EPT_VPID_CAP)
    bool mbec;                      // mode-based execute control: ept_init() leaves it off
};
void ept_init(struct ept *e, uint64_t eptp, unsigned maxphyaddr, uint64_t ept_vpid_cap);

// A 4-level EPT translates 48 bits: an access to a guest-physical address beyond them is an EPT violation that no entry causes.
static inline bool ept_too_wide(const struct ept *e, uint64_t gpa) { return e->levels == 4 && gpa >> 48; }

static inline unsigned ept_shift(unsigned level) { return 3 + 9 * level; }
static inline unsigned ept_index(unsigned level, uint64_t gpa) { return (unsigned)(gpa >> ept_shift(level)) & 0x1ff; }
static inline bool ept_leaf(unsigned level, uint64_t entry) { return level == 1 || (level <= 3 && (entry & EPT_PS)); }
static inline uint64_t ept_frame(unsigned level, uint64_t entry, bool leaf)
{
    uint64_t a = entry & EPT_ADDR;
    return leaf ? a >> ept_shift(level) << ept_shift(level) : a;
}

enum ept_status {
    EPT_OK,
    EPT_NOT_PRESENT, // bits 2:0 are 0: EPT violation
    // misconfigurations
    EPT_BAD_WRITE_ONLY, // W without R
    EPT_BAD_EXEC_ONLY,  // X without R, and the processor does not support it
    EPT_BAD_RESERVED,   // a reserved bit is set
    EPT_BAD_TYPE,       // reserved memory type in an entry that maps a page
};
enum ept_status ept_check(const struct ept *e, unsigned level, uint64_t entry);
static inline bool ept_is_misconfig(enum ept_status s) { return s > EPT_NOT_PRESENT; }
// One sentence for people.
const char *ept_status_text(enum ept_status s);
const char *ept_level_name(unsigned level); // "EPT PML4E" ...

// What an entry grants: EPT_R, EPT_W, EPT_X, and for fetches from user-mode linear addresses EPT_USER_X, which follows EPT_X unless mode-based
// execute control is on. The grants of a page are the AND over all levels.
#define EPT_USER_X (1u << 3)
#define EPT_ALL    ((unsigned)EPT_RWX | EPT_USER_X)
static inline unsigned ept_grants(const struct ept *e, uint64_t entry)
{
    return ((unsigned)entry & EPT_RWX) | ((unsigned)(e->mbec ? entry >> 10 & 1 : entry >> 2 & 1) << 3);
}
// What an access needs of perms. need: the same bits.
static inline bool ept_allows(unsigned perms, unsigned need) { return (perms & need) == need; }
// Bits of the guest's access to a paging-structure entry: with A/D flags enabled it counts as a write too.
static inline unsigned ept_need_structure(const struct ept *e) { return e->ad ? EPT_R | EPT_W : EPT_R; }

// Exit qualification of an EPT violation: bits 2:0 what the access was (need), 5:3 what the entries grant (perms),
// 7 a linear address is known, 8 the access was to its translation (not to a paging-structure entry). With advanced information
// (IA32_VMX_EPT_VPID_CAP bit 22) and both of these, what the guest's own tables say of the linear address: 9 user-mode, 10 writable, 11
// execute-disable. Those three travel with perms, at the same place.
#define EPT_QUAL_USER_X   (1u << 6) // executable from user-mode linear addresses, with mode-based execute control
#define EPT_QUAL_USER     (1u << 9)
#define EPT_QUAL_WRITABLE (1u << 10)
#define EPT_QUAL_XD       (1u << 11)
#define EPT_QUAL_ADVANCED (EPT_QUAL_USER | EPT_QUAL_WRITABLE | EPT_QUAL_XD)
uint64_t ept_violation_qual(unsigned need, unsigned perms, bool la_valid, bool translating_la);

// Effective memory type of an access through EPT leaf `entry` whose PAT type is pat (encodings of isa/paging.h); cd: CR0.CD.
unsigned ept_memtype(uint64_t entry, unsigned pat, bool cd);

#endif
