-- counters: performance counters tell apart what happens in which ring, and interrupt a program to ask it where it is.

local PARAM <const>, RESULTS <const>, NSAMPLES <const>, SAMPLES <const> = 0x9f00, 0x9000, 0x9f08, 0x300000 -- counters.asm
local PERIOD <const> = 997
local say, check, equal, section = ringside.say, ringside.check, ringside.expect_equal, ringside.section

local function machine(param)
  local m = ringside.machine{ram = "16M"}
  m:load("counters/counters.bin", {at = 0x200000, start = "long64"})
  m:write_u8(PARAM, param, "host")
  return m
end

local function finish(m) equal(m:run{max_cycles = 50000000}.kind, "exit", "the guest comes to its end") end

-- What the simulator sees between two places: instructions and cycles by ring. An instruction belongs to the ring in which it ends, so
-- SYSCALL is the kernel's and SYSRET the program's.
local function watch(m, from, to)
  local seen = {insns = {[0] = 0, [3] = 0}, cycles = {[0] = 0, [3] = 0}}
  local last
  m:on("insn", function(e)
    if last then
      local ring = m.cpu.cs & 3
      seen.insns[ring] = seen.insns[ring] + 1
      seen.cycles[ring] = seen.cycles[ring] + e.cycle - last
    end
    if e.rip == from then last = e.cycle elseif e.rip == to then last = nil elseif last then last = e.cycle end
  end)
  return seen
end

ringside.title("Performance counters")

section("How much of it is the kernel?")
say([[A program in ring 3 calls the kernel 50 times. Four counters of the processor watch: instructions retired and cycles, each once in ring 0 (bit OS of
IA32_PERFEVTSELx) and once above (bit USR). The simulator watches, too, one instruction at a time.]])
do
  local m = machine(0)
  local seen = watch(m, m:symbol("begin"), m:symbol("finish"))
  finish(m)
  local pmc, fixed = {}, {}
  for k = 0, 3 do pmc[k] = m:u64(RESULTS + 8 * k, "host") end
  for k = 0, 2 do fixed[k] = m:u64(RESULTS + 32 + 8 * k, "host") end
  ringside.table({
    {"ring 0", pmc[0], seen.insns[0], pmc[2], seen.cycles[0]},
    {"ring 3", pmc[1], seen.insns[3], pmc[3], seen.cycles[3]},
    {"all", fixed[0], seen.insns[0] + seen.insns[3], fixed[1], seen.cycles[0] + seen.cycles[3]},
  }, {"", "instructions: counter", "simulator", "cycles: counter", "simulator"})
  equal({pmc[0], pmc[1]}, {seen.insns[0], seen.insns[3]}, "the counters of instructions say what the simulator saw, in each ring")
  equal({pmc[2], pmc[3]}, {seen.cycles[0], seen.cycles[3]}, "so do the counters of cycles")
  equal(fixed[0], pmc[0] + pmc[1], "the fixed-function counter of instructions has the sum")
  equal({fixed[1], fixed[2]}, {pmc[2] + pmc[3], pmc[2] + pmc[3]}, "and those of cycles, too")
  say("Of the instructions an eighth is the kernel's, of the cycles more than a third: changing rings is what costs.")
  check(pmc[0] * 8 < fixed[0] and pmc[2] * 3 > fixed[1], "few instructions, many cycles", string.format("%d of %d, %d of %d", pmc[0], fixed[0], pmc[2], fixed[1]))
end

section("A profiler")
say([[Where does a program spend its time? A counter that starts %d below its end overflows after so many instructions, and interrupts (bit INT, and the
performance-counter entry of the local APIC). The handler notes the return address and winds the counter up again. After a while the notes
are a picture of the program. The truth beside it is what the simulator counted.]], PERIOD)
do
  local m = machine(1)
  local names <const> = {"most", "some", "few"}
  local bounds = {}
  for k, name in ipairs(names) do bounds[k] = {m:symbol(name), m:symbol(names[k + 1] or "the_end")} end
  local function where(rip)
    for k, b in ipairs(bounds) do if rip >= b[1] and rip < b[2] then return k end end
    return 4
  end
  local truth, user = {0, 0, 0, 0}, 0
  m:on("insn", function(e)
    if m.cpu.cs & 3 == 3 then
      local k = where(e.rip)
      truth[k], user = truth[k] + 1, user + 1
    end
  end)
  finish(m)
  local n, notes = m:u64(NSAMPLES, "host"), {0, 0, 0, 0}
  for k = 0, n - 1 do
    local w = where(m:u64(SAMPLES + 8 * k, "host"))
    notes[w] = notes[w] + 1
  end
  local rows = {}
  for k, name in ipairs{"most", "some", "few", "elsewhere"} do
    rows[k] = {name, notes[k], string.format("%.1f %%", 100 * notes[k] / n), string.format("%.1f %%", 100 * truth[k] / user)}
    check(math.abs(notes[k] / n - truth[k] / user) < 0.03, name .. ": the notes are within three points of the truth")
  end
  ringside.table(rows, {"function", "notes", "share", "truth"})
  check(math.abs(n - user // PERIOD) <= 2, "an interrupt came every " .. PERIOD .. " instructions", n .. " notes of " .. user .. " instructions")
end
