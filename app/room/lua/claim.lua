-- claim: take up an admission, once; the pass it gives ends at the time returned.
-- Guarantee: a repeat returns the first answer; nothing is given before the turn or after the claim window.
-- KEYS: 1 room  2 gone  3 lapsed  4 admitted  5 active  6 log      ARGV: 1 now_ms or ""  2 epoch  3 number  4 pass_ms  5 log_max
-- Returns: {status, expires_ms}   status: claimed | waiting | lapsed | left | old_epoch | closed | missing      Cost: O(log turns)
local room, gone, lapsed, admitted, active, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local epoch, number, pass_ms, log_max = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)

local f = redis.call('HMGET', room, 'state', 'epoch')
if f[2] ~= epoch then return {f[2] and 'old_epoch' or 'missing', 0} end
if redis.call('GETBIT', gone, number) == 1 then
  return {redis.call('GETBIT', lapsed, number) == 1 and 'lapsed' or 'left', 0}
end
local expires = tonumber(redis.call('ZSCORE', active, number))
if expires then return {expires > now and 'claimed' or 'lapsed', expires} end
if f[1] == 'closed' then return {'closed', 0} end
local deadline = tonumber(redis.call('ZSCORE', admitted, number))
if not deadline then return {'waiting', 0} end
if deadline <= now then return {'lapsed', 0} end

expires = now + pass_ms
redis.call('ZREM', admitted, number)
redis.call('ZADD', active, expires, number)
local rev = redis.call('HINCRBY', room, 'rev', 1)
redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'claim', 't', now, 'n', number, 'e', expires)
return {'claimed', expires}
