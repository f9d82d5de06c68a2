-- Whose turn among the classes: smooth weighted round robin over those with somebody to serve. After base.
local CLASSES = { "1", "5", "10" }

local weights
local credits
local function readCredits()
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

-- `sizes` says how many tenants stand in the ring of each class.
local function pickClass(sizes)
  local only
  local isContested = false
  for _, class in ipairs(CLASSES) do
    if sizes[class] > 0 then
      if only then isContested = true else only = class end
    end
  end
  if not isContested then return only end
  if not weights then readCredits() end
  local best
  local total = 0
  for _, class in ipairs(CLASSES) do
    if sizes[class] > 0 then
      -- Weight 0 on every class but the first means strict order.
      total = total + weights[class]
      credits[class] = credits[class] + weights[class]
      if not best or credits[class] > credits[best] then best = class end
    end
  end
  credits[best] = credits[best] - total
  return best
end

local function saveCredits()
  if not credits then return end
  rcall("HSET", G .. "wrr", "1", credits["1"], "5", credits["5"], "10", credits["10"])
end
