-- merge: give an account the place of a browser that it logged in from; of two places, keep one.
-- Guarantee: the account has one number afterwards, the browser none; a turn is never given up for a place that waits, and
--   of two alike the earlier stays; a wish goes with its number. Without a browser it only answers where the account is.
-- KEYS: 1 room  2 gone  3 returned  4 admitted  5 active  6 log  7 holders prefix  8 wishes prefix
-- ARGV: 1 now_ms or ""  2 epoch  3 browser's bucket  4 browser or ""  5 account's bucket  6 account  7 log_max  8 wish_bucket
-- Returns: {status, the account's number or 0}   status: merged | kept | none | old_epoch | closed      Cost: O(log turns)
local room, gone, returned, admitted, active, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local holders, wishes, epoch = KEYS[7], KEYS[8], ARGV[2]
local from, browser, to, account = holders .. ARGV[3], ARGV[4], holders .. ARGV[5], ARGV[6]
local log_max, wish_bucket = ARGV[7], tonumber(ARGV[8])
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)

local f = redis.call('HMGET', room, 'epoch', 'state')
if f[1] ~= epoch then return {'old_epoch', 0} end
if f[2] == 'closed' then return {'closed', 0} end

local function place_of(bucket, holder)
  local n = tonumber(redis.call('HGET', bucket, holder))
  return n and redis.call('GETBIT', gone, n) == 0 and n or nil
end
local function rank(n) -- over | waiting | admitted | claimed
  local claimed, turn = tonumber(redis.call('ZSCORE', active, n)), tonumber(redis.call('ZSCORE', admitted, n))
  if claimed then return claimed > now and 3 or 0 end
  if turn then return turn > now and 2 or 0 end
  return 1
end
local theirs, own = browser ~= '' and place_of(from, browser), place_of(to, account)
if not theirs then return {own and 'kept' or 'none', own or 0} end

local takes = not own or rank(theirs) > rank(own) or rank(theirs) == rank(own) and theirs < own
local over = own and (takes and own or theirs)
redis.call('HDEL', from, browser)
if over and over ~= (takes and theirs or own) then
  redis.call('SETBIT', gone, over, 1)
  for _, turns in ipairs({returned, admitted, active}) do redis.call('ZREM', turns, over) end
  redis.call('HDEL', wishes .. math.floor(over / wish_bucket), over)
  local rev = redis.call('HINCRBY', room, 'rev', 1)
  redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'left', 't', now, 'n', over)
end
if not takes then return {'kept', own} end
redis.call('HSET', to, account, theirs)
local said = wishes .. math.floor(theirs / wish_bucket)
local wish = string.match(redis.call('HGET', said, theirs) or '', '^%S+ (.*)$')
if wish then redis.call('HSET', said, theirs, account .. ' ' .. wish) end
return {'merged', theirs}
