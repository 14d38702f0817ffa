-- V14: cycles of a load from L1, L2, L3 and memory: a chain of dependent loads through more and more memory (chase.asm), timed by the guest with RDTSC, in
-- detailed fidelity. Where a cache ends shows in the times alone: the footprints below are half of what a level holds, and four times of what all hold.
ringside.title("The latency staircase")
local KB <const>, MB <const> = 1024, 1048576
local function cycles_per_load(profile, bytes)
  local m = ringside.machine{profile = profile, ram = "64M"}
  m:load("validate/chase.bin", {at = 0x10000, start = "long64"})
  m.cpu.rsi = bytes
  m.cpu.rdi = math.max(bytes // 64, 4096)
  m:set_fidelity("functional")
  m:run_to("built")
  m:set_fidelity("detailed")
  m:run_to("done")
  local c = m.cpu.eax / m.cpu.rdi
  m:close()
  return c
end
-- InstLatx64, pages in random order: cycles of the caches, from and to where several runs differ; nanoseconds of memory, since parts of one
-- micro-architecture differ in frequency. Footprints of L1, L2, L3 and memory.
local PUBLISHED <const> = {
  {"prescott-2005", 3800, {8 * KB, 4, 4}, {MB, 28, 28}, false, {32 * MB, 95.3}},
  {"merom-2006", 2667, {16 * KB, 3, 3}, {2 * MB, 14, 14}, false, {32 * MB, 79.5}},
  {"nehalem-2008", 2933, {16 * KB, 4, 4}, {128 * KB, 10, 10}, {4 * MB, 42, 46}, {32 * MB, 65.7}},
  {"sandybridge-2011", 3400, {16 * KB, 4, 4}, {128 * KB, 12, 12}, {4 * MB, 32, 36}, {32 * MB, 67.5}},
  {"haswell-2013", 3400, {16 * KB, 4, 4}, {128 * KB, 12, 12}, {4 * MB, 38, 42}, {32 * MB, 61.9}},
  {"skylake-2015", 4000, {16 * KB, 4, 4}, {128 * KB, 12, 12}, {4 * MB, 43, 47}, {32 * MB, 72.2}},
}
local near, detail, lines = true, {}, {}
for n, p in ipairs(PUBLISHED) do
  local profile, mhz = p[1], p[2]
  local at, line = {}, {profile}
  for k = 2, 15 do
    local bytes = KB << k
    at[bytes] = cycles_per_load(profile, bytes)
    table.insert(line, {bytes // KB, at[bytes]})
  end
  local got = {}
  for level = 3, 6 do
    local want = p[level]
    if want then
      local c = at[want[1]]
      local lo, hi = want[2], want[3] or want[2]
      if level == 6 then lo, hi = lo * mhz / 1000, hi * mhz / 1000 end
      local ok = c >= lo * 0.9 and c <= hi * 1.1
      ringside.check(ok, ("%s, %d KiB: %.1f cycles per load, published %.0f to %.0f"):format(profile, want[1] // KB, c, lo, hi))
      near = near and ok
      got[#got + 1] = ("%.0f"):format(c)
    end
  end
  detail[n] = table.concat(got, "/")
  lines[n] = line
end
ringside.target("V14", near, table.concat(detail, ", "))
ringside.plot{name = "latency", title = "Cycles per dependent load against the footprint", x = "footprint in KiB, every line once a round",
  y = "cycles per load", log_x = true, log_y = true, series = lines}
