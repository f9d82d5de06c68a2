--[[
  Heartbeat of a worker process, and the pump.

  ARGV[4] worker id without "|", [5] its concurrency (0 when it leaves), [6] milliseconds until it
  counts as gone, [7] milliseconds of leadership.
  The window of admitted but unstarted jobs follows the concurrency of the workers alive.
  Returns { "1" when this worker leads, admitted, next due time or -1, window }.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
--- @include "clock"
--- @include "wake"
--- @include "feed"
--- @include "due"
local worker, concurrency = ARGV[4], tonumber(ARGV[5])
local members = rcall("ZRANGE", G .. "workers", 0, -1, "WITHSCORES")
local total = concurrency
for index = 1, #members, 2 do
  local bar = string.find(members[index], "|", 1, true)
  local isSelf = string.sub(members[index], 1, bar - 1) == worker
  if isSelf or tonumber(members[index + 1]) < now then
    rcall("ZREM", G .. "workers", members[index])
  else
    total = total + tonumber(string.sub(members[index], bar + 1))
  end
end
local leader = rcall("GET", G .. "leader")
if concurrency > 0 then
  rcall("ZADD", G .. "workers", now + tonumber(ARGV[6]), worker .. "|" .. concurrency)
  if not leader or leader == worker then
    leader = worker
    rcall("SET", G .. "leader", worker, "PX", ARGV[7])
  end
elseif leader == worker then
  leader = false
  rcall("DEL", G .. "leader")
end
local window = math.max(16, math.ceil(1.5 * total))
rcall("SET", G .. "window", window)
local admitted = feed(window)
return { leader == worker and "1" or "0", admitted, string.format("%.0f", nextDue()), window }
