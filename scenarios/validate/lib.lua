-- lib.lua: what the scenarios of this folder share: memory.asm on a machine, and counting between its labels.
local lib = {}

-- A machine with the program, its parameters set. p: see memory.asm. set: values of the profile.
function lib.machine(p, profile, set, fidelity)
  local m = ringside.machine{profile = profile or "teach", ram = (p.apart or 1) > 1 and "1280M" or "192M", set = set, fidelity = fidelity}
  m:load("validate/memory.bin", {at = 0x80000, start = "long64"})
  for name, value in pairs(p) do
    m:write_u64(name, value)
  end
  return m
end

-- Counters of the second round of accesses: the first one has warmed the caches.
function lib.measure(m)
  m:run_to("measure")
  local names = {"walks", "walk_refs", "tlb_misses", "vmexits"}
  local from, c = {}, {cycles = m.cycles, insns = m.insns}
  for _, n in ipairs(names) do from[n] = m:stat(n) end
  m:run_to("measured")
  for _, n in ipairs(names) do c[n] = m:stat(n) - from[n] end
  c.cycles, c.insns = m.cycles - c.cycles, m.insns - c.insns
  return c
end

function lib.run(p, profile)
  local m = lib.machine(p, profile)
  local c = lib.measure(m)
  m:close()
  return c
end

-- The references of one access through WINDOW of scenarios/page-walk, from events.
lib.WINDOW = 0x8080604010
function lib.walk(guest, start, profile, set)
  local m = ringside.machine{profile = profile or "textbook", set = set}
  m:load("page-walk/" .. guest .. ".bin", {at = start, start = "long64"})
  m:run_to("access")
  local refs = {}
  local watch = m:on("ref", function(e)
    if e.la == lib.WINDOW and not e.cached then refs[#refs + 1] = e end
  end)
  m:step()
  watch:off()
  m:close()
  return refs
end

return lib
