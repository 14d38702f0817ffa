-- Paravirtualization: a kernel that knows its hypervisor, beside the same kernel on the bare machine and under a binary translator.

local say, check, equal = ringside.say, ringside.check, ringside.expect_equal
local pv_kernel = require("paravirtual")
local machine, run = pv_kernel.machine, pv_kernel.run

ringside.title("Paravirtualization")
say([[A kernel that was changed for its hypervisor need not be watched. It asks. What it leaves to the hypervisor is a layer of its own (ops.h), built twice: as plain
instructions, and as hypercalls. The kernel runs on the bare machine, on a hypervisor as the first Xen was, and unchanged under the binary translator of
scenarios/binary-translation.]])

ringside.section("Who is where")
local m = machine("paravirtual")
m:run_until_event("ring", function(e) return e.from == 3 and e.to == 1 end)
equal(m.cpu.cs & 3, 1, "the kernel is at ring 1")
local limit = m:descriptor(0x10).limit
equal(limit, 0xfbffffff, "its segments end below the hypervisor, which lies in the last 64 MiB")
local directory = m.cpu.cr3
check(directory >= 0x2000000 and directory < 0x3000000, "CR3 points to a page directory of the guest itself: direct page tables, no shadow")
local walk = m:translate(0x100000)
say([[The kernel's linear address 100000H is machine address %s. The kernel knows: its page tables hold machine addresses.]], ringside.hex(walk.hpa))
equal(walk.hpa, 0x2100000, "its memory begins at machine address 2000000H")
local gate = m:gate(0x80)
equal({ gate.selector, gate.dpl }, { 0x09, 3 }, "the gate for INT 80H leads to ring 1 and may be called from ring 3")
ringside.mark("ring1", { machine = m, text = "a system call has come from ring 3 to the kernel at ring 1" })
m:close()

ringside.section("What is checked")
local native, pv, bt = run("native"), run("paravirtual"), run("bt")
say([[The guest's page tables are in CR3, so each change is checked: the frame must be the guest's, and a page table must never be writable. At its start the kernel tries
to get what is not its own, in %d ways.]], pv.tried)
equal(pv.refused, pv.tried, "all of them are refused")

ringside.section("System calls")
ringside.table({ { "null call", native.null, pv.null, bt.null } }, { "cycles", "native", "paravirtual", "translated" })
equal(pv.null, native.null, "a null call costs what it costs natively: the hypervisor does not run")
check(bt.null > 2 * native.null, "the translator must take it")

ringside.section("Fork")
local plain = run("bt plain")
local function times(r) return ("%.1f"):format(r.fork / native.fork) end
ringside.table({
  { "native", native.fork, times(native) }, { "paravirtual", pv.fork, times(pv) }, { "translated", bt.fork, times(bt) },
  { "translated, a trap for each store to a page table", plain.fork, times(plain) },
}, { "", "cycles of a fork, copy on write, exit", "times native" })
check(native.fork < pv.fork and pv.fork < bt.fork and bt.fork < plain.fork, "the order of the paper of 2003: native, Xen, VMware")
say([[The kernel collects its changes and hands them over together: of %d changes %d came in %d batches. A page fault takes two entries into the hypervisor: %d faults bounced
to the kernel, and for each it asked for one mapping.]], pv.updates, pv.updates - pv.bounced, pv.batches, pv.bounced)
check(pv.updates - pv.bounced > 20 * pv.batches, "a batch holds more than twenty changes on average")

ringside.section("Context switches")
local rows = {}
for pages = 0, 16, 4 do
  local n, x, t = native.switch[pages], pv.switch[pages], bt.switch[pages]
  rows[#rows + 1] = { pages, n, x, t, ("%.2f"):format(x / n), ("%.2f"):format(t / n) }
end
ringside.table(rows, { "pages touched", "native", "paravirtual", "translated", "paravirtual / native", "translated / native" })
check(native.switch[0] < pv.switch[0] and pv.switch[0] < bt.switch[0], "two hypercalls (stack and CR3) cost more than two instructions, and less than translation")
check(pv.switch[16] * native.switch[0] < pv.switch[0] * native.switch[16], "the more memory the processes use, the less that matters")

ringside.section("To think about")
say([[1. Why may the guest read its page tables, and what would break if it could not? Compare shadow.c of scenarios/binary-translation.]])
say([[2. The programs' INT 80H bypasses the hypervisor. Page faults do not. What would the kernel have to read that ring 1 cannot?]])
say([[3. SYSENTER always enters ring 0. What would a null call cost with it here?]])
say([[4. In 64-bit mode segments have no limits. How can a hypervisor at ring 0 protect itself from a kernel at ring 1 then? (Xen's answer: the kernel runs at ring 3.)]])
