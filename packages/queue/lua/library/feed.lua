--- @include "classes"
--- @include "due-back"
--- @include "choose"
-- Admission: chosen on paper, then written for all at once.
local ROUND = 500
-- Redis serves nobody else meanwhile.
local MOST_IN_ONE_CALL = 2000

local function windowAndQueued()
  return tonumber(rcall("GET", G .. "window")) or 16,
    rcall("LLEN", B .. "wait") + rcall("ZCARD", B .. "prioritized")
end

-- Stores where a line stands. `entries` and `leavers` are to be stored for each class by the caller.
local function writeLine(line, entries, leavers)
  local tenant = line.tenant
  local key = G .. "t:" .. tenant
  if line.blockedUntil then
    rcall("ZADD", G .. "blocked", line.blockedUntil, tenant)
    hasBlocked = true
  end
  if line.taken == 0 then return rank(tenant) end
  if line.admitted then
    heldCounts[tenant] = heldBy(tenant) + rcall("SADD", G .. "l:" .. tenant, unpack(line.admitted))
  end
  rcall("ZREMRANGEBYRANK", G .. "s:" .. tenant, "0", number(line.taken - 1))
  local fields = {}
  for class, time in pairs(line.left) do
    fields[#fields + 1] = "vt:" .. class
    fields[#fields + 1] = number(time)
  end
  if line.class then
    local entry = entries[line.class]
    entry[#entry + 1] = number(line.time)
    entry[#entry + 1] = tenant
  end
  if line.class ~= line.home then
    local leaver = leavers[line.home]
    leaver[#leaver + 1] = tenant
    if line.class then
      fields[#fields + 1] = "ring"
      fields[#fields + 1] = line.class
    else
      rcall("HDEL", key, "ring")
    end
  end
  if line.tokens then
    fields[#fields + 1] = "rateValue"
    fields[#fields + 1] = string.format("%.17g", line.tokens)
    fields[#fields + 1] = "rateAt"
    fields[#fields + 1] = now
  end
  if #fields > 0 then rcall("HSET", key, unpack(fields)) end
  states[tenant] = nil
end

-- Makes a chosen job ready. Returns false for a ghost: removed, promoted by hand or running already.
local function admit(id, line)
  if rcall("ZREM", B .. "delayed", id) == 0 then return false end
  local job = rcall("HMGET", B .. id, "priority", "ats")
  if not job[1] then return false end
  rcall("HSET", B .. id, "gs", job[2] and number(job[2] + 1) or "1", "delay", "0")
  enqueue(id, tonumber(job[1]) or 0, false)
  line.admitted = line.admitted or {}
  line.admitted[#line.admitted + 1] = id
  return true
end

-- Carries out what was chosen. Returns how many were admitted.
local function carryOut(lines, ids, owners)
  local admitted = 0
  local entries = { ["1"] = {}, ["5"] = {}, ["10"] = {} }
  local leavers = { ["1"] = {}, ["5"] = {}, ["10"] = {} }
  for index, id in ipairs(ids) do
    if admit(id, owners[index]) then admitted = admitted + 1 else owners[index].hadGhosts = true end
  end
  for _, line in ipairs(lines) do writeLine(line, entries, leavers) end
  for _, class in ipairs(CLASSES) do
    if leavers[class][1] then rcall("ZREM", G .. "ready:" .. class, unpack(leavers[class])) end
    if entries[class][1] then addAll(G .. "ready:" .. class, entries[class]) end
    if movedClocks[class] then
      rcall("SET", G .. "vnow:" .. class, number(clocks[class]))
    end
  end
  saveCredits()
  -- A ghost took a turn and, on paper, a slot.
  for _, line in ipairs(lines) do
    if line.hadGhosts then rank(line.tenant) end
  end
  return admitted
end

-- Admits staged jobs while the window has room. Returns how many.
local function feed(limit, window, queued)
  returnDue()
  if not window then window, queued = windowAndQueued() end
  local room = math.min(limit, window - queued, MOST_IN_ONE_CALL)
  local admitted = 0
  -- Every round admits, or takes a tenant out of its ring, or a ghost out of its line.
  for _ = 1, 40 do
    if admitted >= room then break end
    local lines, ids, owners = choose(math.min(room - admitted, ROUND))
    if not lines[1] then break end
    admitted = admitted + carryOut(lines, ids, owners)
  end
  if admitted > 0 then wake() end
  return admitted
end

local function feedIfHungry()
  local window, queued = windowAndQueued()
  if queued * 2 < window then feed(window, window, queued) end
end
