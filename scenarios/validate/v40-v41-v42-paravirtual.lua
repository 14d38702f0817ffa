-- V40, V41, V42: the kernel of scenarios/paravirtual on the bare machine, on its hypervisor (as Xen), and unchanged under the binary translator (as VMware
-- Workstation; with "plain" each store to a page table is a trap). The profile is the nearest to the paper's Xeon of 2003.
ringside.title("Paravirtualization")
local run = require("paravirtual").run
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
