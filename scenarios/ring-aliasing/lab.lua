-- Ring aliasing: a kernel that was written for ring 0 runs at ring 1, and can tell.
--
-- Two machines run the same kernel (kernel.inc, the same bytes). In the first it owns ring 0. In the second it lives in the 0/1/3 model: a monitor
-- has ring 0, the kernel ring 1, its application ring 3. The kernel writes down what each instruction gave it, and which ones raised #GP.

local R <const> = 0x30000 -- results.inc
local COUNT <const>, TRAPS <const>, TICKS <const>, CALLS <const> = R, R + 0x04, R + 0x10, R + 0x14
local BEFORE_APP <const>, AFTER_APP <const> = R + 0x1c, R + 0x20
local KERNEL <const>, KERNEL_END <const>, TABLE <const> = R + 0x24, R + 0x28, R + 0x40

local hex, say, check, equal = ringside.hex, ringside.say, ringside.check, ringside.expect_equal

-- Run one of the two images; give the machine, the records by name, and the names in order.
local function run(image, mark_text)
  local m = ringside.machine { ram = "4M" }
  m:load(image, { at = 0x7c00, start = "prot32" })
  m:add_symbol("start", 0x7c00)
  m:add_symbol("kernel", 0x9000)
  m:run_to(0x9000, { max_insns = 1000000 })
  ringside.mark(mark_text[1], { machine = m, la = 0x9000, access = "x", text = mark_text[2] })
  local rings = {}
  local handle = m:on("ring", function(e) rings[#rings + 1] = e.from .. ">" .. e.to end)
  local stop = m:run { max_cycles = 50000000 }
  handle:off()
  equal(stop.kind, "exit", image .. " runs to its end")
  local records, order = {}, {}
  for i = 0, m:u32(COUNT) - 1 do
    local at = TABLE + i * 16
    local name = m:string(m:u32(at), 40)
    records[name] = { trap = m:u32(at + 4) == 1, a = m:u32(at + 8), b = m:u32(at + 12) }
    order[#order + 1] = name
  end
  return m, records, order, rings
end

ringside.title("Ring aliasing")
say([[A kernel is written for ring 0. A monitor that wants ring 0 for itself can run it at ring 1: most of its instructions work as before, and
privileged ones raise #GP, so that the monitor can emulate them. That is ring deprivileging. It has a hole: x86 has instructions that show or change
privileged state WITHOUT trapping. The kernel sees a machine that is not the one it believes to own. This is called ring aliasing.]])

local m0, at0, order = run("ring-aliasing/boot-ring0.bin", { "ring0", "the kernel is entered at ring 0" })
local m1, at1, _, rings = run("ring-aliasing/boot-ring1.bin", { "ring1", "the same kernel is entered at ring 1, under a monitor" })

check(m0:read(m0:u32(KERNEL), m0:u32(KERNEL_END) - m0:u32(KERNEL)) == m1:read(m1:u32(KERNEL), m1:u32(KERNEL_END) - m1:u32(KERNEL)),
  "both machines ran the same bytes")

ringside.section("What the kernel reads")
say([[None of these instructions trapped. The two columns are what the same code wrote down at ring 0 and at ring 1.]])

local function limit_base(r) return ("base %s limit %s"):format(hex(r.a, 8), hex(r.b, 4)) end
local meaning = {
  ["PUSH CS"] = { hex, "the low two bits of CS are CPL: so it reads its ring" },
  ["SGDT"] = { limit_base, "the monitor's GDT, not the one that the kernel loaded" },
  ["SIDT"] = { limit_base, "the monitor's IDT" },
  ["STR"] = { hex, "the monitor's task register" },
  ["SLDT"] = { hex, "no LDT in either" },
  ["LAR 0060"] = { hex, "its code segment's DPL (bits 14:13) is 0 here, 1 there" },
  ["MOV EAX,SS"] = { hex, "the low two bits of SS are CPL, too" },
  ["LSL 0048"] = { function(r) return ("limit %s, ZF %d"):format(hex(r.a, 4), r.b) end, "the limit of a segment in the kernel's GDT; the real GDT has none there" },
  ["VERR 0048"] = { hex, "ZF: that segment can be read; in the real GDT it is not there" },
  ["VERW 0048"] = { hex, "ZF: it can be written" },
  ["POP ES"] = { hex, "the selector that was there before, with its ring" },
  ["CALL far"] = { hex, "the CS that CALL pushed; the kernel called selector 0060" },
  ["JMP far"] = { hex, "CS after a jump to selector 0060" },
  ["RET far"] = { hex, "CS after a far return" },
  ["INT 81H"] = { hex, "the CS that the gate pushed" },
  ["PUSHF"] = { hex, "the real IF and IOPL, not virtual ones" },
  ["POPF IF=0"] = { hex, "after POPF cleared IF: at ring 1 bit 9 is still set" },
  ["POPF IOPL=3"] = { hex, "after POPF raised IOPL: at ring 1 bits 13:12 are still 0" },
  ["SMSW"] = { hex, "CR0 after setting TS (bit 3): the real one never got it" },
}
local rows = {}
for _, name in ipairs(order) do
  local r0, r1 = at0[name], at1[name]
  if not r0.trap then
    local show, text = table.unpack(meaning[name])
    local function cell(r) return name:find("^VER") and hex(r.b) or show == hex and hex(r.a, 4) or show(r) end
    rows[#rows + 1] = { name, cell(r0), cell(r1), (r0.a ~= r1.a or r0.b ~= r1.b) and "differs" or "same" }
  end
end
ringside.table(rows, { "instruction", "at ring 0", "at ring 1", "" })
local lines = {}
for _, name in ipairs(order) do
  if meaning[name] then lines[#lines + 1] = ("    %-12s %s"):format(name, meaning[name][2]) end
end
say(table.concat(lines, "\n"))

local function bit(value, n) return value >> n & 1 end
equal(at0["PUSH CS"].a & 3, 0, "PUSH CS shows ring 0 on the bare machine")
equal(at1["PUSH CS"].a & 3, 1, "PUSH CS shows ring 1 under the monitor")
equal(at0["SGDT"].a, 0x38000, "SGDT gives the kernel's own GDT at ring 0")
equal(at1["SGDT"].a, 0x10000, "SGDT gives the monitor's GDT at ring 1")
equal(at1["SIDT"].a, 0x20000, "SIDT gives the monitor's IDT at ring 1")
equal({ at0["STR"].a, at1["STR"].a }, { 0x50, 0xffe0 }, "STR gives the kernel's task register at ring 0, the monitor's at ring 1")
equal({ at0["LAR 0060"].a >> 13 & 3, at1["LAR 0060"].a >> 13 & 3 }, { 0, 1 }, "LAR shows DPL 0 and DPL 1")
equal({ bit(at0["POPF IF=0"].a, 9), bit(at1["POPF IF=0"].a, 9) }, { 0, 1 }, "POPF clears IF at ring 0 and silently keeps it at ring 1")
equal({ at0["POPF IOPL=3"].a >> 12 & 3, at1["POPF IOPL=3"].a >> 12 & 3 }, { 3, 0 }, "POPF changes IOPL at ring 0 and silently keeps it at ring 1")
equal({ at0["LSL 0048"].a, at1["LSL 0048"].b }, { 0xfff, 0 }, "LSL finds the kernel's own segment at ring 0, and none at ring 1")
equal({ at0["VERR 0048"].b, at1["VERR 0048"].b, at0["VERW 0048"].b, at1["VERW 0048"].b }, { 1, 0, 1, 0 }, "VERR and VERW likewise")
for _, name in ipairs { "MOV EAX,SS", "POP ES", "CALL far", "JMP far", "RET far", "INT 81H" } do
  equal({ at0[name].a & 3, at1[name].a & 3 }, { 0, 1 }, name .. " shows the ring in a selector")
end
equal({ bit(at0["SMSW"].a, 3), bit(at1["SMSW"].a, 3) }, { 1, 0 }, "SMSW shows TS set at ring 0, the monitor's CR0 at ring 1")

say([[These are the classes of Robin and Irvine (USENIX Security 2000), who went through the Pentium's manual and found 17 sensitive instructions that are not
privileged: SGDT, SIDT, SLDT, SMSW, PUSHF and POPF read or change sensitive registers; LAR, LSL, VERR, VERW, POP, PUSH, CALL, JMP, INT, RET, STR and MOV refer to
the protection system. All of them are in the table (the two lists name 18 mnemonics, but 17 is the number that is cited). SLDT and PUSHF are sensitive,
too, though they show no difference here: no LDT was loaded, and the real IF happened to be what the kernel wanted.]])

ringside.section("What traps")
say([[These are the instructions that a monitor can emulate, because they raise #GP at ring 1. CLI and STI do so because CPL is greater than
IOPL; IN and OUT, too, as the monitor's TSS has no I/O permission bitmap that allows the port; the others need CPL 0.]])
local trapping, quiet = {}, {}
for _, name in ipairs(order) do
  if at1[name].trap then
    if at1[name].a == 1 then trapping[#trapping + 1] = name else quiet[#quiet + 1] = name end
    if at0[name].a ~= 0 then check(false, name .. " does not trap at ring 0") end
  end
end
say("    " .. table.concat(trapping, ", "))
equal(#quiet, 0, "every privileged or IOPL-sensitive instruction that was tried traps at ring 1")
equal(m0:u32(TRAPS), 0, "none of them traps at ring 0")
equal(m1:u32(TRAPS), #trapping, "the monitor was entered once for each")
equal(m0:u32(TICKS), 1, "at ring 0 HLT slept until the timer interrupt that the kernel had asked for")
equal(m1:u32(TICKS), 0, "at ring 1 no timer was ever programmed: OUT trapped, and this monitor only counts")

ringside.section("System calls that bypass the monitor")
say([[INT 80H in the application: the gate in the monitor's IDT names selector 0061, the kernel's code segment with RPL 1, and has DPL 3. The processor
goes from ring 3 to ring 1 directly, on the stack ss1:esp1 of the monitor's TSS. The monitor does not run.]])
equal({ m0:u32(CALLS), m1:u32(CALLS) }, { 3, 3 }, "the application's three system calls arrive in both machines")
equal(m1:u32(AFTER_APP) - m1:u32(BEFORE_APP), 0, "no trap into the monitor on the way")
local direct = 0
for _, r in ipairs(rings) do if r == "3>1" then direct = direct + 1 end end
equal(direct, 4, "the processor entered ring 1 from ring 3 four times (three calls and the last one), never through ring 0")

ringside.section("Exceptions that are bounced")
say([[Not every gate can lead past the monitor. A page fault may be the monitor's own affair, and CR2 cannot be read at ring 1. Such an exception goes to the monitor
at ring 0, which copies the frame to the kernel's stack and returns into the kernel's handler: it bounces. bounce.asm divides by zero at ring 3, both ways:]])
local function bounce(direct)
  local m = ringside.machine { ram = "4M" }
  m:load("ring-aliasing/bounce.bin", { at = 0x80000, start = "prot32" })
  m:write_u32("direct", direct)
  m:run_to("measure")
  local cycles, path = m.cycles, {}
  local handle = m:on("ring", function(e) if #path < 3 then path[#path + 1] = e.from .. ">" .. e.to end end)
  m:run_to("measured")
  handle:off()
  return (m.cycles - cycles) // 1000, table.concat(path, " ")
end
local short, straight = bounce(1)
local long, detour = bounce(0)
ringside.table({ { "direct", straight:sub(1, 7), short }, { "bounced", detour, long } }, { "delivery", "rings", "cycles, with the return" })
equal(detour, "3>0 0>1 1>3", "bounced: two changes of ring on the way to the kernel")
check(long > short, "which costs one IRET more, and the copying")

ringside.section("Cost")
ringside.table({
  { "instructions", m0.insns, m1.insns },
  { "model cycles", m0.cycles, m1.cycles },
  { "#GP", m0:u32(TRAPS), m1:u32(TRAPS) },
}, { "", "ring 0", "ring 1" })
say([[(At ring 0 the cycles include the sleep of one millisecond in HLT.)]])

ringside.section("To think about")
say([[1. Which of the instructions in the first table would have to trap for Popek and Goldberg's theorem to apply?]])
say([[2. A monitor could set UMIP (CR4 bit 11) today. Which rows of the first table trap then, and at which rings? Which holes are still open?]])
say([[3. The kernel tests its IF by PUSHF before it sleeps. What does it see at ring 1 after CLI, which the monitor emulated on a virtual IF?]])
