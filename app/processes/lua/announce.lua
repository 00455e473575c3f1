-- announce: note that a process lives and what it says of itself; give what every process said.
-- Guarantee: who has said nothing for kept_ms is forgotten; no more than processes_max are noted.
-- KEYS: 1 processes      ARGV: 1 now_ms or ""  2 process_id  3 told  4 kept_ms  5 processes_max
-- Returns: {age_ms, told, …}      Cost: O(processes)
local processes = KEYS[1]
local now = now_ms(ARGV[1])
local process_id = ARGV[2]
local told = ARGV[3]
local kept_ms = tonumber(ARGV[4])
local processes_max = tonumber(ARGV[5])

local is_known = redis.call('HEXISTS', processes, process_id) == 1
if is_known or redis.call('HLEN', processes) < processes_max then
  redis.call('HSET', processes, process_id, string.format('%.0f ', now) .. told)
  redis.call('PEXPIRE', processes, kept_ms)
end
local answer = {}
local ids_and_values = redis.call('HGETALL', processes)
for at = 1, #ids_and_values, 2 do
  local said_ms, what = string.match(ids_and_values[at + 1], '^(%d+) (.*)$')
  local age_ms = now - tonumber(said_ms)
  if age_ms > kept_ms then
    redis.call('HDEL', processes, ids_and_values[at])
  else
    answer[#answer + 1] = math.max(0, age_ms)
    answer[#answer + 1] = what
  end
end
return answer
