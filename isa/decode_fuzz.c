// isa/decode_fuzz.c: any bytes, in any mode, with any features: the decoder reads no further than it may and keeps its promises.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "isa/decode.h"
#include "isa/fault.h"
#include "isa/tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The promises of isa/decode.h and isa/insn.h that hold for every instruction.
static void check(const struct isa_decode_mode *m, const struct isa_insn *i, unsigned len)
{
    assert(len >= 1 && len <= ISA_MAX_INSN_LEN && i->len == len && i->op < ISA_OP_NUM);
    assert(i->osz == 1 || i->osz == 2 || i->osz == 4 || i->osz == 8);
    assert(i->asz == 2 || i->asz == 4 || i->asz == 8);
    assert(i->base < ISA_NREG && i->index < ISA_NREG && i->scale <= 3 && i->seg <= ISA_GS);
    assert(i->reg < 16 && i->rm < 16 && i->reg8 <= 120 && i->rm8 <= 120 && i->vvvv < 16 && i->cc < 16);
    assert(i->segchk || i->seg < ISA_FS || i->op == ISA_OP_INVALID);
    assert(!i->lock || (i->is_mem && isa_opinfo[i->op].props & ISA_F_LOCK));
    if (i->op == ISA_OP_INVALID)
        assert(i->imm > ISA_RULE_NONE && i->imm < ISA_RULE_NUM);
    if (m->mode != ISA_LONG64)
        assert(i->asz < 8 && i->base != ISA_REG_RIP && i->reg < 8 && i->rm < 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct isa_decode_mode m = {.mode = data[0] % ISA_NMODE, .flat = data[0] & 0x80};
    memset(m.features, data[1] & 0x80 ? 0xff : data[1], sizeof m.features);
    unsigned n = size - 2 > 16 ? 16 : (unsigned)size - 2;
    uint8_t *exact = malloc(n ? n : 1); // so that the address sanitizer sees a read too far
    memcpy(exact, data + 2, n);
    struct isa_insn i, again;
    unsigned len = isa_decode(&m, exact, n, &i);
    assert(len <= n);
    if (len) {
        check(&m, &i, len);
        // What follows the instruction does not matter, and what stands before its end does.
        assert(isa_decode(&m, exact, len, &again) == len || i.op == ISA_OP_INVALID);
        if (i.op != ISA_OP_INVALID)
            assert(!memcmp(&i, &again, sizeof i) && isa_decode(&m, exact, len - 1, &again) == 0);
    } else
        assert(n < ISA_MAX_INSN_LEN);
    free(exact);
    return 0;
}
