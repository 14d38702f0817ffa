-- nanobench.lua: the kernel of scenarios/binary-translation, run to its end.
--
--   nb.machine(words, profile)  the machine before its first instruction. words: nil for the bare machine, else how its VMM is to run it: "bt", "bt plain", "vtx",
--                               "vtx ept" ...
--   nb.run(words, profile)      what the kernel measured, by name; once: the three times of the code that runs once; counted: what the VMM counted, by name;
--                               reasons, vmexits: VM exits as the processor's ledger has them
local nb = {}

function nb.machine(words, profile)
  local m = ringside.machine { ram = "64M", profile = profile }
  if words then
    m:load("binary-translation/vmm.bin", { cmdline = words, modules = { "binary-translation/kernel.bin" } })
  else
    m:load("binary-translation/kernel.bin")
  end
  return m
end

function nb.run(words, profile)
  local m = nb.machine(words, profile)
  m:run { max_cycles = 1000000000 }
  local text, of = m:output(), { once = {}, counted = {}, reasons = {} }
  ringside.check(text:find("KERNEL-OK", 1, true), (words or "native") .. ": the kernel ends well")
  for line in text:gmatch("[^\n]+") do
    local name, value = line:match("^(%l+) (%d+)$")
    if name == "once" then of.once[#of.once + 1] = math.tointeger(value) elseif name then of[name] = math.tointeger(value) end
    if line:find("^VMM: exits") then
      for what, n in line:gmatch("(%w+) (%d+)") do of.counted[what] = math.tointeger(n) end
    end
  end
  for _, level in pairs(m:ledger().levels) do
    for reason, n in pairs(level.reasons) do of.reasons[reason] = (of.reasons[reason] or 0) + n end
  end
  of.vmexits = m:stat("vmexits")
  m:close()
  return of
end

return nb
