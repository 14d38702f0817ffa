-- V20 to V22: what the hardware spends on one VM exit and the VM entry after it, by generation: from the exit's event to the first instruction of the
-- handler, and from before VMRESUME to the entry's event. The handler's own instructions do not count.
ringside.title("VM exits by generation")
local PAPER <const> = {
  {"prescott-2005", 3963}, {"merom-2006", 1579}, {"nehalem-2008", 1009}, {"sandybridge-2011", 784}, {"haswell-2013", 480}, {"skylake-2015", 500},
}
local function round_trip(profile)
  local m = ringside.machine{profile = profile}
  m:load("validate/exit.bin", {at = 0x80000, start = "long64"})
  m:run_until_event("vmentry")
  local e = m:run_until_event("vmexit") -- the caches are warm from here on
  m:run_until_event("vmentry")
  e = m:run_until_event("vmexit")
  local out, entered, before = m.cycles - e.cycle, nil, nil
  local watch = m:on("vmentry", function(x) entered = x.cycle end)
  repeat
    before = m.cycles
    m:step()
  until entered
  watch:off()
  local stop = m:run()
  ringside.check(stop.code == 1 and m:stat("vmexits") == 1000, profile .. ": 1000 exits, and the guest ended as it should")
  local trip = out + entered - before
  m:close()
  return trip
end
local near, by, line, paper, detail = true, {}, {"measured"}, {"published"}, {}
for n, p in ipairs(PAPER) do
  local trip = round_trip(p[1])
  by[p[1]] = trip
  near = near and trip >= p[2] * 0.97 and trip <= p[2] * 1.03
  detail[n] = trip
  line[n + 1], paper[n + 1] = {n, trip}, {n, p[2]}
end
ringside.target("V20", near, table.concat(detail, "/"))
ringside.target("V21", by["sandybridge-2011"] / by["prescott-2005"])
ringside.target("V22", by["haswell-2013"] < 500 and by["prescott-2005"] > 1000 and by["merom-2006"] > 1000 and by["nehalem-2008"] > 1000,
  ("Haswell %d; Prescott %d, Merom %d, Nehalem %d"):format(by["haswell-2013"], by["prescott-2005"], by["merom-2006"], by["nehalem-2008"]))
ringside.plot{name = "exit-cost", title = "Round trip of a VM exit by generation", x = "generation",
  y = "cycles of exit and entry", names = {"Prescott", "Merom", "Nehalem", "Sandy Bridge", "Haswell", "Skylake"}, series = {line, paper}}
