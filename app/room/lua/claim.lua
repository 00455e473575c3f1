-- claim: begin the pass of an admitted number, once; the pass ends at the time returned.
-- Guarantee: a repeat returns the first answer; nothing is given before the turn or after the
--   claim window.
-- KEYS: 1 room  2 ended  3 lapsed  4 admitted  5 active  6 log
-- ARGV: 1 now_ms or ""  2 epoch  3 number  4 pass_ms  5 log_max
-- Returns: {status, expires_ms}      Cost: O(log turns)
--   status: claimed | waiting | lapsed | left | old_epoch | closed | missing
local room = KEYS[1]
local ended = KEYS[2]
local lapsed = KEYS[3]
local admitted = KEYS[4]
local active = KEYS[5]
local log = KEYS[6]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local number = ARGV[3]
local pass_ms = tonumber(ARGV[4])
local log_max = ARGV[5]

local is = fields_of(room, {'state', 'epoch'})
if is.epoch ~= epoch then return {is.epoch and 'old_epoch' or 'missing', 0} end
if has_bit(ended, number) then return {has_bit(lapsed, number) and 'lapsed' or 'left', 0} end
local expires = tonumber(redis.call('ZSCORE', active, number))
if expires then return {expires > now and 'claimed' or 'lapsed', expires} end
if is.state == 'closed' then return {'closed', 0} end
local deadline = tonumber(redis.call('ZSCORE', admitted, number))
if not deadline then return {'waiting', 0} end
if deadline <= now then return {'lapsed', 0} end

expires = now + pass_ms
redis.call('ZREM', admitted, number)
redis.call('ZADD', active, expires, number)
write_log(room, log, log_max, 'claim', now, 'n', number, 'e', expires)
return {'claimed', expires}
