// decode.c: how long an instruction of 32-bit code is, and where its operands stand. MANUAL  "Instruction Format", "Opcode Map".
#include "vmm.h"

// What follows an opcode, a letter each: . nothing, m ModRM, b byte, z 4 bytes (2 with prefix 66H), B ModRM and byte, Z ModRM and z, w 2 bytes,
// p far pointer, a address, e ENTER, t ModRM and perhaps an immediate (TEST), - not known here.
static const char one_byte[] = "mmmmbz..mmmmbz.-"  // 00
                               "mmmmbz..mmmmbz.."  // 10
                               "mmmmbz-.mmmmbz-."  // 20
                               "mmmmbz-.mmmmbz-."  // 30
                               "................"  // 40
                               "................"  // 50
                               "..mm----zZbB...."  // 60
                               "bbbbbbbbbbbbbbbb"  // 70
                               "BZBBmmmmmmmmmmmm"  // 80
                               "..........p....."  // 90
                               "aaaa....bz......"  // a0
                               "bbbbbbbbzzzzzzzz"  // b0
                               "BBw.mmBZe.w..b.."  // c0
                               "mmmmbb-.mmmmmmmm"  // d0
                               "bbbbbbbbzzpb...."  // e0
                               "-.--..tt......mm"; // f0
static const char two_byte[] = "mmmm--.-..-.-m--"  // 00
                               "--------mmmmmmmm"  // 10
                               "mmmm------------"  // 20
                               "......----------"  // 30
                               "mmmmmmmmmmmmmmmm"  // 40
                               "----------------"  // 50
                               "----------------"  // 60
                               "----------------"  // 70
                               "zzzzzzzzzzzzzzzz"  // 80
                               "mmmmmmmmmmmmmmmm"  // 90
                               "...mBm--...mBmmm"  // a0
                               "mmmmmmmmmmBmmmmm"  // b0
                               "mm-----m........"  // c0
                               "----------------"  // d0
                               "----------------"  // e0
                               "----------------"; // f0

static u8 address_bytes(const u8 *p, struct insn *i)
{
    u8 n = 1, mod = i->modrm >> 6, rm = i->modrm & 7;
    if (mod != 3 && rm == 4)
        i->sib = p[n++];
    u8 size = mod == 1 ? 1 : mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (i->sib & 7) == 5))) ? 4 : 0;
    if (size)
        i->disp = size == 1 ? (int8_t)p[n] : *(const int32_t *)(p + n);
    return (u8)(n + size);
}
bool decode(const u8 *code, struct insn *i)
{
    const u8 *p = code;
    *i = (struct insn){0};
    for (;; p++) {
        if (*p == 0x66)
            i->prefix66 = 1;
        else if (*p == 0xf2 || *p == 0xf3)
            i->rep = *p;
        else if (*p == 0xf0)
            i->lock = 1;
        else if (*p == 0x26 || *p == 0x2e || *p == 0x36 || *p == 0x3e || *p == 0x64 || *p == 0x65)
            i->segment = *p;
        else
            break;
    }
    i->two = *p == 0x0f;
    p += i->two;
    i->op = *p++;
    char kind = i->two ? two_byte[i->op] : one_byte[i->op];
    if (kind == '-')
        return false;
    if (kind == 'm' || kind == 'B' || kind == 'Z' || kind == 't') {
        i->has_modrm = 1;
        i->modrm_at = (u8)(p - code);
        i->modrm = *p;
        p += i->two && i->op >= 0x20 && i->op <= 0x23 ? 1 : address_bytes(p, i);
        if (kind == 't')
            kind = i->modrm >> 3 & 6 ? 'm' : i->op & 1 ? 'Z' : 'B';
    }
    u8 z = i->prefix66 ? 2 : 4;
    i->imm_at = (u8)(p - code);
    i->imm_size = kind == 'b' || kind == 'B' ? 1 : kind == 'z' || kind == 'Z' ? z : kind == 'w' ? 2 : kind == 'a' ? 4 : 0;
    i->imm = i->imm_size == 1 ? (u32)(int8_t)*p : i->imm_size == 2 ? *(const uint16_t *)p : i->imm_size ? *(const u32 *)p : 0;
    i->length = (u8)(i->imm_at + (kind == 'p' ? z + 2 : kind == 'e' ? 3 : i->imm_size));
    return true;
}
u32 operand_address(const struct insn *i, const u32 *regs)
{
    u8 mod = i->modrm >> 6, rm = i->modrm & 7;
    u32 at = (u32)i->disp;
    if (rm == 4) {
        u8 base = i->sib & 7, index = i->sib >> 3 & 7;
        at += base == 5 && mod == 0 ? 0 : regs[base];
        at += index == 4 ? 0 : regs[index] << (i->sib >> 6);
    } else if (!(rm == 5 && mod == 0)) {
        at += regs[rm];
    }
    return at;
}
bool is_store(const struct insn *i, const u32 *regs, u32 *value)
{
    if (i->two || i->prefix66 || i->rep || i->segment || !i->has_modrm || i->modrm >> 6 == 3)
        return false;
    if (i->op == 0x89)
        *value = regs[i->modrm >> 3 & 7];
    else if (i->op == 0xc7)
        *value = i->imm;
    else
        return false;
    return true;
}
