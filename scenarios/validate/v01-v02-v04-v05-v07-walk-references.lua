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
local function line(name, start, guests)
  local l = {name}
  for n, g in ipairs(guests) do l[n + 1] = {n, #lib.walk(g, start)} end
  return l
end
ringside.plot{name = "walk-references", title = "References of a cold walk by page size", x = "pages of the guest", y = "references", names = {"4 KiB", "2 MiB"},
  series = {line("native", 0x10000, {"native", "native-2m"}), line("nested, EPT 4 KiB", 0x80000, {"nested", "nested-2m-guest"}),
    line("nested, EPT 2 MiB", 0x80000, {"nested-2m-ept", "nested-2m-both"})}}
