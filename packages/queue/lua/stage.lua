--[[
  Stages a job that BullMQ has just stored as far-delayed, or one that was parked again.

  ARGV[4] tenant, [5] job id, [6] due time in Unix milliseconds or "", [7] version and [8] JSON of
  the tenant's limits, [9] month of the quota or "", [10] "1" to feed afterwards.
  Idempotent: a job that is staged, admitted or finished already is left alone.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
--- @include "clock"
--- @include "stage"
configure(ARGV[4], ARGV[7], ARGV[8])
local outcome = stage(ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[9])
if outcome == 1 and ARGV[10] == "1" and stateOf(ARGV[4])[RING] then
  --- @include "wake"
  --- @include "feed"
  feedIfHungry()
end
return outcome
