-- V38: an exception of an application in the 0/1/3 model, delivered to the kernel at ring 1 directly and by way of the monitor at ring 0.
ringside.title("Bouncing an exception")
local ROUNDS <const> = 1000
local function run(direct)
  local m = ringside.machine{ram = "4M", profile = "prescott-2005"}
  m:load("ring-aliasing/bounce.bin", {at = 0x80000, start = "prot32"})
  m:write_u32("direct", direct)
  m:run_to("measure")
  local path, from = {}, m.cycles
  local watch = m:on("ring", function(e)
    local step = e.from .. ">" .. e.to
    path[step] = (path[step] or 0) + 1
  end)
  m:run_to("measured")
  watch:off()
  local cycles, bounced = m.cycles - from, m:u32("bounced")
  m:close()
  return cycles, path, bounced
end
local straight, short = run(1)
local detour, long, bounced = run(0)
ringside.check(short["3>1"] == ROUNDS and short["1>3"] == ROUNDS and not short["3>0"], "direct: from ring 3 to ring 1 and back")
ringside.check(long["3>0"] == ROUNDS and long["0>1"] == ROUNDS and long["1>3"] == ROUNDS and bounced == ROUNDS, "bounced: 3 to 0, 0 to 1, and back to 3")
ringside.target("V38", (detour - straight) // ROUNDS, ("%d over %d, Prescott"):format(detour // ROUNDS, straight // ROUNDS))
