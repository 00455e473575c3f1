-- leave: end a place in line for good: the buyer left, or was served; capacity goes back to the line at once.
-- Guarantee: idempotent; a number that left is never let in. Whoever leaves during their turn leaves no seats behind: the
--   command that gives them back goes on the lane in the same step, and so behind the hold of their wish.
-- KEYS: 1 room  2 gone  3 returned  4 admitted  5 active  6 log  7 wishes prefix  8 lane
-- ARGV: 1 now_ms or ""  2 epoch  3 number  4 log_max  5 wish_bucket  6 id of that command, or "" for who was served
-- Returns: {status, the command's entry on the lane or ""}   status: left | already | old_epoch | unknown | closed | missing
-- Cost: O(log turns)
local room, gone, returned, admitted, active = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local log, wishes, lane = KEYS[6], KEYS[7], KEYS[8]
local epoch, number, log_max, bucket, drop_id = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6]
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)

local f = redis.call('HMGET', room, 'epoch', 'number', 'state')
if f[1] ~= epoch then return {f[1] and 'old_epoch' or 'missing', ''} end
if number > tonumber(f[2]) then return {'unknown', ''} end
if f[3] == 'closed' then return {'closed', ''} end -- its keys are on their way out
if redis.call('SETBIT', gone, number, 1) == 1 then return {'already', ''} end

redis.call('ZREM', returned, number)
local turns = redis.call('ZREM', admitted, number) + redis.call('ZREM', active, number)
redis.call('HDEL', wishes .. math.floor(number / bucket), number)
local rev = redis.call('HINCRBY', room, 'rev', 1)
redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'left', 't', now, 'n', number)
if turns == 0 or drop_id == '' then return {'left', ''} end
local drop = string.format('{"kind":"drop","id":"%s","epoch":%s,"number":%d}', drop_id, epoch, number)
return {'left', redis.call('XADD', lane, '*', 'c', drop)}
