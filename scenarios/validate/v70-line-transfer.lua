-- V70: loads of lines that another processor has modified: on the same die, one hop away, two hops away. A chain of 64 loads, timed by the guest.
local locks = require("locks")
local P <const> = "nehalem-2008"
ringside.title("Transfers of a modified line")
local PAPER <const> = {109, 289, 400} -- David et al. 2013, Westmere-EX, whose figures the profile has
-- Two processors to a die: 1 is on the die of 0, 2 one hop away, 6 two.
local near, got = true, {}
for n, owner in ipairs{1, 2, 6} do
  local c = locks.transfer(0, owner, 0, {profile = P, set = {["topology.die"] = 2}})
  near = near and c >= PAPER[n] * 0.95 and c <= PAPER[n] * 1.05
  got[n] = ("%.1f"):format(c)
end
ringside.target("V70", near, table.concat(got, "/"))
