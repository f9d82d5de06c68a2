--[[
  Changes a tenant while it runs. ARGV[4] tenant, [5] version and [6] JSON of its limits or "",
  [7] "1" to pause, "0" to resume, "" to leave that alone.
  A lowered cap drains: nothing is taken away from jobs that run. Idempotent. Returns the new slots held.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
--- @include "clock"
--- @include "wake"
--- @include "feed"
local tenant = ARGV[4]
configure(tenant, ARGV[5], ARGV[6])
if ARGV[7] == "1" then rcall("HSET", G .. "t:" .. tenant, "paused", "1") end
if ARGV[7] == "0" then rcall("HDEL", G .. "t:" .. tenant, "paused") end
states[tenant] = nil
if rank(tenant) then feedIfHungry() end
return rcall("SCARD", G .. "l:" .. tenant)
