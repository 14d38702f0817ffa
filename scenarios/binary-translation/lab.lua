-- Binary translation: one kernel on the bare machine, translated, and under VT-x. What becomes of its code, and what does each way cost?

local say, check, equal = ringside.say, ringside.check, ringside.expect_equal
local WINDOW <const>, GUEST <const> = 0xfc000000, 0xfe000000 -- vmm.h: where the VMM sees physical 0, and guest-physical 0

local nb = require("nanobench")
local function machine(words, profile) return nb.machine(words, profile or "prescott-2005") end
local function run(words, profile)
  local of = nb.run(words, profile or "prescott-2005")
  return of, of.counted, of.once
end

ringside.title("Binary translation")
say([[Ring deprivileging fails on x86 because some sensitive instructions do not trap (scenarios/ring-aliasing). A software VMM need not run the kernel's instructions,
though: it can read them, and run others. This lesson's VMM (bt.c) translates the kernel block by block, when control first comes there, into code that is
safe at ring 1. The kernel's programs run as they are, at ring 3. The same VMM can use VT-x instead (vtx.c), and its shadow page tables serve both.]])

ringside.section("A block, before and after")
local m = machine("bt")
m:run_until_event("ring", function(e) return e.to == 1 end)
local cache = tonumber(m:output():match("the cache at (%x+)"), 16)
m:run_to(cache) -- the first block is the first in the cache
local function listing(from, count, last)
  local lines, at = {}, from
  for n = 1, count do
    local text, length = m:disasm(at)
    lines[n] = { at, text, length }
    at = at + length
    if last and text:find(last) then break end
  end
  return lines
end
equal(m.cpu.cs & 3, 1, "translated code runs at ring 1")
-- The first block of the kernel: Multiboot's entry is at 100020H; the kernel's memory is seen through the VMM's window.
local guest, code = listing(GUEST + 0x100020, 3), listing(cache, 4)
local rows = {}
for n = 1, 4 do
  rows[n] = { guest[n] and ringside.hex(guest[n][1] - GUEST) or "", guest[n] and guest[n][2] or "", ringside.hex(code[n][1]), code[n][2] }
end
ringside.table(rows, { "kernel", "instruction", "cache", "translation" })
say([[CLI would trap at ring 1, and becomes a store: the guest's IF is a word of struct vcpu, to which GS points. MOV is copied (the paper's IDENT). LGDT would trap, too; its
translation notes where the guest is and jumps to the VMM: a callout. Most kernel code is IDENT, so most of it runs at full speed.]])
equal(guest[1][2], "cli", "the kernel begins with CLI")
check(code[1][2]:find("gs:", 1, true) and code[1][2]:find("^mov"), "its translation is a store to the virtual IF")
equal(code[2][2], guest[2][2], "MOV ESP is copied")
check(guest[3][2]:find("^lgdt") and code[4][2]:find("^jmp"), "LGDT is a callout")
ringside.mark("translated", { machine = m, text = "the translation of the kernel's first block is about to run" })

ringside.section("Translated once")
local native, _, once = run(nil)
local software, bt, once_bt = run("bt")
say([[The kernel runs 32 instructions in a row three times, and takes the time. In its own words, in cycles:]])
ringside.table({ { "native", table.unpack(once) }, { "translated", table.unpack(once_bt) } }, { "", "first", "second", "third" })
check(once_bt[1] > 10 * once_bt[2], "the first time pays for the translation")
equal(once_bt[2], once_bt[3], "and no other")
check(once_bt[3] < once[3] + 10, "what was translated is as fast as the original")
say([[In the whole run %d blocks of %d instructions were translated. A jump to a block that is not there yet calls out; the VMM translates it and changes the jump, so
that the next time it goes straight there: chaining. Only returns and indirect calls look their target up, in a table of 256 entries.]], bt.blocks, bt.instructions)

ringside.section("The same answers")
say([[Another guest, check.c, does what a translator may get wrong: flags across calls, IRET, PUSHF, exceptions in the kernel, stores to page tables in all forms. It prints what
came of it. The kernel must not be able to tell:]])
local function answers(words)
  local c = ringside.machine { ram = "64M" }
  if words then
    c:load("binary-translation/vmm.bin", { cmdline = words, modules = { "binary-translation/check.bin" } })
  else
    c:load("binary-translation/check.bin")
  end
  c:run { max_cycles = 1000000000 }
  local text = c:output():gsub("VMM:[^\n]*\n", "")
  c:close()
  return text
end
local truth = answers(nil)
check(truth:find("CHECK-OK", 1, true) and select(2, truth:gsub("\n", "\n")) > 50, "the bare machine gives the answers")
for _, words in ipairs { "bt", "bt plain", "bt tiny", "vtx", "vtx fuse", "vtx ept" } do
  check(answers(words) == truth, words .. ": the same, line by line")
end

ringside.section("Nanobenchmarks")
local hardware, vt = run("vtx")
say([[The operations of Adams and Agesen's paper (ASPLOS 2006) on its processor, the first with VT-x. Cycles for one operation, as the kernel itself measures them by RDTSC:]])
local PAPER <const> = {
  { "in", "IN from port 80H" }, { "syscall", "SYSENTER and SYSEXIT" }, { "callret", "CALL and RET in the kernel" }, { "divzero", "divide error of a program" },
  { "pgfault", "page fault of a program" }, { "ptemod", "store to a page table" }, { "forkwait", "fork, copy on write, exit" },
}
rows = {}
for n, p in ipairs(PAPER) do
  local name = p[1]
  rows[n] = { name, p[2], native[name], software[name], hardware[name] }
end
ringside.table(rows, { "", "", "native", "software VMM", "hardware VMM" })
local function order(name, ...)
  local v, text = { native = native[name], software = software[name], hardware = hardware[name] }, {}
  local ok, names = true, { ... }
  for n = 2, #names do ok = ok and v[names[n - 1]] < v[names[n]] end
  check(ok, name .. ": " .. table.concat(names, " < "))
end
local function near(name) check(math.abs(hardware[name] - native[name]) * 20 <= native[name], name .. ": the hardware VMM takes as long as native") end
order("in", "software", "native", "hardware")
order("syscall", "hardware", "software")
near("syscall")
order("callret", "hardware", "software")
near("callret")
order("divzero", "hardware", "software")
near("divzero")
order("pgfault", "native", "software", "hardware")
order("ptemod", "native", "software", "hardware")
order("forkwait", "native", "software", "hardware")
say([[VT-x is as fast as the bare machine where it does not exit, and an exit costs about 4000 cycles here. The software VMM pays at each entry to the kernel and at each return, but
emulates a device or a page-table store without leaving ring 1. IN is even faster than native: no bus is involved.]])

ringside.section("The same faults")
say([[Both VMMs keep shadow page tables, with the same code (shadow.c). While a page table has a shadow it is write-protected (a trace), and a store to it faults.]])
ringside.table({
  { "hidden faults: the shadow lacked an entry", bt.hidden, vt.hidden }, { "true faults: the guest's own", bt["true"], vt["true"] },
  { "stores to traced page tables", bt.traced, vt.traced }, { "INVLPG", bt.invlpg, vt.invlpg }, { "MOV to CR3", bt.cr3, vt.cr3 },
  { "traps or VM exits in all", bt.exits, vt.exits }, { "callouts", bt.callouts, 0 },
}, { "", "software", "hardware" })
equal({ bt.hidden, bt["true"], bt.traced, bt.invlpg, bt.cr3 }, { vt.hidden, vt["true"], vt.traced, vt.invlpg, vt.cr3 }, "the two VMMs see the same faults")
check(bt.exits * 2 < vt.exits, "but the software VMM takes few of them as traps")

ringside.section("Adaptive translation")
local plain = run("bt plain")
say([[A store that once hit a traced page table will do so again. After its first fault the block is translated anew, with a short sequence in place of the store, which
does what the handler would do. With that turned off (plain):]])
ringside.table({ { "ptemod", software.ptemod, plain.ptemod, hardware.ptemod }, { "forkwait", software.forkwait, plain.forkwait, hardware.forkwait } },
  { "", "adaptive", "plain", "VT-x" })
check(plain.ptemod > 5 * software.ptemod, "without adaptation each store to a page table is a trap")
local fused, fusing = run("vtx fuse")
say([[A hardware VMM can save exits, too: fork writes two entries, one behind the other. When the VMM has emulated the first store it looks at the next instruction, and does
that as well if it is such a store (fuse): %d exits instead of %d.]], fusing.exits, vt.exits)
equal(vt.exits - fusing.exits, fusing.fused, "each fused pair saves one exit")

ringside.section("EPT")
local h_native, h_soft, h_shadow, h_ept = run(nil, "haswell-2013"), run("bt", "haswell-2013"), run("vtx", "haswell-2013"), run("vtx ept", "haswell-2013")
rows = {}
for n, name in ipairs { "pgfault", "ptemod", "forkwait" } do rows[n] = { name, h_native[name], h_soft[name], h_shadow[name], h_ept[name] } end
say([[Eight years later: exits take an eighth of the cycles, and with EPT the guest's page tables are the guest's. Nothing of this exits any more:]])
ringside.table(rows, { "", "native", "software VMM", "VT-x, shadows", "VT-x, EPT" })
for _, name in ipairs { "pgfault", "ptemod", "forkwait" } do
  check(h_ept[name] < h_soft[name] and h_ept[name] * 20 <= h_native[name] * 21, name .. ": with EPT the hardware VMM wins, and is as fast as native")
end

ringside.section("To think about")
say([[1. The kernel reads its CS. What must the translator do with MOV EAX,CS so that ring aliasing does not show? (bt.c, emulate)]])
say([[2. A kernel writes to a page that holds its own code, and jumps there. What must a translator notice, and how? Which mechanism of this VMM could do it?]])
say([[3. Why can the return address that CALL pushes not be that of the translation?]])
say([[4. VT-x without EPT loses forkwait against translation. Which column of exits would you attack first: traced stores, hidden faults, INVLPG?]])
