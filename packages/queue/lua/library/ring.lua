-- Who is eligible. After tenants.
local CLASSES = { "1", "5", "10" }

local ringSizes = {}
local function ringSize(class)
  if not ringSizes[class] then ringSizes[class] = rcall("ZCARD", G .. "ready:" .. class) end
  return ringSizes[class]
end

local function leaveRing(tenant, class)
  local size = ringSize(class)
  ringSizes[class] = size - rcall("ZREM", G .. "ready:" .. class, tenant)
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

-- Puts the tenant where its state says: into the ring of its first staged job, or into none. Its
-- state's `served` is the virtual time that this call has moved it to.
local function rank(tenant)
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
    -- In a ring the virtual time is the score there; the tenant's hash keeps it while outside.
    local time = state.served or rcall("ZSCORE", G .. "ready:" .. ring, tenant)
    if time then
      rcall("HSET", key, "vt:" .. ring, time)
      state["vt:" .. ring] = time
    end
    state.served = nil
    leaveRing(tenant, ring)
    if not class then rcall("HDEL", key, "ring") end
  end
  if class and (state.served or ring ~= class) then
    -- Idling earns no credit: who comes back starts at the clock of the class. Who is in a ring is never
    -- behind its clock.
    local own = tonumber(state.served or state["vt:" .. class]) or 0
    local size = ringSize(class)
    ringSizes[class] = size
      + rcall("ZADD", G .. "ready:" .. class, string.format("%.17g", math.max(own, clockOf(class))), tenant)
    if ring ~= class then rcall("HSET", key, "ring", class) end
  end
  state.ring = class
  return class
end
