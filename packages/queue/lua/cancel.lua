--[[
  Takes the right to run from a task. ARGV[4] job id, [5] channel of the workers, [6] PUBLISH or SPUBLISH.

  The mark (field cx) stays: a worker that fetches the job later ends it unrun, so that a job marked before
  its start never starts. Such a job's place in the month's quota is given back, once.
  Idempotent. Returns 0 no such job or finished, 1 it does not run and is to be removed, 2 it runs and its
  worker was told.
]]
--- @include "base"
local id = ARGV[4]
local jobKey = B .. id
local job = rcall("HMGET", jobKey, "timestamp", "finishedOn", "ats", "gt", "gm", "cx")
if not job[1] or job[2] then return 0 end
if not job[6] then rcall("HSET", jobKey, "cx", "1") end
if rcall("LPOS", B .. "active", id) then
  -- With the time that tells it from a later task of the same id.
  rcall(ARGV[6], ARGV[5], job[1] .. ":" .. id)
  return 2
end
if job[4] and job[5] and (tonumber(job[3]) or 0) == 0 then
  local key = G .. "quota:" .. job[4] .. ":" .. job[5]
  if (tonumber(rcall("GET", key)) or 0) > 0 then rcall("DECR", key) end
  rcall("HDEL", jobKey, "gm")
end
return 1
