-- V26, V27: rights in the EPT raised, and lowered, without INVEPT.
local lib = require("lib")
ringside.title("Rights in the EPT")
local function violations(act)
  local m = lib.machine{act = act}
  local stop = m:run()
  local l = m:ledger().levels[1].reasons
  local n = l.EPT_VIOLATION or 0
  m:close()
  return n, stop.code
end
local raised, code = violations(1)
ringside.check(code == 1, "the guest ended as it should")
ringside.target("V26", raised)
local without = violations(2)
local with = violations(3)
ringside.target("V27", without == 0 and with == 1, ("%d violations without INVEPT, %d with"):format(without, with))
