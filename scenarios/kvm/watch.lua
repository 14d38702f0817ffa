-- kvm: Debian's KVM at work, to be looked at: `ringside debug scenarios/kvm/watch.lua`, or a diagram at one of its marks.
-- The kernel boots in functional fidelity; from the first guest on, cycles are counted. Needs docs/tools/fetch-guests.sh kvm.

ringside.title("Debian's KVM, from its first VM entry")
local m = ringside.machine{ram = "384M", fidelity = "functional"}
m:boot("kvm")
ringside.say("Debian's kernel boots, loads kvm-intel, and a small program of ours asks it for a guest: a megabyte of memory, one processor in real mode, KVM_RUN.")
m:run_until_event("vmentry")
m:set_fidelity("fast")
ringside.mark("first-entry", {machine = m, text = "the first VM entry that KVM makes"})
ringside.check(m.vmcs.EPT_POINTER ~= 0 and m.vmcs.VIRTUAL_PROCESSOR_ID ~= 0, "KVM runs its guests with EPT and a VPID")
ringside.expect_equal(m.mode, "real", "the guest is in real mode: an unrestricted guest")

ringside.section("What the first guest does to KVM")
local exits = {}
local watch = m:on("vmexit", function(e) exits[#exits + 1] = {#exits + 1, e.name, ringside.hex(m.vmcs.GUEST_RIP), ringside.hex(e.qualification)} end)
m:run_until_event("vmexit", function(e) return e.reason == 12 end)
watch:off()
local shown = {}
for n = 1, math.min(#exits, 12) do shown[n] = exits[n] end
ringside.table(shown, {"#", "exit", "guest RIP", "qualification"})
ringside.mark("first-halt", {machine = m, text = "the guest's HLT, which ends KVM_RUN with KVM_EXIT_HLT"})
ringside.check(#exits > 1 and exits[1][2] == "EPT_VIOLATION", "its first instruction fetch is an EPT violation: KVM fills its EPT on demand, too")
ringside.check(m:output():find("L1", 1, true), "all this under an unmodified kernel")

ringside.section("A guest with page tables of its own")
m:run_until_event("vmentry", function(e) return m.vmcs.VM_ENTRY_CONTROLS & 0x200 ~= 0 end)
ringside.expect_equal(m.mode, "64-bit", "the third guest is in 64-bit mode from its first instruction")
ringside.mark("long-mode", {machine = m, la = m.cpu.rip, access = "x", text = "the first instruction of the guest in 64-bit mode: its tables, and the EPT under them"})
local walk = m:translate(m.cpu.rip, {access = "x"})
ringside.say("Nothing translates that instruction yet: its walk ends with an %s at reference %d.", walk.outcome, walk.refs)
ringside.expect_equal(walk.outcome, "ept-violation", "again the EPT is empty where the guest begins")
m:run_until_event("vmexit", function(e) return e.reason == 30 end)
m:run_until_event("vmentry")
ringside.mark("nested-walk", {machine = m, la = m.cpu.rip, access = "x", text = "the same guest after its first OUT: the whole walk of its code"})
ringside.expect_equal(m:translate(m.cpu.rip, {access = "x"}).ok, true, "after its first OUT, KVM has given it what it touched")
m:run_until_event("vmexit", function(e) return e.reason == 12 end)
ringside.table({{"VM exits", m:stat("vmexits")}, {"cycles in guests", m:ledger().levels[1].cycles}}, {"so far", ""})
ringside.mark("end", {machine = m, text = "after the third guest: the account"})
