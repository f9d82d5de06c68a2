--[[
  Compares one tenant's books with BullMQ's truth.

  ARGV[4] tenant, [5] cursor into its staged ids, [6] staged ids to look at.
  Frees slots of jobs that are gone, finished, backing off or waiting for children; drops staged ids
  whose job is gone. A job that awaits a callback (field aw) keeps its slot.
  Idempotent. Returns { freed, dropped, next cursor }.
]]
local tenant = ARGV[4]
local freed = 0
for _, id in ipairs(rcall("SMEMBERS", G .. "l:" .. tenant)) do
  local job = rcall("HMGET", B .. id, "timestamp", "finishedOn", "aw")
  local isHeld = job[1] and not job[2]
  if isHeld and not job[3] then
    isHeld = not rcall("ZSCORE", B .. "delayed", id)
      and not rcall("ZSCORE", B .. "waiting-children", id)
  end
  if not isHeld then
    freed = freed + rcall("SREM", G .. "l:" .. tenant, id)
    if job[1] then rcall("HDEL", B .. id, "gs") end
  end
end
local dropped = 0
local page = rcall("ZSCAN", G .. "s:" .. tenant, ARGV[5], "COUNT", ARGV[6])
for index = 1, #page[2], 2 do
  local id = page[2][index]
  if not rcall("ZSCORE", B .. "delayed", id) then
    dropped = dropped + rcall("ZREM", G .. "s:" .. tenant, id)
  end
end
rank(tenant)
if freed > 0 then feedIfHungry() end
return { freed, dropped, page[1] }
