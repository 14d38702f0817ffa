// lua/api.h: the C functions behind the rows of lua/api.def.
#ifndef LX_API_H
#define LX_API_H

#include <lua.h>

#define C(klass, parent, text)
#define F(klass, name, fn, params, result, text) int lx_##fn(lua_State *L);
#define P(klass, name, type, text)
#include "lua/api.def"
#undef C
#undef F
#undef P

#endif
