-- Locks and messages: what lines of memory cost that processors fight for.
-- All times are what the guest, locks.asm, takes with RDTSC.
-- quantum = 1: the processors share one time to the cycle.

local locks = require("locks")
local LOCKS <const> = { "tas", "ttas", "ticket", "mcs" }
local say, check, equal, section = ringside.say, ringside.check, ringside.expect_equal, ringside.section

local machine = locks.machine
local function finish(m)
  equal(m:run { max_cycles = 1000000000 }.kind, "exit", "the guest runs to its end")
  return m
end

ringside.title("Locks and messages")
section("A line that another processor has")
say([[Processor 0 loads, stores to, or exchanges with 64 lines, one after another. Another processor has written them. It is on the same die, or on another one: here two
processors are on a die, four dies in a square. In the last row a third processor has loaded the lines since, so that all they are is shared.]])
do
  local rows, load = {}, {}
  for n, c in ipairs { { "same die", 1, 0 }, { "one hop away", 2, 0 }, { "two hops away", 6, 0 }, { "same die, and shared", 1, 2 } } do
    local row = { c[1] }
    for access = 0, 2 do
      local cycles = locks.transfer(access, c[2], c[3], { set = { ["topology.die"] = n == 4 and 8 or 2 } })
      row[#row + 1] = ("%.0f"):format(cycles)
      if access == 0 then load[n] = cycles end
    end
    rows[n] = row
  end
  ringside.table(rows, { "the owner is", "load", "store", "exchange" })
  check(load[1] < load[2] and load[2] < load[3], "the farther, the longer")
  check(load[4] < load[1], "what is only shared comes from L3")
end

section("Four locks")
say([[TAS exchanges 1 into a word until it gets 0 back. TTAS first waits until it reads 0. A ticket lock draws a number and waits until that number is served. In the queue of
Mellor-Crummey and Scott each processor waits for a word of its own, which its predecessor clears. Inside the lock a counter goes up; who had it stays away for a while, unless it
is alone. The table has the cycles from one holder to the next.]])
local TOTAL <const>, WARM <const> = 600, 200
local cycles = {}
local rows = {}
for n, lock in ipairs(LOCKS) do
  rows[n], cycles[lock] = { lock }, {}
  for _, cpus in ipairs { 1, 2, 4, 8 } do
    local m = finish(machine(cpus, lock, { total = TOTAL, warm = WARM, jitter = 15, think = cpus > 1 and 100 or 0 }))
    check(m:u32("counter") >= TOTAL and m:u32("counter") < TOTAL + cpus, lock .. ", " .. cpus .. ": nothing is lost", tostring(m:u32("counter")))
    cycles[lock][cpus] = (m:u32("until") - m:u32("from")) / (TOTAL - WARM)
    rows[n][#rows[n] + 1] = ("%.0f"):format(cycles[lock][cpus])
    m:close()
  end
end
ringside.table(rows, { "lock", "1", "2", "4", "8 processors" })
check(cycles.tas[1] < cycles.mcs[1], "alone, the simplest lock is the cheapest")
check(cycles.tas[8] > 1.5 * cycles.tas[4] and cycles.ttas[8] > 1.5 * cycles.ttas[4], "each that waits makes TAS and TTAS slower: the release has to wait in line, too")
check(cycles.mcs[8] < 1.05 * cycles.mcs[4], "MCS does not care how many wait")
check(cycles.tas[8] > 5 * cycles.tas[1], "with TAS, eight processors together get less than a fifth done of what one does alone")

section("Who gets it")
say([[How often each of eight processors had the lock, of 600 times. This time nobody stays away after a turn. With TTAS the last holder then sees before all others that the lock is
free, for the line is in its own cache: it takes all.]])
do
  local fair, out = {}, {}
  for n, lock in ipairs(LOCKS) do
    local m, least, most = finish(machine(8, lock, { total = TOTAL, warm = WARM, jitter = 15 })), math.huge, 0
    out[n] = { lock }
    for k = 0, 7 do
      local times = m:u32(m:symbol("nodes") + 512 * k + 256)
      out[n][k + 2] = times
      least, most = math.min(least, times), math.max(most, times)
    end
    fair[lock] = most - least
    m:close()
  end
  ringside.table(out, { "lock", "0", "1", "2", "3", "4", "5", "6", "7" })
  check(fair.ticket <= 20 and fair.mcs <= 20, "ticket and MCS serve in the order of arrival")
  check(fair.ttas > 500, "TTAS serves whoever is quickest")
end

section("Collapse")
say([[When a ticket lock is released, all k that wait load the word that says who is served, one after another. The next holder is one of them: it gets the word, on average, when
half of them have it. So a section takes s + c k / 2, where c is the time of one such load: the last number of the first column above.]])
do
  local c = locks.transfer(0, 1, 2)
  local s, out = cycles.ticket[2] - c / 2, {}
  for _, cpus in ipairs { 2, 4, 8 } do
    local k = cpus - 1
    local predicted = s + c * k / 2
    out[#out + 1] = { k, ("%.0f"):format(predicted), ("%.0f"):format(cycles.ticket[cpus]) }
    check(math.abs(cycles.ticket[cpus] / predicted - 1) < 0.25, k .. " waiting: as predicted within a quarter")
  end
  ringside.table(out, { "waiting", "cycles predicted", "measured" })
end

section("Messages")
say([[Two processors send each other messages. By memory: the receiver reads a word again and again, from its own cache, until the sender's store takes the line away; so a message
is one store and one load of a line that the other has. By interrupt: both sleep in HLT. A message is the time at which it was sent.]])
do
  local out, one = {}, {}
  for n, way in ipairs { "message", "ipi" } do
    local m = finish(machine(2, way, { total = 100 }))
    one[way] = m:u32("oneway") / 100
    out[n] = { way == "ipi" and "interrupt" or "line of memory", ("%.0f"):format(one[way]), ("%.0f"):format(m:u32("cycles") / 100) }
    m:close()
  end
  ringside.table(out, { "message by", "one way", "and back" })
  check(one.message * 4 < one.ipi, "memory is the faster messenger by far")
end
