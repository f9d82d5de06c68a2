--[[
  Depth of some tenants. ARGV[4..] tenants.
  Reads only. Returns for each: staged, held, cap, paused, time of the first staged job or "", weight.
]]
--- @include "base"
local result = {}
for index = 4, #ARGV do
  local tenant = ARGV[index]
  local state = rcall("HMGET", G .. "t:" .. tenant, "cap", "paused", "weight", "enabled")
  local head = rcall("ZRANGE", G .. "s:" .. tenant, 0, 0)[1]
  local time = head and rcall("HGET", B .. head, "timestamp")
  result[#result + 1] = {
    rcall("ZCARD", G .. "s:" .. tenant),
    rcall("SCARD", G .. "l:" .. tenant),
    tonumber(state[1]) or 1,
    (state[2] == "1" or state[4] == "0") and 1 or 0,
    time or "",
    state[3] or "1",
  }
end
return result
