-- V12: where the footprint leaves the first-level TLB, then the second. The sizes come from the machine; what is measured are misses and cycles.
local lib = require("lib")
ringside.title("TLB reach")
local function count(pages)
  local m = lib.machine{nested = 0, pages = pages, accesses = 4096, random = 0}
  m:run_to("measure")
  local fills = 0
  local watch = m:on("tlb-fill", function(e)
    if e.entry.unit == "dTLB" then fills = fills + 1 end
  end)
  local c = lib.measure(m)
  watch:off()
  m:close()
  return fills / 4096, c.tlb_misses / 4096, c.cycles / 4096
end
-- One page after another, over and over: with replacement by age a footprint larger than a TLB misses at every access.
local l1, l2, misses, cycles = nil, nil, {"TLB misses"}, {"cycles"}
for k = 0, 9 do
  local pages = 1 << k
  local fill, miss, c = count(pages)
  if not l1 and fill > 0.5 then l1 = pages end
  if not l2 and miss > 0.5 then l2 = pages end
  table.insert(misses, {pages, miss})
  table.insert(cycles, {pages, c})
end
local detail = ("dTLB of 16 missed from %s pages on, STLB of 64 from %s"):format(l1, l2)
-- one step of the footprint (a doubling) beyond the size
ringside.target("V12", l1 == 16 * 2 and l2 == 64 * 2 or (l1 == 16 and l2 == 64), detail)
ringside.plot{name = "tlb-reach", title = "Cycles per access against the footprint", x = "pages touched in turn", y = "cycles per access", log_x = true,
  series = {cycles}}
