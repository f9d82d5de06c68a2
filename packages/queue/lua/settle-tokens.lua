--[[
  Corrects a reservation by what was really used, once, and buckets by what their provider says is left.

  KEYS[1] reservations; ARGV[1] id, [2] milliseconds since the provider said so, [3] JSON of bucket key to
  what was left then or "", [4..] what was used of each bucket in the order of the reservation; none at all
  means nothing was used.
  Idempotent: the reservation is gone afterwards. A bucket is only ever lowered to what is left, and what
  has refilled since counts. Returns 1 when the reservation was there.
]]
local rcall = redis.call
local open = KEYS[1]
local stored = rcall("HGET", open, ARGV[1])
if not stored then return 0 end
rcall("HDEL", open, ARGV[1])
rcall("ZREM", open .. ":due", ARGV[1])
local time = rcall("TIME")
local now = time[1] * 1000 + time[2] / 1000
local left = ARGV[3] ~= "" and cjson.decode(ARGV[3]) or {}
for index, entry in ipairs(cjson.decode(stored)) do
  local key, capacity, cost, rate = entry[1], entry[2], entry[3], entry[4] or 0
  local back = cost - (tonumber(ARGV[index + 3]) or 0)
  local state = rcall("HMGET", key, "v", "at")
  local value = tonumber(state[1])
  -- A bucket that expired is full again.
  if value and back ~= 0 then
    value = math.min(capacity, value + back)
    rcall("HSET", key, "v", string.format("%.6f", value))
  end
  if left[key] then
    local full = value and math.min(capacity, value + math.max(0, now - (tonumber(state[2]) or now)) * rate)
      or capacity
    local most = left[key] + tonumber(ARGV[2]) * rate
    if most < full then
      rcall("HSET", key, "v", string.format("%.6f", most), "at", string.format("%.3f", now))
      if rate > 0 then rcall("PEXPIRE", key, math.ceil(2 * capacity / rate) + 1000) end
    end
  end
end
return 1
