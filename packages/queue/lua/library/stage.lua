-- Taking jobs in. After ring and clock.
-- Why a job may not be staged, or false. Counts it against the month's quota when it may.
local function refusal(tenant, month)
  local limits = rcall("HMGET", G .. "t:" .. tenant, "moved", "enabled", "maxStaged", "quota")
  if limits[1] then return "moved" end
  if limits[2] == "0" then return "disabled" end
  local maxStaged = tonumber(limits[3])
  if maxStaged and maxStaged > 0 and rcall("ZCARD", G .. "s:" .. tenant) >= maxStaged then
    return "staged"
  end
  if month ~= "" then
    local key = G .. "quota:" .. tenant .. ":" .. month
    local quota = tonumber(limits[4])
    if quota and quota >= 0 and (tonumber(rcall("GET", key)) or 0) >= quota then return "quota" end
    if rcall("INCR", key) == 1 then rcall("EXPIRE", key, QUOTA_TTL_SECONDS) end
  end
  return false
end

--[[
  Takes a far-delayed job into the gate. Returns 1 staged, 0 staged before, 2 past staging already,
  -1 no such job, -2 tenant disabled, -3 quota used up, -4 too many staged, -5 another tenant's job,
  -6 the tenant lives in another partition.
]]
local REFUSALS = { disabled = -2, quota = -3, staged = -4, moved = -6 }
local function stage(tenant, id, due, month)
  local jobKey = B .. id
  local job = rcall("HMGET", jobKey, "priority", "gt", "gp", "grej", "gs")
  if not job[1] then return -1 end
  if job[2] and job[2] ~= tenant then return -5 end
  if job[4] then return REFUSALS[job[4]] end
  local score = tonumber(rcall("ZSCORE", B .. "delayed", id))
  if not score or score < FAR_SCORE then return 2 end
  local entry = tenant .. "|" .. id
  local place = job[3]
  if place then
    if rcall("ZSCORE", G .. "s:" .. tenant, id) or rcall("ZSCORE", G .. "defer", entry) then return 0 end
    -- It is delayed, so it does not run: whatever slot it held is free.
    heldCounts[tenant] = heldBy(tenant) - rcall("SREM", G .. "l:" .. tenant, id)
    if job[5] then rcall("HDEL", jobKey, "gs") end
  else
    local reason = refusal(tenant, month)
    if reason then
      rcall("HSET", jobKey, "grej", reason, "gt", tenant)
      return REFUSALS[reason]
    end
    place = string.format("%.0f", (tonumber(job[1]) or 0) * 4294967296 + rcall("INCR", G .. "seq"))
    rcall("HSET", jobKey, "gt", tenant, "gp", place, "gm", month)
  end
  if due and due > now then
    rcall("ZADD", G .. "defer", due, entry)
    if job[3] then rank(tenant) end
    return 1
  end
  rcall("ZADD", G .. "s:" .. tenant, "NX", place, id)
  local ring = stateOf(tenant)[RING]
  -- A tenant that stands in a ring stays there unless the new job is more urgent than its first.
  if ring and not job[3] and tonumber(classOf(tonumber(place))) >= tonumber(ring) then return 1 end
  rcall("SADD", G .. "lt", tenant)
  rank(tenant)
  return 1
end
