-- V12: where the footprint leaves the first-level TLB, and where the second: pages touched one after another, over and over. What a TLB replaces is
-- then always what is needed next, so that a footprint larger than the TLB misses nearly always.
local lib = require("lib")
ringside.title("TLB reach")
local N <const> = 8192
local function count(profile, pages)
  local m = lib.machine({nested = 0, pages = pages, accesses = N, random = 0}, profile)
  m:run_to("measure")
  local fills = 0
  local watch = m:on("tlb-fill", function(e)
    if e.entry.unit:find("dTLB", 1, true) then fills = fills + 1 end
  end)
  local c = lib.measure(m)
  watch:off()
  m:close()
  return fills / N, c.walks / N, c.cycles / N
end
-- The first footprint of 2^k pages at which more than half of the accesses miss; and the curve.
local function knees(profile)
  local first, second, line = nil, nil, {profile}
  for k = 2, 12 do
    local fills, walks, cycles = count(profile, 1 << k)
    if not first and fills > 0.5 then first = 1 << k end
    if not second and walks > 0.5 then second = 1 << k end
    table.insert(line, {1 << k, cycles})
  end
  return first, second, line
end
local PAGES <const> = {{"nehalem-2008", 64, 512}, {"haswell-2013", 64, 1024}, {"skylake-2015", 64, 1536}}
local lines, near, detail = {}, true, {}
for n, p in ipairs(PAGES) do
  local first, second, line = knees(p[1])
  -- one step of the footprint: the size is exceeded by the measured footprint, and was not by half of it
  near = near and first > p[2] and first // 2 <= p[2] and second > p[3] and second // 2 <= p[3]
  detail[n] = ("%d and %d"):format(first, second)
  lines[n] = line
end
ringside.target("V12", near, "missed at " .. table.concat(detail, ", "))
ringside.plot{name = "tlb-reach", title = "Cycles per access against the footprint", x = "pages of 4 KiB touched in turn", y = "cycles per access", log_x = true,
  series = lines}
