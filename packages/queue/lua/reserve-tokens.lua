--[[
  Takes from several token buckets at once, or from none.

  KEYS[1] reservations; ARGV[1] now in Unix milliseconds or "", [2] id, [3] milliseconds that a
  reservation may stay open, then for each bucket: key (same hash tag), capacity, refill per
  millisecond, cost.
  A bucket is a hash of v (tokens), at (when v was true), blocked (no token before). A cost above the
  capacity waits for a full bucket and takes it below zero, so that it is never refused for ever.
  Invariant: a refused call changes no v. Reservations left open are spent.
  Returns { 1 } or { 0, milliseconds to wait, index of the bucket to wait for }.
]]
local rcall = redis.call
local now = tonumber(ARGV[1])
if not now then
  local time = rcall("TIME")
  now = time[1] * 1000 + time[2] / 1000
end
local id = ARGV[2]
local open = KEYS[1]
for _, old in ipairs(rcall("ZRANGEBYSCORE", open .. ":due", "-inf", now, "LIMIT", 0, 100)) do
  rcall("ZREM", open .. ":due", old)
  rcall("HDEL", open, old)
end
if rcall("HEXISTS", open, id) == 1 then return { 1 } end
local wait, which = 0, 0
local values = {}
for index = 4, #ARGV, 4 do
  local capacity, rate, cost = tonumber(ARGV[index + 1]), tonumber(ARGV[index + 2]), tonumber(ARGV[index + 3])
  local state = rcall("HMGET", ARGV[index], "v", "at", "blocked")
  local value = tonumber(state[1]) or capacity
  value = math.min(capacity, value + math.max(0, now - (tonumber(state[2]) or now)) * rate)
  values[index] = value
  local mine = math.max(0, (tonumber(state[3]) or 0) - now)
  local need = math.min(cost, capacity)
  -- A millionth of tolerance: the refill is a sum of fractions.
  if value + 1e-6 < need then mine = math.max(mine, (need - value) / rate) end
  if mine > wait then
    wait = mine
    which = (index - 4) / 4
  end
end
if wait > 0 then return { 0, math.ceil(wait), which } end
local costs = {}
for index = 4, #ARGV, 4 do
  local capacity, rate, cost = tonumber(ARGV[index + 1]), tonumber(ARGV[index + 2]), tonumber(ARGV[index + 3])
  local value = values[index] - cost
  rcall("HSET", ARGV[index], "v", string.format("%.6f", value), "at", string.format("%.3f", now))
  rcall("PEXPIRE", ARGV[index], math.ceil(2 * math.max(capacity, capacity - value) / rate) + 1000)
  costs[#costs + 1] = { ARGV[index], capacity, cost, rate }
end
rcall("HSET", open, id, cjson.encode(costs))
rcall("ZADD", open .. ":due", now + tonumber(ARGV[3]), id)
return { 1 }
