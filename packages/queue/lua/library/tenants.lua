-- What is known of tenants. After base.
-- What a tenant's hash says, read at most once per call; who writes a field writes it here, too.
-- What few calls ask for is read where it is.
local TENANT_FIELDS = { "version", "cap", "weight", "enabled", "paused", "ring", "vt:1", "vt:5", "vt:10",
  "ratePerMs" }
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
