--[[
  Stores an event of a tenant and tells the processes that serve its clients.

  KEYS[1] the tenant's stream; ARGV[1] channel, under the same hash tag, [2] PUBLISH or SPUBLISH,
  [3] type, [4] data, [5] events to keep, [6] seconds after which an idle stream goes.
  Invariant: subscribers hear of events in the order of their ids, each with the id before it, so that
  one who has missed an event knows. Returns the id.
]]
local newest = redis.call("XREVRANGE", KEYS[1], "+", "-", "COUNT", 1)[1]
local id = redis.call("XADD", KEYS[1], "MAXLEN", "~", ARGV[5], "*", "type", ARGV[3], "data", ARGV[4])
redis.call("EXPIRE", KEYS[1], ARGV[6])
redis.call(ARGV[2], ARGV[1], cjson.encode({ id = id, previousId = newest and newest[1] or "0-0", type = ARGV[3], data = ARGV[4] }))
return id
