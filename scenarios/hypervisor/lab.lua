-- hypervisor: one hypervisor, one kernel; then the hypervisor under itself. What does an exit cost at each depth?

local KERNEL_END = 0x100400 -- the kernel's code lies below, every hypervisor's C code above

local function machine(words)
  local m = ringside.machine{ram = "64M"}
  m:load("hypervisor/hypervisor.bin", {cmdline = words})
  return m
end

-- Run to the end and note every exit at which the kernel itself (not a hypervisor) had executed CPUID.
local function whole_run(words)
  local m, at, violations = machine(words), {}, {}
  m:on("vmexit", function(e)
    local rip = m.vmcs.GUEST_RIP
    if e.reason == 10 and rip < KERNEL_END then
      at[#at + 1] = {exits = m:stat("vmexits"), cycle = m.cycles}
    elseif e.reason == 48 then
      violations[#violations + 1] = e.gpa
    end
  end)
  local stop = m:run{max_cycles = 1000000000}
  return m, at, violations, stop
end

ringside.title("A hypervisor under itself")
ringside.say([[
The program of this lesson is a whole hypervisor: hv.c runs a kernel, nested.c lets the kernel be a hypervisor in its turn. The kernel at the end of the chain
prints, executes CPUID twice, touches 4 MiB of new memory, waits for three ticks of the timer, and ends. It knows nothing of all this.]])

ringside.section("One exit, step by step")
local m = machine("depth=1")
local entry = m:run_until_event("vmentry")
ringside.check(entry ~= nil, "the first VM entry succeeds: all its checks hold")
ringside.say("Six groups of fields made it possible. One of each:")
ringside.table({
  {"guest state", "GUEST_RIP", ringside.hex(m.vmcs.GUEST_RIP)},
  {"host state", "HOST_RIP", ringside.hex(m.vmcs.HOST_RIP)},
  {"execution controls", "EPT_POINTER", ringside.hex(m.vmcs.EPT_POINTER)},
  {"exit controls", "VM_EXIT_CONTROLS", ringside.hex(m.vmcs.VM_EXIT_CONTROLS)},
  {"entry controls", "VM_ENTRY_CONTROLS", ringside.hex(m.vmcs.VM_ENTRY_CONTROLS)},
  {"exit information", "VM_EXIT_REASON", ringside.hex(m.vmcs.VM_EXIT_REASON)},
}, {"group", "field", "value"})
m:run_until_event("vmexit", function(e) return e.reason == 10 end)
local rip = m.vmcs.GUEST_RIP
ringside.expect_equal(m.level, "root", "CPUID has exited: the processor is in root operation")
ringside.expect_equal(m.cpu.rip, m.vmcs.HOST_RIP, "at the address that the host state names")
ringside.expect_equal(m.vmcs.VM_EXIT_INSTRUCTION_LEN, 2, "the exit information says how long the instruction is: 2 bytes")
m:run_until_event("vmentry")
ringside.expect_equal(m.cpu.rip, rip + 2, "the hypervisor answered, moved the guest's RIP on, and resumed behind the instruction")

ringside.section("Memory on demand")
local m1, c1, v1, stop = whole_run("depth=1 vpid=1")
ringside.check(m1:output():find("KERNEL-OK", 1, true), "the kernel runs to its end under one hypervisor")
ringside.say("The EPT began empty. Each first touch of a page was an EPT violation at this guest-physical address:")
local list, small = {}, 0
for n, gpa in ipairs(v1) do
  list[n] = {n, ringside.hex(gpa), gpa < 0x200000 and "4 KiB" or "2 MiB"}
  small = small + (gpa < 0x200000 and 1 or 0)
end
ringside.table(list, {"#", "address", "page"})
ringside.expect_equal(#v1 - small, 2, "4 MiB of new memory in pages of 2 MiB: two violations, not 1024")

ringside.section("Exits multiply")
ringside.say([[
The same kernel with one, two and three hypervisors. The processor knows root and non-root operation and nothing between: every exit goes to L0. When L0 hands an
exit to L1, each VMREAD, VMWRITE and VMRESUME of L1's handler exits to L0 again. We count the exits from the kernel's first CPUID to its second:]])
local m2, c2 = whole_run("depth=2 vpid=1")
local m3, c3 = whole_run("depth=3 vpid=1")
local function one(c) return c[2].exits - c[1].exits, c[2].cycle - c[1].cycle end
local rows, e, cy = {}, {}, {}
for n, c in ipairs({c1, c2, c3}) do
  e[n], cy[n] = one(c)
  rows[n] = {n, e[n], cy[n], ({m1, m2, m3})[n]:stat("vmexits")}
end
ringside.table(rows, {"hypervisors", "exits per CPUID", "model cycles", "exits of the whole run"})
ringside.check(m2:output():find("L1: VMX on", 1, true) and m2:output():find("KERNEL-OK", 1, true), "two deep: L1 is the hypervisor, and the kernel ends well")
ringside.check(m3:output():find("L2: VMX on", 1, true) and m3:output():find("KERNEL-OK", 1, true), "three deep: L1 and L2 are, and the kernel ends well")
ringside.expect_equal(e[1], 1, "under one hypervisor a CPUID is one exit")
ringside.check(e[2] >= 8 and e[2] <= 20, "under two it is about a dozen; Turtles counted 13 for KVM: 1, 7 VMREADs, 4 VMWRITEs, 1 VMRESUME", "got " .. e[2])
ringside.check(e[3] > e[2] * e[2], "under three more than the square of that: L1's handling of each exit of L2 is itself made of exits", "got " .. e[3])

ringside.section("With and without VPID")
local m2n = whole_run("depth=2 vpid=0")
ringside.table({
  {"vpid=1", m2:stat("tlb_misses"), m2:stat("walk_refs"), m2:stat("tlb_flushed")},
  {"vpid=0", m2n:stat("tlb_misses"), m2n:stat("walk_refs"), m2n:stat("tlb_flushed")},
}, {"two deep", "TLB misses", "references", "entries dropped"})
ringside.check(m2n:stat("tlb_misses") > 10 * m2:stat("tlb_misses"), "without VPIDs each entry and each exit empties the TLB: more than ten times the misses")

ringside.section("A bad VMCS 12")
ringside.say([[
Another guest in the place of the kernel: entries.c knows the manual's answer to each of its mistakes with VMX, in controls, host state, guest state, and with the
instructions themselves. The processor answers on the bare machine; under a hypervisor it is the hypervisor that must answer as the processor would.]])
local function mistakes(depth)
  local m = ringside.machine{ram = "64M"}
  if depth == 0 then
    m:load("hypervisor/entries.bin")
  else
    m:load("hypervisor/hypervisor.bin", {cmdline = "depth=" .. depth, modules = {"hypervisor/entries.bin"}})
  end
  m:run{max_cycles = 1000000000}
  return m:output():match("(%d+) answers: ENTRIES%-OK"), m:stat("vmexits")
end
local bare = mistakes(0)
local right1, exits1 = mistakes(1)
local right2, exits2 = mistakes(2)
ringside.table({{"none", bare}, {1, right1, exits1}, {2, right2, exits2}}, {"hypervisors", "right answers", "exits"})
ringside.check(bare, "the processor gives every answer that the manual gives")
ringside.expect_equal(right1, bare, "so does the hypervisor: errors 2 to 28, and exit 33 with its qualification")
ringside.expect_equal(right2, bare, "and the hypervisor under the hypervisor")

ringside.section("To think about")
ringside.say([[
1. Which of L1's VMREADs could L0 spare by VMCS shadowing? How many exits per CPUID remain?

2. The kernel closes the timer's line inside its third tick. Why would it hang three deep if it did so outside?

3. L1 changes an entry of EPT 12 from absent to present and executes no INVEPT. Why does EPT 02 not go stale?]])
