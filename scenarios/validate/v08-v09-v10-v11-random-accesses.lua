-- V08 to V11: random accesses to 8192 pages of 1 GiB, far beyond every TLB and cache: references per walk, where the time of walks goes, and what large pages
-- save. The published figures are of many gigabytes (GUPS), or of many programs.
local lib = require("lib")
ringside.title("Random accesses")
local N <const>, PAGES <const>, APART <const>, PROFILE <const> = 20000, 8192, 32, "haswell-2013"
local function machine(p, set, fidelity)
  p.pages, p.apart, p.accesses = PAGES, APART, N
  return lib.machine(p, PROFILE, set, fidelity)
end
local function run(p, set)
  local m = machine(p, set)
  local c = lib.measure(m)
  m:close()
  return c
end
local native = run{nested = 0}
ringside.target("V08", native.walk_refs / native.walks, native.walks .. " walks, Haswell")

-- Processors that cache guest-physical translations cache the upper levels of the EPT, too. How much of them nobody has published, so the profile has no such
-- caches. V09 is about processors that have them: they are added, as large as those of the guest's tables.
local EPT_CACHES <const> = {}
for unit, entries in pairs{pde = 32, pdpte = 4, pml4e = 2} do
  EPT_CACHES["psc.ept." .. unit .. ".entries"] = entries
  EPT_CACHES["psc.ept." .. unit .. ".ways"] = math.min(entries, 4)
end
local nested, cached = run{}, run({}, EPT_CACHES)
ringside.target("V09", cached.walk_refs / cached.walks, ("psc.ept.* as the guest's, 32/4/2 entries; %.1f without"):format(nested.walk_refs / nested.walks))

-- V10 is about latency, so caches count: detailed fidelity, and the cycles from one reference's event to the next.
local function final_share(set)
  local m = machine({}, set, "detailed")
  m:run_to("measure")
  local all, final, last = 0, 0, 0
  local walks = m:on("walk", function(e) last = e.cycle end)
  local refs = m:on("ref", function(e)
    local cycles = e.cycle - last
    last, all = e.cycle, all + cycles
    if e.table == "ept" and e.glevel == 0 then final = final + cycles end
  end)
  m:run_to("measured")
  walks:off()
  refs:off()
  m:close()
  return 100.0 * final / all
end
ringside.target("V10", final_share(nil), ("%.1f if psc.ept.* were as the guest's"):format(final_share(EPT_CACHES)))

local large = run{guest_2m = 1, ept_2m = 1}
ringside.target("V11", nested.cycles / large.cycles, "Haswell")

local lines = {{"native"}, {"nested"}, {"nested, 2 MiB pages"}}
for k = 0, 9 do
  local pages = 16 << k
  for n, p in ipairs{{nested = 0}, {}, {guest_2m = 1, ept_2m = 1}} do
    p.pages, p.accesses = pages, 4000
    local c = lib.run(p)
    table.insert(lines[n], {pages, c.walk_refs / 4000})
  end
end
ringside.plot{name = "random-accesses", title = "References of walks per random access", x = "memory in pages of 4 KiB", y = "references per access", log_x = true,
  series = lines}

-- What larger caches of paging-structure entries save.
local SIZES <const> = {{"native, PDE cache", {nested = 0}, "psc.pde"}, {"nested, PDE cache", {}, "psc.pde"}, {"nested, cache of EPT PDEs", {}, "psc.ept.pde"}}
local by_size = {}
for n, x in ipairs(SIZES) do
  by_size[n] = {x[1]}
  for k = 0, 6 do
    local p = {pages = PAGES, accesses = 4000, nested = x[2].nested}
    local m = lib.machine(p, "haswell-2013", {[x[3] .. ".entries"] = 1 << k, [x[3] .. ".ways"] = 1 << k})
    local c = lib.measure(m)
    m:close()
    table.insert(by_size[n], {1 << k, c.walk_refs / c.walks})
  end
end
ringside.plot{name = "walk-caches", title = "References of a walk against the entries of a cache (32 MiB, Haswell)", x = "entries of the cache", y = "references per walk", log_x = true,
  series = by_size}
