--[[
  Compares a part of one tenant's books with BullMQ's truth, so that no call keeps Redis busy for long.

  ARGV[4] tenant, [5] cursor ("0" to begin, or what the last call returned), [6] ids to look at, [7] "1" to
  look at the slots only.
  Frees slots of jobs that are gone, finished, backing off or waiting for children; drops staged ids
  whose job is gone. A job that awaits a callback (field aw) keeps its slot.
  Idempotent. Returns { freed, dropped, next cursor }; the cursor is "0" at the end.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
local tenant = ARGV[4]
local kind, cursor = string.sub(ARGV[5], 1, 1), string.sub(ARGV[5], 2)
local freed, dropped = 0, 0
local next = "0"
if kind ~= "s" then
  local page = rcall("SSCAN", G .. "l:" .. tenant, kind == "l" and cursor or "0", "COUNT", ARGV[6])
  for _, id in ipairs(page[2]) do
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
  next = page[1] ~= "0" and "l" .. page[1] or ARGV[7] == "1" and "0" or "s0"
end
if kind == "s" or next == "s0" then
  local page = rcall("ZSCAN", G .. "s:" .. tenant, kind == "s" and cursor or "0", "COUNT", ARGV[6])
  for index = 1, #page[2], 2 do
    local id = page[2][index]
    if not rcall("ZSCORE", B .. "delayed", id) then
      dropped = dropped + rcall("ZREM", G .. "s:" .. tenant, id)
    end
  end
  next = page[1] == "0" and "0" or "s" .. page[1]
end
rank(tenant)
if freed > 0 then
  --- @include "clock"
  --- @include "wake"
  --- @include "feed"
  feedIfHungry()
end
return { freed, dropped, next }
