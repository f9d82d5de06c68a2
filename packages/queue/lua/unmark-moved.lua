--[[
  Opens a partition to a tenant that is to live in it. ARGV[4] tenant, [5] "1" when it is paused,
  [6..] pairs of a month and the count of its quota.
  Idempotent. Returns 1.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
--- @include "clock"
--- @include "wake"
--- @include "feed"
local tenant = ARGV[4]
local key = G .. "t:" .. tenant
rcall("HDEL", key, "moved")
if ARGV[5] == "1" then rcall("HSET", key, "paused", "1") else rcall("HDEL", key, "paused") end
for index = 6, #ARGV, 2 do
  if tonumber(ARGV[index + 1]) > 0 then
    rcall("SET", G .. "quota:" .. tenant .. ":" .. ARGV[index], ARGV[index + 1], "EX", QUOTA_TTL_SECONDS)
  end
end
if rank(tenant) then feedIfHungry() end
return 1
