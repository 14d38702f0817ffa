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
    if e.reason == 10 and e.rip < KERNEL_END then
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

-- Step to the next instruction of this name.
local function step_to(m, name)
  for _ = 1, 100000 do
    if m:disasm(m.cpu.rip):match("^%S+") == name then return end
    m:step()
  end
  error("no " .. name)
end

ringside.section("Six groups of fields")
ringside.say([[
Before the first entry the hypervisor fills a VMCS. The encoding of a field says its type: control, exit information, guest state, host state; the controls are three
groups. We watch each VMWRITE up to the first VMLAUNCH:]])
local m = machine("depth=1")
local EXIT_CONTROL = {[0x400c] = true, [0x400e] = true, [0x4010] = true, [0x2006] = true, [0x2008] = true}
local ENTRY_CONTROL = {[0x4012] = true, [0x4014] = true, [0x4016] = true, [0x4018] = true, [0x401a] = true, [0x200a] = true}
local function group(field)
  local kind = field >> 10 & 3
  return kind == 1 and "exit information" or kind == 2 and "guest state" or kind == 3 and "host state" or
    EXIT_CONTROL[field] and "exit controls" or ENTRY_CONTROL[field] and "entry controls" or "execution controls"
end
local seen, count = {}, {}
local watch = m:on("vmx", function(e)
  if e.name ~= "vmwrite" then return end
  local field = m.cpu[m:disasm(e.rip):match("^vmwrite (%w+)")] & 0xffff
  if not seen[field] then
    seen[field] = true
    count[group(field)] = (count[group(field)] or 0) + 1
  end
end)
step_to(m, "vmlaunch")
watch:off()
local groups = {{"guest state", "GUEST_RIP", "loaded by an entry, saved by an exit"}, {"host state", "HOST_RIP", "loaded by an exit"},
  {"execution controls", "EPT_POINTER", "what happens in the guest"}, {"exit controls", "VM_EXIT_CONTROLS", "how an exit is made"},
  {"entry controls", "VM_ENTRY_CONTROLS", "how an entry is made"}, {"exit information", "VM_EXIT_REASON", "written by exits"}}
local rows = {}
for n, g in ipairs(groups) do rows[n] = {g[1], count[g[1]] or 0, g[2], ringside.hex(m.vmcs[g[2]]), g[3]} end
ringside.table(rows, {"group", "fields written", "one of them", "value", "use"})
ringside.check(count["guest state"] >= 30, "most of them are guest state: all that the guest is begins in the VMCS", tostring(count["guest state"]))
ringside.expect_equal(count["exit information"], nil, "none is exit information, which is for the processor to write")

ringside.section("A VM entry, step by step")
local SHOW = {{"rip", "RIP"}, {"rsp", "RSP"}, {"cr0", "CR0"}, {"cr3", "CR3"}, {"cs", "CS_SELECTOR"}, {"efer", "IA32_EFER"}}
local function look(area)
  local t = {}
  for n, r in ipairs(SHOW) do t[n] = area and m.vmcs[area .. r[2]] or m.cpu[r[1]] end
  return t
end
local function compare(before, fields, after)
  local t = {}
  for n, r in ipairs(SHOW) do t[n] = {r[1], ringside.hex(before[n]), ringside.hex(fields[n]), ringside.hex(after[n])} end
  return t
end
ringside.say("VMLAUNCH is next. The checks come first: controls, host state, guest state. Then the guest-state area becomes the processor's state:")
local root, wanted = look(), look("GUEST_")
local cycle = m.cycles
ringside.expect_equal(m.level, "root", "before: root operation")
m:step()
ringside.expect_equal(m.level, "non-root", "after: non-root operation, and no other instruction has run")
local guest = look()
ringside.table(compare(root, wanted, guest), {"register", "before", "GUEST_ field", "after"})
local same = true
for n in ipairs(SHOW) do same = same and guest[n] == wanted[n] end
ringside.check(same, "each register has the value of its field")
ringside.expect_equal(m.mode, "protected-32", "the guest begins in another mode than its hypervisor: protected mode without paging")
ringside.say("It took %d model cycles. General registers but RSP are in no VMCS: the hypervisor loaded them itself, just before.", m.cycles - cycle)

ringside.section("A VM exit, step by step")
local cpuid = m:run_until_event("vmexit", function(e) return e.reason == 10 end)
local after, host = look(), look("HOST_")
ringside.say("The kernel executed CPUID, which always exits. The processor saved the guest state, noted why, and loaded the host state:")
ringside.table(compare(look("GUEST_"), host, after), {"register", "saved in GUEST_", "HOST_ field", "now"})
same = true
for n in ipairs(SHOW) do same = same and (after[n] == host[n] or SHOW[n][1] == "rsp") end
ringside.check(same, "host state: the processor is where the hypervisor told it to be")
ringside.expect_equal(cpuid.name and m.vmcs.VM_EXIT_REASON, 10, "the exit reason is that of CPUID")
ringside.expect_equal(m.vmcs.VM_EXIT_INSTRUCTION_LEN, 2, "the exit information says how long the instruction is: 2 bytes")
ringside.expect_equal(m.vmcs.EXIT_QUALIFICATION, 0, "the qualification has nothing to add for this reason")
local rip = m.vmcs.GUEST_RIP
step_to(m, "vmresume")
ringside.expect_equal(m.vmcs.GUEST_RIP, rip + 2, "the hypervisor's handler has answered, and moved the guest's RIP on")
m:step()
ringside.expect_equal(m.cpu.rip, rip + 2, "VMRESUME: the kernel goes on behind its CPUID")

ringside.section("An EPT violation, step by step")
local e = m:run_until_event("vmexit", function(e) return e.reason == 48 and e.gpa >= 0x200000 end)
local q = e.qualification
-- The EPT as the processor walks it: four tables of 512 entries; bits 2:0 of an entry are its rights, bit 7 ends the walk with a large page.
local function walk_ept(gpa)
  local table, path = m.vmcs.EPT_POINTER & ~0xfff, {}
  for level = 4, 1, -1 do
    local at = table + (gpa >> 12 + 9 * (level - 1) & 511) * 8
    local entry = m:u64(at, "host")
    path[#path + 1] = {({"EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E"})[level], ringside.hex(at), ringside.hex(entry)}
    if entry & 7 == 0 then return path end
    if level == 1 or entry & 0x80 ~= 0 then return path, entry & ~0xfff, 1 << 12 + 9 * (level - 1) end
    table = entry & ~0xfff
  end
end
ringside.say("The kernel touched guest-physical %s for the first time. The qualification, %s, says what it did and what the EPT allowed:", ringside.hex(e.gpa), ringside.hex(q))
ringside.table({
  {0, "read", q & 1}, {1, "write", q >> 1 & 1}, {2, "instruction fetch", q >> 2 & 1}, {"5:3", "what the EPT allowed (rwx)", q >> 3 & 7},
  {7, "the linear address is valid", q >> 7 & 1}, {8, "for the data, not for a table of the guest", q >> 8 & 1},
  {9, "the guest's tables make it a user page", q >> 9 & 1}, {10, "the guest's tables let it be written", q >> 10 & 1},
}, {"bits", "meaning", "here"})
ringside.expect_equal(q & 7, 2, "a write")
ringside.expect_equal(q >> 3 & 7, 0, "to an address for which the EPT has no entry")
local path, frame = walk_ept(e.gpa)
ringside.table(path, {"entry", "at", "value"})
ringside.expect_equal(frame, nil, "walked by hand, the EPT ends the same way: in an entry without rights")
rip = m.vmcs.GUEST_RIP
step_to(m, "vmresume")
local made, at, size = walk_ept(e.gpa)
ringside.table(made, {"entry", "at", "value"})
ringside.expect_equal(size, 0x200000, "the handler has made an entry: a page of 2 MiB")
ringside.expect_equal(at - e.gpa, 32 << 20, "guest-physical memory lies 32 MiB higher, all of it")
ringside.expect_equal(m.vmcs.GUEST_RIP, rip, "RIP is where it was: the write is executed again, and this time succeeds")

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

ringside.say("The same account as the processor's own ledger has it. A guest's level is that of the VMCS by which it runs; L0 sees two VMCSs at most:")
rows = {}
for n, x in ipairs({m1, m2, m3}) do
  local l = x:ledger().levels
  rows[n] = {n, l[1].exits, l[2] and l[2].exits or 0, l[0].cycles, l[1].cycles + (l[2] and l[2].cycles or 0)}
end
ringside.table(rows, {"hypervisors", "exits of L1", "exits of L2 and deeper", "cycles in L0", "cycles below"})

local t = machine("depth=2 vpid=1")
for _ = 1, 2 do
  t:run_until_event("vmexit", function(e) return e.reason == 10 and e.rip < KERNEL_END end)
end
ringside.mark("nested-exit", {machine = t, text = "the kernel's second CPUID has exited: before it, all that its first one took"})

ringside.section("Exits that need not be")
ringside.say([[
With spare=1 (spare.c) L0 gives L1 a shadow VMCS to read and write without an exit, and L1 keeps what CPUID says instead of asking again. What is left of the kernel's CPUID is its
exit, and L1's VMRESUME. L0 has to copy the fields back and forth for that.]])
local m2s, c2s = whole_run("depth=2 vpid=1 spare=1")
local e2s, cy2s = one(c2s)
ringside.table({{"spare=0", e[2], cy[2], m2:stat("vmexits")}, {"spare=1", e2s, cy2s, m2s:stat("vmexits")}},
  {"two deep", "exits per CPUID", "model cycles", "exits of the whole run"})
ringside.check(m2s:output():find("KERNEL-OK", 1, true), "the kernel knows no difference")
ringside.expect_equal(e2s, 2, "two exits per CPUID")
ringside.check(m2s:stat("vmexits") < 0.6 * m2:stat("vmexits"), "nearly half of all exits are gone")

ringside.section("With and without VPID")
local m1n, m2n = whole_run("depth=1 vpid=0"), whole_run("depth=2 vpid=0")
ringside.table({
  {"one deep, vpid=1", m1:stat("tlb_misses"), m1:stat("walk_refs"), m1:stat("tlb_flushed")},
  {"one deep, vpid=0", m1n:stat("tlb_misses"), m1n:stat("walk_refs"), m1n:stat("tlb_flushed")},
  {"two deep, vpid=1", m2:stat("tlb_misses"), m2:stat("walk_refs"), m2:stat("tlb_flushed")},
  {"two deep, vpid=0", m2n:stat("tlb_misses"), m2n:stat("walk_refs"), m2n:stat("tlb_flushed")},
}, {"", "TLB misses", "references", "entries dropped"})
ringside.check(m2n:stat("tlb_misses") > 10 * m2:stat("tlb_misses"), "without VPIDs each entry and each exit empties the TLB: more than ten times the misses")

ringside.section("Without EPT: shadow page tables")
ringside.say([[
With ept=0 the hypervisor keeps shadow page tables instead (shadow.c): the processor walks those, and each fault and each MOV to CR3 of the guest exits. ept=10 gives L0 an
EPT and L1 none: L1's shadows lie on L0's EPT.]])
rows = {}
local function refs(words)
  local x = machine(words)
  x:run_until_event("vmexit", function(e) return e.reason == 10 and e.rip < KERNEL_END end)
  x:run_to(x.vmcs.GUEST_RIP + 2)
  return x:translate(x.cpu.rip, {access = "x"}).refs
end
local shadow = {{"depth=1 ept=1", 0}, {"depth=1 ept=0", 0}, {"depth=2 ept=1", 0}, {"depth=2 ept=10", 0}, {"depth=2 ept=0", 0}}
for n, t in ipairs(shadow) do
  local x, r = whole_run(t[1]), refs(t[1])
  local l, faults = x:ledger(), 0
  for level = 1, #l.levels do
    faults = faults + (l.levels[level].reasons.EXCEPTION_NMI or 0)
  end
  shadow[n] = {x = x, refs = r}
  rows[n] = {t[1], r, faults, x:stat("vmexits"), x:output():find("KERNEL-OK", 1, true) and "yes" or "no"}
end
ringside.table(rows, {"run", "references of a kernel walk", "page-fault exits", "exits of all", "KERNEL-OK"})
for n, t in ipairs(rows) do ringside.check(t[5] == "yes", t[1] .. ": the kernel knows no difference") end
ringside.check(shadow[2].refs <= 4 and shadow[1].refs > 3 * shadow[2].refs, "a walk of shadows is a walk of one dimension: 4 references at most")
ringside.check(rows[1][3] == 0 and rows[2][3] > 0, "but every page that the guest touches is a page fault to the hypervisor first")
local function faults(words)
  local x = ringside.machine{ram = "64M"}
  x:load("hypervisor/hypervisor.bin", {cmdline = words, modules = {"bench/pagefault.bin"}})
  x:run{max_cycles = 20000000, allow = {"limit"}}
  return x:stat("vmexits"), x:stat("exceptions")
end
local ept_exits, ept_faults = faults("depth=1 ept=1")
local sh_exits, sh_faults = faults("depth=1 ept=0")
ringside.say("A guest that does nothing but handle page faults of its own (bench/pagefault.bin), 20 million cycles of it:")
ringside.table({{"ept=1", ept_exits, ept_faults}, {"ept=0", sh_exits, sh_faults}}, {"run", "exits", "faults delivered to the guest"})
ringside.check(ept_exits < 100, "with EPT its faults are its own affair")
ringside.check(sh_exits > 2 * sh_faults, "with shadows each costs three exits: the fault, the INVLPG, and the shadow's own fault behind it")

ringside.section("A bad VMCS 12")
ringside.say([[
Another guest in the place of the kernel: entries.c knows the manual's answer to each of its mistakes with VMX, in controls, host state, guest state, and with the
instructions themselves. The processor answers on the bare machine; under a hypervisor it is the hypervisor that must answer as the processor would.]])
local function mistakes(depth, words)
  local m = ringside.machine{ram = "64M"}
  if depth == 0 then
    m:load("hypervisor/entries.bin")
  else
    m:load("hypervisor/hypervisor.bin", {cmdline = "depth=" .. depth .. (words or ""), modules = {"hypervisor/entries.bin"}})
  end
  m:run{max_cycles = 1000000000}
  return m:output():match("(%d+) answers: ENTRIES%-OK"), m:stat("vmexits")
end
local bare = mistakes(0)
local right1, exits1 = mistakes(1)
local right2, exits2 = mistakes(2)
local spared1, spared2 = mistakes(1, " spare=1"), mistakes(2, " spare=1")
ringside.table({{"none", bare}, {1, right1, exits1}, {2, right2, exits2}}, {"hypervisors", "right answers", "exits"})
ringside.check(bare, "the processor gives every answer that the manual gives")
ringside.expect_equal(right1, bare, "so does the hypervisor: errors 2 to 28, and exit 33 with its qualification")
ringside.expect_equal(right2, bare, "and the hypervisor under the hypervisor")
ringside.expect_equal({spared1, spared2}, {bare, bare}, "and both with a shadow VMCS")

ringside.section("To think about")
ringside.say([[
1. Which fields would you add to the list in spare.c, and which would you take out, if the kernel made a great many EPT violations?

2. The kernel closes the timer's line inside its third tick. Why would it hang three deep if it did so outside?

3. Which exits of ept=0 would a PCID spare, and which a guest that asks for its page tables to be write-protected?

4. L1 changes an entry of EPT 12 from absent to present and executes no INVEPT. Why does EPT 02 not go stale?]])
