--[[
  Closes a partition to a tenant that is about to live in another one. ARGV[4] tenant, [5..] months whose
  quota counts go with it.

  Refused while anything is staged or held. Afterwards nothing of the tenant is staged or admitted here:
  new tasks are told that it moved, and whatever comes back (a retry, a promotion) finds no slot.
  Idempotent. Returns { 0 } refused, or { 1, "1" when the tenant was paused, count of each month... }.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
local tenant = ARGV[4]
local key = G .. "t:" .. tenant
if rcall("EXISTS", G .. "s:" .. tenant, G .. "l:" .. tenant) > 0 then return { 0 } end
local moved = rcall("HGET", key, "moved")
if not moved then
  moved = rcall("HGET", key, "paused") or "0"
  rcall("HSET", key, "moved", moved, "paused", "1")
end
rank(tenant)
local result = { 1, moved }
for index = 5, #ARGV do
  result[#result + 1] = rcall("GET", G .. "quota:" .. tenant .. ":" .. ARGV[index]) or "0"
end
return result
