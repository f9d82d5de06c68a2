--[[
  The last step of parking a job that awaits a callback: BullMQ has just delayed it until its
  deadline in the same transaction.

  ARGV[4] tenant, [5] job id, [6] key of the dispatch, [7] "1" to give the slot back meanwhile.
  A callback that came early is served at once. The slot, when kept, is granted for the next attempt
  number, so that the run after the callback needs no guard. Returns 1 when it came early.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
--- @include "clock"
--- @include "wake"
--- @include "feed"
local tenant, id = ARGV[4], ARGV[5]
local job = rcall("HMGET", B .. id, "cb:" .. ARGV[6], "priority", "ats")
if ARGV[7] == "1" then
  rcall("SREM", G .. "l:" .. tenant, id)
  rcall("HDEL", B .. id, "gs")
  rank(tenant)
elseif rcall("SISMEMBER", G .. "l:" .. tenant, id) == 1 then
  rcall("HSET", B .. id, "gs", (tonumber(job[3]) or 0) + 1)
end
if job[1] and rcall("ZREM", B .. "delayed", id) == 1 then
  rcall("HSET", B .. id, "delay", 0)
  enqueue(id, tonumber(job[2]) or 0, true)
  wake()
  feedIfHungry()
  return 1
end
-- The worker is free for the next task, whether the slot is or not.
feedIfHungry()
return 0
