-- restore: give people back the places a loss of Redis took from the line, from the tickets they hold.
-- Guarantee: a number comes back once, to its own place; who joined again meanwhile keeps the earlier number
--   only, unless the later one was let in already. A number without a holder was served before the loss: it stays over.
-- KEYS: 1 room  2 gone  3 lost  4 skipped  5 returned  6 holders prefix  7 seen prefix  8 log
-- ARGV: 1 now_ms or ""  2 epoch  3 seen_slot_ms  4 seen_ttl_s  5 log_max  6.. {number, holder bucket, holder} per person
-- Returns: how many came back      Cost: O(people)
local room, gone, lost, skipped, returned, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[8]
local epoch, slot_ms, seen_ttl_s, log_max = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
local f = redis.call('HMGET', room, 'epoch', 'cursor', 'state')
if f[1] ~= epoch or f[3] == 'closed' then return 0 end
local cursor, slot, back, left = tonumber(f[2]), KEYS[7] .. math.floor(now / slot_ms), {}, {}

for i = 6, #ARGV, 3 do
  local n, bucket, holder = tonumber(ARGV[i]), KEYS[6] .. ARGV[i + 1], ARGV[i + 2]
  if redis.call('GETBIT', lost, n) == 1 then
    local other = tonumber(redis.call('HGET', bucket, holder))
    local lives = other and redis.call('GETBIT', gone, other) == 0
    redis.call('SETBIT', lost, n, 0)
    if holder == '' or lives and (other < n or other <= cursor) then
      left[#left + 1] = n
    else
      if lives then
        redis.call('SETBIT', gone, other, 1)
        left[#left + 1] = other
      end
      redis.call('SETBIT', gone, n, 0)
      redis.call('HSET', bucket, holder, n)
      redis.call('SETBIT', slot, n, 1)
      if n <= cursor then
        redis.call('SETBIT', skipped, n, 1)
        redis.call('ZADD', returned, n, n)
      end
      back[#back + 1] = n
    end
  end
end
redis.call('EXPIRE', slot, seen_ttl_s)
if #back + #left > 0 then
  local rev = redis.call('HINCRBY', room, 'rev', 1)
  redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'back', 't', now, 'b', table.concat(back, ','),
    'l', table.concat(left, ','))
end
return #back
