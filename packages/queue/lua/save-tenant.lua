--[[
  Stores a tenant's record under a version that only grows.

  KEYS[1] hash of tenant id to record; ARGV[1] tenant, [2] JSON of the record or "" to delete it.
  Invariant: of two records the one stored later has the higher version. Returns the version.
]]
local version = redis.call("HINCRBY", KEYS[1], "#version", 1)
if ARGV[2] == "" then
  redis.call("HDEL", KEYS[1], ARGV[1])
else
  redis.call("HSET", KEYS[1], ARGV[1], version .. ":" .. ARGV[2])
end
return version
