-- V36: the kernel of scenarios/ring-aliasing at ring 1 executes each instruction of Robin and Irvine's list: which ones trap? UMIP is off, as it was then.
ringside.title("Sensitive instructions that do not trap")
local LIST <const> = {"SGDT", "SIDT", "SLDT", "SMSW", "PUSHF", "POPF", "LAR", "LSL", "VERR", "VERW", "POP", "PUSH", "CALL", "JMP", "INT", "RET", "STR", "MOV"}
local m = ringside.machine{ram = "4M"}
m:load("ring-aliasing/boot-ring1.bin", {at = 0x7c00, start = "prot32"})

-- The name in the list of a disassembled instruction, where it is one of the sensitive kind: near calls and moves between general registers are not.
local function sensitive(text)
  local name, operands = text:match("^(%S+)%s*(.*)$")
  local segment = operands:find("%f[%w][cdefgs]s%f[%W]") and not operands:find("%[")
  if name == "pushfd" or name == "popfd" then return name:sub(1, -2):upper() end
  if name == "push" or name == "pop" or name == "mov" then return segment and name:upper() end
  if name == "call" or name == "jmp" then return operands:find("0x60:", 1, true) and name:upper() or text:find("far", 1, true) and name:upper() end
  if name == "retf" or (name == "ret" and text:find("far", 1, true)) then return "RET" end
  if name == "int" then return "INT" end
  return name:upper()
end
local wanted, ran, trapped, now = {}, {}, {}, nil
for _, name in ipairs(LIST) do wanted[name] = true end
m:on("insn", function(e)
  if m.cpu.cs & 3 ~= 1 then return end
  now = sensitive(m:disasm(e.rip))
  if now and wanted[now] then ran[now] = (ran[now] or 0) + 1 end
end)
m:on("exception", function(e)
  if now and wanted[now] and e.vector ~= 0x81 then trapped[now] = true end
end)
m:run{max_cycles = 50000000}
ringside.check(m.cpu.cr4 >> 11 & 1 == 0, "UMIP is off")
local silent, missing = 0, {}
for _, name in ipairs(LIST) do
  if not ran[name] then missing[#missing + 1] = name end
  if ran[name] and not trapped[name] then silent = silent + 1 end
end
ringside.check(#missing == 0, "the kernel executed each of them at ring 1", table.concat(missing, " "))
ringside.target("V36", silent, ("%d mnemonics tried"):format(#LIST),
  "the lists of the paper name 18 mnemonics, and none of them trapped; 17 is the number that is cited for these lists")
