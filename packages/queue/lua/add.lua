--[[
  Adds a task: what BullMQ's addDelayedJob and our stage do, in one call and without what a task of ours
  never needs (parents, repetition, BullMQ's own deduplication).

  ARGV[4] tenant, [5] job id, [6] priority, [7] Unix milliseconds of the add, [8] delay, [9] name,
  [10] JSON of the data, [11] JSON of the options, [12] due time in Unix milliseconds or "",
  [13] version and [14] JSON of the tenant's limits, [15] month of the quota or "".
  Invariant: a refused task leaves no trace. Returns what stage does, or 3 when there is such a job.
]]
--- @include "base"
local tenant, id, priority, timestamp = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local jobKey, tenantKey, staging = B .. id, G .. "t:" .. tenant, G .. "s:" .. tenant
if rcall("EXISTS", jobKey) == 1 then return 3 end

local function readLimits()
  return rcall("HMGET", tenantKey, "version", "enabled", "moved", "maxStaged", "quota", "ring")
end
local limits = readLimits()
if (tonumber(limits[1]) or -1) < (tonumber(ARGV[13]) or -1) then
  --- @include "tenants"
  configure(tenant, ARGV[13], ARGV[14])
  limits = readLimits()
end

if limits[3] then return -6 end
if limits[2] == "0" then return -2 end
local maxStaged = tonumber(limits[4])
if maxStaged and maxStaged > 0 and rcall("ZCARD", staging) >= maxStaged then return -4 end
local month = ARGV[15]
if month ~= "" then
  local key = G .. "quota:" .. tenant .. ":" .. month
  local quota = tonumber(limits[5])
  local used = rcall("INCR", key)
  if used == 1 then rcall("EXPIRE", key, QUOTA_TTL_SECONDS) end
  if quota and quota >= 0 and used > quota then
    rcall("DECR", key)
    return -3
  end
end

local sequence = rcall("INCR", G .. "seq")
local place = string.format("%.0f", priority * 4294967296 + sequence)
rcall("HSET", jobKey, "name", ARGV[9], "data", ARGV[10], "opts", ARGV[11], "timestamp", timestamp,
  "delay", ARGV[8], "priority", ARGV[6], "gt", tenant, "gp", place, "gm", month)
-- BullMQ orders the jobs of one millisecond by the low 12 bits. It would also look for the next delayed
-- job, to wake a worker for it: this one never is, years ahead as it is.
local score = (tonumber(timestamp) + tonumber(ARGV[8])) * 4096 + sequence % 4096
rcall("ZADD", B .. "delayed", string.format("%.0f", score), id)
rcall("XADD", B .. "events", "MAXLEN", "~", 10000, "*", "event", "added", "jobId", id, "name", ARGV[9])

local due = tonumber(ARGV[12])
if due and due > tonumber(timestamp) then
  rcall("ZADD", G .. "defer", due, tenant .. "|" .. id)
  return 1
end
rcall("ZADD", staging, place, id)
local ring = limits[6]
if not ring or priority < tonumber(ring) then
  --- @include "tenants"
  --- @include "ring"
  rcall("SADD", G .. "lt", tenant)
  ring = rank(tenant)
end
if not ring then return 1 end
-- The cheap half of the look whether anything is to be admitted.
local window = tonumber(rcall("GET", G .. "window")) or 16
if rcall("ZCARD", B .. "prioritized") * 2 < window then
  --- @include "tenants"
  --- @include "ring"
  --- @include "clock"
  --- @include "wake"
  --- @include "feed"
  feedIfHungry()
end
return 1
