-- leave: end a position for good: the buyer left, or was served; its capacity is free at once.
-- Guarantee: idempotent; a number that left is never let in; only its holder can leave. If a buyer
--   leaves during their turn, the command that frees their seats is put on the lane in the same
--   step, and so after the hold of their wish.
-- KEYS: 1 room  2 ended  3 returned  4 admitted  5 active  6 wishes prefix
--   7 holders prefix  8 log  9 lane
-- ARGV: 1 now_ms or ""  2 epoch  3 number  4 log_max  5 wish_bucket
--   6 id of that command  7 holder bucket  8 holder; for who was served 6 and 8 are ""
-- Returns: {status, the command's entry on the lane or ""}      Cost: O(log turns)
--   status: left | already | taken | old_epoch | unknown | closed | missing
local room = KEYS[1]
local ended = KEYS[2]
local returned = KEYS[3]
local admitted = KEYS[4]
local active = KEYS[5]
local wishes = KEYS[6]
local holders = KEYS[7]
local log = KEYS[8]
local lane = KEYS[9]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local number = tonumber(ARGV[3])
local log_max = ARGV[4]
local wish_bucket = tonumber(ARGV[5])
local release_id = ARGV[6]
local holder_bucket = ARGV[7]
local holder = ARGV[8]
local RELEASE = '{"kind":"drop","id":"%s","epoch":%s,"number":%d}'

local is = room_of(room, {'epoch', 'number', 'state'})
if is.epoch ~= epoch then return {is.epoch and 'old_epoch' or 'missing', ''} end
if number > tonumber(is.number) then return {'unknown', ''} end
if is.state == 'closed' then return {'closed', ''} end -- its keys are about to expire
if has_bit(ended, number) then return {'already', ''} end
if holder ~= '' and not owns(holders, holder_bucket, holder, number) then return {'taken', ''} end

redis.call('SETBIT', ended, number, 1)
redis.call('ZREM', returned, number)
local visits = redis.call('ZREM', active, number)
local turns = redis.call('ZREM', admitted, number) + visits
if visits > 0 then redis.call('HINCRBY', room, 'visits_ended', visits) end
redis.call('HDEL', wishes .. math.floor(number / wish_bucket), number)
write_log(room, log, log_max, 'left', now, 'n', number)
if turns == 0 or release_id == '' then return {'left', ''} end
local release = string.format(RELEASE, release_id, epoch, number)
return {'left', redis.call('XADD', lane, '*', 'c', release)}
