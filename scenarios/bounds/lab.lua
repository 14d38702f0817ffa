-- bounds: what memory-protection extensions checked, on the one generation of the profiles that had them.

local CODE <const> = 0x100000
local IDT <const>, DIRECTORY <const>, TABLE <const> = 0x300000, 0x400000, 0x500000 -- bound directory, a bound table
local say, check, equal, section = ringside.say, ringside.check, ringside.expect_equal, ringside.section

-- Every guest begins so: XCR0 gets the two components of MPX, and IA32_BNDCFGS enables it below CPL 3. `preserve`: legacy branches keep bounds.
local function prologue(preserve)
  return ([[
%%define DIRECTORY 0x%x
  mov rax, cr4
  bts rax, 18           ; OSXSAVE
  mov cr4, rax
  xor ecx, ecx
  xor edx, edx
  mov eax, 1Bh          ; x87, SSE, BNDREGS, BNDCSR
  xsetbv
  mov ecx, 0D90h        ; IA32_BNDCFGS
  mov eax, DIRECTORY + %d
  wrmsr
]]):format(DIRECTORY, preserve and 3 or 1)
end

-- A machine with the guest; #BR ends it.
local function guest(code, options)
  options = options or {}
  local m = ringside.machine { ram = "16M", profile = options.profile or "skylake-2015" }
  local start = ("lidt [idtr]\n%s"):format(options.plain and "" or prologue(options.preserve))
  local data = ("\nhandler:\n  hlt\nidtr:\n  dw 0FFFh\n  dq 0x%x\n"):format(IDT)
  m:assemble(start .. code .. data, { at = CODE, start = "long64" })
  local handler = m:symbol("handler")
  m:write_u64(IDT + 5 * 16, handler & 0xffff | m.cpu.cs << 16 | 0x8e00 << 32 | handler >> 16 << 48)
  return m
end

ringside.title("Bounds of pointers")
section("A pointer leaves its buffer")
say([[BNDMK makes bounds from an address: the base register is the lower bound, the whole address the upper one. BNDCL and BNDCU compare a pointer with them, without
an access to memory. The loop below writes into a buffer of 16 bytes, and goes one byte too far.]])
local OVERRUN <const> = [[
  mov ebx, 0x600000
  bndmk bnd0, [rbx + 15]
  mov rdi, rbx
next:
  bndcl bnd0, [rdi]
  bndcu bnd0, [rdi]
  mov byte [rdi], 'x'
  inc rdi
  bnd jmp near next
]]
do
  local m = guest(OVERRUN)
  local seen
  m:on("exception", function(e) seen = e end)
  m:run { max_cycles = 100000 }
  check(seen and seen.vector == 5, "a bound was broken: #BR, vector 5")
  equal(m.cpu.rdi, 0x600010, "by the first pointer behind the buffer")
  equal(m:u8(0x60000f), ("x"):byte(), "the last byte of the buffer is written")
  equal(m:u8(0x600010), 0, "the one behind it is not")
  equal(m.cpu.bndstatus, 1, "BNDSTATUS tells why: a bound check")
  equal({ m.cpu["bnd0.lb"], ~m.cpu["bnd0.ub"] }, { 0x600000, 0x60000f }, "BND0 holds both bounds; the upper one is kept as its one's complement")
  m:close()
end

section("Other processors")
say([[To a processor without MPX the same bytes are no-operations, so a program with checks runs everywhere. There the loop goes on.]])
do
  local m = guest(OVERRUN, { plain = true, profile = "haswell-2013" })
  m:run { insns = 500 }
  check(m.cpu.rdi > 0x600010, "on haswell-2013 nothing stops it")
  m:close()
end

section("Branches that know nothing of bounds")
say([[Code that was compiled without MPX passes pointers, but no bounds. What is in the bound registers then belongs to other pointers; so CALL, RET, JMP and Jcc set
them to zeros, which allow all addresses, unless they have the prefix BND (F2), or the configuration says to preserve them.]])
local rows = {}
for _, way in ipairs {
  { "call without BND", "call near f", false, 0 },
  { "bnd call, ret without BND", "bnd call near f", false, 0 },
  { "bnd call, bnd ret", "bnd call near g", false, 0x600000 },
  { "call without BND, BNDPRESERVE = 1", "call near f", true, 0x600000 },
  { "jmp short", "jmp short over\nover:", false, 0x600000 },
} do
  local m = guest("mov ebx, 0x600000\nbndmk bnd0, [rbx + 15]\n" .. way[2] .. "\nhlt\nf: ret\ng: bnd ret\n", { preserve = way[3] })
  m:run { max_cycles = 100000 }
  rows[#rows + 1] = { way[1], m.cpu["bnd0.lb"] ~= 0 and "kept" or "zeros: all is allowed" }
  equal(m.cpu["bnd0.lb"], way[4], way[1])
  m:close()
end
ringside.table(rows, { "branch", "bounds after it" })

section("Bounds of pointers in memory")
say([[Four registers do not last long. BNDSTX puts the bounds of a pointer that lies in memory where its address leads: bits 47..20 select an entry of the bound
directory, which names a bound table, bits 19..3 an entry there. The value of the pointer is kept, too: BNDLDX gives the bounds back only for that value, for somebody
who does not know of bounds may have changed the pointer since.]])
do
  local m = guest([[
  mov ebx, 0x700008           ; the pointer lies here ...
  mov rsi, 0x600000           ; ... and this is its value
  bndmk bnd0, [rsi + 15]
  bndstx [rbx + rsi], bnd0
stored:
  bndldx bnd1, [rbx + rsi]
  mov rdi, rsi
  inc rsi
  bndldx bnd2, [rbx + rsi]
  hlt
]])
  local seen
  m:on("exception", function(e) seen = seen or e end)
  m:run { max_cycles = 100000 }
  check(seen and seen.vector == 5, "there is no bound table yet: #BR")
  equal(m.cpu.bndstatus, DIRECTORY + (0x700008 >> 20) * 8 | 2, "BNDSTATUS names the entry of the directory, and 2 says that it is not valid")
  m:close()
  say("A system would now allocate a table, write its address with bit 0 set into that entry, and return.")
end
do
  local m = guest([[
  mov qword [DIRECTORY + (0x700008 >> 20) * 8], 0x500001
  mov ebx, 0x700008
  mov rsi, 0x600000
  bndmk bnd0, [rsi + 15]
  bndstx [rbx + rsi], bnd0
  bndldx bnd1, [rbx + rsi]
  inc rsi
  bndldx bnd2, [rbx + rsi]
  hlt
]])
  m:run { max_cycles = 100000 }
  local entry = TABLE + (0x700008 >> 3 & 0x1ffff) * 32
  equal({ m:u64(entry), ~m:u64(entry + 8), m:u64(entry + 16) }, { 0x600000, 0x60000f, 0x600000 }, "the entry of the table: lower bound, upper bound, value")
  equal(m.cpu["bnd1.lb"], 0x600000, "the same pointer gets its bounds back")
  equal({ m.cpu["bnd2.lb"], m.cpu["bnd2.ub"] }, { 0, 0 }, "another value gets all of memory")
  m:close()
end

section("To think about")
say([[A directory of 2 GB (of linear addresses) and 4 MB of table for each MB that holds pointers: which costs more here, the checks or the tables? Compilers and kernels dropped
MPX, and then processors did.]])
