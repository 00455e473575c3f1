-- seen: note which numbers a web process saw (a poll, an open stream); who was passed over while away gets back in front.
-- Guarantee: a number passed over and seen again stands before everyone the cursor has not reached. The room knows since
--   when it is told without a gap longer than a slot, by a clock that was not set back.
-- KEYS: 1 room  2 gone  3 skipped  4 returned  5 seen prefix
-- ARGV: 1 now_ms or ""  2 epoch  3 seen_slot_ms  4 seen_ttl_s  5 the numbers, packed as big-endian u32
-- Returns: how many came back      Cost: O(numbers)
local room, gone, skipped, returned, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, slot_ms, seen_ttl_s, packed = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)

local f = redis.call('HMGET', room, 'epoch', 'number', 'cursor', 'state', 'told_ms', 'told_since_ms')
if f[1] ~= epoch or f[4] == 'closed' then return 0 end
local last, cursor = tonumber(f[2]), tonumber(f[3])
local slot, back, told = seen .. math.floor(now / slot_ms), 0, tonumber(f[5])
local goes_on = told and told <= now and now - told <= slot_ms
redis.call('HSET', room, 'told_ms', now, 'told_since_ms', goes_on and f[6] or now)
for at = 1, #packed, 4 do
  local n = struct.unpack('>I4', packed, at)
  if n <= last then
    redis.call('SETBIT', slot, n, 1)
    if n <= cursor and redis.call('GETBIT', skipped, n) == 1 and redis.call('GETBIT', gone, n) == 0 then
      back = back + redis.call('ZADD', returned, 'NX', n, n)
    end
  end
end
redis.call('EXPIRE', slot, seen_ttl_s)
return back
