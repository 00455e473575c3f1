-- take: count one attempt against several limits at once, or against none of them.
-- Guarantee: in any window of times*interval_ms at most 2*times-1 attempts, and `times` at once;
--   what is refused counts nowhere.
-- KEYS: 1 limits prefix      ARGV: 1 now_ms or ""  2.. {name, interval_ms, times} per limit
-- Returns: 0 if taken, else ms after which this attempt fits      Cost: O(limits)
local prefix = KEYS[1]
local now = now_ms(ARGV[1])
local ARGS_PER_LIMIT = 3

local wait = 0
local used_until = {}
for at = 2, #ARGV, ARGS_PER_LIMIT do
  local key = prefix .. ARGV[at]
  local interval = tonumber(ARGV[at + 1])
  local times = tonumber(ARGV[at + 2])
  local window = interval * times
  -- a full limit is never further ahead than its window, whatever Redis's clock did since
  local used = math.min(tonumber(redis.call('GET', key)) or now, now + window)
  used_until[key] = math.max(used, now) + interval
  wait = math.max(wait, used_until[key] - now - window)
end
if wait > 0 then return wait end
for key, until_ms in pairs(used_until) do
  redis.call('SET', key, string.format('%.0f', until_ms), 'PX', until_ms - now)
end
return 0
