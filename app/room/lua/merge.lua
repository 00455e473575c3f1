-- merge: give an account the position of a guest, after the guest has logged in.
-- Guarantee: the account has one number afterwards, the guest none. Of two numbers it keeps the one
--   with a pass, else with a turn, else the first in line; a wish stays with its number. The old
--   ticket of the guest opens nothing. Without a guest it only returns the account's number. In a
--   closed room too, whose passes are still good: what it writes there ends with the other keys.
-- KEYS: 1 room  2 ended  3 returned  4 admitted  5 active  6 log  7 holders prefix  8 wishes prefix
--   9 taken  10 ranks
-- ARGV: 1 now_ms or ""  2 epoch  3 guest's bucket  4 guest or ""  5 account's bucket  6 account
--   7 log_max  8 wish_bucket  9 ended_kept_s: how long the keys of a closed room are kept
-- Returns: {status, the account's number or 0}      Cost: O(log turns)
--   status: merged | kept | none | old_epoch
local room = KEYS[1]
local ended = KEYS[2]
local returned = KEYS[3]
local admitted = KEYS[4]
local active = KEYS[5]
local log = KEYS[6]
local holders = KEYS[7]
local wishes = KEYS[8]
local taken = KEYS[9]
local ranks = KEYS[10]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local guest_bucket = holders .. ARGV[3]
local guest = ARGV[4]
local account_bucket = holders .. ARGV[5]
local account = ARGV[6]
local log_max = ARGV[7]
local wish_bucket = tonumber(ARGV[8])
local ended_kept_s = ARGV[9]
local LAPSED = 0
local WAITING = 1
local ADMITTED = 2
local CLAIMED = 3

local is = room_of(room, {'epoch', 'state', 'opened_after', 'drawn'})
if is.epoch ~= epoch then return {'old_epoch', 0} end

local function number_of(bucket, holder)
  local number = tonumber(redis.call('HGET', bucket, holder))
  return number and not has_bit(ended, number) and number or nil
end

local function worth_of(number)
  local pass_ends = tonumber(redis.call('ZSCORE', active, number))
  if pass_ends then return pass_ends > now and CLAIMED or LAPSED end
  local turn_ends = tonumber(redis.call('ZSCORE', admitted, number))
  if turn_ends then return turn_ends > now and ADMITTED or LAPSED end
  return WAITING
end

local function is_better(number, other)
  local worth = worth_of(number)
  local other_worth = worth_of(other)
  if worth ~= other_worth then return worth > other_worth end
  return look_up(ranks, is, number) < look_up(ranks, is, other)
end

local theirs = guest ~= '' and number_of(guest_bucket, guest)
local own = number_of(account_bucket, account)
if not theirs then return {own and 'kept' or 'none', own or 0} end

local takes_theirs = not own or is_better(theirs, own)
local kept = takes_theirs and theirs or own
local given_up = takes_theirs and own or theirs
redis.call('HDEL', guest_bucket, guest)
if given_up and given_up ~= kept then
  redis.call('SETBIT', ended, given_up, 1)
  if is.state == 'closed' then redis.call('EXPIRE', ended, ended_kept_s) end
  redis.call('ZREM', returned, given_up)
  redis.call('ZREM', admitted, given_up)
  redis.call('ZREM', active, given_up)
  redis.call('HDEL', wishes .. math.floor(given_up / wish_bucket), given_up)
  write_log(room, log, log_max, 'left', now, 'n', given_up)
end
if not takes_theirs then return {'kept', own} end
redis.call('HSET', account_bucket, account, theirs)
redis.call('SETBIT', taken, theirs, 1)
write_log(room, log, log_max, 'taken', now, 'n', theirs)
local kept_wishes = wishes .. math.floor(theirs / wish_bucket)
local wish = string.match(redis.call('HGET', kept_wishes, theirs) or '', '^%S+ (.*)$')
if wish then redis.call('HSET', kept_wishes, theirs, account .. ' ' .. wish) end
if is.state == 'closed' then
  for _, key in ipairs({account_bucket, taken}) do redis.call('EXPIRE', key, ended_kept_s) end
end
return {'merged', theirs}
