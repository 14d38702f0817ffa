-- nanobench.lua: the kernel of scenarios/binary-translation on the bare machine (words = nil), or under its VMM; what it measured, and what the VMM counted.
local nanobench = {}

function nanobench.machine(words, profile)
  local m = ringside.machine{ram = "64M", profile = profile}
  if words then
    m:load("binary-translation/vmm.bin", {cmdline = words, modules = {"binary-translation/kernel.bin"}})
  else
    m:load("binary-translation/kernel.bin")
  end
  return m
end

function nanobench.run(words, profile)
  local m = nanobench.machine(words, profile)
  m:run{max_cycles = 1000000000}
  local text, of = m:output(), {reasons = {}}
  ringside.check(text:find("KERNEL-OK", 1, true), (words or "native") .. ": the kernel ends well")
  for name, value in text:gmatch("(%l+) (%d+)\n") do of[name] = math.tointeger(value) end
  for _, level in pairs(m:ledger().levels) do
    for reason, n in pairs(level.reasons) do of.reasons[reason] = (of.reasons[reason] or 0) + n end
  end
  of.vmexits = m:stat("vmexits")
  m:close()
  return of
end

return nanobench
