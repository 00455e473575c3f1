-- give: take back one attempt that turned out not to be one a limit is for.
-- Guarantee: gives back at most what was taken; a limit that is free stays free.
-- KEYS: 1 limits prefix      ARGV: 1 now_ms or ""  2.. {name, interval_ms} per limit
-- Returns: limits that got something back      Cost: O(limits)
local prefix = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
local given = 0

for i = 2, #ARGV, 2 do
  local key, interval = prefix .. ARGV[i], tonumber(ARGV[i + 1])
  local used = tonumber(redis.call('GET', key))
  if used then
    given = given + 1
    local left = used - interval
    if left > now then
      redis.call('SET', key, string.format('%.0f', left), 'PX', left - now)
    else
      redis.call('DEL', key)
    end
  end
end
return given
