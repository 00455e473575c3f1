-- take: count one attempt against several limits at once, or against none of them.
-- Guarantee: in any window of times*interval_ms at most 2*times-1 attempts, and times at once; what is refused counts nowhere.
-- KEYS: 1 limits prefix      ARGV: 1 now_ms or ""  2.. {name, interval_ms, times} per limit
-- Returns: 0 if taken, else ms after which this attempt fits      Cost: O(limits)
local prefix = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
local wait, taken = 0, {}

for i = 2, #ARGV, 3 do
  local key, interval, times = prefix .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  -- a full limit is never further ahead than this, whatever Redis's clock did since
  local used = math.min(tonumber(redis.call('GET', key)) or now, now + interval * times)
  taken[key] = math.max(used, now) + interval
  wait = math.max(wait, taken[key] - now - interval * times)
end
if wait > 0 then return wait end
for key, used in pairs(taken) do redis.call('SET', key, string.format('%.0f', used), 'PX', used - now) end
return 0
