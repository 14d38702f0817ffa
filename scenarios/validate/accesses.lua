-- accesses.lua: for sweeps: random accesses over so many pages, and what they cost.
--    ringside sweep scenarios/validate/accesses.lua --set tlb.l2.entries=16,64,256 --set ept.page=4k,2m --csv out.csv -j 2
-- On several machines, or as an array job, the lines are handed out by others:
--    ringside sweep scenarios/validate/accesses.lua --set pages=64,512,4096 --tasks |
--      parallel --sshlogin one,two -k --pipe -N1 ringside sweep scenarios/validate/accesses.lua --from - --no-header
--    sed -n "${SLURM_ARRAY_TASK_ID}p" tasks.txt | ringside sweep scenarios/validate/accesses.lua --from - --csv "row-$SLURM_ARRAY_TASK_ID.csv"
local lib = require("lib")
local SIZE = {["4k"] = 0, ["2m"] = 1}
local function page(name)
  local size = ringside.param(name, "4k")
  return SIZE[size] or error(name .. "=" .. size .. ": 4k or 2m", 0)
end
local accesses = ringside.param("accesses", 10000)
local c = lib.run{
  nested = ringside.param("nested", true) and 1 or 0,
  vpid = ringside.param("vpid", true) and 1 or 0,
  pages = ringside.param("pages", 4096),
  apart = ringside.param("apart", 1),
  random = ringside.param("random", true) and 1 or 0,
  exit_each = ringside.param("exit.each", 0),
  accesses = accesses,
  guest_2m = page("guest.page"),
  ept_2m = page("ept.page"),
}
ringside.title("Accesses")
ringside.result("walks_per_1000", c.walks * 1000 // accesses)
ringside.result("refs_per_1000", c.walk_refs * 1000 // accesses)
ringside.result("cycles_per_1000", c.cycles * 1000 // accesses)
