-- claim: begin the pass of an admitted number, once; the pass ends at the time returned.
-- Guarantee: a repeat returns the first answer; nothing is given before the turn, after the claim
--   window, or to anybody but the number's holder. The hold of a wish that waits is sent.
-- KEYS: 1 room  2 ended  3 lapsed  4 admitted  5 active  6 holders prefix  7 wishes prefix
--   8 log  9 lane
-- ARGV: 1 now_ms or ""  2 epoch  3 number  4 pass_ms  5 log_max  6 holder bucket  7 holder
--   8 wish_bucket  9 made_in: the generation in which the caller saw the room made
-- Returns: {status, expires_ms}      Cost: O(log turns)
--   status: claimed | waiting | lapsed | left | taken | old_epoch | closed | missing
local room = KEYS[1]
local ended = KEYS[2]
local lapsed = KEYS[3]
local admitted = KEYS[4]
local active = KEYS[5]
local holders = KEYS[6]
local wishes = KEYS[7]
local log = KEYS[8]
local lane = KEYS[9]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local number = ARGV[3]
local pass_ms = tonumber(ARGV[4])
local log_max = ARGV[5]
local holder_bucket = ARGV[6]
local holder = ARGV[7]
local wish_bucket = tonumber(ARGV[8])
local made_in = tonumber(ARGV[9])

local is = room_of(room, {'state', 'epoch'}, nil, made_in)
if is.epoch ~= epoch then return {is.epoch and 'old_epoch' or 'missing', 0} end
if has_bit(ended, number) then return {has_bit(lapsed, number) and 'lapsed' or 'left', 0} end
if not owns(holders, holder_bucket, holder, number) then return {'taken', 0} end
local expires = tonumber(redis.call('ZSCORE', active, number))
if expires then return {expires > now and 'claimed' or 'lapsed', expires} end
if is.state == 'closed' then return {'closed', 0} end
local deadline = tonumber(redis.call('ZSCORE', admitted, number))
if not deadline then return {'waiting', 0} end
if deadline <= now then return {'lapsed', 0} end

expires = now + pass_ms
redis.call('ZREM', admitted, number)
redis.call('ZADD', active, expires, number)
send_wish(lane, wishes, wish_bucket, epoch, tonumber(number))
write_log(room, log, log_max, 'claim', now, 'n', number, 'e', expires)
return {'claimed', expires}
