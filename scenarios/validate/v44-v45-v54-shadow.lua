-- V44, V45, V54: shadow page tables against EPT: the hypervisor of scenarios/hypervisor with both, under programs of scenarios/bench.
ringside.title("Shadow page tables and EPT")
local CYCLES <const> = 10000000
-- What a program gets done in so many cycles, and what its levels exit for.
local function run(words, program, cycles)
  local m = ringside.machine{ram = "64M", profile = "teach"}
  m:load("hypervisor/hypervisor.bin", {cmdline = words, modules = {"bench/" .. program .. ".bin"}})
  m:run{max_cycles = cycles or CYCLES, allow = {"limit"}}
  local r = {faults = m:stat("exceptions"), insns = m.insns, exits = m:stat("vmexits"), reasons = {}}
  for n, level in ipairs(m:ledger().levels) do
    for reason, count in pairs(level.reasons) do r.reasons[reason] = (r.reasons[reason] or 0) + count end
  end
  m:close()
  return r
end
local function of(r, reason) return r.reasons[reason] or 0 end

local ept, shadow = run("depth=1 ept=1", "pagefault"), run("depth=1 ept=0", "pagefault")
local by_cause = of(shadow, "EXCEPTION_NMI") > 0 and of(shadow, "INVLPG") > 0 and of(shadow, "EPT_VIOLATION") == 0 and
  of(ept, "EPT_VIOLATION") > 0 and of(ept, "EXCEPTION_NMI") + of(ept, "INVLPG") == 0
ringside.target("V44", by_cause, ("shadow: %d faults, %d INVLPG, %d CR; EPT: %d violations"):format(of(shadow, "EXCEPTION_NMI"), of(shadow, "INVLPG"),
  of(shadow, "CR_ACCESS"), of(ept, "EPT_VIOLATION")))

-- A pointer chase over more pages than the TLBs hold, its tables never changing: shadows make its walks short.
local chase_ept, chase_shadow = run("depth=1 ept=1", "chase"), run("depth=1 ept=0", "chase")
-- And between the two: the guest of scenarios/binary-translation that reads pages at random, and changes a page-table entry now and then.
local function mix(words)
  local m = ringside.machine{ram = "64M", profile = "haswell-2013"}
  m:load("binary-translation/vmm.bin", {cmdline = words, modules = {"binary-translation/mix.bin"}})
  m:run{max_cycles = 1000000000}
  local line = {}
  for share, cycles in m:output():gmatch("%f[^\n](%d+) (%d+)\n") do
    if share ~= "0" then line[#line + 1] = {math.tointeger(share), math.tointeger(cycles)} end
  end
  m:close()
  return line
end
local by_shadow, by_ept, by_big = mix("vtx"), mix("vtx ept small"), mix("vtx ept")
local crossing
for n = 2, #by_shadow do
  if by_shadow[n - 1][2] < by_ept[n - 1][2] and by_shadow[n][2] > by_ept[n][2] then crossing = n end
end
ringside.check(crossing, "the lines of shadow paging and of EPT cross")
local between = crossing and ("cross at %d to %d changes per 1024 reads"):format(by_shadow[crossing - 1][1], by_shadow[crossing][1]) or "no crossing"
ringside.plot{name = "shadow-ept", title = "Shadow page tables against EPT: random reads over 8 MiB (Haswell)", x = "changes of page tables per 1024 reads", y = "cycles per read",
  log_x = true, log_y = true, series = {{"shadow page tables", table.unpack(by_shadow)}, {"EPT, pages of 4 KiB", table.unpack(by_ept)}, {"EPT, pages of 2 MiB", table.unpack(by_big)}}}
ringside.target("V45", chase_shadow.insns > chase_ept.insns and ept.faults > shadow.faults and crossing ~= nil,
  ("chase: shadow %d %% of EPT; faults: %d %%; %s"):format(chase_shadow.insns * 100 // chase_ept.insns, shadow.faults * 100 // ept.faults, between))

local multi, on_ept = run("depth=2 ept=1", "pagefault", 2 * CYCLES), run("depth=2 ept=10", "pagefault", 2 * CYCLES)
ringside.target("V54", multi.faults / math.max(on_ept.faults, 1), ("%d and %d faults in the same time"):format(multi.faults, on_ept.faults))
