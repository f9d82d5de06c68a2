--[[
  Guard for a job that reached a worker without an admission of this attempt: a retry, a stalled
  re-run, a manual promotion, a parent of a flow, a job added behind the gate's back.

  ARGV[4] tenant, [5] job id, [6] attempt number, [7] version and [8] JSON of the tenant's limits.
  Returns 1 when the job holds a slot now, 0 when it must be parked, 2 when it was cancelled.
  Invariant: the ledger grows only below cap, in the same call that looked.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
local tenant, id, attempt = ARGV[4], ARGV[5], ARGV[6]
configure(tenant, ARGV[7], ARGV[8])
local ledger = G .. "l:" .. tenant
local job = rcall("HMGET", B .. id, "timestamp", "cx")
if not job[1] then return 0 end
if job[2] then return 2 end
if rcall("SISMEMBER", ledger, id) == 0 then
  local state = rcall("HMGET", G .. "t:" .. tenant, "cap", "paused", "enabled")
  if state[2] == "1" or state[3] == "0" then return 0 end
  if rcall("SCARD", ledger) >= (tonumber(state[1]) or 1) then return 0 end
  rcall("SADD", ledger, id)
  rcall("SADD", G .. "lt", tenant)
end
rcall("HSET", B .. id, "gs", attempt, "gt", tenant)
rcall("ZREM", G .. "s:" .. tenant, id)
rcall("ZREM", G .. "defer", tenant .. "|" .. id)
rank(tenant)
return 1
