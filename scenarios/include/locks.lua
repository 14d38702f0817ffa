-- locks.lua: the guest of scenarios/locks on several processors that share one time to the cycle (quantum = 1), in detailed fidelity.
--
--   locks.machine(cpus, way, params, options)  the machine before its first instruction. way: "tas", "ttas", "ticket", "mcs", "message", "ipi" or "transfer"; params:
--                                              the guest's parameters by name, see locks.asm; options: profile, set (values of the profile)
--   locks.transfer(access, owner, sharer, options)  cycles of an access to a line that processor `owner` has modified, and `sharer` has loaded since if it is not 0.
--                                              access: 0 load, 1 store, 2 exchange
local locks = {}
local WAYS <const> = { tas = 0, ttas = 1, ticket = 2, mcs = 3, message = 4, ipi = 5, transfer = 6 }

function locks.machine(cpus, way, params, options)
  local o = options or {}
  local m = ringside.machine { ram = "4M", cpus = cpus, quantum = 1, fidelity = "detailed", profile = o.profile, set = o.set }
  m:load("locks/locks.bin", { at = 0x10000, start = "prot32" })
  m:write_u32("cpus", cpus)
  m:write_u32("way", WAYS[way])
  for name, value in pairs(params) do m:write_u32(name, value) end
  return m
end

function locks.transfer(access, owner, sharer, options)
  local m = locks.machine(math.max(owner, sharer) + 1, "transfer", { access = access, owner = owner, sharer = sharer }, options)
  m:run { max_cycles = 10000000 }
  local c = m:u32("cycles") / 64
  m:close()
  return c
end

return locks
