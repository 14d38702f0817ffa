// sim/symbols.h: the symbol table's life; its use is in sim/inspect.h.
#ifndef SIM_SYMBOLS_H
#define SIM_SYMBOLS_H

struct sim_symbols;
void symbols_destroy(struct sim_symbols *t); // NULL is allowed

#endif
