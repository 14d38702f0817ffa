-- V75: a message through a line of memory that the receiver polls: one way, and with the answer, in transfers of a line; and the same by interrupts.
local locks = require("locks")
local P <const> = "nehalem-2008"
ringside.title("Messages")
local N <const> = 100
local function cycles(way)
  local m = locks.machine(2, way, {total = N}, {profile = P})
  m:run{max_cycles = 100000000}
  local one, both = m:u32("oneway") / N, m:u32("cycles") / N
  m:close()
  return one, both
end
-- A message is a store to the line that the receiver has, and its load of the line that the sender has modified then.
local transfer = (locks.transfer(0, 1, 0, {profile = P}) + locks.transfer(1, 1, 0, {profile = P})) / 2
local one, both = cycles("message")
local ipi, ipi_both = cycles("ipi")
local a, b = one / transfer, both / transfer
local near = math.abs(a - 2) <= 0.5 and math.abs(b - 4) <= 1
ringside.target("V75", near and 4 * one < ipi and 4 * both < ipi_both,
  ("%.2f and %.2f; %.0f and %.0f cycles, by interrupt %.0f and %.0f"):format(a, b, one, both, ipi, ipi_both))
