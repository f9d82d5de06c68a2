--[[
  Delivers a callback. ARGV[4] job id, [5] key of the dispatch, [6] hash of the token it carried,
  [7] payload.

  The token works once. A job that is parked goes to the front of its class, under the slot that it
  kept; one that still runs finds the payload when it parks.
  Returns { 1 } delivered, { 2, payload of the first } delivered before, { 0 } no such job,
  { -1 } not the token of the callback it awaits.
]]
--- @include "base"
--- @include "clock"
--- @include "wake"
local id, dispatch, token = ARGV[4], ARGV[5], ARGV[6]
local job = rcall("HMGET", B .. id, "aw", "cb:" .. dispatch, "ct:" .. dispatch, "priority")
if not job[4] then return { 0 } end
if job[3] == token then return { 2, job[2] } end
if job[1] ~= token then return { -1 } end
rcall("HSET", B .. id, "cb:" .. dispatch, ARGV[7], "ct:" .. dispatch, token)
rcall("HDEL", B .. id, "aw", "ad")
if rcall("ZREM", B .. "delayed", id) == 1 then
  rcall("HSET", B .. id, "delay", 0)
  enqueue(id, tonumber(job[4]) or 0, true)
  wake()
end
return { 1 }
