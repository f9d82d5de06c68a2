--[[
  Admits staged jobs. ARGV[4] at most so many. Returns { admitted, next due time or -1 }.
  Invariant: admits only what leaves BullMQ's delayed set in this very call.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
--- @include "clock"
--- @include "wake"
--- @include "feed"
--- @include "due"
local admitted = feed(tonumber(ARGV[4]))
return { admitted, string.format("%.0f", nextDue()) }
