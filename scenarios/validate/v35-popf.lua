-- V35: the kernel of scenarios/ring-aliasing at ring 0 and, the same bytes, at ring 1.
ringside.title("POPF at ring 1")
local RESULTS, COUNT, TABLE <const> = 0x30000, 0x30000, 0x30040
local function records(image)
  local m = ringside.machine{ram = "4M"}
  m:load("ring-aliasing/" .. image .. ".bin", {at = 0x7c00, start = "prot32"})
  m:run{max_cycles = 50000000}
  local r = {}
  for n = 0, m:u32(COUNT) - 1 do
    local at = TABLE + n * 16
    r[m:string(m:u32(at), 40)] = {trap = m:u32(at + 4) == 1, value = m:u32(at + 8)}
  end
  m:close()
  return r
end
local r0, r1 = records("boot-ring0"), records("boot-ring1")
local cleared, kept = r0["POPF IF=0"].value >> 9 & 1 == 0, r1["POPF IF=0"].value >> 9 & 1 == 1
local shows = r0["PUSH CS"].value & 3 == 0 and r1["PUSH CS"].value & 3 == 1
ringside.target("V35", cleared and kept and not r1["POPF IF=0"].trap and shows, "no trap; PUSH CS shows ring 1")
