// isa/tables.h: the enumerations that isa/costs.def and isa/features.def define, with their texts.
#ifndef ISA_TABLES_H
#define ISA_TABLES_H

#include <stdbool.h>
#include <stdint.h>

enum isa_cost {
#define C(id, teach, text) ISA_COST_##id,
#include "isa/costs.def"
#undef C
    ISA_COST_NUM
};
struct isa_cost_info {
    const char *id;
    uint32_t teach;
    const char *text;
};
extern const struct isa_cost_info isa_cost_info[ISA_COST_NUM];

enum isa_feature {
    ISA_FEAT_NONE,
#define F(id, leaf, sub, reg, bit, flag, text) ISA_FEAT_##id,
#include "isa/features.def"
#undef F
    ISA_FEAT_NUM
};
struct isa_feature_info {
    const char *id;
    uint32_t leaf, sub;
    uint8_t reg, bit;
    const char *flag, *text;
};
extern const struct isa_feature_info isa_feature_info[ISA_FEAT_NUM];
static inline bool isa_has(const uint64_t set[4], enum isa_feature f) { return set[f / 64] >> (f % 64) & 1; }

#endif
