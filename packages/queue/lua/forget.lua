--[[
  Drops ids from the staging of a tenant after their jobs were removed. ARGV[4] tenant, [5..] ids.
  Idempotent. Returns how many were there.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
local tenant = ARGV[4]
local dropped = 0
for index = 5, #ARGV do
  dropped = dropped + rcall("ZREM", G .. "s:" .. tenant, ARGV[index])
  dropped = dropped + rcall("ZREM", G .. "defer", tenant .. "|" .. ARGV[index])
end
rank(tenant)
return dropped
