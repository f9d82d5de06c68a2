--[[
  Chooses on paper whom to admit: reads a few keys per tenant and writes nothing. After ring, clock and
  classes.

  A line is a tenant that had a turn: `ids` staged, from its first on, and `classes` theirs, `isLong` when
  there are more, `taken` how many were chosen, `free` slots left, `class` and `time` where it stands in a
  ring now (false: in none), `home` the ring that Redis has it in, `left` its virtual times in rings that
  it left, `tokens` what its rate has left.
]]
local sizes
local rings
local isReadOut

local function openRings(room)
  sizes = {}
  rings = {}
  isReadOut = false
  for _, class in ipairs(CLASSES) do
    local page = rcall("ZRANGE", G .. "ready:" .. class, 0, room - 1, "WITHSCORES")
    local size = #page / 2
    local isWhole = size < room
    if not isWhole then size = rcall("ZCARD", G .. "ready:" .. class) end
    sizes[class] = size
    -- Those on the page by their numbers, and those that came in since, both in order.
    rings[class] = { page = page, at = 1, isWhole = isWhole, came = {}, first = 1 }
  end
end

-- Puts a line into a ring: by virtual time, then by name as Redis does.
local function enter(line, class, time)
  line.class, line.time = class, time
  local came = rings[class].came
  local at = #came + 1
  while at > rings[class].first do
    local other = came[at - 1]
    if other.time < time or (other.time == time and other.tenant < line.tenant) then break end
    came[at] = other
    at = at - 1
  end
  came[at] = line
  sizes[class] = sizes[class] + 1
end

-- Reads two, then as many again each time: most tenants have one turn in a call. Redis takes most of a
-- microsecond to write a score: those of the class at hand are asked for without. For ENDS see classOf.
local ENDS = { ["1"] = "(8589934592", ["5"] = "(25769803776", ["10"] = "+inf" }
local function readStaged(line, class)
  local ids, classes = line.ids, line.classes
  local key, from = G .. "s:" .. line.tenant, #ids
  local upTo = from + math.max(2, from)
  for _, id in ipairs(rcall("ZRANGEBYSCORE", key, "-inf", ENDS[class], "LIMIT", number(from), number(upTo - from))) do
    ids[#ids + 1] = id
    classes[#ids] = class
  end
  if #ids < upTo then
    local page = rcall("ZRANGE", key, number(#ids), number(upTo - 1), "WITHSCORES")
    for index = 1, #page, 2 do
      ids[#ids + 1] = page[index]
      classes[#ids] = classOf(tonumber(page[index + 1]))
    end
  end
  line.isLong = #ids == upTo
end

local function readLine(tenant, class, time)
  local state = stateOf(tenant)
  local line = { tenant = tenant, home = class, class = class, time = time, taken = 0, left = {} }
  line.ids, line.classes = {}, {}
  line.free = mayStart(tenant, state) and (tonumber(state[CAP]) or 1) - heldBy(tenant) or 0
  line.step = 1 / (tonumber(state[WEIGHT]) or 1)
  if line.free > 0 then readStaged(line, class) end
  local perMs = tonumber(state[RATE_PER_MS])
  if perMs and perMs > 0 then
    local rate = rcall("HMGET", G .. "t:" .. tenant, "rateBurst", "rateValue", "rateAt")
    local burst = tonumber(rate[1])
    local value = tonumber(rate[2]) or burst
    line.perMs = perMs
    line.tokens = math.min(burst, value + math.max(0, now - (tonumber(rate[3]) or now)) * perMs)
  end
  return line
end

-- The line whose turn it is in a class that has one.
local function takeFirst(class, lines)
  local ring = rings[class]
  local line = ring.came[ring.first]
  local tenant, time = ring.page[ring.at], tonumber(ring.page[ring.at + 1])
  sizes[class] = sizes[class] - 1
  if tenant and not (line and (line.time < time or (line.time == time and line.tenant < tenant))) then
    ring.at = ring.at + 2
    -- Who is first from here on would only be known after reading more.
    isReadOut = isReadOut or not (ring.isWhole or ring.page[ring.at])
    line = readLine(tenant, class, time)
    lines[#lines + 1] = line
  else
    ring.first = ring.first + 1
  end
  return line
end

local function leave(line)
  line.left[line.class] = line.time
  line.class = false
end

-- Takes the first job of a line, and moves the line to where it stands afterwards.
local function serve(line)
  local class = line.class
  clocks[class] = line.time
  movedClocks[class] = true
  line.time = line.time + line.step
  line.taken = line.taken + 1
  line.free = line.free - 1
  if line.tokens then line.tokens = line.tokens - 1 end
  if line.isLong and line.taken == #line.ids then readStaged(line, class) end
  local other = line.free > 0 and line.classes[line.taken + 1]
  if other == class then return enter(line, class, line.time) end
  leave(line)
  if not other then return end
  local own = line.left[other] or tonumber(rcall("HGET", G .. "t:" .. line.tenant, "vt:" .. other)) or 0
  enter(line, other, math.max(own, clockOf(other)))
end

-- Returns the lines that had a turn, the ids chosen, and whose they are.
local function choose(room)
  local lines, ids, owners = {}, {}, {}
  openRings(room)
  while #ids < room and not isReadOut do
    local class = pickClass(sizes)
    if not class then break end
    local line = takeFirst(class, lines)
    local id = line.ids[line.taken + 1]
    if line.tokens and line.tokens < 1 then
      line.blockedUntil = now + math.ceil((1 - line.tokens) / line.perMs)
      leave(line)
    elseif id then
      ids[#ids + 1] = id
      owners[#ids] = line
      serve(line)
    else
      leave(line)
    end
  end
  return lines, ids, owners
end
