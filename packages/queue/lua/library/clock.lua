-- The time, and what counts as far.
local now = tonumber(ARGV[3])
if not now then
  local time = rcall("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A staged job is delayed by about nine years; anything beyond four is ours.
local FAR_SCORE = (now + 126144000000) * 4096
