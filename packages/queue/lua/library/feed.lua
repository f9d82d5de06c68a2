-- Admission. After ring, clock and wake.
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
local function rateWait(tenant, state)
  local perMs = tonumber(state.ratePerMs)
  if not perMs or perMs <= 0 then return 0 end
  if not state.rateBurst then
    local rate = rcall("HMGET", G .. "t:" .. tenant, "rateBurst", "rateValue", "rateAt")
    state.rateBurst, state.rateValue, state.rateAt = rate[1], rate[2], rate[3]
  end
  local burst = tonumber(state.rateBurst)
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
    local state = stateOf(tenant)
    local wait, value = rateWait(tenant, state)
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
          state.served = string.format("%.17g", time + 1 / (tonumber(state.weight) or 1))
          clocks[class] = time
          movedClocks[class] = true
          if value then
            state.rateValue, state.rateAt = tostring(value - 1), now
            rcall("HSET", G .. "t:" .. tenant, "rateValue", state.rateValue, "rateAt", now)
          end
          admitted = admitted + 1
          room = room - 1
        end
      end
    end
    rank(tenant)
  end
  if admitted > 0 then wake() end
  saveClocksAndCredits()
  return admitted
end

local function feedIfHungry()
  local window, queued = windowAndQueued()
  if queued * 2 < window then feed(window, window, queued) end
end
