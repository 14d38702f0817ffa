-- Caches: the latency staircase, page walks through the caches, a flushed line, and lines that move between processors.
-- All in detailed fidelity; all times are what the guest itself reads by RDTSC.

local CHAIN <const>, PARAMS <const> = 0x1000000, 0x7000
local say, check, equal, section = ringside.say, ringside.check, ringside.expect_equal, ringside.section

local function near(got, want, what)
  check(math.abs(got - want) * 10 <= want, what, ("got %.1f, want %d within 10 %%"):format(got, want))
end

-- RSI: bytes, RDI: distance of two pointers. Links the chain in a circle, stops at `built`; then goes round twice, and a third time with
-- the time taken: RAX cycles for RCX loads.
local CHASE <const> = [[
start:
  mov ebx, 0x1000000
  lea rdx, [rbx+rsi]
link:
  lea rax, [rbx+rdi]
  cmp rax, rdx
  jb next
  mov eax, 0x1000000
next:
  mov [rbx], rax
  add rbx, rdi
  cmp rbx, rdx
  jb link
built:
  mov r8d, 3
  mov ebx, 0x1000000
round:
  rdtsc
  mov r9d, eax
  xor ecx, ecx
load:
  mov rbx, [rbx]
  mov rbx, [rbx]
  mov rbx, [rbx]
  mov rbx, [rbx]
  mov rbx, [rbx]
  mov rbx, [rbx]
  mov rbx, [rbx]
  mov rbx, [rbx]
  add ecx, 8
  cmp ebx, 0x1000000
  jne load
  rdtsc
  sub eax, r9d
  dec r8d
  jnz round
  hlt
]]

-- Cycles per load, without those of the loop (three instructions for each eight loads, and the reading of the time).
local function chase(m, bytes, distance)
  local code = m:assemble(CHASE, { at = 0x100000, start = "long64" })
  m.cpu.rsi, m.cpu.rdi = bytes, distance
  m:set_fidelity("functional")
  m:run_to("built")
  m:set_fidelity("detailed")
  m:run { max_cycles = 4000000000 }
  return (m.cpu.rax - m.cpu.rcx * 3 // 8) / m.cpu.rcx
end

ringside.title("Caches")
section("The staircase")
say([[Each load needs the value of the one before it, so nothing can hide what a load takes. The chain touches every line of a piece of memory, round and
round. As long as all of it fits into a cache, that cache serves every load; behind its size, the next one does.]])
local KB <const> = 1024
local rows = {}
for _, profile in ipairs { "teach", "haswell-2013" } do
  local steps = profile == "teach" and { { 16, 2 }, { 128, 10 }, { 1024, 40 }, { 8192, 100 } }
                or { { 16, 4 }, { 128, 12 }, { 2048, 41 }, { 32768, 211 } }
  local names = { "L1D", "L2", "L3", "memory" }
  for n, step in ipairs(steps) do
    local m = ringside.machine { ram = "64M", profile = profile }
    local got = chase(m, step[1] * KB, 64)
    rows[#rows + 1] = { profile, step[1] .. " KB", names[n], ("%.1f"):format(got), step[2] }
    near(got, step[2], ("%s: %d KB are served by %s"):format(profile, step[1], names[n]))
    if profile == "teach" and n == 2 then
      ringside.mark("warm", { machine = m, text = "128 KB, the third time round: too much for L1D, little for L2" })
      local l1, l2 = m:cache("l1d"), m:cache("l2")
      check(l1.misses > l1.hits, "L1D misses more than it hits")
      check(l2.hits > 4 * l2.misses // 3, "L2 misses the first time round only")
    else
      m:close()
    end
  end
end
ringside.table(rows, { "profile", "chain", "served by", "cycles per load", "latency of that" })

section("Page walks go through the caches, too")
say([[A walk reads its paging-structure entries where all data is: a reference takes what its line takes. The first load below finds nothing in the caches, so each
reference of its walk waits for memory. The second one, to another page, walks through the same tables: their lines are in L1D by now.]])
do
  local m = ringside.machine { ram = "64M", fidelity = "detailed" }
  m:assemble("mov rax, [0x1000000]\nrdtsc\nmov ebx, eax\nmov rcx, [0x1200000]\nrdtsc\nsub eax, ebx\nhlt",
             { at = 0x100000, start = "long64" })
  local cold = m:stat("memory")
  m:run { insns = 1 }
  local refs = m:stat("memory") - cold
  check(m:stat("walk_refs") >= 3, "the first load walked")
  check(refs >= 4, "its references and its data came from memory: " .. refs .. " lines")
  m:run()
  local first = m:stat("memory")
  check(m.cpu.rax < 300, "a second walk finds its tables in L1D; only the data comes from memory", tostring(m.cpu.rax) .. " cycles")
  check(first > refs, "and that did")
end

section("A line that was flushed")
say([[CLFLUSH takes a line out of all caches. Whoever loads it next waits for memory, and can tell from the time alone whether somebody else has touched it since:
the channel of flush-and-reload attacks.]])
do
  local times = {}
  for _, touch in ipairs { "nop", "mov rcx, [rsi]" } do
    local m = ringside.machine { ram = "16M", fidelity = "detailed" }
    m:assemble(([[
  mov esi, 0x200000
  mov rcx, [rsi]
  clflush [rsi]
  mfence
  %s
  rdtsc
  mov ebx, eax
  mov rcx, [rsi]
  rdtsc
  sub eax, ebx
  hlt]]):format(touch), { at = 0x100000, start = "long64" })
    m:run()
    times[#times + 1] = m.cpu.rax
    m:close()
  end
  ringside.table({ { "nobody", times[1] }, { "somebody", times[2] } }, { "who touched the line", "cycles of the load, RDTSC included" })
  equal(times[1] - times[2], 98, "the difference is memory (100) against L1D (2)")
end

section("Lines that move between processors")
say([[The locks of the lesson on several processors, with caches: each of four processors takes the lock 200 times. A test-and-set writes at each try, so the
line goes round among all who wait. Test-and-test-and-set reads its own copy until the holder's store takes it away.]])
do
  local WAYS <const> = { lock = 1, tas = 2, ttas = 3, ticket = 4 }
  local out, moved = {}, {}
  for _, way in ipairs { "lock", "tas", "ttas", "ticket" } do
    local m = ringside.machine { ram = "4M", cpus = 4, quantum = 50, fidelity = "detailed" }
    m:load("smp/smp.bin", { at = 0x10000, start = "prot32" })
    for n, v in ipairs { 4, WAYS[way], 200 } do
      m:write_u32(PARAMS + 4 * (n - 1), v, "host")
    end
    m:run { max_cycles = 1000000000 }
    equal(m:u32(0x7100, "host"), 800, way .. ": nothing is lost")
    local sum = { 0, 0, 0 }
    for n = 0, 3 do
      m:select(n)
      for k, name in ipairs { "line.transfer", "line.invalidate", "line.upgrade" } do
        sum[k] = sum[k] + m:stat(name)
      end
    end
    if way == "ttas" then
      ringside.mark("locks", { machine = m, text = "test-and-test-and-set on four processors, at the end: who has which line" })
    end
    moved[way] = sum[1]
    out[#out + 1] = { way, sum[1], sum[2], sum[3], m.cycles }
    m:close()
  end
  ringside.table(out, { "way", "transfers", "lines taken away", "upgrades", "cycles" })
  check(moved.tas > moved.ttas and moved.ttas > moved.lock, "looking first moves fewer lines than trying; one addition moves the fewest")
  check(moved.lock > 0, "the counter's line moved between the processors")
end
