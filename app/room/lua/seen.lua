-- seen: store which numbers a web process saw; a number that was passed over while absent returns
--   to the front. If it was let in before it was seen, the hold of its wish is sent.
-- Guarantee: a number that was passed over and is seen again comes before every number above the
--   cursor. The room stores since when presence has been reported without a gap longer than a slot
--   and without a clock that was set back.
-- KEYS: 1 room  2 ended  3 skipped  4 returned  5 admitted
--   6 seen prefix  7 wishes prefix  8 lane  9 ranks
-- ARGV: 1 now_ms or ""  2 epoch  3 seen_slot_ms  4 seen_ttl_s
--   5 the numbers, packed as big-endian u32  6 recent_ms  7 recent_ttl_s  8 wish_bucket
--   9 what the caller remembers: "number cursor"; a ticket proves that its number was given
-- Returns: how many came back      Cost: O(numbers)
local room = KEYS[1]
local ended = KEYS[2]
local skipped = KEYS[3]
local returned = KEYS[4]
local admitted = KEYS[5]
local seen = KEYS[6]
local wishes = KEYS[7]
local lane = KEYS[8]
local ranks = KEYS[9]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local slot_ms = tonumber(ARGV[3])
local seen_ttl_s = ARGV[4]
local packed = ARGV[5]
local recent_ms = tonumber(ARGV[6])
local recent_ttl_s = ARGV[7]
local wish_bucket = tonumber(ARGV[8])
local remembered = ARGV[9]
local BYTES_PER_NUMBER = 4

local is = room_of(room,
  {'epoch', 'number', 'cursor', 'state', 'told_ms', 'told_since_ms', 'opened_after', 'drawn'},
  remembered)
if is.epoch ~= epoch or is.state == 'closed' then return 0 end
local count = numbers_of(is)
local slot = seen .. math.floor(now / slot_ms)
local recent = seen .. 'r' .. math.floor(now / recent_ms)
local goes_on = reports_go_on(count, now, slot_ms)
redis.call('HSET', room, 'told_ms', now, 'told_since_ms', goes_on and is.told_since_ms or now)

local came_back = 0
for at = 1, #packed, BYTES_PER_NUMBER do
  local n = struct.unpack('>I4', packed, at)
  if n <= count.number then
    redis.call('SETBIT', slot, n, 1)
    redis.call('SETBIT', recent, n, 1)
    local rank = look_up(ranks, is, n)
    if rank <= count.cursor and redis.call('ZSCORE', admitted, n) then
      send_wish(lane, wishes, wish_bucket, epoch, n)
    end
    if rank <= count.cursor and has_bit(skipped, n) and not has_bit(ended, n) then
      came_back = came_back + redis.call('ZADD', returned, 'NX', rank, n)
    end
  end
end
redis.call('EXPIRE', slot, seen_ttl_s)
redis.call('EXPIRE', recent, recent_ttl_s)
return came_back
