--[[
  Closes a bucket until a time, for every process at once: its provider said "too many requests".

  KEYS[1] bucket; ARGV[1] milliseconds from now.
  Invariant: never shortens a block. Returns the time until which it is closed.
]]
local rcall = redis.call
local time = rcall("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local blocked = math.max(tonumber(rcall("HGET", KEYS[1], "blocked")) or 0, now + tonumber(ARGV[1]))
rcall("HSET", KEYS[1], "blocked", string.format("%.0f", blocked))
local ttl = rcall("PTTL", KEYS[1])
if ttl < blocked - now + 60000 then rcall("PEXPIRE", KEYS[1], blocked - now + 60000) end
return string.format("%.0f", blocked)
