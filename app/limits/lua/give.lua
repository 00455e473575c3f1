-- give: take back one attempt that turned out not to be one a limit is for.
-- Guarantee: gives back at most what was taken; a limit that is free stays free.
-- KEYS: 1 limits prefix      ARGV: 1 now_ms or ""  2.. {name, interval_ms} per limit
-- Returns: limits that got something back      Cost: O(limits)
local prefix = KEYS[1]
local now = now_ms(ARGV[1])
local ARGS_PER_LIMIT = 2

local given_back = 0
for at = 2, #ARGV, ARGS_PER_LIMIT do
  local key = prefix .. ARGV[at]
  local interval = tonumber(ARGV[at + 1])
  local used_until = tonumber(redis.call('GET', key))
  if used_until then
    given_back = given_back + 1
    local until_ms = used_until - interval
    if until_ms > now then
      redis.call('SET', key, string.format('%.0f', until_ms), 'PX', until_ms - now)
    else
      redis.call('DEL', key)
    end
  end
end
return given_back
