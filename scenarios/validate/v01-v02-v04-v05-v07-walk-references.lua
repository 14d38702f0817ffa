-- V01, V02, V04, V05, V07: references of cold walks, from the event of each reference.
local lib = require("lib")
ringside.title("References of cold walks")
local native, nested, large = lib.walk("native", 0x10000), lib.walk("nested", 0x80000), lib.walk("nested-2m-both", 0x80000)
ringside.target("V01", #nested)
ringside.target("V02", #large)
ringside.target("V04", #native)
ringside.target("V05", #nested / #native, ("%d over %d"):format(#nested, #native))
local guest, final, counted = 0, 0, 0
for _, e in ipairs(nested) do
  -- 16 = 4 x 4 counts the EPT entries that find the guest's four entries, and nothing else
  if e.table == "guest" then guest = guest + 1 elseif e.glevel == 0 then final = final + 1 else counted = counted + 1 end
end
ringside.target("V07", guest + final, ("%d entries of the guest, %d EPT entries for the data; %d + 8 = %d"):format(guest, final, counted, #nested))
ringside.plot{name = "walk-references", title = "References of a cold walk by page size", x = "guest page, 0: 4 KiB, 1: 2 MiB", y = "references",
  series = {{"native", {0, #native}, {1, #native - 1}}, {"nested, EPT 4 KiB", {0, #nested}, {1, #lib.walk("nested-2m-guest", 0x80000)}}}}
