--[[
  Corrects a reservation by what was really used, once.

  KEYS[1] reservations; ARGV[1] id, [2..] what was used of each bucket in the order of the
  reservation; none at all means nothing was used.
  Idempotent: the reservation is gone afterwards. Returns 1 when it was there.
]]
local rcall = redis.call
local open = KEYS[1]
local stored = rcall("HGET", open, ARGV[1])
if not stored then return 0 end
rcall("HDEL", open, ARGV[1])
rcall("ZREM", open .. ":due", ARGV[1])
for index, entry in ipairs(cjson.decode(stored)) do
  local key, capacity, cost = entry[1], entry[2], entry[3]
  local back = cost - (tonumber(ARGV[index + 1]) or 0)
  local value = tonumber(rcall("HGET", key, "v"))
  -- A bucket that expired is full again.
  if value and back ~= 0 then
    rcall("HSET", key, "v", string.format("%.6f", math.min(capacity, value + back)))
  end
end
return 1
