-- Whoever waited for a time that has come. After ring and clock.
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
