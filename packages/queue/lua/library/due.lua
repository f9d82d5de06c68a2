-- After base.
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
