// isa/sys_flags.c: PUSHF, POPF, CLI, STI, CLAC, STAC.
#include "isa/far.h"
#include "isa/stack.h"
#include "isa/sysop.h"

// Without virtual-mode extensions, virtual-8086 tasks below IOPL 3 leave all of these to their monitor.
static int v86_check(struct isa_cpu *c) { return c->mode == ISA_V86 && !isa_iopl_ok(c) ? isa_gp0(c, ISA_RULE_GP_V86_IOPL) : 0; }

ISA_SYSOP(pushf)
{
    int r = v86_check(c);
    return r ? r : isa_push(c, i->osz, isa_rflags(c) & ~(uint64_t)(ISA_FL_VM | ISA_FL_RF));
}

ISA_SYSOP(popf)
{
    uint64_t v;
    int r = v86_check(c);
    if (r || (r = isa_pop(c, i->osz, &v)))
        return r;
    uint64_t writable = isa_flags_writable(c, i->osz, false);
    isa_set_rflags(c, (isa_rflags(c) & ~(writable | ISA_FL_RF)) | (v & writable));
    isa_flags_loaded(c);
    return 0;
}

ISA_SYSOP(cli)
{
    if (!isa_iopl_ok(c))
        return isa_gp0(c, c->mode == ISA_V86 ? ISA_RULE_GP_V86_IOPL : ISA_RULE_GP_IOPL);
    c->rflags_sys &= ~ISA_FL_IF;
    return 0;
}

ISA_SYSOP(sti)
{
    if (!isa_iopl_ok(c))
        return isa_gp0(c, c->mode == ISA_V86 ? ISA_RULE_GP_V86_IOPL : ISA_RULE_GP_IOPL);
    if (!(c->rflags_sys & ISA_FL_IF)) {
        c->rflags_sys |= ISA_FL_IF;
        c->blocking |= ISA_BLOCK_STI; // until the next instruction has completed
    }
    c->attention = 1;
    return 0;
}

static int set_ac(struct isa_cpu *c, bool ac)
{
    if (c->cpl)
        return isa_ud(c, ISA_RULE_UD_AC_CPL);
    c->rflags_sys = ac ? c->rflags_sys | ISA_FL_AC : c->rflags_sys & ~ISA_FL_AC;
    isa_update_mode(c);
    return 0;
}

ISA_SYSOP(clac) { return set_ac(c, false); }
ISA_SYSOP(stac) { return set_ac(c, true); }
