-- V50 to V53, V55: what one exit of a nested guest costs: the hypervisor of scenarios/hypervisor under itself, once and twice.
local KERNEL_END <const> = 0x100400 -- the kernel's code lies below, every hypervisor's above, but for its entry point
local CPUID <const>, IO <const>, VMREAD <const>, VMWRITE <const>, VMRESUME <const> = 10, 30, 23, 25, 24
ringside.title("Nested exits")

-- Exits of the whole run, in order: reason, cycle, and whether the kernel itself had executed the instruction.
local function exits(words)
  local m, list = ringside.machine{ram = "64M"}, {}
  m:load("hypervisor/hypervisor.bin", {cmdline = words})
  m:on("vmexit", function(e)
    list[#list + 1] = {reason = e.reason, cycle = e.cycle, kernel = e.rip < KERNEL_END and (e.reason < 19 or e.reason > 27)}
  end)
  m:run{max_cycles = 1000000000}
  m:close()
  return list
end

-- From the kernel's first exit for a reason to its next one, where that follows at once: exits in all, exits for VMCS accesses, cycles.
local function one(list, reason)
  for a = 1, #list do
    if list[a].reason == reason and list[a].kernel then
      local b, accesses, own = a + 1, 0, 0
      while b <= #list and not list[b].kernel do
        if list[b].reason == VMREAD or list[b].reason == VMWRITE then accesses = accesses + 1 end
        if list[b].reason == reason then own = own + 1 end -- to answer a CPUID, L1 executes one
        b = b + 1
      end
      if b <= #list and list[b].reason == reason then
        return {exits = b - a, accesses = accesses, own = own, cycles = list[b].cycle - list[a].cycle}
      end
    end
  end
end

-- What the transitions alone cost: from the exit's event to the first instruction of the handler, and VMRESUME itself.
local function transition()
  local m = ringside.machine{ram = "64M"}
  m:load("hypervisor/hypervisor.bin", {cmdline = "depth=1 vpid=1"})
  local e = m:run_until_event("vmexit", function(x) return x.reason == CPUID end)
  local out, before = m.cycles - e.cycle, 0
  local entered
  m:on("vmentry", function(x) entered = x.cycle end)
  repeat
    before = m.cycles
    m:step()
  until entered
  m:close()
  return out + entered - before
end

local l1, l2, l3 = exits("depth=1 vpid=1"), exits("depth=2 vpid=1"), exits("depth=3 vpid=1")
local c1, c2, c3 = one(l1, CPUID), one(l2, CPUID), one(l3, CPUID)
ringside.expect_equal(c1.exits, 1, "under one hypervisor a CPUID is one exit")
ringside.expect_equal(c2.exits, 1 + c2.accesses + c2.own + 1, "under two: the exit of L2, one per VMCS access and per CPUID of L1, one VMRESUME")
-- The same where L0 uses VMCS shadowing, and L1 keeps what CPUID says, as KVM does.
local spared, spared3 = one(exits("depth=2 vpid=1 spare=1"), CPUID), one(exits("depth=3 vpid=1 spare=1"), CPUID)
ringside.expect_equal(spared.exits, 2, "with VMCS shadowing: the exit of L2 and one VMRESUME")
ringside.target("V50", c2.exits, ("%d VMCS accesses, %d CPUID of L1; %d with VMCS shadowing"):format(c2.accesses, c2.own, spared.exits),
  ("the second half is met: %d exits. Of the first, 1 + v + 1 holds, but this hypervisor's handler makes %d VMCS accesses for a CPUID, KVM's of 2010 made 11"):format(
  spared.exits, c2.accesses))
ringside.target("V51", c2.cycles / c1.cycles, ("%d over %d cycles"):format(c2.cycles, c1.cycles),
  "L0 here handles an exit in a fraction of KVM's instructions, so that what L1 adds weighs differently")
local trip = transition()
ringside.target("V52", 100.0 * trip * c2.exits / c2.cycles, ("%d cycles per transition"):format(trip),
  ("short handlers: beside %d transitions of %d cycles this hypervisor spends %d cycles, KVM of 2010 about 45000"):format(c2.exits, trip, c2.cycles - trip * c2.exits))
local io = one(l2, IO)
ringside.target("V53", io.exits - 1, io.accesses .. " VMCS accesses",
  "this hypervisor decodes nothing and models no device for an OUT: its handler makes " .. io.accesses .. " VMCS accesses; KVM of 2010 as L1 made 17 and went to user space")
ringside.target("V55", c3.cycles / c2.cycles, ("%d over %d cycles, %d over %d exits"):format(c3.cycles, c2.cycles, c3.exits, c2.exits))
ringside.plot{name = "nested-exits", title = "Exits for one CPUID of the innermost guest", x = "hypervisors", y = "exits", names = {"1", "2", "3"},
  log_y = true, series = {{"exits", {1, c1.exits}, {2, c2.exits}, {3, c3.exits}}, {"exits, with VMCS shadowing", {1, one(exits("depth=1 vpid=1 spare=1"), CPUID).exits}, {2, spared.exits}, {3, spared3.exits}}}}
