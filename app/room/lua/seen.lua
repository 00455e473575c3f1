-- seen: store which numbers a web process saw; a number that was passed over while absent returns
--   to the front.
-- Guarantee: a number that was passed over and is seen again comes before every number above the
--   cursor. The room stores since when presence has been reported without a gap longer than a slot
--   and without a clock that was set back.
-- KEYS: 1 room  2 ended  3 skipped  4 returned  5 seen prefix
-- ARGV: 1 now_ms or ""  2 epoch  3 seen_slot_ms  4 seen_ttl_s
--   5 the numbers, packed as big-endian u32
-- Returns: how many came back      Cost: O(numbers)
local room = KEYS[1]
local ended = KEYS[2]
local skipped = KEYS[3]
local returned = KEYS[4]
local seen = KEYS[5]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local slot_ms = tonumber(ARGV[3])
local seen_ttl_s = ARGV[4]
local packed = ARGV[5]
local BYTES_PER_NUMBER = 4

local is = fields_of(room, {'epoch', 'number', 'cursor', 'state', 'told_ms', 'told_since_ms'})
if is.epoch ~= epoch or is.state == 'closed' then return 0 end
local count = numbers_of(is)
local slot = seen .. math.floor(now / slot_ms)
local reports_go_on = count.told_ms and count.told_ms <= now and now - count.told_ms <= slot_ms
redis.call('HSET', room, 'told_ms', now, 'told_since_ms', reports_go_on and is.told_since_ms or now)

local came_back = 0
for at = 1, #packed, BYTES_PER_NUMBER do
  local n = struct.unpack('>I4', packed, at)
  if n <= count.number then
    redis.call('SETBIT', slot, n, 1)
    if n <= count.cursor and has_bit(skipped, n) and not has_bit(ended, n) then
      came_back = came_back + redis.call('ZADD', returned, 'NX', n, n)
    end
  end
end
redis.call('EXPIRE', slot, seen_ttl_s)
return came_back
