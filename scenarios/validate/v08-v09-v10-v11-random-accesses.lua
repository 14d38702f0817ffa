-- V08 to V11: random accesses over 8192 pages, far beyond every TLB: references per walk, where they go, and what large pages save.
local lib = require("lib")
ringside.title("Random accesses")
local N, PAGES = 20000, 8192
local native = lib.run({nested = 0, pages = PAGES, accesses = N}, "haswell-2013")
ringside.target("V08", native.walk_refs / native.walks, native.walks .. " walks, Haswell")

local m = lib.machine({pages = PAGES, accesses = N}, "haswell-2013")
m:run_to("measure")
local all, final = 0, 0
local watch = m:on("ref", function(e)
  all = all + 1
  if e.table == "ept" and e.glevel == 0 then final = final + 1 end
end)
local nested = lib.measure(m)
watch:off()
m:close()
ringside.target("V09", nested.walk_refs / nested.walks, nested.walks .. " walks, Haswell")
ringside.target("V10", 100.0 * final / all, "Haswell; every reference costs the same here",
  "the model has no cache of upper EPT levels: where the nTLB misses, all four are read, and it misses for nearly every data page")

local large = lib.run({pages = PAGES, accesses = N, guest_2m = 1, ept_2m = 1}, "haswell-2013")
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
ringside.plot{name = "random-accesses", title = "References of walks per random access", x = "pages of 4 KiB", y = "references per access", log_x = true,
  series = lines}
