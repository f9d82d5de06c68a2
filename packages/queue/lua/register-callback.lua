--[[
  Makes a running job await a callback, before whoever will call back is told.

  ARGV[4] job id, [5] key of the dispatch, [6] hash of its token, [7] deadline in Unix milliseconds.
  The same dispatch may be registered again after a crash: token and deadline stay.
  Returns { 1, deadline } awaiting, { 2, payload } called back before, { 3 } deadline passed.
]]
--- @include "base"
--- @include "clock"
local jobKey = B .. ARGV[4]
local job = rcall("HMGET", jobKey, "aw", "ad", "cb:" .. ARGV[5])
if job[3] then return { 2, job[3] } end
if job[1] == ARGV[6] then
  -- Half a second of tolerance between this clock and the one that brought the job back.
  if tonumber(job[2]) <= now + 500 then
    rcall("HDEL", jobKey, "aw", "ad")
    return { 3 }
  end
  return { 1, job[2] }
end
rcall("HSET", jobKey, "aw", ARGV[6], "ad", ARGV[7])
return { 1, ARGV[7] }
