--[[
  Finds far-delayed jobs that the gate does not know: their producer died between add and stage.

  ARGV[4] lowest score of the page (exclusive, or "" to begin), [5] jobs to look at, [6] month of the
  quota for jobs never counted or "".
  Idempotent. Returns { score to go on from or "", staged, ids to remove (they were refused)... }.
]]
--- @include "base"
--- @include "tenants"
--- @include "ring"
--- @include "clock"
--- @include "wake"
--- @include "feed"
--- @include "stage"
local from = ARGV[4] == "" and string.format("%.0f", FAR_SCORE) or ("(" .. ARGV[4])
local page = rcall("ZRANGEBYSCORE", B .. "delayed", from, "+inf", "WITHSCORES", "LIMIT", 0, ARGV[5])
local result = { "", 0 }
local staged = 0
for index = 1, #page, 2 do
  local id = page[index]
  local job = rcall("HMGET", B .. id, "gt", "gp", "grej", "data", "aw")
  local tenant = job[1]
  if not tenant and job[4] then
    local isJson, data = pcall(cjson.decode, job[4])
    if isJson and type(data) == "table" and type(data.tenantId) == "string" then
      tenant = data.tenantId
    end
  end
  if job[3] then
    result[#result + 1] = id
  elseif tenant and not job[5] then
    local outcome = stage(tenant, id, nil, ARGV[6])
    if outcome == 1 then staged = staged + 1 end
    if outcome < -1 and outcome ~= -5 then result[#result + 1] = id end
  end
  result[1] = page[index + 1]
end
if #page < 2 * tonumber(ARGV[5]) then result[1] = "" end
result[2] = staged
if staged > 0 then feedIfHungry() end
return result
