-- V23, V24: what VM entries and exits drop with and without VPID, and what that costs.
local lib = require("lib")
ringside.title("VPID")
local function dropped(vpid)
  local m = lib.machine{pages = 8, accesses = 256, random = 0, exit_each = 8, vpid = vpid}
  m:run_to("measure")
  local sum, kept = 0, true
  local watch = m:on("tlb-flush", function(e)
    if e.cause ~= "VM entry" and e.cause ~= "VM exit" then return end
    sum = sum + e.dropped
    local physical = 0
    for _, t in ipairs(m:tlb()) do
      if t.mapping == "guest-physical" then physical = physical + 1 end
    end
    kept = kept and physical > 0
  end)
  m:run_to("measured")
  watch:off()
  local physical = 0
  for _, t in ipairs(m:tlb()) do
    if t.mapping == "guest-physical" then physical = physical + 1 end
  end
  m:close()
  return sum, kept and physical > 0
end
local off, kept_off = dropped(0)
local on, kept_on = dropped(1)
ringside.target("V23", on == 0 and off > 0 and kept_off and kept_on, ("%d with, %d without; guest-physical kept"):format(on, off))

local saved, line = {}, {"cycles saved per VM exit"}
for k = 0, 8 do
  local pages = 1 << k
  local p = {pages = pages, accesses = 4096, exit_each = pages}
  p.vpid = 0
  local a = lib.run(p)
  p.vpid = 1
  local b = lib.run(p)
  saved[k] = (a.cycles - b.cycles) / b.vmexits
  table.insert(line, {pages, saved[k]})
end
local grows, most, at = true, 0, 0
for k = 0, 8 do
  if saved[k] > most then most, at = saved[k], k end
end
for k = 1, at do grows = grows and saved[k] > saved[k - 1] * 0.97 end
-- Saturation: beyond what the TLBs hold (64 pages) walks are made either way, so nothing more is to be saved.
ringside.target("V24", grows and saved[5] > 3 * saved[0] and 1 << at == 64, ("most at %d pages: %d cycles; %d at 256"):format(1 << at, most // 1, saved[8] // 1))
ringside.plot{name = "vpid", title = "What VPID saves per VM exit", x = "pages touched between two exits", y = "cycles", log_x = true, series = {line}}
