-- What is known of tenants. After base.
-- What a tenant's hash says, by these numbers, read at most once per call; who writes a field writes it
-- here, too. Each field costs half a microsecond: what few calls ask for is read where it is.
local CAP, WEIGHT, ENABLED, PAUSED, RING, RATE_PER_MS = 1, 2, 3, 4, 5, 6
local states = {}
local function stateOf(tenant)
  local state = states[tenant]
  if not state then
    state = rcall("HMGET", G .. "t:" .. tenant, "cap", "weight", "enabled", "paused", "ring", "ratePerMs")
    states[tenant] = state
  end
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
  local stored = tonumber(rcall("HGET", G .. "t:" .. tenant, "version"))
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
