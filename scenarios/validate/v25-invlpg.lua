-- V25: INVLPG of one page empties the paging-structure caches of the PCID, whatever the address.
ringside.title("INVLPG and the paging-structure caches")
local m = ringside.machine{profile = "teach"}
m:load("page-walk/native.bin", {at = 0x10000, start = "long64"})
m:run_to("inval")
local function structures()
  local n = 0
  for _, e in ipairs(m:tlb()) do
    if e.unit:find("cache") and e.pcid == 0 then n = n + 1 end
  end
  return n
end
local before = structures()
m:step()
-- The fetch of INVLPG's successor has not happened yet: nothing is filled again.
ringside.check(before >= 4, ("before: %d entries, of the code's and of the window's branch"):format(before))
ringside.target("V25", structures(), before .. " before")
