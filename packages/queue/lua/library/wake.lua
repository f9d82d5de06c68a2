-- What BullMQ does when a job becomes ready. After base.
local function isQueuePausedOrMaxed()
  local meta = rcall("HMGET", B .. "meta", "paused", "concurrency")
  if meta[1] then return true end
  return meta[2] and rcall("LLEN", B .. "active") >= tonumber(meta[2])
end

local function wake()
  if not isQueuePausedOrMaxed() then rcall("ZADD", B .. "marker", 0, "0") end
end

-- The same steps as BullMQ's own promotion of a delayed job; the caller has taken it out of delayed.
local function enqueue(id, priority, isFirst)
  if priority == 0 then
    rcall(isFirst and "RPUSH" or "LPUSH", B .. "wait", id)
  else
    local counter = isFirst and 0 or rcall("INCR", B .. "pc") % 4294967296
    rcall("ZADD", B .. "prioritized", priority * 4294967296 + counter, id)
  end
  rcall("XADD", B .. "events", "*", "event", "waiting", "jobId", id, "prev", "delayed")
end
