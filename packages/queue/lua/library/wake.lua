-- What BullMQ does when a job becomes ready. After base.
local function isQueuePausedOrMaxed()
  local meta = rcall("HMGET", B .. "meta", "paused", "concurrency")
  if meta[1] then return true end
  return meta[2] and rcall("LLEN", B .. "active") >= tonumber(meta[2])
end

--[[
  Redis keeps a small sorted set as a list, through which every insertion walks: 5 to 17 microseconds among a
  hundred members, against 1 in a skip list. A member that is too long for a list makes it a skip list, and
  that it stays.
]]
local TOO_LONG = string.rep("-", 65)
local function addAll(key, entries)
  -- A server that does not tell costs two commands more.
  if #entries < 16 or redis.pcall("OBJECT", "ENCODING", key) == "skiplist" then
    rcall("ZADD", key, unpack(entries))
  else
    rcall("ZADD", key, 0, TOO_LONG, unpack(entries))
    rcall("ZREM", key, TOO_LONG)
  end
end

-- Prioritized jobs of this call, score and id, in the order of their admission.
local ready = {}
local function flush()
  local count = #ready / 2
  if count == 0 then return end
  local last = rcall("INCRBY", B .. "pc", count)
  for index = 1, count do
    local place = (last - count + index) % 4294967296
    ready[2 * index - 1] = number(ready[2 * index - 1] * 4294967296 + place)
  end
  addAll(B .. "prioritized", ready)
  ready = {}
end

-- To be called after the last enqueue.
local function wake()
  flush()
  if not isQueuePausedOrMaxed() then rcall("ZADD", B .. "marker", 0, "0") end
end

-- The same steps as BullMQ's own promotion of a delayed job; the caller has taken it out of delayed.
local function enqueue(id, priority, isFirst)
  if priority == 0 then
    rcall(isFirst and "RPUSH" or "LPUSH", B .. "wait", id)
  elseif isFirst then
    rcall("ZADD", B .. "prioritized", priority * 4294967296, id)
  else
    ready[#ready + 1] = priority
    ready[#ready + 1] = id
    if #ready == 1000 then flush() end
  end
  rcall("XADD", B .. "events", "*", "event", "waiting", "jobId", id, "prev", "delayed")
end
