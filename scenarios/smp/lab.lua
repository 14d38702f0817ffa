-- Several processors: how they start, what LOCK is for, how they wake each other.
-- Everything is counted from one guest, smp.asm.

local PARAMS <const>, COUNTER <const>, WARPS <const>, PINGS <const> = 0x7000, 0x7100, 0x7110, 0x7400 -- smp.asm
local WAYS <const> = { plain = 0, lock = 1, tas = 2, ttas = 3, ticket = 4, ipi = 5, mwait = 6, warp = 7 }
local say, check, equal, section = ringside.say, ringside.check, ringside.expect_equal, ringside.section

local function machine(cpus, way, rounds, quantum)
  local m = ringside.machine { ram = "4M", cpus = cpus, quantum = quantum or 50 }
  m:load("smp/smp.bin", { at = 0x10000, start = "prot32" })
  for n, v in ipairs { cpus, WAYS[way], rounds } do
    m:write_u32(PARAMS + 4 * (n - 1), v, "host")
  end
  return m
end

local function finish(m, what)
  local stop = m:run { max_cycles = 1000000000 }
  equal(stop.kind, "exit", what .. ": the guest runs to its end")
  return m
end

ringside.title("Several processors")
section("Start-up")
say([[After reset one processor runs: the bootstrap processor. The others wait for a start-up IPI. The bootstrap processor writes its local APIC's
interrupt command register: INIT, then a start-up IPI whose vector 08H names the page 8000H. There each of the others begins in real mode, and has to
find its own way into protected mode.]])
do
  local m = machine(3, "lock", 10)
  local started = {}
  m:on("irq", function(e)
    if e.what == "init" or e.what == "sipi" then
      started[#started + 1] = { e.cycle, e.cpu, e.what == "init" and "INIT" or ringside.hex(e.vector, 2), m.mode, ringside.hex(m.cpu.rip) }
    end
  end)
  for n = 1, 2 do
    m:select(n)
    equal({ m.mode, m.cpu.rip, m:stat("interrupts") }, { "real", 0xfff0, 0 }, "processor " .. n .. " stands at its reset vector and waits")
  end
  m:select(0)
  finish(m, "start-up")
  ringside.table(started, { "cycle", "processor", "takes", "mode", "RIP before" })
  equal(#started, 4, "each of the two others took an INIT and one start-up IPI; the second start-up IPI was lost")
  equal(m:u32(COUNTER, "host"), 30, "three processors counted to ten each")
end

section("What LOCK is for")
say([[Each processor adds 1 to the same counter, 1000 times. To add is to read, to compute and to write; another processor may come in between, and then
one of the two additions is lost. LOCK makes the three one. A lock does the same for longer pieces of work.]])
local rows = {}
for _, way in ipairs { "plain", "lock", "tas", "ttas", "ticket" } do
  local row = { way }
  for _, cpus in ipairs { 1, 2, 4, 8 } do
    local m = finish(machine(cpus, way, 1000), way .. ", " .. cpus .. " processors")
    local count = m:u32(COUNTER, "host")
    if way == "plain" then
      check(cpus == 1 and count == 1000 or cpus > 1 and count < 1000 * cpus, "plain, " .. cpus .. ": " .. (cpus == 1 and "alone, nothing is lost" or "additions are lost"))
    else
      equal(count, 1000 * cpus, way .. ", " .. cpus .. ": nothing is lost")
    end
    row[#row + 1] = count
    row[#row + 1] = m.insns
    m:close()
  end
  rows[#rows + 1] = row
end
ringside.table(rows, { "way", "1 CPU", "insns", "2 CPUs", "insns", "4 CPUs", "insns", "8 CPUs", "insns" })
say([[What the counter says at the end, and how many instructions all processors took together. plain reads and writes without LOCK. tas takes a lock by
XCHG, ttas looks before it tries, ticket serves in the order of arrival.]])

section("Waking each other")
say([[A processor that has nothing to do sleeps: in HLT, until an interrupt comes, or in MWAIT, until somebody stores to the line that it watches. Processor 0
wakes each of three others 100 times.]])
local wake = {}
for _, way in ipairs { "ipi", "mwait" } do
  local m = finish(machine(4, way, 100), way)
  local interrupts = 0
  for n = 1, 3 do
    equal(m:u32(PINGS + 64 * n, "host"), 100, way .. ": processor " .. n .. " answered 100 times")
    m:select(n)
    interrupts = interrupts + m:stat("interrupts")
  end
  wake[#wake + 1] = { way, interrupts, m.cycles // 300 }
  equal(interrupts, way == "ipi" and 300 or 0, way .. ": interrupts taken")
end
ringside.table(wake, { "woken by", "interrupts", "cycles per round" })

section("One time for all")
say([[Each processor has a clock of its own here, and runs ahead of the others for a while. A program must not see that: the time-stamp counter that one
processor reads under a lock is never less than what another one read before.]])
for _, quantum in ipairs { 10, 1000, 100000 } do
  local m = finish(machine(4, "warp", 200, quantum), "quantum " .. quantum)
  equal(m:u32(WARPS, "host"), 0, "quantum " .. quantum .. ": time never went back in " .. m:u32(COUNTER, "host") .. " readings")
end
