-- stale: three guests forget to invalidate. On a processor that is kind to them they work; here the kindness can be taken away.

local WINDOW <const>, PARAM <const> = 0x400000, 0x9f00 -- layout.inc
local say, check, equal, section = ringside.say, ringside.check, ringside.expect_equal, ringside.section
local PASS <const>, FAIL <const> = 1, 3 -- exit status: the guest saw the present, or the past

local function machine(guest, policy, right)
  local m = ringside.machine{ram = "16M", tlb = policy}
  m:load("stale/" .. guest .. ".bin", {at = 0x10000, start = "long64"})
  m:write_u8(PARAM, right and 1 or 0, "host")
  return m
end

-- Run to the end; the uses of stale entries by the instruction `last` are collected.
local function outcome(m, stories)
  if stories then
    m:on("tlb-stale", function(e)
      if e.rip == m:symbol("last") then stories[#stories + 1] = e end
    end)
  end
  local stop = m:run{max_cycles = 10000000}
  equal(stop.kind, "exit", "the guest comes to its end")
  return stop.code
end

local WORD = {[PASS] = "sees B, the present", [FAIL] = "sees A, the past"}
local POLICIES <const> = {"model", "keep", "forget", "seed:1", "seed:2", "seed:3"}

-- remedy: what the message must call for; source: whose entry was changed; root: by a hypervisor?
local function lesson(t)
  section(t.title)
  say(t.text)
  local rows = {}
  for _, policy in ipairs(POLICIES) do
    local wrong, right = outcome(machine(t.guest, policy, false)), outcome(machine(t.guest, policy, true))
    rows[#rows + 1] = {policy, WORD[wrong], WORD[right]}
    equal(right, PASS, t.guest .. ", done right: passes under " .. policy)
    if policy == "forget" then equal(wrong, PASS, t.guest .. ", the mistake: passes where nothing is cached") end
    if policy == "keep" then equal(wrong, FAIL, t.guest .. ", the mistake: fails where everything is kept") end
    if policy == "model" then equal(wrong, PASS, t.guest .. ", the mistake: passes by luck where other pages drive the entry out") end
  end
  ringside.table(rows, {"policy", "with the mistake", "done right"})

  local stories = {}
  local m = machine(t.guest, "keep", false)
  equal(outcome(m, stories), FAIL, "once more under keep, with somebody listening: fails again")
  check(#stories > 0, "the machine noticed that a stale entry was used")
  local e = stories[1]
  say("The machine's message:")
  say("    " .. e.story)
  equal({e.entry.la, e.entry.frame}, {WINDOW, 0x400000}, "the message names the entry: the window, still at page A")
  equal({e.entry.stale_rip, e.entry.stale_cpu}, {m:symbol("write"), 0}, "it names the write that made it stale: the instruction at `write`")
  equal({e.entry.stale_source, e.entry.stale_root, e.entry.stale_new & ~0xfff}, {t.source, true, 0x600000}, "it knows what was written, where and by whom")
  check(e.remedy:find(t.remedy) and e.story:find(t.remedy, 1, true), "it names the instruction that should have been there: " .. t.remedy, e.remedy)
end

-- What an invalidation would drop, asked before it runs: how many entries, and whether the guest's for the window is among them.
local function would(m, what)
  local n, window = 0, false
  for _, e in ipairs(m:tlb_preview(what)) do
    n = n + 1
    window = window or e.unit == "dTLB" and e.la == WINDOW and e.vpid == 1
  end
  return {n, window}
end

ringside.title("Stale translations")
say([[A TLB need not notice that paging structures have changed: software must say so. Software that forgets to say it still works on most days, because the
entry has been driven out by others. Correct software works under every policy of a TLB: `model` has the profile's size, `keep` never drops an entry
that may stay, `forget` caches nothing, `seed:N` drops entries at random. (ringside run --tlb=keep tries any guest.)]])

lesson{guest = "invlpg", title = "A kernel without INVLPG", source = "guest", remedy = "INVLPG",
  text = [[The kernel uses a page, moves it by writing the page-table entry, touches 511 other pages, and uses it again.]]}
lesson{guest = "invvpid", title = "INVVPID for the wrong VPID", source = "guest", remedy = "INVVPID of type 0 for VPID 1",
  text = [[A hypervisor without EPT owns the paging structures that its guest runs on. The guest has VPID 1, so its translations survive VM exits. The hypervisor
moves a page, and executes INVVPID of type 1 (single context) for VPID 2.]]}
lesson{guest = "invept", title = "INVEPT of the wrong type", source = "ept", remedy = "INVEPT",
  text = [[Two EPT roots lead to the same lower tables: two views of one guest. The hypervisor moves a page while the second view is in use, and executes INVEPT
of type 1 (single context) for it. What was cached under the first view is tagged with the other root, and stays. Type 2 (all contexts) is needed.]]}

section("Before it runs")
say([[What would an invalidation drop? The machine says it beforehand, from the entries that are there.]])
do
  local m = machine("invvpid", "model", false)
  m:run_to("invalidate")
  local rows = {}
  for _, what in ipairs{"INVVPID 1 2", "INVVPID 1 1", "INVVPID 0 1 0x400000", "INVEPT 2", "MOV CR3 0x100000"} do
    local w = would(m, what)
    rows[#rows + 1] = {what, w[1], w[2] and "yes" or "no"}
  end
  ringside.table(rows, {"instruction", "entries it would drop", "the guest's window?"})
  equal(would(m, "INVVPID 1 2"), {0, false}, "the wrong VPID: nothing")
  check(would(m, "INVVPID 1 1")[2], "the right VPID: the window's entry, too")
  equal(would(m, "INVEPT 2"), {0, false}, "without EPT there is nothing for INVEPT to drop")
  check(not would(m, "MOV CR3 0x100000")[2], "the hypervisor's own MOV to CR3 reaches VPID 0 only")
  -- The promise is kept: the instruction itself drops as many.
  m:write_u8(PARAM, 1, "host")
  local again = machine("invvpid", "model", true)
  again:run_to("invalidate")
  local promised, dropped = would(again, "INVVPID 1 1")[1]
  again:on("tlb-flush", function(e)
    if e.cause == "INVVPID" then dropped = e.dropped end
  end)
  again:step()
  equal(dropped, promised, "INVVPID drops what the preview promised")
end

say([[Exercises: 1. Which of the three mistakes can other processors suffer from that did nothing wrong themselves? 2. In invept.asm, let the hypervisor execute INVEPT of
type 1 twice. For which EPTPs? 3. Take the 511 other pages out of layout.inc. What does `model` say now?]])
