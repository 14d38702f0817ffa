-- Trap and emulate: one kernel on the bare machine, at ring 1 under a monitor that emulates, and under VT-x. What enters the monitor, how often, at what cost?

local R <const>, C <const>, KERNEL <const> = 0x78000, 0x9e000, 0x20000 -- layout.inc
local phases <const> = { { "100 x CLI, STI", R + 0x00, 200 }, { "20 x MOV CR3", R + 0x04, 20 }, { "16 x OUT", R + 0x08, 16 } }
local causes <const> = {
  { "CLI", C + 0x00 }, { "STI", C + 0x04 }, { "HLT", C + 0x08 }, { "MOV CR", C + 0x0c }, { "LIDT", C + 0x10 }, { "IN, OUT", C + 0x14 },
  { "hardware timer", C + 0x18 }, { "interrupt window", C + 0x20 },
}
local INJECTED <const> = C + 0x1c

local say, check, equal = ringside.say, ringside.check, ringside.expect_equal

local function run(name, start)
  local m = ringside.machine { ram = "4M" }
  m:load("trap-and-emulate/" .. name .. ".bin", { at = 0x80000, start = start })
  m:add_symbol("monitor", 0x80000)
  m:add_symbol("kernel", KERNEL)
  local exceptions, exits = {}, {}
  m:on("exception", function(e) if e.name then exceptions[e.name] = (exceptions[e.name] or 0) + 1 end end)
  m:on("vmexit", function(e) exits[e.name] = (exits[e.name] or 0) + 1 end)
  -- Stop inside the first critical section: the counter becomes 1 between CLI and STI.
  repeat
    local stop = m:step()
    assert(stop.kind == "until", stop.text)
  until m:u32(R + 0x10, "host") == 1
  ringside.mark(name, { machine = m, la = 0x70000, text = "inside the first critical section of the kernel" })
  local stop = m:run { max_cycles = 100000000 }
  equal(stop.kind, "exit", name .. ": the kernel runs to its end")
  equal(stop.code, 1, name .. ": and ends with exit value 0")
  equal(m:output(), "kernel: hello \r\n", name .. ": its output arrives")
  equal(m:u32(R + 0x10, "host"), 100, name .. ": 100 critical sections were entered")
  equal(m:u32(R + 0x14, "host"), 0, name .. ": no interrupt arrived inside one")
  check(m:u32(R + 0x0c, "host") >= 5, name .. ": the kernel slept until its fifth tick")
  equal({ m:u32(R + 0x18, "host"), m:u32(R + 0x1c, "host") }, { 30, 50 }, name .. ": each address space showed its own page")
  return { m = m, exceptions = exceptions, exits = exits, count = function(at) return m:u32(at, "host") end }
end

ringside.title("Trap and emulate, and VT-x")
say([[The kernel of this lesson believes that it owns the machine. It protects its data by CLI and STI, switches address spaces by MOV CR3, sleeps by
HLT, prints through a port. It runs three times, the same bytes each time.]])

local native = run("native", "prot32")
local ring1 = run("ring1", "prot32")
local vtx = run("vtx", "long64")
local kernel_bytes = native.m:read(KERNEL, 256, "host")
check(ring1.m:read(KERNEL, 256, "host") == kernel_bytes and vtx.m:read(KERNEL, 256, "host") == kernel_bytes, "all three machines ran the same kernel")

ringside.section("Trap and emulate")
say([[At ring 1 with IOPL 0, each privileged or IOPL-sensitive instruction raises #GP. The monitor's handler looks at the instruction at the kernel's EIP,
does on virtual state what it would have done, and returns behind it. The virtual IF is a variable of the monitor: the real IF stays 1 while the
kernel runs, so the monitor never loses the timer. When the timer comes while the virtual IF is 1, the monitor builds the interrupt frame on the
kernel's stack by hand.]])
equal(ring1.count(C + 0x00) >= 100 and ring1.count(C + 0x04) >= 100, true, "ring1: every CLI and STI trapped and was emulated")
equal(ring1.exceptions["#GP"], ring1.count(C) + ring1.count(C + 4) + ring1.count(C + 8) + ring1.count(C + 0xc) + ring1.count(C + 0x10) + ring1.count(C + 0x14),
  "ring1: each #GP was one emulated instruction")
equal(ring1.count(C + 0x10), 1, "ring1: LIDT was emulated once")
check(ring1.count(INJECTED) >= 5, "ring1: timer interrupts were delivered through the kernel's own IDT")

ringside.section("VT-x")
say([[In VMX non-root operation the kernel is at ring 0 and has an IF, an IDT and a CR3 of its own: CLI, STI, LIDT and MOV CR touch guest state, which the
processor swaps at VM entry and VM exit. The monitor asked for exits on port I/O, HLT and external interrupts only.]])
local exits = 0
local exit_rows = {}
for name, n in pairs(vtx.exits) do
  exits = exits + n
  exit_rows[#exit_rows + 1] = { name, n }
end
table.sort(exit_rows, function(a, b) return a[1] < b[1] end)
ringside.table(exit_rows, { "VM exit", "times" })
equal(vtx.count(C) + vtx.count(C + 4) + vtx.count(C + 0xc) + vtx.count(C + 0x10), 0, "vtx: CLI, STI, LIDT and MOV CR caused no exit")
equal(vtx.exceptions["#GP"] or 0, 0, "vtx: nothing raised #GP")
equal(exits, vtx.m:stat("vmexits"), "vtx: the exits seen are the exits counted")

ringside.section("Side by side")
local rows = {}
for _, c in ipairs(causes) do rows[#rows + 1] = { c[1], "-", ring1.count(c[2]), vtx.count(c[2]) } end
ringside.table(rows, { "enters the monitor", "native", "ring 1", "VT-x" })
local costs = {}
for _, p in ipairs(phases) do
  local n, r, v = native.count(p[2]), ring1.count(p[2]), vtx.count(p[2])
  costs[#costs + 1] = { p[1], n, r, v, ("%.1f x"):format(r / n), ("%.1f x"):format(v / n) }
end
ringside.table(costs, { "model cycles of", "native", "ring 1", "VT-x", "ring 1 / native", "VT-x / native" })
check(ring1.count(R) > 10 * native.count(R), "critical sections cost more than ten times as much under trap and emulate")
check(vtx.count(R) < 1.2 * native.count(R) + 5000, "under VT-x they cost what they cost natively, but for a timer exit now and then")
check(vtx.count(R + 4) < ring1.count(R + 4), "address-space switches are cheaper under VT-x, where MOV CR3 does not exit")
check(vtx.count(R + 8) > ring1.count(R + 8), "a port access is dearer under VT-x: a VM exit and entry cost more than a trap and IRET")
say([[Model cycles are those of the teach profile: round numbers for the blackboard (ringside info costs).]])

ringside.section("To think about")
say([[1. The kernel's interrupt handler ends with STI, IRET. Why would IRET alone leave it deaf under the ring-1 monitor, and not under VT-x?]])
say([[2. First-generation VT-x had no EPT: the monitor must intercept MOV CR3 and page faults. Which line of the table changes, and what would it cost?]])
say([[3. OUT is dearer under VT-x. What do real monitors do about devices that are accessed byte by byte?]])
