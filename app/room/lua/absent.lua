-- absent: tell those who follow a room who is absent: who would be passed over, were it their turn.
-- Guarantee: told only while that is known, and if it has changed. Whoever joined lately is
--   present. Bits of those whom the cursor has reached mean nothing.
-- KEYS: 1 room  2 ended  3 absent  4 scratch  5 seen prefix  6 log
-- ARGV: 1 now_ms or ""  2 epoch  3 slots  4 slot_ms  5 ttl_s of what is told  6 log_max
-- Returns: 1 if it was told, else 0      Cost: O(numbers / 8)
local room = KEYS[1]
local ended = KEYS[2]
local absent = KEYS[3]
local scratch = KEYS[4]
local seen = KEYS[5]
local log = KEYS[6]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local slots = tonumber(ARGV[3])
local slot_ms = tonumber(ARGV[4])
local ttl_s = ARGV[5]
local log_max = ARGV[6]
local BITS_PER_BYTE = 8
local FULL_BYTE = '\255'

local is = room_of(room, {'epoch', 'number', 'cursor', 'told_ms', 'told_since_ms', 'opened_after',
  'drawn'})
if is.epoch ~= epoch then return 0 end
local count = numbers_of(is)
if not absence_known(count, now, slots, slot_ms) then return 0 end
local slot = math.floor(now / slot_ms)
local last = joined_after(seen, slot) or count.number
local bytes = math.floor(last / BITS_PER_BYTE) + 1
local passed = (count.drawn or 0) > 0 and count.opened_after or count.cursor
local skip = math.floor(passed / BITS_PER_BYTE) -- bytes of numbers that nobody waits for any more

local here = {ended}
for s = slot - slots, slot do here[#here + 1] = seen .. s end
redis.call('BITOP', 'OR', scratch, unpack(here))
local known = skip < bytes and redis.call('GETRANGE', scratch, skip, bytes - 1) or ''
local unknown = string.rep('\0', bytes - skip - #known)
redis.call('SET', scratch, string.rep(FULL_BYTE, skip) .. known .. unknown)
redis.call('BITOP', 'NOT', scratch, scratch)
for n = last + 1, bytes * BITS_PER_BYTE - 1 do redis.call('SETBIT', scratch, n, 0) end
redis.call('BITOP', 'XOR', absent, absent, scratch)
local changed = redis.call('BITCOUNT', absent)
redis.call('RENAME', scratch, absent)
redis.call('EXPIRE', absent, ttl_s)
if changed == 0 then return 0 end
write_log(room, log, log_max, 'absent', now)
return 1
