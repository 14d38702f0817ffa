-- V33: with EPT the hardware VMM overtakes the binary translator where memory management dominates, and is as fast as the bare machine.
local nb = require("nanobench")
ringside.title("EPT against binary translation")
local P <const> = "haswell-2013"
local native, bt, ept = nb.run(nil, P), nb.run("bt", P), nb.run("vtx ept", P)
ringside.check((ept.reasons.EXCEPTION_NMI or 0) == 0, "no fault of the guest exits")
local flipped, got = true, {}
for n, name in ipairs{"forkwait", "pgfault", "ptemod"} do
  flipped = flipped and ept[name] < bt[name] and ept[name] * 10 <= native[name] * 11
  got[n] = ("%s %d %d %d"):format(name, native[name], ept[name], bt[name])
end
ringside.target("V33", flipped, "native, EPT, BT: " .. table.concat(got, "; "))
