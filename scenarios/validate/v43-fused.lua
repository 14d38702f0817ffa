-- V43: neighbouring stores to page tables under a VMM with traces (VT-x, shadow page tables): exits with and without looking at the instruction behind.
local nb = require("nanobench")
ringside.title("Fusing two stores to page tables")
local P <const> = "prescott-2005"
local GUEST <const> = 0xfe000000 -- where the VMM sees the guest's memory; the kernel's is mapped to itself
-- Exits by stores of the kernel to a page that is there and write-protected, and pairs of them: the second store right behind the first.
local function run(words)
  local m = nb.machine(words, P)
  local exits, paired, behind = 0, 0, nil
  while m:run_until_event("vmexit", function(e) return e.reason == 0 end, {max_cycles = 1000000000}) do
    if m.vmcs.VM_EXIT_INTR_ERROR_CODE == 3 then
      local rip = m.vmcs.GUEST_RIP
      local _, length = m:disasm(GUEST + rip)
      exits = exits + 1
      if behind == rip then paired, behind = paired + 1, nil else behind = rip + length end
    end
  end
  m:close()
  return exits, paired
end
local exits, paired = run("vtx")
local fused = run("vtx fuse")
ringside.check(paired > 500, "the kernel's stores come in pairs", paired .. " of " .. exits .. " exits")
ringside.target("V43", (exits - fused) * 100 // (2 * paired), ("%d pairs among %d exits; %d if fused"):format(paired, exits, fused))
