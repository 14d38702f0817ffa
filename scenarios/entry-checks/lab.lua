-- Entry checks: VMLAUNCH fails, and hardware says "error 7". What exactly is wrong, all of it, who wrote it, and what would be right?
--
-- The hypervisor is the one of trap-and-emulate (vtx.asm). It is stopped just before its VMLAUNCH, and mistakes are planted into its VMCS.

local say, check, equal, hex = ringside.say, ringside.check, ringside.expect_equal, ringside.hex

-- A machine that stands before VMLAUNCH.
local function before_launch()
  local m = ringside.machine { ram = "4M" }
  m:load("trap-and-emulate/vtx.bin", { at = 0x80000, start = "long64" })
  m:add_symbol("monitor", 0x80000)
  for _ = 1, 100000 do
    if (m:disasm(m.cpu.rip) or ""):find("vmlaunch", 1, true) then return m end
    m:step()
  end
  error("the hypervisor never came to its VMLAUNCH")
end

-- Plant mistakes, execute VMLAUNCH, give the report.
local function launch(m, mistakes)
  for field, value in pairs(mistakes) do m.vmcs[field] = value end
  local at = m.cpu.rip
  m:step()
  return m:entry_report(), at
end

local function show(report)
  for _, f in ipairs(report) do
    say("    %s  %s\n      %s = %s%s\n      rule: %s\n      try:  %s", f.id, f.title, f.field, hex(f.value), f.bits ~= 0 and ", bits " .. hex(f.bits) or "",
      f.rule, f.fix and hex(f.fix) or "(no single value is right)")
  end
end

local function ids(report)
  local list = {}
  for i, f in ipairs(report) do list[i] = f.field end
  return list
end

ringside.title("VMLAUNCH says: error 7")
say([[A VM entry checks the VMCS before it enters the guest: the controls and the host state, and if nothing is wrong with them, the guest state. The
first check that fails decides what software hears: VM-instruction error 7 for a control, 8 for host state; for guest state the entry fails later, with
exit reason 33. That does not say which field, nor what else is wrong. (A processor may check controls and host state in any order; this one begins
with the controls.) Here, all checks are made.]])

ringside.section("One mistake in each group")
local planted = {
  PIN_BASED_VM_EXEC_CONTROL = before_launch().vmcs.PIN_BASED_VM_EXEC_CONTROL & ~(1 << 1), -- a bit that must be 1
  HOST_TR_SELECTOR = 0,                                                                   -- the TSS that nobody loaded
  GUEST_ACTIVITY_STATE = 7,                                                               -- there are only four states
}
local m = before_launch()
ringside.mark("before", { machine = m, text = "the hypervisor is about to execute VMLAUNCH; its VMCS is right" })
local report, at = launch(m, planted)
ringside.mark("refused", { machine = m, text = "VMLAUNCH has failed: three mistakes" })
say("Hardware would say: %s %d, and nothing else. The report:", report.outcome == "fail-valid" and "VM-instruction error" or report.outcome, report.error)
show(report)
equal(ids(report), { "PIN_BASED_VM_EXEC_CONTROL", "HOST_TR_SELECTOR", "GUEST_ACTIVITY_STATE" }, "exactly the three planted mistakes are listed, in the order of the checks")
equal(report.error, 7, "hardware reports the first check that fails: error 7, invalid control fields")
check(report.checks > 50, "every check that applies was made: " .. report.checks)
for _, f in ipairs(report) do
  check(f.rule ~= "" and f.title ~= "" and f.id ~= "" and f.fix, f.id .. " has a title, a rule and a value to try")
end

ringside.section("Repair one by one")
say([[Take the suggested values one after the other, as one would on hardware, and see what each VMLAUNCH says.]])
local said = {}
while report and report.outcome ~= "ok" and #said < 5 do
  said[#said + 1] = ("%s %d"):format(report.outcome, report.error)
  local fix = report[1]
  m.vmcs[fix.field] = fix.fix
  if m.level == "root" then m.cpu.rip = at else break end
  local entries = m:stat("vmentries")
  m:step()
  report = m:entry_report()
  if m:stat("vmentries") > entries then report = nil end
end
for i, s in ipairs(said) do say("    VMLAUNCH %d: %s", i, s) end
equal(said[1], "fail-valid 7", "first: VM-instruction error 7 (controls)")
equal(said[2], "fail-valid 8", "then: VM-instruction error 8 (host state)")
equal(said[3], "fail-exit 33", "then: exit reason 33, at the hypervisor's exit handler (guest state)")

ringside.section("Thirty mistakes at once")
say([[One of each kind of check, in all three groups: capability bits, addresses, an injected event, MSR areas, host and guest registers, segments,
descriptor tables, non-register state. A check looks at its own fields, so thirty mistakes give thirty lines.]])
local BAD, WIDE = 0x800000000000, 1 << 45 -- not canonical; beyond the physical-address width
local function value(v) return function() return v end end
local function set(bits) return function(old) return old | bits end end
local function clear(bits) return function(old) return old & ~bits end end
local thirty = { -- id, field, what is done to its value
  { "E-CT-001", "PIN_BASED_VM_EXEC_CONTROL", clear(1 << 1) },
  { "E-CT-003", "CPU_BASED_VM_EXEC_CONTROL", function(old) return (old & ~(1 << 1)) | 1 << 25 | 1 << 28 | 1 << 31 end },
  { "E-CT-006", "CR3_TARGET_COUNT", value(5) },
  { "E-CT-007", "IO_BITMAP_A", value(0x5001) },
  { "E-CT-008", "IO_BITMAP_B", value(WIDE) },
  { "E-CT-009", "MSR_BITMAP", value(0x6800) },
  { "E-CT-030", "VM_EXIT_CONTROLS", clear(1 << 0) },
  { "E-CT-034", "VM_EXIT_MSR_LOAD_ADDR", value(0x7004), also = { VM_EXIT_MSR_LOAD_COUNT = 1 } },
  { "E-CT-050", "VM_ENTRY_CONTROLS", clear(1 << 0) },
  { "E-CT-056", "VM_ENTRY_INTR_INFO_FIELD", value(0x80001306) },
  { "E-CT-059", "VM_ENTRY_MSR_LOAD_ADDR", value(0x7008), also = { VM_ENTRY_MSR_LOAD_COUNT = 1 } },
  { "E-HS-001", "HOST_CR0", clear(1 << 5) },
  { "E-HS-003", "HOST_CR4", clear(1 << 13) },
  { "E-HS-005", "HOST_CR3", set(WIDE) },
  { "E-HS-006", "HOST_IA32_SYSENTER_ESP", value(BAD) },
  { "E-HS-020", "HOST_ES_SELECTOR", set(3) },
  { "E-HS-022", "HOST_TR_SELECTOR", value(0) },
  { "E-HS-024", "HOST_FS_BASE", value(BAD) },
  { "E-HS-037", "HOST_RIP", set(BAD) },
  { "E-GS-001", "GUEST_CR0", clear(1 << 5) },
  { "E-GS-004", "GUEST_CR4", clear(1 << 13) },
  { "E-GS-010", "GUEST_CR3", set(WIDE) },
  { "E-GS-012", "GUEST_SYSENTER_ESP", value(BAD) },
  { "E-GS-050", "GUEST_SS_AR_BYTES", set(1 << 9) },
  { "E-GS-080", "GUEST_GDTR_BASE", value(BAD) },
  { "E-GS-081", "GUEST_IDTR_LIMIT", set(1 << 16) },
  { "E-GS-093", "GUEST_RFLAGS", clear(1 << 1) },
  { "E-GS-100", "GUEST_ACTIVITY_STATE", value(7) },
  { "E-GS-110", "GUEST_INTERRUPTIBILITY_INFO", set(1 << 4) },
  { "E-GS-120", "GUEST_PENDING_DBG_EXCEPTIONS", value(1 << 13) },
}
local victim, changes, want = before_launch(), {}, {}
for i, t in ipairs(thirty) do
  changes[t[2]] = t[3](victim.vmcs[t[2]])
  for field, v in pairs(t.also or {}) do changes[field] = v end
  want[i] = t[1] .. " " .. t[2]
end
local all = launch(victim, changes)
local got = {}
for i, f in ipairs(all) do
  got[i] = f.id .. " " .. f.field
  say("    %s  %-32s %s", f.id, f.field, f.title)
end
equal(#thirty, 30, "thirty mistakes were planted")
equal(got, want, "exactly they are listed, in the order of the checks")

ringside.section("Nothing wrong")
local good = before_launch()
launch(good, {})
equal(good:stat("vmentries"), 1, "without mistakes the entry succeeds")
equal(good.level, "non-root", "and the processor is in VMX non-root operation")

ringside.section("To think about")
say([[1. Another processor may look at the host state first. Which error does it report for the three mistakes above? What does that mean for a program that
reads the error number?]])
say([[2. Why is a bad host state refused before the entry, and not at the next VM exit, when it is needed?]])
