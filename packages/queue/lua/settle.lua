--[[
  Gives slots back. ARGV[4..] triples of tenant, job id, attempt number of the run that ended.

  The attempt number fences: a late settle of an earlier run never frees the slot of a later one.
  Idempotent. Returns how many slots came free.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
local freed = 0
local touched = {}
for index = 4, #ARGV, 3 do
  local tenant, id, attempt = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  local grant = rcall("HGET", B .. id, "gs")
  if not grant or grant == attempt then
    freed = freed + rcall("SREM", G .. "l:" .. tenant, id)
    if grant then rcall("HDEL", B .. id, "gs") end
    touched[tenant] = true
  end
end
for tenant in pairs(touched) do
  -- One that stands in a ring stays: it has a slot more than before.
  if not rcall("HGET", G .. "t:" .. tenant, "ring") then rank(tenant) end
end
if freed > 0 then
  --- @include "clock"
  --- @include "wake"
  --- @include "feed"
  feedIfHungry()
end
return freed
