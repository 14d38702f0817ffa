-- paravirtual.lua: the kernel of scenarios/paravirtual, run to its end on the nearest there is to the machine of the paper of 2003.
--
--   pv.machine(way)  the machine before its first instruction. way: "native" on the bare machine; "paravirtual" on the hypervisor that the kernel asks; words for the
--                    VMM of scenarios/binary-translation, under which it runs unchanged: "bt", "bt plain" (each store to a page table is a trap)
--   pv.run(way)      what the kernel printed and the hypervisor counted, by name; switch[pages] cycles of a context switch; rings["3>0"] how often the processor went
--                    from one ring to another; faults: page faults
local pv = {}
local P <const> = "prescott-2005"

function pv.machine(way)
  local m = ringside.machine { ram = "64M", profile = P }
  if way == "native" then
    m:load("paravirtual/native.bin")
  elseif way == "paravirtual" then
    m:load("paravirtual/vmm.bin", { modules = { "paravirtual/xen.bin" } })
  else
    m:load("binary-translation/vmm.bin", { cmdline = way, modules = { "paravirtual/native.bin" } })
  end
  return m
end

function pv.run(way)
  local m, r = pv.machine(way), { rings = {}, switch = {}, faults = 0 }
  m:on("exception", function(e) if e.vector == 14 then r.faults = r.faults + 1 end end)
  m:on("ring", function(e)
    local step = e.from .. ">" .. e.to
    r.rings[step] = (r.rings[step] or 0) + 1
  end)
  m:run { max_cycles = 1000000000 }
  local text = m:output()
  ringside.check(text:find("KERNEL-OK", 1, true), way .. ": the kernel ends well")
  for name, value in text:gmatch("(%l+) (%d+)") do
    if name ~= "switch" then r[name] = math.tointeger(value) end
  end
  for pages, cycles in text:gmatch("switch (%d+) (%d+)") do r.switch[math.tointeger(pages)] = math.tointeger(cycles) end
  m:close()
  return r
end

return pv
