-- V40, V41, V42: the kernel of scenarios/paravirtual on the bare machine, on its hypervisor (as Xen), and unchanged under the binary translator (as VMware
-- Workstation; with "plain" each store to a page table is a trap). The profile is the nearest to the paper's Xeon of 2003.
ringside.title("Paravirtualization")
local P <const> = "prescott-2005"
local function run(way)
  local m = ringside.machine{ram = "64M", profile = P}
  if way == "native" then
    m:load("paravirtual/native.bin")
  elseif way == "paravirtual" then
    m:load("paravirtual/vmm.bin", {modules = {"paravirtual/xen.bin"}})
  else
    m:load("binary-translation/vmm.bin", {cmdline = way, modules = {"paravirtual/native.bin"}})
  end
  local faults, kernel = 0, {}
  m:on("exception", function(e) if e.vector == 14 then faults = faults + 1 end end)
  m:on("ring", function(e)
    local step = e.from .. ">" .. e.to
    kernel[step] = (kernel[step] or 0) + 1
  end)
  m:run{max_cycles = 1000000000}
  local text = m:output()
  ringside.check(text:find("KERNEL-OK", 1, true), way .. ": the kernel ends well")
  local r = {faults = faults, rings = kernel, switch = {}}
  for name, value in text:gmatch("(%l+) (%d+)") do
    if name ~= "switch" then r[name] = math.tointeger(value) end
  end
  for pages, cycles in text:gmatch("switch (%d+) (%d+)") do r.switch[math.tointeger(pages)] = math.tointeger(cycles) end
  m:close()
  return r
end
local native, xen, bt, plain = run("native"), run("paravirtual"), run("bt"), run("bt plain")
ringside.check(xen.bounced == xen.faults and xen.rings["3>0"] == xen.faults, "each page fault of a program enters the hypervisor, which bounces it")

local x, v = xen.fork / native.fork, plain.fork / native.fork
ringside.target("V40", x >= 1.8 * 0.6 and x <= 1.8 * 1.4 and v >= 7.9 * 0.6 and v <= 7.9 * 1.4,
  ("%.1f and %.1f; adaptive translation %.1f"):format(x, v, bt.fork / native.fork))

local ordered, shrinks, last = true, true, nil
for pages = 0, 16, 4 do
  local n, p, t = native.switch[pages], xen.switch[pages], bt.switch[pages]
  ordered = ordered and n < p and p < t
  shrinks = shrinks and (not last or p / n < last)
  last = p / n
end
ringside.target("V41", ordered and shrinks, ("%d, %d, %d; relative cost %.2f, with 16 pages %.2f"):format(native.switch[0], xen.switch[0], bt.switch[0],
  xen.switch[0] / native.switch[0], last))
ringside.target("V42", math.abs(xen.null - native.null) * 20 <= native.null, ("%d and %d cycles"):format(xen.null, native.null))
