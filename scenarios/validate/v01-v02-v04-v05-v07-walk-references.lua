-- V01, V02, V04, V05, V07: references of cold walks, from the event of each reference.
local lib = require("lib")
ringside.title("References of cold walks")
local native, nested, large = lib.walk("native", 0x10000), lib.walk("nested", 0x80000), lib.walk("nested-2m-both", 0x80000)
ringside.target("V01", #nested)
ringside.target("V02", #large)
ringside.target("V04", #native)
ringside.target("V05", #nested / #native)
local forgotten = 0
for _, e in ipairs(nested) do
  -- 16 = 4 x 4 counts the EPT entries that find the guest's four entries, and nothing else
  if e.table == "guest" or e.glevel == 0 then forgotten = forgotten + 1 end
end
ringside.target("V07", forgotten, "4 guest entries, 4 EPT entries for the data")
ringside.plot{name = "walk-references", title = "References of a cold walk by page size", x = "guest page, 0: 4 KiB, 1: 2 MiB", y = "references",
  series = {{"native", {0, #native}, {1, #native - 1}}, {"nested, EPT 4 KiB", {0, #nested}, {1, #lib.walk("nested-2m-guest", 0x80000)}}}}
