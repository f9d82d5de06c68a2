--[[
  Library of the admission gate; every gate script starts with it.

  KEYS[1]  any key of the queue, for routing in Redis Cluster
  ARGV[1]  B, BullMQ's key prefix of the queue
  ARGV[2]  G, the gate's key prefix, outside B and under the same hash tag
  ARGV[3]  now in Unix milliseconds, or "" for the server's clock

  Keys under G: s:<tenant> staged ids by priority and arrival; l:<tenant> ids that hold a slot;
  t:<tenant> limits and virtual times; ready:<class> eligible tenants by virtual time;
  vnow:<class>, wrr, class-weights the clocks and weights of the classes; blocked tenants by the
  time their rate allows one more; defer <tenant>|<id> by due time; lt tenants with anything staged
  or held; quota:<tenant>:<month>; workers, window, leader.

  Invariants: an id is in at most one of s:, l: and defer; SCARD l:<tenant> never grows past cap; an
  id enters B's prioritized set from here only in the call that took it out of B's delayed set and
  put it into l:.
]]
local rcall = redis.call
local B, G = ARGV[1], ARGV[2]
-- Never exists. While the queue's slot moves to another server of a cluster every missing key is an
-- error: asked here, before anything is written, it ends the script whole instead of halfway.
rcall("EXISTS", G .. "canary")
local now = tonumber(ARGV[3])
if not now then
  local time = rcall("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A staged job is delayed by about nine years; anything beyond four is ours.
local FAR_SCORE = (now + 126144000000) * 4096
local CLASSES = { "1", "5", "10" }
local QUOTA_TTL_SECONDS = 70 * 24 * 3600

local function classOf(score)
  local priority = math.floor(score / 4294967296)
  if priority <= 1 then return "1" end
  if priority <= 5 then return "5" end
  return "10"
end

local ringSizes = {}
local function ringSize(class)
  if not ringSizes[class] then ringSizes[class] = rcall("ZCARD", G .. "ready:" .. class) end
  return ringSizes[class]
end

local function leaveRing(tenant, class)
  local size = ringSize(class)
  ringSizes[class] = size - rcall("ZREM", G .. "ready:" .. class, tenant)
end

-- What a tenant's hash says, read at most once per call; who writes a field writes it here, too.
local TENANT_FIELDS = { "version", "cap", "weight", "enabled", "paused", "moved", "maxStaged", "quota",
  "ring", "vt:1", "vt:5", "vt:10", "ratePerMs", "rateBurst", "rateValue", "rateAt" }
local states = {}
local function stateOf(tenant)
  local state = states[tenant]
  if state then return state end
  state = {}
  local values = rcall("HMGET", G .. "t:" .. tenant, unpack(TENANT_FIELDS))
  for index, field in ipairs(TENANT_FIELDS) do state[field] = values[index] end
  states[tenant] = state
  return state
end

-- Slots that a tenant holds, counted at most once per call.
local heldCounts = {}
local function heldBy(tenant)
  if not heldCounts[tenant] then heldCounts[tenant] = rcall("SCARD", G .. "l:" .. tenant) end
  return heldCounts[tenant]
end

-- Stores the limits of a tenant unless newer ones are there already.
local function configure(tenant, version, config)
  if not version or version == "" or config == "" then return end
  local stored = tonumber(stateOf(tenant).version)
  if stored and stored >= tonumber(version) then return end
  local fields = cjson.decode(config)
  local flat = { "version", version }
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = tostring(value)
  end
  rcall("HSET", G .. "t:" .. tenant, unpack(flat))
  states[tenant] = nil
end

-- Read once per call: most queues have nobody blocked.
local hasBlocked
local function isBlocked(tenant)
  if hasBlocked == nil then hasBlocked = rcall("EXISTS", G .. "blocked") == 1 end
  return hasBlocked and rcall("ZSCORE", G .. "blocked", tenant)
end

local clocks = {}
local movedClocks = {}
local function clockOf(class)
  if not clocks[class] then clocks[class] = tonumber(rcall("GET", G .. "vnow:" .. class)) or 0 end
  return clocks[class]
end

local function mayStart(tenant, state)
  return state.paused ~= "1" and state.enabled ~= "0" and not isBlocked(tenant)
    and heldBy(tenant) < (tonumber(state.cap) or 1)
end

-- Puts the tenant where its state says: into the ring of its first staged job, or into none. `isServed`
-- after its virtual time has moved.
local function rank(tenant, isServed)
  local key = G .. "t:" .. tenant
  local state = stateOf(tenant)
  local ring = state.ring
  local head = rcall("ZRANGE", G .. "s:" .. tenant, 0, 0, "WITHSCORES")
  local class = false
  if head[1] then
    if mayStart(tenant, state) then class = classOf(tonumber(head[2])) end
  elseif heldBy(tenant) == 0 then
    rcall("SREM", G .. "lt", tenant)
  end
  if ring and ring ~= class then
    leaveRing(tenant, ring)
    if not class then rcall("HDEL", key, "ring") end
  end
  if class and (isServed or ring ~= class) then
    -- Idling earns no credit: who comes back starts at the clock of the class. Who is in a ring is never
    -- behind its clock.
    local own = tonumber(state["vt:" .. class]) or 0
    local size = ringSize(class)
    ringSizes[class] = size
      + rcall("ZADD", G .. "ready:" .. class, string.format("%.17g", math.max(own, clockOf(class))), tenant)
    if ring ~= class then rcall("HSET", key, "ring", class) end
  end
  state.ring = class
  return class
end

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

-- Smooth weighted round robin over the classes that have somebody to serve.
local weights
local credits
local function pickClass()
  local only
  local isContested = false
  for _, class in ipairs(CLASSES) do
    if ringSize(class) > 0 then
      if only then isContested = true else only = class end
    end
  end
  if not isContested then return only end
  if not weights then
    weights = {}
    credits = {}
    local stored = rcall("HMGET", G .. "class-weights", unpack(CLASSES))
    local earned = rcall("HMGET", G .. "wrr", unpack(CLASSES))
    local defaults = { 16, 4, 1 }
    for index, class in ipairs(CLASSES) do
      weights[class] = tonumber(stored[index]) or defaults[index]
      credits[class] = tonumber(earned[index]) or 0
    end
  end
  local best
  local total = 0
  for _, class in ipairs(CLASSES) do
    if ringSize(class) > 0 then
      -- Weight 0 on every class but the first means strict order.
      total = total + weights[class]
      credits[class] = credits[class] + weights[class]
      if not best or credits[class] > credits[best] then best = class end
    end
  end
  credits[best] = credits[best] - total
  return best
end

local function saveClocksAndCredits()
  for class in pairs(movedClocks) do
    rcall("SET", G .. "vnow:" .. class, string.format("%.17g", clocks[class]))
  end
  if not credits then return end
  rcall("HSET", G .. "wrr", "1", credits["1"], "5", credits["5"], "10", credits["10"])
end

local function returnDue()
  if rcall("EXISTS", G .. "blocked", G .. "defer") == 0 then return end
  local blocked = rcall("ZRANGEBYSCORE", G .. "blocked", "-inf", now, "LIMIT", 0, 200)
  for _, tenant in ipairs(blocked) do
    rcall("ZREM", G .. "blocked", tenant)
    rank(tenant)
  end
  local deferred = rcall("ZRANGEBYSCORE", G .. "defer", "-inf", now, "LIMIT", 0, 200)
  for _, entry in ipairs(deferred) do
    rcall("ZREM", G .. "defer", entry)
    local bar = string.find(entry, "|", 1, true)
    local tenant, id = string.sub(entry, 1, bar - 1), string.sub(entry, bar + 1)
    local place = rcall("HGET", B .. id, "gp")
    if place then
      rcall("ZADD", G .. "s:" .. tenant, "NX", place, id)
      rcall("SADD", G .. "lt", tenant)
      rank(tenant)
    end
  end
end

-- How long until the tenant's rate allows one more start; 0 when it does now.
local function rateWait(state)
  local perMs, burst = tonumber(state.ratePerMs), tonumber(state.rateBurst)
  if not perMs or perMs <= 0 then return 0 end
  local value = tonumber(state.rateValue) or burst
  value = math.min(burst, value + math.max(0, now - (tonumber(state.rateAt) or now)) * perMs)
  if value < 1 then return math.ceil((1 - value) / perMs), value end
  return 0, value
end

local function windowAndQueued()
  return tonumber(rcall("GET", G .. "window")) or 16,
    rcall("LLEN", B .. "wait") + rcall("ZCARD", B .. "prioritized")
end

-- Admits staged jobs while the window has room. Returns how many.
local function feed(limit, window, queued)
  returnDue()
  if not window then window, queued = windowAndQueued() end
  local room = window - queued
  local admitted = 0
  local steps = 0
  while room > 0 and admitted < limit and steps < 2000 do
    steps = steps + 1
    local class = pickClass()
    if not class then break end
    local first = rcall("ZRANGE", G .. "ready:" .. class, 0, 0, "WITHSCORES")
    local tenant, time = first[1], tonumber(first[2])
    local key = G .. "t:" .. tenant
    local state = stateOf(tenant)
    local wait, value = rateWait(state)
    if wait > 0 then
      rcall("ZADD", G .. "blocked", now + wait, tenant)
      hasBlocked = true
    else
      local id = rcall("ZPOPMIN", G .. "s:" .. tenant)[1]
      -- Otherwise it is a ghost: removed, promoted by hand or running already.
      if id and rcall("ZREM", B .. "delayed", id) == 1 then
        local job = rcall("HMGET", B .. id, "priority", "ats")
        if job[1] then
          heldCounts[tenant] = heldBy(tenant) + rcall("SADD", G .. "l:" .. tenant, id)
          rcall("HSET", B .. id, "gs", (tonumber(job[2]) or 0) + 1, "delay", 0)
          enqueue(id, tonumber(job[1]) or 0, false)
          local next = string.format("%.17g", time + 1 / (tonumber(state.weight) or 1))
          state["vt:" .. class] = next
          rcall("HSET", key, "vt:" .. class, next)
          clocks[class] = time
          movedClocks[class] = true
          if value then
            state.rateValue, state.rateAt = tostring(value - 1), now
            rcall("HSET", key, "rateValue", state.rateValue, "rateAt", now)
          end
          admitted = admitted + 1
          room = room - 1
        end
      end
    end
    rank(tenant, true)
  end
  if admitted > 0 then wake() end
  saveClocksAndCredits()
  return admitted
end

local function feedIfHungry()
  local window, queued = windowAndQueued()
  if queued * 2 < window then feed(window, window, queued) end
end

-- When the oldest waiting timer of the gate is due, or -1.
local function nextDue()
  local due = -1
  for _, name in ipairs({ "blocked", "defer" }) do
    local first = rcall("ZRANGE", G .. name, 0, 0, "WITHSCORES")
    local time = tonumber(first[2])
    if time and (due < 0 or time < due) then due = time end
  end
  return due
end

-- Why a job may not be staged, or false. Counts it against the month's quota when it may.
local function refusal(tenant, month)
  local limits = stateOf(tenant)
  if limits.moved then return "moved" end
  if limits.enabled == "0" then return "disabled" end
  local maxStaged = tonumber(limits.maxStaged)
  if maxStaged and maxStaged > 0 and rcall("ZCARD", G .. "s:" .. tenant) >= maxStaged then
    return "staged"
  end
  if month ~= "" then
    local key = G .. "quota:" .. tenant .. ":" .. month
    local quota = tonumber(limits.quota)
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
  local ring = stateOf(tenant).ring
  -- A tenant that stands in a ring stays there unless the new job is more urgent than its first.
  if ring and not job[3] and tonumber(classOf(tonumber(place))) >= tonumber(ring) then return 1 end
  rcall("SADD", G .. "lt", tenant)
  rank(tenant)
  return 1
end
