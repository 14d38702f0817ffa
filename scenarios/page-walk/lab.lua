-- page-walk: how many memory references does one TLB miss cost?
-- Every number is counted: the machine reports each reference of a page walk as an event, and this script counts the events.

local WINDOW = 0x8080604010 -- the linear address that the guest reads; indices 1, 2, 3, 4

-- Execute the instruction at a label and collect the references that translating WINDOW takes.
local function references(m, label)
  m:run_to(label)
  local refs = {}
  local watch = m:on("ref", function(e)
    if e.la == WINDOW and not e.cached then
      refs[#refs + 1] = e
    end
  end)
  m:step()
  watch:off()
  return refs
end

local function byte(m)
  return string.char(m.cpu.al)
end

-- Build the machine, stop it before the first access, name the point, and count.
local function first_access(mark, guest, start, text, profile)
  local m = ringside.machine{profile = profile or "textbook"}
  m:load("page-walk/" .. guest .. ".bin", {at = start, start = "long64"})
  m:run_to("access")
  if mark then
    ringside.mark(mark, {machine = m, la = WINDOW, text = text})
  end
  return m, references(m, "access")
end

local LEVEL = {[0] = "the data", "PTE", "PDE", "PDPTE", "PML4E"}

-- The references as rows of a table.
local function rows(refs)
  local t = {}
  for n, e in ipairs(refs) do
    local reads, wanted = LEVEL[e.glevel], "itself"
    if e.table == "ept" then
      reads, wanted = "EPT " .. LEVEL[e.elevel], "where is " .. (e.glevel == 0 and "the data" or "the guest's " .. LEVEL[e.glevel]) .. "?"
    else
      reads, wanted = "guest " .. reads, e.glevel == 1 and "which page?" or "which table next?"
    end
    t[n] = {n, reads, ringside.hex(e.gpa), ringside.hex(e.at), wanted}
  end
  return t
end

local HEADER = {"#", "entry read", "guest-physical", "found at (host)", "to learn"}

local function count(refs, accept)
  local n = 0
  for _, e in ipairs(refs) do
    if accept(e) then n = n + 1 end
  end
  return n
end

-- The steps that the machine explains must be the ones that it takes.
local function same_walk(m, refs, what)
  local walk, same = m:translate(WINDOW), true
  for n, s in ipairs(walk.steps) do
    local e = refs[n]
    same = same and e and e.table == s.table and e.glevel == s.glevel and e.elevel == s.elevel and e.at == s.at
  end
  ringside.check(same and #refs == walk.refs, what .. ": translate() explains exactly the references that were made")
end

ringside.title("The price of a TLB miss")
ringside.say([[
A program names a byte by its linear address. The processor needs the physical address, and unless its TLB remembers the answer
it must look it up in the paging structures, which lie in memory themselves. Each look is a memory reference. How many does one
access cost before it reaches its data?]])
ringside.say([[
A guest reads one byte at linear address %s, over and over, and we count. The machine is the one of the exercise books (profile "textbook"):
it has TLBs, but nothing else that could shorten a walk.]], ringside.hex(WINDOW))

ringside.section("Without a hypervisor")
local m, native = first_access("native", "native", 0x10000, "a page walk without EPT: 4 references")
ringside.say([[
Four levels of tables, one entry of each:]])
ringside.table(rows(native), HEADER)
ringside.say("References counted: %d", #native)
ringside.expect_equal(#native, 4, "native, 4 KiB page: 4 references")
same_walk(m, native, "native")
ringside.check(byte(m) == "A", "and the guest read the byte A")

ringside.section("A hit, a lie, and the truth again")
ringside.say("The guest reads the same byte again:")
ringside.expect_equal(#references(m, "hit"), 0, "the TLB knows the answer: 0 references")
ringside.say([[
Now the guest changes its page table, so that the address leads to another page, where a B lies. It does not tell the TLB. Then it reads again:]])
local staleness = {}
local watch = m:on("tlb-stale", function(e) staleness[#staleness + 1] = e end)
local again = references(m, "stale")
watch:off()
local told = m:translate(WINDOW)
ringside.say([[
It gets %s. The tables lead to %s by now, but the processor does not look: its TLB remembers %s.]], byte(m), ringside.hex(told.hpa),
  #staleness > 0 and "the page at " .. ringside.hex(staleness[1].entry.frame) or "another page")
ringside.expect_equal(#again, 0, "no walk was made")
ringside.expect_equal(byte(m), "A", "the guest still reads the old page")
ringside.expect_equal(m:string(WINDOW, 1), "B", "although its own tables say B")
ringside.check(#staleness > 0, "the machine noticed that a stale entry was used")
ringside.say([[
This is no fault of the processor: the manual lets a TLB keep an entry until software invalidates it. INVLPG does that for one page:]])
local repaired = references(m, "repaired")
ringside.expect_equal(#repaired, 4, "after INVLPG the next read walks: 4 references")
ringside.expect_equal(byte(m), "B", "and gets the B")

ringside.section("Under a hypervisor")
ringside.say([[
A hypervisor gives the guest memory that is not where the guest believes it to be. The guest's tables hold guest-physical addresses, and the processor
cannot even fetch an entry of them before a second set of tables, the EPT, has told where that entry really lies. The guest does exactly what
it did before:]])
local nm, nested = first_access("nested", "nested", 0x80000, "a nested walk: 24 references")
ringside.table(rows(nested), HEADER)
ringside.say("References counted: %d", #nested)
ringside.expect_equal(#nested, 24, "nested, 4 KiB pages at both levels: 24 references")
same_walk(nm, nested, "nested")
ringside.check(byte(nm) == "A", "and the guest read the byte A")

ringside.section("Why 16 is wrong")
local for_entries = count(nested, function(e) return e.table == "ept" and e.glevel > 0 end)
local entries = count(nested, function(e) return e.table == "guest" end)
local for_data = count(nested, function(e) return e.table == "ept" and e.glevel == 0 end)
ringside.say([[
A common answer multiplies four guest levels by four EPT levels. Sorted by purpose, the references are:]])
ringside.table({
  {for_entries, "EPT entries, to find the guest's four entries"},
  {entries, "the guest's four entries themselves"},
  {for_data, "EPT entries, to find the data once the guest-physical address is known"},
})
ringside.say([[
4 x 4 counts only the first line. It forgets that the guest's entries must be read too once they are found, and that the walk ends with one more
guest-physical address, that of the data. With n guest levels and m EPT levels the count is (n + 1)(m + 1) - 1: each of the n entries and the data
costs an EPT walk and one reference, and the last of these references is the data access itself, which is no part of the walk.]])
ringside.expect_equal({for_entries, entries, for_data}, {16, 4, 4}, "16 for the guest's entries, 4 entries, 4 for the data")

ringside.section("Larger pages, shorter walks")
ringside.say([[
A 2 MiB page is mapped one level higher up. For the guest that saves its PTE and the EPT walk that finds the PTE: 5 references. For the EPT it saves
one reference in each of its walks.]])
local gm, large = first_access("nested-2m-guest", "nested-2m-guest", 0x80000, "guest page 2 MiB, EPT pages 4 KiB: 19 references")
local bm, both = first_access("nested-2m-both", "nested-2m-both", 0x80000, "2 MiB pages at both levels: 15 references")
ringside.table({
  {"no hypervisor", 4, "-", #native},
  {"nested, 4 KiB pages", 4, 4, #nested},
  {"nested, guest 2 MiB", 3, 4, #large},
  {"nested, both 2 MiB", 3, 3, #both},
}, {"machine", "guest levels", "EPT levels", "references"})
ringside.expect_equal(#large, 19, "guest page of 2 MiB: 19 references")
ringside.expect_equal(#both, 15, "2 MiB pages at both levels: 15 references")
same_walk(gm, large, "guest 2 MiB")
same_walk(bm, both, "both 2 MiB")

ringside.section("What real processors do about it")
ringside.say([[
No processor sold pays 24 references often. TLBs remember whole translations; paging-structure caches remember the upper levels; and translations of
guest-physical addresses are remembered too. Profile "teach" has all of these. When its guest makes the first access after the flush, it has just
fetched the instruction. That walk was a full one, but it began at the same guest table, and where this table lies is remembered:]])
local tm, cached = first_access(nil, "nested", 0x80000, nil, "teach")
ringside.table({
  {"textbook", #nested},
  {"teach", #cached},
}, {"profile", "references of the same access"})
ringside.expect_equal(#nested - #cached, 4, "one EPT walk less: 4 references saved")
ringside.expect_equal(cached[1].table, "guest", "the walk begins with the guest's own entry")
ringside.expect_equal(tm:stat("tlb_misses"), nm:stat("tlb_misses"), "the TLB misses are as many: these caches make misses cheaper, not fewer")
tm:run_to("repaired")
ringside.mark("nested-warm", {machine = tm, la = WINDOW, text = "right after INVLPG: draw it with --warm"})
local last = references(tm, "repaired")
ringside.say([[
INVLPG makes the processor forget the translation of the page, and the guest's upper levels with it, but no translation of a guest-physical address: the
next access makes %d references. (ringside draw walk --at nested-warm --warm shows which.)]], #last)
ringside.expect_equal(#last, 8, "after INVLPG: the guest's 4 entries, and an EPT walk for the page with the B, where nobody was before")

ringside.section("To think about")
ringside.say([[
1. The hypervisor uses 1 GiB pages in the EPT, the guest 4 KiB pages. How many references? Which lines of the table go away?

2. A guest with 5-level paging runs under a 4-level EPT, another with 4-level paging under a 5-level EPT. Both take 29. Why the same?

3. Shadow page tables need 4 references per TLB miss, whatever the guest does. What do they cost instead, and when?

4. The stale entry above pointed to a page that the guest had given up. Suppose that the guest hands this page to another process: what can the first one do now?

5. The hypervisor changes an EPT entry from one page to another. Is the guest's INVLPG enough to make the guest see it? Is it the guest's duty?]])
