-- V03: references of a cold walk with five levels on either side. The profile that has them has paging-structure caches, too: they are taken away.
local lib = require("lib")
ringside.title("References of cold walks, 5 levels")
local NONE <const> = {}
for _, unit in ipairs{"psc.pml5e", "psc.pml4e", "psc.pdpte", "psc.pde", "tlb.nested"} do
  NONE[unit .. ".entries"], NONE[unit .. ".ways"] = 0, 0
end
local five, four = lib.walk("nested-5-both", 0x80000, "later", NONE), lib.walk("nested-5", 0x80000, "later", NONE)
ringside.target("V03", #five, ("%d under 4-level EPT"):format(#four))
