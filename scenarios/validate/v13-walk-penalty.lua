-- V13: what a walk costs when its tables are hot and the PDE cache covers them: the time of random accesses over 1024 pages, less what the same
-- number of accesses takes within the TLBs, less what the second-level hits among them cost.
local lib = require("lib")
ringside.title("The price of a walk")
local N <const> = 20000
local function run(profile, pages)
  local m = lib.machine({nested = 0, pages = pages, accesses = N}, profile)
  m:run_to("measure")
  local fills = 0
  local watch = m:on("tlb-fill", function(e)
    if e.entry.unit:find("dTLB", 1, true) then fills = fills + 1 end
  end)
  local c = lib.measure(m)
  watch:off()
  m:close()
  c.second = fills - c.walks -- what the second level served
  return c
end
local function penalty(profile)
  local few, some, many = run(profile, 16), run(profile, 256), run(profile, 1024)
  local hit = some.second > 0 and (some.cycles - few.cycles) / some.second or 0
  if some.walks > N // 100 then hit = 0 end -- 256 pages leave the TLBs already: there is no second level
  return (many.cycles - few.cycles - many.second * hit) / many.walks
end
local WANTED <const> = {{"prescott-2005", 37, 44}, {"merom-2006", 8, 8}, {"nehalem-2008", 9, 9}, {"sandybridge-2011", 7, 10}}
local near, detail = true, {}
for n, w in ipairs(WANTED) do
  local p = penalty(w[1])
  near = near and p >= w[2] - 3 and p <= w[3] + 3
  detail[n] = ("%.1f"):format(p)
end
ringside.target("V13", near, table.concat(detail, ", "))
