// sim/disasm.c: disassembly for people, by Zydis. The machine itself decodes with isa/decode.c and nothing else.
#include <stdio.h>
#include <string.h>
#include <Zycore/Format.h>
#include <Zydis/Zydis.h>

#include "sim/internal.h"

// What the hook below needs to know of the instruction under way.
struct disasm {
    struct sim_machine *m;
    uint64_t base;                // of the code segment
    ZydisFormatterFunc print_abs; // the formatter's own way
};

// Addresses that are known when the program is read (branch targets, RIP-relative operands) get their symbol behind them.
static ZyanStatus print_address(const ZydisFormatter *f, ZydisFormatterBuffer *buf, ZydisFormatterContext *ctx)
{
    struct disasm *d = ctx->user_data;
    ZyanStatus st = d->print_abs(f, buf, ctx);
    ZyanU64 addr;
    ZyanString *s;
    char name[128];
    if (!ZYAN_SUCCESS(st) || !ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(ctx->instruction, ctx->operand, ctx->runtime_address, &addr)))
        return st;
    sim_symbol(d->m, d->base + addr, name, sizeof name);
    if (!name[0] || !ZYAN_SUCCESS(ZydisFormatterBufferGetString(buf, &s)))
        return st;
    return ZyanStringAppendFormat(s, " <%s>", name);
}

static void init_decoder(ZydisDecoder *z, unsigned mode)
{
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth stack;
    } as[ISA_NMODE] = {
        [ISA_REAL] = {ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16},
        [ISA_V86] = {ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16},
        [ISA_PROT16] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
        [ISA_PROT32] = {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
        [ISA_COMPAT16] = {ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16},
        [ISA_COMPAT32] = {ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32},
        [ISA_LONG64] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    };
    ZydisDecoderInit(z, as[mode].mode, as[mode].stack);
}

static void init_formatter(ZydisFormatter *f, struct disasm *d, bool att)
{
    ZydisFormatterInit(f, att ? ZYDIS_FORMATTER_STYLE_ATT : ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterSetProperty(f, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    ZydisFormatterSetProperty(f, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(f, ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(f, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
    d->print_abs = print_address;
    ZydisFormatterSetHook(f, ZYDIS_FORMATTER_FUNC_PRINT_ADDRESS_ABS, (const void **)&d->print_abs);
}

// A scale of 1 says nothing, and there is none in 16-bit addresses: [bx+si*1], (%bx,%si,1).
static void drop_unit_scale(char *text, bool att)
{
    const char *scale = att ? ",1)" : "*1", *behind = att ? "" : "]+-";
    for (char *p = text; (p = strstr(p, scale)); p++)
        if (att || (p[2] && strchr(behind, p[2])))
            memmove(p, p + 2, strlen(p + 2) + 1);
}

unsigned disasm_bytes(struct sim_machine *m, const struct isa_cpu *c, uint64_t la, bool att, const uint8_t *bytes, unsigned n,
                      char *text, unsigned size)
{
    struct disasm d = {.m = m, .base = isa_code64(c) ? 0 : c->seg[ISA_CS].base};
    ZydisDecoder z;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisFormatter f;
    if (!n) {
        snprintf(text, size, "(unreadable)");
        return 0;
    }
    init_decoder(&z, c->mode);
    ZyanStatus st = ZydisDecoderDecodeFull(&z, bytes, n < ISA_MAX_INSN_LEN ? n : ISA_MAX_INSN_LEN, &insn, ops);
    if (!ZYAN_SUCCESS(st)) {
        bool cut = st == ZYDIS_STATUS_NO_MORE_DATA && n < ISA_MAX_INSN_LEN;
        snprintf(text, size, cut ? "(cut off by an unreadable page)" : "(undefined)");
        return cut ? n : 1;
    }
    init_formatter(&f, &d, att);
    if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&f, &insn, ops, insn.operand_count_visible, text, size, la - d.base, &d)))
        snprintf(text, size, "%s ...", ZydisMnemonicGetString(insn.mnemonic));
    else
        drop_unit_scale(text, att);
    return insn.length;
}

unsigned sim_disasm(struct sim_machine *m, unsigned cpu, uint64_t la, bool att, char *text, unsigned size, uint8_t bytes[16])
{
    memset(bytes, 0, 16);
    unsigned n = (unsigned)sim_peek(m, cpu, SIM_LINEAR, la, bytes, ISA_MAX_INSN_LEN);
    return disasm_bytes(m, sim_cpu(m, cpu), la, att, bytes, n, text, size);
}
