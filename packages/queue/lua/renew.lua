--[[
  Makes a failed job one that has not been run, but for its start count, which fences.

  ARGV[4] job id, [5] JSON of its data.
  Returns 0 when it is not among the failed.
]]
--- @include "base"
local jobKey = B .. ARGV[4]
if not rcall("ZSCORE", B .. "failed", ARGV[4]) then return 0 end
rcall("HSET", jobKey, "data", ARGV[5], "po", rcall("HGET", jobKey, "ats") or "0")
rcall("HDEL", jobKey, "defers", "stc", "aw", "ad")
return 1
