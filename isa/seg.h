// isa/seg.h: segment descriptors, and loading segment registers.
//
// MODELS     reading the GDT and LDT, the descriptor formats, the checks of every kind of segment load, the hidden parts.
// DESCRIPTOR 8 bytes; system descriptors are 16 bytes in IA-32e mode (bits 95..64 hold base 63..32):
//    63       56 55 54 53 52 51      48 47 46 45 44 43  40 39        16 15         0
//    base 31..24  G D/B L AVL limit 19.. P  DPL   S  type   base 23..0   limit 15..0
// COMMIT     isa_*_check functions change nothing but the accessed flag in the table; isa_seg_load commits to the register.
// MANUAL     "Segment Descriptors", "Privilege Levels", "Privilege Level Checking When Accessing Data Segments".
#ifndef ISA_SEG_H
#define ISA_SEG_H

#include "isa/env.h"
#include "isa/fault.h"

// Types of system descriptors (S = 0). In IA-32e mode 2, 9, 11, 12, 14, 15 alone are defined, as 64-bit forms.
enum {
    ISA_SYS_TSS16 = 1,
    ISA_SYS_LDT = 2,
    ISA_SYS_TSS16_BUSY = 3,
    ISA_SYS_CALL16 = 4,
    ISA_SYS_TASK_GATE = 5,
    ISA_SYS_INT16 = 6,
    ISA_SYS_TRAP16 = 7,
    ISA_SYS_TSS32 = 9,
    ISA_SYS_TSS32_BUSY = 11,
    ISA_SYS_CALL32 = 12,
    ISA_SYS_INT32 = 14,
    ISA_SYS_TRAP32 = 15,
};
// Type bits of code and data descriptors (S = 1).
enum { ISA_TY_ACCESSED = 1, ISA_TY_WRITE = 2, ISA_TY_READ = 2, ISA_TY_DOWN = 4, ISA_TY_CONFORMING = 4, ISA_TY_CODE = 8 };

// A descriptor as read from memory.
struct isa_desc {
    uint64_t la;        // linear address in the table
    uint64_t lo, hi;    // raw; hi is 0 unless it is a 16-byte descriptor
    struct isa_seg seg; // parsed as a segment; sel as asked for
};
static inline unsigned isa_seg_type(const struct isa_seg *s) { return s->ar & ISA_AR_TYPE; }
static inline bool isa_seg_is_code(const struct isa_seg *s) { return (s->ar & ISA_AR_S) && (s->ar & ISA_TY_CODE); }
static inline bool isa_seg_is_data(const struct isa_seg *s) { return (s->ar & ISA_AR_S) && !(s->ar & ISA_TY_CODE); }
static inline bool isa_seg_conforming(const struct isa_seg *s) { return isa_seg_is_code(s) && (s->ar & ISA_TY_CONFORMING); }

// Fields of a gate descriptor (call, task, interrupt, trap).
struct isa_gate {
    uint16_t sel;
    uint64_t offset;
    uint8_t type, dpl, params, ist;
    bool present;
};
struct isa_gate isa_gate_parse(uint64_t lo, uint64_t hi);

// Parse 8 bytes (and bits 63..32 of the base from hi) into a hidden part.
struct isa_seg isa_desc_parse(uint64_t lo, uint64_t hi, uint16_t sel);

// Read the descriptor that sel names. 0; ISA_DESC_LIMIT if it lies outside its table (or the LDT is absent); or the result of a
// failed memory access. In IA-32e mode system descriptors are read with their 16 bytes.
#define ISA_DESC_LIMIT (-1)
int isa_desc_read(struct isa_cpu *c, uint16_t sel, struct isa_desc *d);
// The same, raising vector(selector) for the limit.
int isa_desc_get(struct isa_cpu *c, uint16_t sel, enum isa_vector vector, struct isa_desc *d);
// Set the accessed flag in memory (and in d) if it is clear.
int isa_desc_access(struct isa_cpu *c, struct isa_desc *d);

// Checks for a stack segment for use at privilege level cpl. ts: raise #TS instead of #GP (the selector came from a TSS).
int isa_ss_check(struct isa_cpu *c, uint16_t sel, unsigned cpl, bool ts, struct isa_seg *out);
// Checks for ES, DS, FS or GS.
int isa_data_check(struct isa_cpu *c, uint16_t sel, bool ts, struct isa_seg *out);
// The null selector's hidden part, as loaded into a data segment register.
struct isa_seg isa_seg_null(uint16_t sel);
// The segment that virtual-8086 mode (or real mode: keeping limit and size of *old) loads for sel.
struct isa_seg isa_seg_v86(uint16_t sel);
struct isa_seg isa_seg_real(const struct isa_seg *old, uint16_t sel);

// MOV/POP/LxS to ES, SS, DS, FS, GS in any mode: all checks, then the load. The caller sets blocking for SS.
int isa_seg_load(struct isa_cpu *c, unsigned s, uint16_t sel);
// LLDT and LTR (privilege checked by the caller).
int isa_load_ldtr(struct isa_cpu *c, uint16_t sel);
int isa_load_tr(struct isa_cpu *c, uint16_t sel);

// After a return to an outer level: data segments that the new level may not use become null.
void isa_seg_drop_inner(struct isa_cpu *c, unsigned cpl);

// Linear access to system structures (tables, TSS): canonicality or 32-bit wrap, then the machine with ISA_ACC_SYS.
int isa_sys_read(struct isa_cpu *c, uint64_t la, void *buf, unsigned n);
int isa_sys_write(struct isa_cpu *c, uint64_t la, const void *buf, unsigned n);

#endif
