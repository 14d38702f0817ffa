---@meta
-- Scenario API of Ringside, generated from lua/api.def. Not to be run: it is for editors.

---Whose addresses: linear (default), guest-physical or host-physical.
---@alias ringside.Space "linear"|"guest"|"host"

---The scenario's own arguments, from the command line.
---@type string[]
arg = {}

---The scenario's way to everything: machines, narrative, checks, marks.
---@class ringside
---@field version string Version of the API: "1".
ringside = {}

---Build a machine: one PC with RAM, a processor with VT-x and devices.
---@param config? ringside.Config
---@return ringside.Machine
function ringside.machine(config) end

---Assemble text with NASM or GNU as: the bytes, and the addresses of its labels.
---@param source string
---@param how? ringside.Assembly
---@return string
---@return table<string, integer>
function ringside.assemble(source, how) end

---Name the scenario; printed as the first heading.
---@param text string
function ringside.title(text) end

---Begin a section of the narrative.
---@param title string
function ringside.section(title) end

---Tell the reader something: a paragraph, wrapped at 80 columns; indented lines stay as they are.
---With more arguments, text is a format as for string.format.
---@param text string
---@param ... any
function ringside.say(text, ...) end

---Print rows as an aligned table. Numbers are set to the right.
---@param rows any[][]
---@param header? string[]
function ringside.table(rows, header) end

---Check a claim. A failed check is reported and counted, and the script goes on; the exit status is
---1 in the end.
---@param condition any
---@param message string
---@param detail? string
---@return boolean
function ringside.check(condition, message, detail) end

---Check that two values are equal; a failure shows both. Tables are compared by their contents.
---@param got any
---@param want any
---@param message string
---@return boolean
function ringside.expect_equal(got, want, message) end

---Declare a named point: the debugger can stop there, and `ringside draw --at NAME` draws the
---machine as it is now.
---@param name string
---@param point ringside.Mark
function ringside.mark(name, point) end

---Report what was measured for a published figure (lua/targets.def): checked against its tolerance.
---because explains a miss of the model, which is then no failure.
---@param id string
---@param value number|boolean
---@param detail? string
---@param because? string
---@return boolean
function ringside.target(id, value, detail, because) end

---A line chart for the report of `ringside validate`.
---@param chart ringside.Plot
function ringside.plot(chart) end

---A parameter of the scenario, from --set NAME=VALUE of the command line or from a sweep, of the
---type of the default; else the default.
---@param name string
---@param default? any
---@return any
function ringside.param(name, default) end

---Report a result: a column in the table of `ringside sweep`, a value of `results` in the document
---of --json, else a line.
---@param name string
---@param value any
function ringside.result(name, value) end

---A number as unsigned hexadecimal, 0x1f; digits pads with zeros.
---@param value integer
---@param digits? integer
---@return string
function ringside.hex(value, digits) end

---Print what the API offers, or what one class or function does: ringside.help("Machine.run").
---@param name? string
function ringside.help(name) end

---What a machine is built from.
---@class ringside.Config
---@field ram? string|integer Size of RAM: bytes, or "64M", "2G". Default 64M.
---@field profile? string Micro-architecture: costs, TLB geometry, features. Default "teach", whose costs are round numbers.
---@field set? table<string, integer|string> Values of the profile to change, by name: {["tlb.l2.entries"] = 64, ["cost.vmexit"] = 1200}. `ringside info keys` lists the names.
---@field tlb? string What TLBs drop: "model" (default), "keep" (nothing that may stay), "forget" (nothing is cached), "seed:N" (at random). `--tlb` chooses for machines that do not say.
---@field cpus? integer Processors, 1 (default) to 8. Number 0 starts; the others wait for INIT and a start-up IPI.
---@field quantum? integer Cycles that a processor may run ahead of the others. Default 1000.
---@field fidelity? "fast"|"functional"|"detailed" fast (default): cycles are counted and TLBs modelled; functional: one cycle per instruction, for fast forward; detailed: caches as well.
---@field seed? integer Seed of RDRAND and of random policies. Default 0.

---How a guest image is loaded and started.
---@class ringside.Load
---@field at? integer Load address of a flat image. Default 0x7c00, where a PC's BIOS puts a boot sector. 0x1000 to 0x7fff are taken by the tables of "long64".
---@field start? "auto"|"real"|"prot32"|"long64"|"keep" State in which the processor starts; "keep" only puts the bytes there. "auto": by the image; flat images start in real mode.
---@field entry? integer Where to start. Default: by the image; the load address for flat ones.
---@field format? "auto"|"flat"|"elf"|"multiboot" What the image is. Default: found out from its first bytes.
---@field cmdline? string Command line for a Multiboot kernel.
---@field modules? string[] Files that a Multiboot kernel gets as its modules, sought like the program itself; 8 at most. For Machine:load().

---Where an image came to lie.
---@class ringside.Loaded
---@field format string "flat", "elf" or "multiboot".
---@field lo integer Lowest address.
---@field hi integer Address after the highest byte.
---@field entry integer Where it starts.
---@field path? string The file.

---How text is assembled; for Machine:assemble() also how it is loaded and started.
---@class ringside.Assembly: ringside.Load
---@field bits? integer 16, 32 or 64. Default 64.
---@field syntax? "nasm"|"gas" Assembler: NASM (default), or GNU as (AT&T, unless the text says .intel_syntax noprefix).

---A point worth a picture.
---@class ringside.Mark
---@field machine ringside.Machine The machine as it stands now.
---@field la? integer|string A linear address (or symbol) whose translation is of interest.
---@field access? "r"|"w"|"x" Kind of access for the walk. Default "r".
---@field text? string One line that says what is to be seen.

---A line chart.
---@class ringside.Plot
---@field name string Of its file: small letters, digits, hyphens.
---@field title string Heading.
---@field x string What goes to the right.
---@field y string What goes up.
---@field log_x? boolean x doubles from tick to tick.
---@field log_y? boolean y doubles from tick to tick, if all of it is above 0.
---@field names? string[] What stands at x = 1, 2, 3 ... instead of the number; at most 12.
---@field series any[][] Lines: {"name", {x, y}, {x, y}, ...}; at most 8 of at most 64 points.

---A machine. Everything that looks has no side effects on the guest: no time passes, no TLB entry
---moves, no accessed flag is set.
---@class ringside.Machine
---@field cpu ringside.Registers The selected processor's registers by name, to read and to write.
---@field vmcs ringside.Vmcs The fields of the current VMCS by name or encoding, to read and to write.
---@field cpus integer Number of processors.
---@field selected integer The processor that registers, VMCS, mode, linear addresses, TLBs and counters are those of; in an event handler it is the event's.
---@field fidelity string "fast", "functional" or "detailed".
---@field cycles integer Model cycles since reset: the latest that a processor has reached.
---@field insns integer Instructions retired by all processors since reset.
---@field mode string Processor mode: "real", "protected-32", "64-bit" ...
---@field level string "off" outside VMX operation, else "root" or "non-root".
---@field ram integer Bytes of RAM.
---@field profile string Name of the micro-architecture.
local Machine = {}

---Load a guest program: flat binary, ELF or Multiboot. Names are sought among the built guests,
---then beside the script; a file that the command line names, as argument or parameter, may be
---anywhere.
---@param file string
---@param how? ringside.Load
---@return ringside.Loaded
function Machine:load(file, how) end

---Load a system as `ringside boot` does: "linux", "kvm", "kvm-nested" or "xen", from build/cache,
---where docs/tools/fetch-guests.sh puts it. append: other kernel parameters.
---@param system string
---@param append? string
function Machine:boot(system, append) end

---Assemble text, put it at how.at (default 0x8000) and make the processor ready to run it; its
---labels become symbols.
---@param source string
---@param how? ringside.Assembly
---@return ringside.Loaded
function Machine:assemble(source, how) end

---Bring the processor into a documented start state at an entry point.
---@param entry integer|string
---@param mode "real"|"prot32"|"long64"
function Machine:start(entry, mode) end

---Choose the processor that registers, VMCS, mode, linear addresses, TLBs and counters are those
---of. At first processor 0.
---@param processor integer
function Machine:select(processor) end

---Change the fidelity from now on; what is cached is dropped. Forward to a point of interest in
---functional, then look in fast.
---@param fidelity "fast"|"functional"|"detailed"
function Machine:set_fidelity(fidelity) end

---Reset processor and devices; RAM keeps its contents.
function Machine:reset() end

---Give the machine back before the script ends.
function Machine:close() end

---Run until a condition comes true, the guest ends the run or waits for ever. A shutdown, a limit
---or something unmodelled raises an error, unless allowed.
---@param how? ringside.Until
---@return ringside.Stop
function Machine:run(how) end

---Execute instructions: one, or count.
---@param count? integer
---@return ringside.Stop
function Machine:step(count) end

---Step by memory reference: if none is left from before, execute the next instruction and note its
---references in order ("ref" for paging structures, "mem" for its own); then hand out one. Its
---field left tells how many remain. nil if the instruction made none.
---@return ringside.Event?
function Machine:step_ref() end

---Run until the instruction at a linear address or symbol is next. A machine that stands there
---already does not run: step() first to come by again.
---@param address integer|string
---@param how? ringside.Until
---@return ringside.Stop
function Machine:run_to(address, how) end

---Run to the first instruction boundary at or after a cycle.
---@param cycle integer
---@param how? ringside.Until
---@return ringside.Stop
function Machine:run_to_cycle(cycle, how) end

---Run to the boundary after the first event of a kind (that the filter accepts). nil and the stop
---if the run ends before.
---@param kind string|string[]
---@param filter? (fun(e: ringside.Event): any)
---@param how? ringside.Until
---@return ringside.Event?
---@return ringside.Stop
function Machine:run_until_event(kind, filter, how) end

---To be called by an event handler: stop at the next instruction boundary.
function Machine:stop() end

---Call a function at every event of a kind. It may look at the machine and stop it, not drive or
---change it.
---@param kind string|string[]
---@param handler fun(e: ringside.Event)
---@return ringside.Handle
function Machine:on(kind, handler) end

---Bytes of memory.
---@param address integer|string
---@param count integer
---@param space? ringside.Space
---@return string
function Machine:read(address, count, space) end

---Put bytes into memory, whatever its permissions.
---@param address integer|string
---@param bytes string
---@param space? ringside.Space
function Machine:write(address, bytes, space) end

---A byte of memory.
---@param address integer|string
---@param space? ringside.Space
---@return integer
function Machine:u8(address, space) end

---16 bits of memory, little-endian.
---@param address integer|string
---@param space? ringside.Space
---@return integer
function Machine:u16(address, space) end

---32 bits of memory, little-endian.
---@param address integer|string
---@param space? ringside.Space
---@return integer
function Machine:u32(address, space) end

---64 bits of memory, little-endian. Lua's integers are signed: print them with ringside.hex().
---@param address integer|string
---@param space? ringside.Space
---@return integer
function Machine:u64(address, space) end

---Write a byte.
---@param address integer|string
---@param value integer
---@param space? ringside.Space
function Machine:write_u8(address, value, space) end

---Write 16 bits.
---@param address integer|string
---@param value integer
---@param space? ringside.Space
function Machine:write_u16(address, value, space) end

---Write 32 bits.
---@param address integer|string
---@param value integer
---@param space? ringside.Space
function Machine:write_u32(address, value, space) end

---Write 64 bits.
---@param address integer|string
---@param value integer
---@param space? ringside.Space
function Machine:write_u64(address, value, space) end

---The NUL-terminated string at an address, at most max (default 4096) bytes.
---@param address integer|string
---@param max? integer
---@param space? ringside.Space
---@return string
function Machine:string(address, max, space) end

---Decode the descriptor of a selector (GDT or LDT). nil if it lies outside the table.
---@param selector integer
---@return ringside.Descriptor?
function Machine:descriptor(selector) end

---Decode a gate of the IDT. nil if it lies outside the table or in real mode.
---@param vector integer
---@return ringside.Descriptor?
function Machine:gate(vector) end

---Translate a linear address as the processor would without any cache, and give every reference on
---the way.
---@param la integer|string
---@param how? ringside.Access
---@return ringside.Walk
function Machine:translate(la, how) end

---Translate a guest-physical address by the current EPT alone.
---@param gpa integer
---@param how? ringside.Access
---@return ringside.Walk
function Machine:translate_gpa(gpa, how) end

---The entries of the TLB and of the paging-structure caches with their tags; only those that cover
---la if it is given.
---@param la? integer|string
---@return ringside.TlbEntry[]
function Machine:tlb(la) end

---The entries that an invalidation would drop now: "INVLPG 0x400000", "INVPCID 1 3", "MOV CR3
---0x5000", "INVVPID 1 2", "INVEPT 1 0x20001e".
---@param what string
---@return ringside.TlbEntry[]
function Machine:tlb_preview(what) end

---A cache of the selected processor: its geometry, counts and lines. nil but in detailed fidelity,
---and where the profile has no such cache.
---@param unit "l1i"|"l1d"|"l2"|"l3"
---@return ringside.Cache?
function Machine:cache(unit) end

---A counter of the machine: "walks", "walk_refs", "tlb_hits", "vmexits" ...
---@param name string
---@return integer
function Machine:stat(name) end

---The account of the run so far: VM exits by reason and level; model cycles, walks and
---invalidations by level.
---@return ringside.Ledger
function Machine:ledger() end

---Every check that the last failed VM entry broke; nil if none failed so far.
---@return ringside.EntryReport?
function Machine:entry_report() end

---The instruction at a linear address, and its length. nil if nothing is mapped there.
---@param address integer|string
---@param syntax? "intel"|"att"
---@return string?
---@return integer?
function Machine:disasm(address, syntax) end

---Address of a symbol, or nil; given an address, "name+0x12", or nil if no symbol is near.
---@param name string|integer
---@return integer|string|nil
function Machine:symbol(name) end

---Name an address. Of several addresses of a name the last counts.
---@param name string
---@param address integer
function Machine:add_symbol(name, address) end

---What the guest wrote to its serial port and to port E9H so far.
---@return string
function Machine:output() end

---Bytes that are to arrive at the guest's serial port.
---@param bytes string
function Machine:input(bytes) end

---A hash of the whole state: two machines with equal hashes are in the same state.
---@return string
function Machine:hash() end

---An account by level of virtualization: 0 is root operation, 1 its guest, 2 the guest's guest.
---What VM entries and exits themselves cost and drop counts for level 0.
---@class ringside.Ledger
---@field exits integer VM exits of all levels.
---@field levels table<integer, ringside.LedgerLevel> From 0 to the deepest level that was entered.
---@field vmcs ringside.LedgerVmcs[] The VMCSs in the order of their first entries.

---What one level did.
---@class ringside.LedgerLevel
---@field entries integer VM entries to it.
---@field exits integer VM exits from it.
---@field reasons table<string, integer> VM exits by name of the basic reason: reasons.CPUID. Absent: none.
---@field cycles integer Model cycles that processors spent there.
---@field walks integer Page walks.
---@field refs integer References of walks to paging structures.
---@field flushes integer Invalidations: instructions, faults and transitions.
---@field dropped integer TLB entries that they dropped.

---What ran by one VMCS.
---@class ringside.LedgerVmcs
---@field address integer Address of its region.
---@field eptp integer EPT pointer at its first entry.
---@field vpid integer VPID at its first entry.
---@field level integer Level of its guest: 1, 2 ...
---@field entries integer VM entries by it.
---@field exits integer VM exits by it.
---@field cycles integer Model cycles in its guest.

---rax eax ax al ..., rip, rflags, cs, cr0, dr7, efer, ["cs.base"], ["gdtr.limit"], ["msr.NAME"] ...
---A name that does not exist raises an error that suggests one.
---@class ringside.Registers
---@field [string] integer A register by name.

---Fields of the current VMCS: m.vmcs.GUEST_CR3, m.vmcs[0x6802]. Writing goes past VMWRITE's rules.
---In a handler of a vmexit the fields have that exit and the guest's state already; m.cpu still is
---the guest's.
---@class ringside.Vmcs
---@field [string|integer] integer A field by name or encoding.

---When to stop. The first condition that comes true wins.
---@class ringside.Until
---@field to? integer|string Before the instruction at this linear address or symbol.
---@field event? string|string[] At the boundary after an event of these kinds.
---@field cycle? integer At the first boundary at or after this cycle.
---@field insns? integer After this many instructions.
---@field max_cycles? integer Limit: so many cycles from now. Reaching it is an error of kind "limit".
---@field max_insns? integer Limit: so many instructions from now. A REP and a HLT count as one, however long they take.
---@field allow? string|string[] Kinds of stop that are no error here: "shutdown", "limit", "reset", "unmodelled", "no-progress".

---Why a run ended. Prints as its text.
---@class ringside.Stop
---@field kind "until"|"request"|"limit"|"halt"|"shutdown"|"exit"|"reset"|"unmodelled"|"no-progress" until: a condition came true; request: a handler called stop(); halt: HLT that nothing can end; shutdown: a triple fault; exit: the guest wrote the debug-exit port; reset: the guest asked for one; no-progress: the same VM exit over and over.
---@field condition? "insns"|"cycle"|"event"|"to" Which condition, for kind "until".
---@field code? integer Exit status for kind "exit": (value << 1) | 1.
---@field text string One line for people.
---@field cycle integer When.
---@field cpu integer Number of the processor that it was.
---@field rip integer Where.

---A subscription made by Machine:on().
---@class ringside.Handle
local Handle = {}

---Stop calling the handler.
function Handle:off() end

---What kind of access to translate for.
---@class ringside.Access
---@field access? "r"|"w"|"x" Read (default), write or instruction fetch.
---@field user? boolean As user-mode code. Default: by the current privilege level.

---A translation, reference by reference.
---@class ringside.Walk
---@field ok boolean There is a translation.
---@field outcome "ok"|"page-fault"|"ept-violation"|"ept-misconfiguration"|"no-paging" How it ended.
---@field la integer The linear address.
---@field gpa? integer The guest-physical address.
---@field hpa? integer The host-physical address.
---@field page_size? integer Bytes that the translation covers: the smaller of guest page and host page.
---@field refs integer How many references it took.
---@field guest_levels integer Levels of the guest's paging, 0 if off.
---@field ept_levels integer Levels of the EPT, 0 if off.
---@field error? integer Error code of the page fault.
---@field steps ringside.WalkStep[] The references in order.

---One reference of a walk.
---@class ringside.WalkStep
---@field number integer From 1.
---@field table "guest"|"ept" Whose entry is read.
---@field entry_name string PML4E, PDPTE, PDE or PTE, with EPT before it where it is one.
---@field for_name string What is being looked for: the guest's PML4E ..., or data.
---@field glevel integer Guest level whose entry is wanted, 0 for the final address.
---@field elevel integer EPT level, 0 for a guest entry.
---@field index integer Index in the table.
---@field gpa integer Guest-physical address: of the guest entry, or the one the EPT translates.
---@field at integer Host-physical address of the entry.
---@field entry integer Its value.
---@field leaf boolean It maps a page.
---@field failed boolean The walk ends here with a fault.
---@field why? string Why it failed.

---A cache in detailed fidelity.
---@class ringside.Cache
---@field sets integer How many sets it has.
---@field ways integer Lines of a set.
---@field line integer Bytes of a line.
---@field latency integer Cycles of a hit.
---@field hits integer Accesses that it served.
---@field misses integer Accesses that went on.
---@field evictions integer Lines that made room.
---@field writebacks integer Modified ones of them.
---@field lines table<integer, string> Host-physical address of each line that it holds: M, E or S.

---One cached translation.
---@class ringside.TlbEntry
---@field unit string Which structure holds it: data TLB, instruction TLB, paging-structure cache ...
---@field mapping string linear, guest-physical or combined.
---@field la integer Page that it translates (guest-physical mappings: a guest-physical address).
---@field gpa integer Guest-physical page (combined mappings).
---@field frame integer Host-physical page, or next table for paging-structure caches.
---@field page_size integer Bytes.
---@field perms string Letters of r w x u, - where missing.
---@field vpid integer Tag: virtual processor.
---@field pcid integer Tag: process context.
---@field eptrta integer Tag: EPT root table address.
---@field global boolean Global page.
---@field dirty boolean A write went through it.
---@field stale boolean The page tables say otherwise by now.
---@field stale_cycle? integer Cycle of the write that made it stale.
---@field stale_rip? integer Instruction that made it stale.
---@field stale_cpu? integer Processor that made it stale.
---@field stale_root? boolean It was in VMX root operation, or without VMX.
---@field stale_at? integer Host-physical address of the paging-structure entry that was changed.
---@field stale_old? integer What that held when the TLB entry was made.
---@field stale_new? integer What was written.
---@field stale_source? string "guest" or "ept": whose entry was changed.
---@field filled_cycle integer Cycle of the walk that made it.
---@field filled_rip integer Instruction that caused the walk.

---A decoded segment descriptor or gate.
---@class ringside.Descriptor
---@field kind string "64-bit code", "32-bit interrupt gate" ...
---@field raw integer Its first 8 bytes.
---@field raw_high? integer Its second 8 bytes, if it has 16.
---@field present boolean P flag.
---@field system boolean System segment or gate (S = 0).
---@field type integer Type field.
---@field dpl integer Descriptor privilege level.
---@field base? integer Segments: base address.
---@field limit? integer Segments: limit in bytes.
---@field ar? integer Segments: access rights in the layout of the VMCS.
---@field selector? integer Gates: target selector.
---@field offset? integer Gates: target offset.
---@field ist? integer Gates: IST index.

---A failed VM entry: the array part lists every failing check.
---@class ringside.EntryReport
---@field outcome string "fail-invalid", "fail-valid" or "fail-exit".
---@field error integer VM-instruction error number, or exit reason.
---@field qualification integer Exit qualification.
---@field checks integer How many checks were made.
---@field cycle integer When.
---@field rip integer Where.
---@field [integer] ringside.EntryFailure A failing check. Hardware would report the first.

---One failing check of a VM entry.
---@class ringside.EntryFailure
---@field id string "E-GS-041"; `ringside explain` knows more about it.
---@field title string What is checked.
---@field field string The VMCS field to look at first.
---@field value integer Its value.
---@field bits integer The offending bits, 0 for the whole value.
---@field rule string The rule in one sentence.
---@field manual string Key of the manual's section.
---@field fix? integer The nearest legal value.
---@field writer_cycle? integer When the field was written last.
---@field writer_rip? integer By which instruction.

---Something that happened. Which fields there are depends on the kind.
---@class ringside.Event
---@field kind string "vmexit", "ref", "tlb-fill" ... (sim/events.def)
---@field cycle integer When.
---@field insn integer Instructions retired before, by its processor.
---@field cpu integer Number of the processor.
---@field rip integer Where.
---@field level integer 0 in root operation or without VMX, 1 in a guest.
---@field la? integer mem, walk, ref, tlb-flush, tlb-stale: linear address.
---@field gpa? integer walk, ref, vmexit: guest-physical address.
---@field pa? integer mem: host-physical address.
---@field hpa? integer walk: host-physical address.
---@field at? integer ref: host-physical address of the entry.
---@field entry? integer|ringside.TlbEntry ref: the entry's value; tlb-fill, tlb-evict, tlb-stale: the TLB entry.
---@field table? "guest"|"ept" ref: whose entry is read.
---@field number? integer ref: counts from 1 inside a walk.
---@field glevel? integer ref: guest level whose entry is wanted, 0 for the final address.
---@field elevel? integer ref: EPT level, 0 for a guest entry.
---@field cached? boolean ref: served by a paging-structure cache.
---@field set_ad? boolean ref: accessed or dirty flag was set.
---@field access? string mem, walk: "r", "w", "x" or "rw".
---@field size? integer mem, io: bytes. walk: bytes of the page.
---@field value? integer mem, msr, io: the value.
---@field done? boolean walk: false at its start, true at its end.
---@field outcome? string walk: as in ringside.Walk; vmx: "ok", "fail-invalid" or "fail-valid".
---@field refs? integer walk: references so far.
---@field error? integer walk, exception: error code; vmx: VM-instruction error.
---@field cause? string tlb-flush: the instruction or transition.
---@field dropped? integer tlb-flush: entries dropped.
---@field now? integer tlb-stale: what the changed paging-structure entry holds now.
---@field story? string tlb-stale: the entry, the write that made it stale, and the instruction that is missing, in words.
---@field remedy? string tlb-stale: the instruction that is missing.
---@field vector? integer exception, irq: vector.
---@field name? string exception: "#GP"; vmexit: the exit reason in words; cr: "CR3"; vmx: the instruction.
---@field rule? string exception: the rule that was broken.
---@field from? integer ring: CPL before.
---@field to? integer ring: CPL after.
---@field old? integer cr: value before.
---@field new? integer cr: value after.
---@field msr? integer msr: its number.
---@field write? boolean msr, io: written rather than read.
---@field port? integer|string io: port number; output: name of the port.
---@field register? string seg: segment register.
---@field selector? integer seg: its selector.
---@field reason? integer vmexit: basic exit reason.
---@field qualification? integer vmexit: exit qualification.
---@field length? integer insn, vmexit: instruction length.
---@field vpid? integer vmentry: virtual-processor identifier.
---@field eptp? integer vmentry: EPT pointer.
---@field launch? boolean vmentry: VMLAUNCH rather than VMRESUME.
---@field report? ringside.EntryReport vmentry-fail: what was wrong.
---@field char? string output: the byte as a string.
---@field left? integer From Machine:step_ref(): references that remain.

