// vmx-model/entry_fuzz.c: VMLAUNCH on random VMCS contents, random guest code after it, VMRESUME after each exit.
//
// The first byte of the input chooses a valid VMCS to start from, the processor, and whether all of the VMCS is then overwritten; records of 10 bytes
// (field, operation, value) change fields; what remains is guest code, and fills the tables in memory.
// PROMISES   no crash, no finding of a sanitizer; each entry ends in exactly one of its four ways with the processor in the state that
//            belongs to it; state that an exit saves can be entered again.
#define TV_NO_CMOCKA
#include "isa/deliver.h"
#include "vmx-model/testvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t n;
};
static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t v = 0;
    unsigned n = in->n < bytes ? (unsigned)in->n : bytes;
    memcpy(&v, in->p, n);
    in->p += n;
    in->n -= n;
    return v;
}

static void overwrite_all(struct input *in)
{
    for (unsigned f = 0; f < VMCS_NFIELD; f++)
        tv_set((enum vmcs_field)f, take(in, vmcs_bits((enum vmcs_field)f) / 8));
}

static void change_some(struct input *in, unsigned count)
{
    for (; count && in->n; count--) {
        enum vmcs_field f = (enum vmcs_field)(take(in, 1) % VMCS_NFIELD);
        unsigned op = (unsigned)take(in, 1);
        uint64_t val = take(in, 8);
        switch (op & 3) {
        case 0: tv_set(f, val); break;
        case 1: tv_set(f, tv_get(f) ^ 1ull << (val & 63)); break;
        case 2: tv_set(f, tv_get(f) | val); break;
        default: tv_set(f, tv_get(f) & val); break;
        }
    }
}

static void fill_memory(const struct input *in)
{
    for (unsigned at = TV_DATA; in->n && at + in->n < TV_STACK; at += 0x800)
        memcpy(isa_te_at(tv.t, at), in->p, in->n < 0x800 ? in->n : 0x800);
    tv_w32(TV_VMCS2, vmx_revision(&tv.caps));
}

static void check_report(const struct vmx_entry_report *r)
{
    assert(r->n <= VMX_MAX_FAILURES && (r->n == 0) == (r->outcome == VMX_ENTRY_OK || r->error == VMX_R_ENTRY_MSR_LOADING));
    for (unsigned n = 0; n < r->n; n++) {
        const struct vmx_failure *f = &r->failure[n];
        assert(f->id && f->rule && f->sdm && f->field < VMCS_NFIELD);
        assert(!f->has_suggestion || f->suggestion != f->value || !f->bits);
    }
}

// VMLAUNCH or VMRESUME. True: the guest runs.
static bool enter(bool launch)
{
    isa_te_code(tv.t, TV_HOST, launch ? "\x0f\x01\xc2" : "\x0f\x01\xc3", 3);
    int r = isa_te_run(tv.t, 1);
    const struct vmx_entry_report *report = &tv.v.report;
    check_report(report);
    assert(r == ISA_R_STOP);
    if (report->outcome == VMX_ENTRY_FAIL_VALID)
        assert(tv.c->vmx == ISA_VMX_ROOT && (tv.c->rip == TV_HOST + 3) && tv_get(VF_VM_INSTRUCTION_ERROR) == report->error);
    else if (report->outcome == VMX_ENTRY_FAIL_EXIT)
        assert(tv.c->vmx == ISA_VMX_ROOT && tv_get(VF_VM_EXIT_REASON) == (report->error | VMX_R_ENTRY_FAILURE));
    else
        return tv.c->vmx == ISA_VMX_NONROOT;
    return false;
}

// Let the guest run a little, until it exits or stops.
static bool guest(const struct input *in)
{
    uint64_t la = tv.c->mode == ISA_LONG64 ? tv.c->rip : (uint32_t)(tv.c->seg[ISA_CS].base + tv.c->rip);
    uint64_t rip = tv.c->rip;
    if (in->n && la < 0x3f000) {
        isa_te_code(tv.t, la, in->p, in->n < 64 ? (unsigned)in->n : 64);
        tv.c->rip = rip;
    }
    for (unsigned n = 0; n < 16; n++) {
        if (vmx_trap_exit(tv.c, &tv.v) || vmx_mtf_exit(tv.c, &tv.v) || vmx_nmi_window_exit(tv.c, &tv.v) ||
            vmx_int_window_exit(tv.c, &tv.v))
            return vmx_take_exit(tv.c, &tv.v);
        if (tv.c->activity != ISA_ACTIVE)
            break;
        vmx_insn_comes(tv.c, &tv.v);
        int r = isa_te_run(tv.t, 1);
        if (r == ISA_R_VMEXIT)
            return vmx_take_exit(tv.c, &tv.v);
        if (r == ISA_R_FAULT)
            break;
    }
    vmx_exit_record(&tv.v, VMX_R_EXTERNAL_INTERRUPT, 0, NULL);
    tv.v.exit.trap_like = true;
    return vmx_take_exit(tv.c, &tv.v);
}

// The host of the next entry is 64-bit code again, whatever the host-state area said.
static void fresh_host(void)
{
    isa_te_mode(tv.t, ISA_LONG64, 0);
    tv.c->cr0 |= ISA_CR0_NE;
    tv.c->cr4 = ISA_CR4_PAE | ISA_CR4_VMXE;
    tv.c->blocking = 0;
    tv.c->activity = ISA_ACTIVE;
    tv.c->gdtr.base = tv.c->idtr.base = 0;
    isa_update_mode(tv.c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    if (size < 2)
        return 0;
    unsigned how = (unsigned)take(&in, 1), count = (unsigned)take(&in, 1) & 7;
    tv_golden((enum tv_golden)(how % TV_HOST32)); // hosts are 64-bit here
    if (how & 0x40)
        tv.caps = vmx_caps_later;
    if (how & 0x20)
        tv_with_mpx();
    if (how & 0x80)
        overwrite_all(&in);
    change_some(&in, count);
    fill_memory(&in);
    tv.t->deliver = isa_deliver_fault;
    bool launched = false;
    for (unsigned n = 0; n < 4; n++) {
        fresh_host();
        if (!enter(!launched) || !guest(&in))
            break;
        launched = true;
    }
    tv_close();
    return 0;
}
