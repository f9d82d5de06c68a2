-- Who is eligible. After tenants.
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
  return state[PAUSED] ~= "1" and state[ENABLED] ~= "0" and not isBlocked(tenant)
    and heldBy(tenant) < (tonumber(state[CAP]) or 1)
end

-- Puts the tenant where its state says: into the ring of its first staged job, or into none.
local function rank(tenant)
  local key = G .. "t:" .. tenant
  local state = stateOf(tenant)
  local ring = state[RING]
  local head = rcall("ZRANGE", G .. "s:" .. tenant, 0, 0, "WITHSCORES")
  local class = false
  if head[1] then
    if mayStart(tenant, state) then class = classOf(tonumber(head[2])) end
  elseif heldBy(tenant) == 0 then
    rcall("SREM", G .. "lt", tenant)
  end
  if ring == class then return class end
  if ring then
    -- In a ring the virtual time is the score there; the tenant's hash keeps it while outside.
    local time = rcall("ZSCORE", G .. "ready:" .. ring, tenant)
    if time then
      rcall("HSET", key, "vt:" .. ring, time)
    end
    rcall("ZREM", G .. "ready:" .. ring, tenant)
    if not class then rcall("HDEL", key, "ring") end
  end
  if class then
    -- Idling earns no credit: who comes back starts at the clock of the class. Who is in a ring is never
    -- behind its clock.
    local time = math.max(tonumber(rcall("HGET", key, "vt:" .. class)) or 0, clockOf(class))
    rcall("ZADD", G .. "ready:" .. class, number(time), tenant)
    rcall("HSET", key, "ring", class)
  end
  state[RING] = class
  return class
end
