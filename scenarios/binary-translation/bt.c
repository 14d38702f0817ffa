// bt.c: the software VMM: binary translation of the guest's kernel, at ring 1.
//
// The guest's programs run directly, at ring 3: what is sensitive there traps, or is no secret. Its kernel does not run at all. It is read, and other code
// is made of it, block by block, when it is first reached; that code runs, from the translation cache. Most instructions are copied as they are
// (IDENT). Translated otherwise:
//
//   control flow   the code lies elsewhere, so each jump is made anew. A jump to a block that is not translated yet calls out to the VMM, which translates
//                  it and then changes the jump to go there directly (chaining). A return looks its target up in a table (bt_return in boot.S).
//   privileged     CLI and STI become a store to vcpu.vif, in line. The others call out to emulate(). So do those sensitive ones that would not trap:
//                  this is why binary translation can do what trap-and-emulate at ring 1 cannot (scenarios/ring-aliasing).
//   page tables    a store that turns out to hit a traced page table (shadow.c) costs a fault the first time. Then its block is translated again, with
//                  that store as a short sequence in line that does what the handler of the fault would do (adaptive translation).
//
// Terms are those of Adams and Agesen, "A Comparison of Software and Hardware Techniques for x86 Virtualization" (ASPLOS 2006).
// Not done: interrupts, code that changes, string I/O, far calls, FS and GS, virtual-8086 mode.
#include "vmm.h"

#define EIP     0x20 // offsets in struct vcpu, as in boot.S
#define VIF     0x28
#define NEXT    0x2c
#define SAVE    0x30
#define PATCH   0x64
#define CODE1   0x99 // selectors of ring 1
#define FLAT1   0xa1
#define VCPU1   0xa9
#define IF      0x200u
#define STATUS  0xcd5u // flags that are the guest's in truth: CF PF AF ZF SF DF OF
#define SERVICE 0x31   // INT 31H, from the VMM at ring 1
enum { LOAD_CR3, INVLPG };
enum { PATCH_NONE, PATCH_RETURN, PATCH_STORE }; // vcpu.patch, if it is not the address of a jump
_Static_assert(__builtin_offsetof(struct vcpu, patch) == PATCH && __builtin_offsetof(struct vcpu, vif) == VIF &&
                   __builtin_offsetof(struct vcpu, next) == NEXT && __builtin_offsetof(struct vcpu, segments) == 0x68 &&
                   __builtin_offsetof(struct vcpu, stores) == 0x100 && __builtin_offsetof(struct vcpu, returns) == 0x200,
               "boot.S knows these");

extern char bt_callout_entry[], bt_start[], bt_return[], bt_store[], bt_traps[], bt_sysenter[], trap_stack_top[],
    callout_stack_top[];
extern u32 gdt[][2];
static u32 idt[64][2], tss[26];
static bool adaptive;
static u32 tc_limit; // how much of the translation cache is used before it is emptied

// Memory at a linear address that the guest has chosen. At rings 0 and 1 the VMM can reach itself, too: nothing may be done there for the guest.
static void *guests(u32 la, u32 size)
{
    if (la >= WINDOW || size > WINDOW - la)
        stop("the guest uses linear addresses that the VMM has for itself");
    return (void *)la;
}

// --- the translation cache
#define TC_SIZE   0x20000u
#define MAX_BLOCK 32 // instructions
static u8 tc[TC_SIZE] __attribute__((aligned(4096)));
static u32 tc_used;
static struct {
    u32 key, code; // guest address plus 1
} blocks[1024];    // a hash table: translated blocks, and those that are jumped to
static u32 nblocks;
// Where each instruction went, in the order of the translation cache: an exception of translated code is the guest's at its own address.
static struct origin {
    u32 code, guest, block;
} origins[8192];
static u32 norigins;
static u32 stores[256], nstores; // addresses of stores that hit page tables

static void forget_translations(void)
{
    tc_used = norigins = nblocks = 0;
    memset(blocks, 0, sizeof blocks);
    memset(vcpu.returns, 0, sizeof vcpu.returns);
    vcpu.sysenter_tc = 0;
}
static void put8(u32 v) { tc[tc_used++] = (u8)v; }
static void put32(u32 v)
{
    *(u32 *)(tc + tc_used) = v;
    tc_used += 4;
}
static u32 here(void) { return (u32)tc + tc_used; }
static void put_jump(u32 to) // JMP rel32
{
    put8(0xe9);
    put32(to - (here() + 4));
}
static void put_set(u32 offset, u32 value) // MOV dword GS:[offset], value
{
    put8(0x65), put8(0xc7), put8(0x05);
    put32(offset);
    put32(value);
}
static void put_save(u32 offset, u32 reg) // MOV GS:[offset], reg
{
    put8(0x65), put8(0x89), put8(0x05 | reg << 3);
    put32(offset);
}
static void put_callout(u32 eip)
{
    put_set(EIP, eip);
    put_jump((u32)bt_callout_entry);
}
// Where the address of a block's translation stands; 0 there: it has none.
static u32 *block_slot(u32 guest)
{
    u32 n = guest * 2654435761u >> 22, key = guest + 1; // Fibonacci hashing
    while (blocks[n].key && blocks[n].key != key)
        n = (n + 1) & 1023;
    nblocks += !blocks[n].key;
    blocks[n].key = key;
    return &blocks[n].code;
}
// The last instruction that begins at `code` or before it.
static const struct origin *origin(u32 code)
{
    u32 low = 0, high = norigins;
    while (high - low > 1) {
        u32 middle = (low + high) / 2;
        *(origins[middle].code <= code ? &low : &high) = middle;
    }
    return &origins[low];
}

// --- what is to be done with an instruction
enum how { IDENT, INLINE_CLI, INLINE_STI, JUMP, BRANCH, CALL, RETURN, PT_STORE, CALLOUT };
// Opcodes that are privileged, or sensitive, or go elsewhere.
static const u8 called_out[] = {
    0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x8c, 0x8e, 0xc4, 0xc5,       // PUSH, POP, MOV of segment registers, LES, LDS
    0x62, 0x63,                                                             // BOUND, ARPL
    0x6c, 0x6d, 0x6e, 0x6f, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef, // INS, OUTS, IN, OUT
    0x9a, 0xca, 0xcb, 0xea, 0xc2, 0xcc, 0xcd, 0xce, 0xcf,                   // far CALL, RET, JMP; RET n; INT3, INT, INTO, IRET
    0x9c, 0x9d, 0xf4, 0xe0, 0xe1, 0xe2, 0xe3,                               // PUSHF, POPF, HLT, LOOP, JECXZ
};
static const u8 called_out_0f[] = {
    0x00, 0x01, 0x02, 0x03, 0x06, 0x08, 0x09, 0x0b,       // SLDT, SGDT and theirs, LAR, LSL, CLTS, INVD, WBINVD, UD2
    0x20, 0x21, 0x22, 0x23, 0x30, 0x32, 0x33, 0x34, 0x35, // MOV CR, MOV DR, MSRs, RDPMC, SYSENTER, SYSEXIT
    0xa0, 0xa1, 0xa8, 0xa9, 0xaa, 0xb2, 0xb4, 0xb5,       // PUSH and POP of FS and GS, RSM, LSS, LFS, LGS
};
static bool is_in(u8 op, const u8 *list, u32 n)
{
    while (n--)
        if (list[n] == op)
            return true;
    return false;
}
static void refuse(u32 eip, const char *why)
{
    vcpu.eip = eip;
    stop(why);
}
static bool is_known_store(u32 guest)
{
    for (u32 n = 0; n < nstores; n++)
        if (stores[n] == guest)
            return true;
    return false;
}
static enum how how(const struct insn *i, u32 guest)
{
    u8 reg = i->modrm >> 3 & 7;
    if (i->segment == 0x64 || i->segment == 0x65 || i->segment == 0x2e) // CS of translated code has no limit
        refuse(guest, "the guest's kernel uses FS, GS, or CS for data");
    if (i->two)
        return (i->op & 0xf0) == 0x80 ? BRANCH : is_in(i->op, called_out_0f, sizeof called_out_0f) ? CALLOUT : IDENT;
    switch (i->op) {
    case 0xfa: return INLINE_CLI;
    case 0xfb: return INLINE_STI;
    case 0xe9:
    case 0xeb: return JUMP;
    case 0xe8: return CALL;
    case 0xc3: return RETURN;
    case 0xff: return reg == 2 || reg == 3 || reg == 4 || reg == 5 ? CALLOUT : IDENT; // CALL and JMP through memory or a register
    case 0x89:
    case 0xc7: return is_known_store(guest) ? PT_STORE : IDENT;
    default: return (i->op & 0xf0) == 0x70 ? BRANCH : is_in(i->op, called_out, sizeof called_out) ? CALLOUT : IDENT;
    }
}
// A jump of the block under translation. If its target is not there yet, it leads to a callout that will change it (chain()).
static void put_exit(u32 jump_end, u32 guest)
{
    u32 *slot = block_slot(guest);
    if (*slot) {
        *(u32 *)(jump_end - 4) = *slot - jump_end;
        return;
    }
    *(u32 *)(jump_end - 4) = here() - jump_end;
    put_set(PATCH, jump_end);
    put_callout(guest);
}
// A store to page tables, in line: see bt_store in boot.S.
static void put_store(const u8 *code, const struct insn *i, u32 guest)
{
    put_save(SAVE, EAX);
    put_save(SAVE + 4, ECX);
    if (i->op == 0x89)
        put_save(SAVE + 8, i->modrm >> 3 & 7);
    else
        put_set(SAVE + 8, i->imm);
    put8(0x8d), put8((i->modrm & ~0x38u) | ECX << 3); // LEA ECX, the operand
    for (u32 n = i->modrm_at + 1; n < i->imm_at; n++)
        put8(code[n]);
    put_set(EIP, guest); // two words and a jump remain: so NEXT is known
    put_set(NEXT, here() + 11 + 5);
    put_jump((u32)bt_store);
}
// The jumps at the end of a block: where each ends in the translation cache, and where it leads.
struct exits {
    u32 n, jump_end[2], to[2];
};
static void put_target(struct exits *x, u32 guest) // the rel32 of a jump, for put_exit() to fill in
{
    put32(0);
    x->jump_end[x->n] = here();
    x->to[x->n++] = guest;
}
static void put_insn(enum how h, const u8 *code, const struct insn *i, u32 eip, struct exits *x)
{
    u32 next = eip + i->length;
    switch (h) {
    case IDENT:
        for (u32 k = 0; k < i->length; k++)
            put8(code[k]);
        break;
    case INLINE_CLI: put_set(VIF, 0); break;
    case INLINE_STI: put_set(VIF, IF); break;
    case PT_STORE: put_store(code, i, eip); break;
    case CALLOUT: put_callout(eip); break;
    case RETURN: put_jump((u32)bt_return); break;
    case BRANCH:
        put8(0x0f), put8(0x80 | (i->op & 15));
        put_target(x, next + i->imm);
        put8(0xe9);
        put_target(x, next);
        break;
    case CALL:
        put8(0x68); // PUSH of the guest's return address
        put32(next);
        put8(0xe9);
        put_target(x, next + i->imm);
        break;
    case JUMP:
        put8(0xe9);
        put_target(x, next + i->imm);
        break;
    }
}
static bool ends_block(enum how h) { return h == JUMP || h == BRANCH || h == CALL || h == RETURN || h == CALLOUT; }
// Make code for the block at `guest`, up to its first jump or callout.
static u32 translate(u32 guest)
{
    if (tc_used > tc_limit - 4096 || norigins > 8192 - 2 * MAX_BLOCK || nblocks > 768) {
        forget_translations();
        if (vcpu.sysenter[2])
            vcpu.sysenter_tc = translate(vcpu.sysenter[2]);
    }
    u32 start = here(), eip = guest, n = 0;
    struct exits x = {0};
    enum how h = IDENT;
    for (; n < MAX_BLOCK && !ends_block(h); n++) {
        const u8 *code = guests(eip, 16); // the guest's memory is there, by its shadow page tables
        struct insn i;
        if (!decode(code, &i)) {
            print("VMM: code %x %x %x\n", code[0], code[1], code[2]);
            refuse(eip, "an instruction that the translator does not know");
        }
        h = how(&i, eip);
        if (i.prefix66 && h != IDENT && h != PT_STORE)
            refuse(eip, "a jump or a privileged instruction with 16-bit operands");
        origins[norigins++] = (struct origin){here(), eip, guest};
        put_insn(h, code, &i, eip, &x);
        eip += i.length;
    }
    stat.blocks++;
    stat.instructions += n;
    if (!ends_block(h)) { // long enough
        put8(0xe9);
        put_target(&x, eip);
    }
    *block_slot(guest) = start;
    for (u32 k = 0; k < x.n; k++)
        put_exit(x.jump_end[k], x.to[k]);
    return start;
}
static u32 translation(u32 guest)
{
    u32 *slot = block_slot(guest);
    return *slot ? *slot : translate(guest);
}

// --- what only ring 0 can do. The VMM is there after an exception, and at ring 1 in a callout.
static u32 ring(void)
{
    u32 cs;
    asm volatile("movl %%cs, %0" : "=r"(cs));
    return cs & 3;
}
static void privileged(u32 what, u32 value)
{
    if (ring())
        asm volatile("int $0x31" : : "a"(what), "c"(value) : "memory");
    else if (what == LOAD_CR3)
        asm volatile("movl %0, %%cr3" : : "r"(value) : "memory");
    else
        asm volatile("invlpg (%0)" : : "r"(value) : "memory");
}
static void forget_stores(void)
{
    for (u32 n = 0; n < 16; n++)
        vcpu.stores[n].minus_page = 0u - WINDOW; // where no page of the guest is
}
static void reload(void)
{
    forget_stores();
    privileged(LOAD_CR3, shadow_use());
}

static void page_changed(u32 la) {} // the fault itself has dropped it

// --- segments. The guest's descriptors stand in the real GDT at their places, but with DPL 1 for 0, and no access to the VMM.
static void load_gdt(u32 base, u32 limit)
{
    vcpu.gdt = base;
    vcpu.gdt_limit = limit;
    for (u32 n = 1; n < 16; n++) {
        const u32 *d = guests(base + 8 * n, 8);
        gdt[n][0] = gdt[n][1] = 0;
        if (8 * n + 7 > limit || !(d[1] & 0x1000))
            continue; // not there; or a system segment, which only the VMM reads
        if (d[0] != 0xffff || (d[1] & 0xffcf00ff) != 0x00cf0000)
            stop("a segment that is not flat");
        gdt[n][0] = 0xbfff; // limit FBFFFFFFH
        gdt[n][1] = d[1] | (d[1] & 0x6000 ? 0 : 0x2000);
    }
}

// --- instructions of the kernel that are not copied
static u32 pop(void)
{
    u32 v = *(u32 *)guests(vcpu.regs[ESP], 4);
    vcpu.regs[ESP] += 4;
    return v;
}
static void push(u32 v) { *(u32 *)guests(vcpu.regs[ESP] -= 4, 4) = v; }
static u32 operand(const struct insn *i)
{
    return i->modrm >> 6 == 3 ? vcpu.regs[i->modrm & 7] : *(u32 *)operand_address(i, vcpu.regs);
}
static void load_selector(u32 n, u32 selector)
{
    if (n >= 4)
        stop("FS and GS are not done");
    if (selector >= 0x80) // the VMM's own descriptors are of ring 1, too
        stop("a selector that the guest has not got");
    vcpu.segments[n] = selector;
}
static void return_from_interrupt(void)
{
    vcpu.eip = pop();
    vcpu.segments[1] = pop();
    vcpu.eflags = pop();
    vcpu.vif = vcpu.eflags & IF;
    vcpu.eflags &= STATUS;
    if (vcpu.segments[1] & 3) {
        u32 esp = pop();
        vcpu.segments[2] = pop();
        vcpu.regs[ESP] = esp;
        vcpu.user = 1;
    }
}
static void control_register(const struct insn *i)
{
    u32 *r = &vcpu.regs[i->modrm & 7], cr = i->modrm >> 3 & 7;
    u32 *v = cr == 0 ? &vcpu.cr0 : cr == 2 ? &vcpu.cr2 : cr == 3 ? &vcpu.cr3 : cr == 4 ? &vcpu.cr4 : 0;
    if (!v)
        stop("a control register that does not exist");
    if (i->op == 0x20) {
        *r = *v;
        return;
    }
    *v = *r;
    if (cr == 0 && vcpu.cr0 & CR0_PG && !(vcpu.cr0 & CR0_WP))
        stop("paging without CR0.WP is not done with shadow page tables");
    if (cr == 4 && vcpu.cr4)
        stop("CR4 is not done");
    if (cr == 3 || cr == 0) {
        stat.cr3 += cr == 3;
        reload();
    }
}
static void msr(bool write)
{
    u32 n = vcpu.regs[ECX] - 0x174;
    if (n > 2)
        stop("an MSR that the guest has not got");
    if (!write) {
        vcpu.regs[EAX] = vcpu.sysenter[n];
        vcpu.regs[EDX] = 0;
        return;
    }
    vcpu.sysenter[n] = vcpu.regs[EAX];
    if (n == 2)
        vcpu.sysenter_tc = translation(vcpu.sysenter[2]);
}
static void two_byte(const struct insn *i)
{
    u8 reg = i->modrm >> 3 & 7;
    u32 at = operand_address(i, vcpu.regs);
    if (i->op == 0x01 && (reg == 2 || reg == 3))
        guests(at, 6);
    if (i->op == 0x01 && reg == 2)
        load_gdt(*(u32 *)(at + 2), *(uint16_t *)at);
    else if (i->op == 0x01 && reg == 3)
        vcpu.idt = *(u32 *)(at + 2), vcpu.idt_limit = *(uint16_t *)at;
    else if (i->op == 0x01 && reg == 7) {
        stat.invlpg++;
        forget_stores();
        privileged(INVLPG, at);
    } else if (i->op == 0x00 && reg == 3) { // LTR: its base, for the stack of ring 0
        const u8 *d = guests(vcpu.gdt + (operand(i) & 0xfff8), 8);
        vcpu.tss = (*(const u32 *)(d + 2) & 0xffffff) | (u32)d[7] << 24;
    } else if (i->op == 0x20 || i->op == 0x22)
        control_register(i);
    else if (i->op == 0x30 || i->op == 0x32)
        msr(i->op == 0x30);
    else if (i->op == 0x35) { // SYSEXIT
        vcpu.eip = vcpu.regs[EDX];
        vcpu.regs[ESP] = vcpu.regs[ECX];
        vcpu.segments[1] = vcpu.sysenter[0] + 16 + 3;
        vcpu.segments[2] = vcpu.sysenter[0] + 24 + 3;
        vcpu.user = 1;
    } else if (i->op == 0x06)
        vcpu.cr0 &= ~CR0_TS;
    else
        stop("a privileged instruction that is not done");
}
static void loop(const struct insn *i)
{
    bool zf = vcpu.eflags >> 6 & 1, jump = i->op == 0xe3 ? vcpu.regs[ECX] == 0 : --vcpu.regs[ECX] != 0;
    if (i->op == 0xe0 || i->op == 0xe1)
        jump = jump && zf == (i->op & 1);
    if (jump)
        vcpu.eip += i->imm;
}
static void emulate(const u8 *code, const struct insn *i)
{
    u32 v, *r = vcpu.regs;
    vcpu.eip += i->length;
    if (i->two) {
        two_byte(i);
        return;
    }
    switch (i->op) {
    case 0xe4: r[EAX] = (r[EAX] & ~0xffu) | device_in(i->imm & 255); break;
    case 0xec: r[EAX] = (r[EAX] & ~0xffu) | device_in(r[EDX] & 0xffff); break;
    case 0xe6: device_out(i->imm & 255, r[EAX] & 255); break;
    case 0xee: device_out(r[EDX] & 0xffff, r[EAX] & 255); break;
    case 0xcf: return_from_interrupt(); break;
    case 0x9c: push((vcpu.eflags & STATUS) | 2 | vcpu.vif); break;
    case 0x9d:
        v = pop();
        vcpu.vif = v & IF;
        vcpu.eflags = v & STATUS;
        break;
    case 0xff:
        if ((i->modrm >> 3 & 7) == 3 || (i->modrm >> 3 & 7) == 5)
            stop("far calls and jumps through memory are not done");
        v = operand(i);
        if ((i->modrm >> 3 & 7) == 2)
            push(vcpu.eip);
        vcpu.eip = v;
        break;
    case 0xc2:
        vcpu.eip = pop();
        r[ESP] += i->imm;
        break;
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3: loop(i); break;
    case 0xea:
        vcpu.segments[1] = *(const uint16_t *)(code + i->imm_at + 4);
        vcpu.eip = *(const u32 *)(code + i->imm_at);
        break;
    case 0x06: // PUSH ES, CS, SS, DS
    case 0x0e:
    case 0x16:
    case 0x1e: push(vcpu.segments[i->op >> 3]); break;
    case 0x07: // POP ES, SS, DS
    case 0x17:
    case 0x1f: load_selector(i->op >> 3, pop() & 0xffff); break;
    case 0x8c: // the selector that the guest loaded, not the one that is there
        if (i->modrm >> 6 != 3)
            stop("a segment register to memory");
        r[i->modrm & 7] = vcpu.segments[i->modrm >> 3 & 7];
        break;
    case 0x8e: load_selector(i->modrm >> 3 & 7, operand(i) & 0xffff); break;
    case 0xf4: end_of_run(); // without interrupts it would last for ever
    default: print("VMM: code %x %x\n", code[0], code[1]); stop("an instruction that the VMM does not emulate");
    }
}
// A store to page tables that was not as simple as bt_store would have it.
static void emulate_store(const struct insn *i)
{
    u32 la = operand_address(i, vcpu.regs), error = WRITABLE, gpa, value, n = la >> 12 & 15;
    is_store(i, vcpu.regs, &value);
    if (shadow_fault(la, &error, &gpa) != FAULT_TRACED) { // a page like any other; a fault of it is not lost
        *(volatile u32 *)la = value;
        return;
    }
    shadow_store(gpa, value);
    if (!shadow_table(gpa))
        return; // a directory
    vcpu.stores[n].minus_page = 0u - (la & ~0xfffu);
    vcpu.stores[n].guest = (u32)guest_memory(gpa & ~0xfffu);
    vcpu.stores[n].shadow = (u32)shadow_table(gpa);
}
void bt_callout(void);
void bt_callout(void)
{
    const u8 *code = (const u8 *)vcpu.eip;
    struct insn i;
    u32 patch = vcpu.patch;
    stat.callouts++;
    vcpu.patch = PATCH_NONE;
    vcpu.user = 0;
    if (patch == PATCH_STORE) {
        decode(code, &i);
        emulate_store(&i);
        return; // NEXT is known
    }
    if (patch == PATCH_NONE) {
        decode(code, &i);
        emulate(code, &i);
        if (vcpu.user)
            return;
    }
    u32 before = tc_used;
    vcpu.next = translation(vcpu.eip);
    if (patch == PATCH_RETURN) {
        u32 *entry = vcpu.returns[vcpu.eip & 255]; // the address is off the stack already
        entry[0] = 0u - vcpu.eip;
        entry[1] = vcpu.next;
    } else if (patch && tc_used >= before) { // chain, unless the cache was emptied meanwhile
        *(u32 *)(patch - 4) = vcpu.next - patch;
    }
}

// --- exceptions: at ring 0
struct frame {
    u32 gs, fs, es, ds, edi, esi, ebp, none, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss;
};
static void frame_regs(const struct frame *f, u32 r[8])
{
    const u32 v[8] = {f->eax, f->ecx, f->edx, f->ebx, f->esp, f->ebp, f->esi, f->edi};
    memcpy(r, v, sizeof v);
}
// Deliver an exception to the guest's kernel by its own IDT; eip: where the guest is.
static void deliver(struct frame *f, u32 eip, bool has_error)
{
    bool user = (f->cs & 3) == 3;
    const u32 *gate = guests(vcpu.idt + 8 * f->vector, 8), *t = guests(vcpu.tss, 12);
    u32 *sp = (u32 *)guests((user ? t[1] : f->esp) - 24, 24) + 6;
    if (8 * f->vector + 7 > vcpu.idt_limit || !(gate[1] & 0x8000))
        stop("the guest has no handler for an exception");
    if (user) {
        *--sp = f->ss;
        *--sp = f->esp;
    }
    *--sp = (f->eflags & ~IF) | vcpu.vif;
    *--sp = user ? f->cs : vcpu.segments[1];
    *--sp = eip;
    if (has_error)
        *--sp = f->error;
    if (user)
        vcpu.segments[2] = t[2] & 0xffff;
    if (!(gate[1] & 0x100)) // an interrupt gate
        vcpu.vif = 0;
    vcpu.segments[1] = gate[0] >> 16;
    f->eip = translation((gate[0] & 0xffff) | (gate[1] & 0xffff0000));
    f->cs = CODE1;
    f->eflags &= ~0x14100u; // TF, NT, RF
    f->esp = (u32)sp;
    f->ss = vcpu.segments[2] | 1;
    f->fs = FLAT1;
    f->gs = VCPU1;
}
static bool in_tc(const struct frame *f) { return (f->cs & 3) == 1 && f->eip - (u32)tc < TC_SIZE; }
// Translate a block again. Older translations of it go on to the new one. Where the guest address `eip`, which lies in it, has come to be.
static u32 renew(u32 block, u32 eip)
{
    u32 fresh = translate(block), at = 0;
    for (u32 n = 0; n < norigins; n++) {
        const struct origin *o = &origins[n];
        if (o->block != block)
            continue;
        if (o->guest == block && o->code < fresh) {
            *(u8 *)o->code = 0xe9;
            *(u32 *)(o->code + 1) = fresh - (o->code + 5);
        }
        if (o->guest == eip && o->code >= fresh)
            at = o->code;
    }
    return at ? at : translation(eip);
}
// A store of translated code hit a traced page table. Do it; and translate its block again, for the next time.
static bool store_from_tc(struct frame *f, u32 gpa)
{
    const struct origin o = *origin(f->eip);
    struct insn i;
    u32 regs[8], value;
    frame_regs(f, regs);
    if (!decode((const u8 *)o.guest, &i) || !is_store(&i, regs, &value))
        return false;
    shadow_store(gpa, value);
    if (!adaptive || nstores == 256) {
        f->eip += i.length; // copied, so as long as the original
        return true;
    }
    if (!is_known_store(o.guest)) // else its block is older than that
        stores[nstores++] = o.guest;
    f->eip = renew(o.block, o.guest + i.length);
    return true;
}
static void page_fault(struct frame *f)
{
    u32 la, gpa, from = f->cs & 3;
    asm volatile("movl %%cr2, %0" : "=r"(la));
    if (la >= WINDOW) {
        print("VMM: page fault at %x, EIP %x\n", la, f->eip);
        stop("a page fault of the VMM itself");
    }
    switch (shadow_fault(la, &f->error, &gpa)) {
    case FAULT_HIDDEN: return;
    case FAULT_TRACED:
        if (!in_tc(f) || !store_from_tc(f, gpa)) {
            unshadow(gpa);
            forget_stores();
        }
        return;
    case FAULT_TRUE:
        if (from != 3 && !in_tc(f)) {
            print("VMM: page fault at %x, EIP %x\n", la, f->eip);
            stop("the guest's stack or tables are not there");
        }
        stat.true_faults++;
        vcpu.cr2 = la;
        deliver(f, from == 3 ? f->eip : origin(f->eip)->guest, true);
    }
}
// INT n of a program: the real IDT has no such gate, so it is a #GP whose error code names the vector.
static bool software_interrupt(struct frame *f)
{
    const u32 *gate = guests(vcpu.idt + (f->error & ~7u), 8);
    if ((f->error & ~7u) + 7 > vcpu.idt_limit || (gate[1] & 0xe000) != 0xe000) // present, DPL 3
        return false;
    f->vector = f->error >> 3;
    deliver(f, f->eip + 2, false);
    return true;
}
void bt_trap(struct frame *f);
void bt_trap(struct frame *f)
{
    u32 from = f->cs & 3, v = f->vector;
    const u8 *code = (const u8 *)f->eip;
    stat.exits++;
    if (v == 14) {
        page_fault(f);
    } else if (v == SERVICE && from == 1 && !in_tc(f)) {
        privileged(f->eax, f->ecx);
    } else if (v == 13 && from == 1 && !in_tc(f) && (*code == 0xe6 || *code == 0xee)) { // the VMM's console
        asm volatile("outb %%al, %%dx" : : "a"(f->eax), "d"(*code == 0xe6 ? code[1] : f->edx));
        f->eip += *code == 0xe6 ? 2 : 1;
    } else if (v == 13 && from == 3 && (f->error & 7) == 2 && software_interrupt(f)) {
    } else if (v < 32 && (from == 3 || in_tc(f))) {
        deliver(f, from == 3 ? f->eip : origin(f->eip)->guest, v == 8 || (v >= 10 && v <= 14) || v == 17);
    } else {
        print("VMM: vector %d, error %x, EIP %x, CS %x\n", v, f->error, f->eip, f->cs);
        stop("an exception that nothing explains");
    }
}

// --- start
void bt_run(bool with_adaptation, bool tiny)
{
    adaptive = with_adaptation;
    tc_limit = tiny ? 6144 : TC_SIZE;
    flush = reload;
    flush_page = page_changed;
    for (u32 n = 0; n < 64; n++) {
        u32 at = (u32)bt_traps + 16 * n;
        idt[n][0] = (at & 0xffff) | 0x80 << 16;
        idt[n][1] = (at & 0xffff0000) | (n == SERVICE ? 0xae00 : 0x8e00);
    }
    tss[1] = (u32)trap_stack_top;
    tss[2] = 0x88;
    tss[25] = 0x68 << 16; // no I/O bitmap
    gdt[0x90 / 8][0] |= (u32)tss << 16;
    gdt[0x90 / 8][1] |= ((u32)tss >> 16 & 255) | ((u32)tss & 0xff000000);
    gdt[0xa8 / 8][0] |= (u32)&vcpu << 16;
    gdt[0xa8 / 8][1] |= ((u32)&vcpu >> 16 & 255) | ((u32)&vcpu & 0xff000000);
    for (u32 n = 1; n < 3; n++) { // as Multiboot has them: code at 08, data at 10
        gdt[n][0] = 0xbfff;
        gdt[n][1] = n == 1 ? 0x00cfbb00 : 0x00cfb300;
    }
    for (u32 n = 0; n < 6; n++)
        vcpu.segments[n] = n == 1 ? 8 : 0x10;
    struct __attribute__((packed)) {
        uint16_t limit;
        u32 base;
    } idtr = {sizeof idt - 1, (u32)idt};
    asm volatile("lidt %0; ltr %w1" : : "m"(idtr), "r"(0x90));
    wrmsr(0x174, 0x80);
    wrmsr(0x175, (u32)trap_stack_top);
    wrmsr(0x176, (u32)bt_sysenter);
    reload();
    print("VMM: binary translation, the cache at %x\n", (u32)tc);
    vcpu.next = translation(vcpu.eip);
    // To ring 1, where bt_start waits as it does after each callout.
    asm volatile(
        "pushl %0; pushl %1; pushl $2; pushl %2; pushl $bt_start; movl %0, %%ds; movl %0, %%es; movl %0, %%fs; movl %3, %%gs; iret"
        :
        : "r"(FLAT1), "r"(callout_stack_top), "r"(CODE1), "r"(VCPU1)
        : "memory");
    __builtin_unreachable();
}
