-- V71 to V74: four locks that 1 to 8 processors fight for, each section short (a counter) or long (400 rounds of a loop more): cycles from one
-- holder to the next, and what goes between the caches. Who had the lock stays away for 100 rounds of a loop, unless it is alone: else TTAS would give the
-- lock to the same processor again and again, since it is the first to see that it is free.
local locks = require("locks")
local P <const> = "nehalem-2008"
ringside.title("Locks")
local LOCKS <const>, WARM <const>, TOTAL <const> = {"tas", "ttas", "ticket", "mcs"}, 200, 600
local SHORT <const>, LONG <const>, AWAY <const> = 0, 400, 100

-- Requests that left the processors' own caches: misses of L2, and stores to lines that were here, but shared.
local function requests(m, cpu)
  local sum = 0
  for n = cpu or 0, cpu or m.cpus - 1 do
    m:select(n)
    sum = sum + m:stat("l2.miss") + m:stat("line.upgrade")
  end
  return sum
end
local function run(lock, cpus, work, set)
  local params = {warm = WARM, total = TOTAL, work = work, jitter = 15, think = cpus > 1 and AWAY or 0}
  local m = locks.machine(cpus, lock, params, {profile = P, set = set})
  m:run_to(lock .. "_warm")
  local before = requests(m)
  m:run_to(lock .. "_total")
  local r = {requests = (requests(m) - before) / (TOTAL - WARM)}
  m:run{max_cycles = 100000000}
  r.cycles = (m:u32("until") - m:u32("from")) / (TOTAL - WARM)
  m:close()
  return r
end
local short, long, dies = {}, {}, {} -- dies: a short section, the first four processors on one die, the others on its neighbour
for _, lock in ipairs(LOCKS) do
  short[lock], long[lock], dies[lock] = {}, {}, {}
  for cpus = 1, 8 do
    short[lock][cpus], long[lock][cpus] = run(lock, cpus, SHORT), run(lock, cpus, LONG)
    dies[lock][cpus] = cpus > 4 and run(lock, cpus, SHORT, {["topology.die"] = 4}) or short[lock][cpus]
  end
end

-- V71
local function grows(curve)
  for cpus = 3, 8 do
    if curve[cpus].cycles <= curve[cpus - 1].cycles then return false end
  end
  return true
end
local function flat(curve)
  for cpus = 4, 8 do
    if math.abs(curve[cpus].cycles / curve[3].cycles - 1) > 0.05 then return false end
  end
  return true
end
local order = short.tas[1].cycles < short.mcs[1].cycles -- alone, the simple lock wins
for _, by in ipairs{short, long} do
  order = order and grows(by.tas) and grows(by.ttas) and flat(by.mcs) and by.mcs[8].cycles < by.tas[8].cycles and by.mcs[8].cycles < by.ttas[8].cycles
end
-- Looking first pays if the section is long enough for the others to come to rest, and if enough of them would write instead.
for cpus = 4, 8 do order = order and long.ttas[cpus].cycles < long.tas[cpus].cycles end
local function ends(curve) return ("%d, %d"):format(curve[1].cycles // 1, curve[8].cycles // 1) end
ringside.target("V71", order, ("1, 8: TAS %s; TTAS %s; MCS %s"):format(ends(long.tas), ends(long.ttas), ends(long.mcs)))

-- V72: from the first instruction of a release to the next holder's being inside: requests of these two. Then requests of all, for each time that the
-- lock is taken, less that for the counter inside.
local function at(m, label)
  m:run_to(label)
  local rip = m:symbol(label)
  for n = 0, m.cpus - 1 do
    m:select(n)
    if m.cpu.rip == rip then return n end
  end
end
local function handoff(cpus)
  local m, most = locks.machine(cpus, "mcs", {warm = WARM, total = TOTAL, work = LONG, jitter = 15, think = AWAY}, {profile = P}), 0
  m:run_to("mcs_warm")
  for _ = 1, 50 do
    local holder, before = at(m, "mcs_release"), {}
    for n = 0, cpus - 1 do before[n] = requests(m, n) end
    ringside.check(at(m, "mcs_again") == holder, "the holder has handed the lock over")
    local sum = requests(m, holder) - before[holder]
    local successor = at(m, "mcs_inside")
    sum = sum + requests(m, successor) - before[successor]
    most = math.max(most, sum)
  end
  m:close()
  return most
end
local mcs, constant = handoff(2), true
for cpus = 3, 8 do constant = constant and handoff(cpus) == mcs and math.abs(short.mcs[cpus].requests - short.mcs[3].requests) < 0.1 end
local linear = true
for cpus = 3, 8 do linear = linear and long.ttas[cpus].requests >= long.ttas[cpus - 1].requests + 2 end
local longest = {tas = run("tas", 4, 10 * LONG), ttas = run("ttas", 4, 10 * LONG)}
local unbounded = longest.tas.requests > 5 * long.tas[4].requests and longest.ttas.requests < 1.1 * long.ttas[4].requests
ringside.target("V72", mcs <= 4 and constant and linear and unbounded, ("MCS %d; TTAS %.0f to %.0f at 2 to 8; TAS at 4: %.0f, %.0f if 10 x as long"):format(mcs,
  long.ttas[2].requests - 1, long.ttas[8].requests - 1, long.tas[4].requests - 1, longest.tas.requests - 1))

-- V73: of all locks and numbers of processors the ratio that is farthest from a tenth.
local worst, most, least = 0.1, 0, 1
for _, lock in ipairs(LOCKS) do
  for cpus = 2, 8 do
    local ratio = short[lock][1].cycles / short[lock][cpus].cycles
    most, least = math.max(most, ratio), math.min(least, ratio)
  end
end
worst = most / 0.1 > 0.1 / least and most or least
ringside.target("V73", worst, ("the farthest; from %.3f to %.3f"):format(least, most))

-- V74: with k waiters a ticket lock serves one in s + c k / 2, where c is what it takes to load a line that others share. s is taken from one waiter, c from
-- a measurement of its own; the others are predicted.
local c, off = locks.transfer(0, 1, 2, {profile = P}), 0
local s = short.ticket[2].cycles - c / 2
local line = {"ticket, predicted"}
for k = 1, 7 do
  local predicted = s + c * k / 2
  off = math.max(off, math.abs(short.ticket[k + 1].cycles / predicted - 1))
  table.insert(line, {k + 1, predicted})
end
ringside.target("V74", off <= 0.25, ("s = %.0f, c = %.0f cycles: off by %.1f %% at most"):format(s, c, off * 100))

local NAMES <const> = {tas = "TAS", ttas = "TTAS", ticket = "ticket", mcs = "MCS"}
local function plot(name, what, by, more)
  local series = {}
  for n, lock in ipairs(LOCKS) do
    series[n] = {NAMES[lock]}
    for cpus = 1, 8 do table.insert(series[n], {cpus, by[lock][cpus].cycles}) end
  end
  table.insert(series, more)
  ringside.plot{name = name, title = what, x = "processors", y = "cycles from one holder to the next", series = series}
end
plot("locks", "Cycles per short critical section", short, line)
plot("locks-long", "Cycles per critical section of 800 cycles", long)
plot("locks-dies", "Cycles per short critical section; from the fifth processor on, two dies", dies)
local bus = {}
for n, lock in ipairs(LOCKS) do
  bus[n] = {NAMES[lock]}
  for cpus = 1, 8 do table.insert(bus[n], {cpus, long[lock][cpus].requests}) end
end
ringside.plot{name = "locks-requests", title = "Requests between caches per critical section of 800 cycles", x = "processors", y = "requests per section", series = bus}
