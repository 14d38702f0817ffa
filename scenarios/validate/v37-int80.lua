-- V37: system calls of a ring-3 program by INT 80H in the 0/1/3 model of scenarios/ring-aliasing: does the monitor at ring 0 run?
ringside.title("System calls that bypass the monitor")
local m = ringside.machine{ram = "4M"}
m:load("ring-aliasing/boot-ring1.bin", {at = 0x7c00, start = "prot32"})
-- Where each exception or interrupt of ring 3 is delivered to.
local calls, to_monitor, vector = 0, 0, nil
m:on("exception", function(e) vector = e.vector end)
m:on("ring", function(e)
  if e.from ~= 3 then return end
  if vector == 0x80 and e.to == 1 then calls = calls + 1 end
  if vector == 0x80 and e.to == 0 then to_monitor = to_monitor + 1 end
end)
m:run{max_cycles = 50000000}
ringside.check(calls >= 3, "the program's system calls arrive in its kernel", "got " .. calls)
ringside.target("V37", to_monitor, calls .. " calls, from ring 3 to ring 1")
