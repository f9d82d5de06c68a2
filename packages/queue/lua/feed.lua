--[[
  Admits staged jobs. ARGV[4] at most so many. Returns { admitted, next due time or -1 }.
  Invariant: admits only what leaves BullMQ's delayed set in this very call.
]]
local admitted = feed(tonumber(ARGV[4]))
return { admitted, string.format("%.0f", nextDue()) }
