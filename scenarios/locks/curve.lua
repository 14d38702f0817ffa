-- curve.lua: for sweeps: one lock, so many processors, and what a critical section costs.
--    ringside sweep scenarios/locks/curve.lua --set lock=tas,ttas,ticket,mcs --set cpus=1,2,4,8 --csv out.csv -j 2
--    ringside sweep scenarios/locks/curve.lua --set profile=nehalem-2008 --set topology.die=2,4,8 --set lock=tas,mcs --set cpus=8
local locks = require("locks")
local LOCKS <const> = { tas = true, ttas = true, ticket = true, mcs = true }
local TOTAL <const>, WARM <const> = 600, 200
local lock, cpus = ringside.param("lock", "mcs"), ringside.param("cpus", 4)
if not LOCKS[lock] then error("lock is tas, ttas, ticket or mcs", 0) end
ringside.title("A lock")
local params = {
  total = TOTAL, warm = WARM, jitter = 15,
  work = ringside.param("work", 0),   -- rounds of a loop inside
  think = ringside.param("think", cpus > 1 and 100 or 0), -- and outside
}
local m = locks.machine(cpus, lock, params, { profile = ringside.param("profile", "teach") })
m:run { max_cycles = 1000000000 }
ringside.result("cycles_per_section", (m:u32("until") - m:u32("from")) // (TOTAL - WARM))
