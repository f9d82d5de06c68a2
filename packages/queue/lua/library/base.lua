--[[
  What every script of the gate starts with.

  KEYS[1]  BullMQ's meta key of the queue, for routing in Redis Cluster
  KEYS[2]  a key that never exists: while the queue's slot moves from one server of a cluster to another,
           both refuse a command with two keys of which one is missing, so that no script ever runs on a
           part of the queue's keys
  ARGV[1]  B, BullMQ's key prefix of the queue
  ARGV[2]  G, the gate's key prefix, outside B and under the same hash tag
  ARGV[3]  now in Unix milliseconds, or "" for the server's clock

  Keys under G: s:<tenant> staged ids by priority and arrival; l:<tenant> ids that hold a slot;
  t:<tenant> limits and virtual times; ready:<class> eligible tenants by virtual time;
  vnow:<class>, wrr, class-weights the clocks and weights of the classes; blocked tenants by the
  time their rate allows one more; defer <tenant>|<id> by due time; lt tenants with anything staged
  or held; quota:<tenant>:<month>; workers, window, leader.

  Invariants: an id is in at most one of s:, l: and defer; SCARD l:<tenant> never grows past cap; an
  id enters B's prioritized set from here only in the call that took it out of B's delayed set and
  put it into l:.
]]
local rcall = redis.call
local B, G = ARGV[1], ARGV[2]
local QUOTA_TTL_SECONDS = 70 * 24 * 3600

-- A number as an argument. Redis and Lua would print it as a double, which takes several times as long.
local function number(value)
  return string.format(value % 1 == 0 and "%d" or "%.17g", value)
end

local function classOf(score)
  local priority = math.floor(score / 4294967296)
  if priority <= 1 then return "1" end
  if priority <= 5 then return "5" end
  return "10"
end
