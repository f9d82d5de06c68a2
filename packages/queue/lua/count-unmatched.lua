--[[
  How many more tasks the gate has staged than BullMQ has far-delayed.

  Reads only, and one number for each active tenant. Other than 0 means that some are unknown to one of
  the two; 0 nearly always that none is, and spares Redis a look at every staged task.
]]
--- @include "base"
--- @include "clock"
local staged = rcall("ZCARD", G .. "defer")
for _, tenant in ipairs(rcall("SMEMBERS", G .. "lt")) do
  staged = staged + rcall("ZCARD", G .. "s:" .. tenant)
end
return staged - rcall("ZCOUNT", B .. "delayed", string.format("%.0f", FAR_SCORE), "+inf")
