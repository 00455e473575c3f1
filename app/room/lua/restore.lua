-- restore: after a loss of Redis, give people the positions back that their tickets prove.
-- Guarantee: a number comes back once, to its own position; a holder who joined again meanwhile
--   keeps only the first in line, unless the other one was let in already. A number without a
--   holder was served before the loss: it stays ended. A number given to an account is taken: a
--   guest's ticket for it opens nothing.
-- KEYS: 1 room  2 ended  3 unproven  4 skipped  5 returned  6 holders prefix  7 seen prefix
--   8 taken  9 log  10 ranks
-- ARGV: 1 now_ms or ""  2 epoch  3 seen_slot_ms  4 seen_ttl_s  5 log_max
--   6 pattern of an account's holder  7.. {number, holder bucket, holder} per person
-- Returns: how many came back      Cost: O(people)
local room = KEYS[1]
local ended = KEYS[2]
local unproven = KEYS[3]
local skipped = KEYS[4]
local returned = KEYS[5]
local holders = KEYS[6]
local seen = KEYS[7]
local taken = KEYS[8]
local log = KEYS[9]
local ranks = KEYS[10]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local slot_ms = tonumber(ARGV[3])
local seen_ttl_s = ARGV[4]
local log_max = ARGV[5]
local account = ARGV[6]
local ARGS_PER_PERSON = 3

local is = room_of(room, {'epoch', 'cursor', 'state', 'opened_after', 'drawn'})
if is.epoch ~= epoch or is.state == 'closed' then return 0 end
local cursor = tonumber(is.cursor)
local slot = seen .. math.floor(now / slot_ms)
local came_back = {}
local stay_ended = {}
local of_accounts = {}

local function rank_of(n)
  return look_up(ranks, is, n)
end

local function bring_back(n, bucket, holder)
  redis.call('SETBIT', ended, n, 0)
  redis.call('HSET', bucket, holder, n)
  redis.call('SETBIT', slot, n, 1)
  if rank_of(n) <= cursor then
    redis.call('SETBIT', skipped, n, 1)
    redis.call('ZADD', returned, rank_of(n), n)
  end
  if string.find(holder, account) then
    redis.call('SETBIT', taken, n, 1)
    of_accounts[#of_accounts + 1] = n
  end
  came_back[#came_back + 1] = n
end

for at = 7, #ARGV, ARGS_PER_PERSON do
  local n = tonumber(ARGV[at])
  local bucket = holders .. ARGV[at + 1]
  local holder = ARGV[at + 2]
  if has_bit(unproven, n) then
    redis.call('SETBIT', unproven, n, 0)
    local other = tonumber(redis.call('HGET', bucket, holder))
    local other_in_line = other and not has_bit(ended, other)
    local other_first = other_in_line and
      (rank_of(other) < rank_of(n) or rank_of(other) <= cursor)
    if holder == '' or other_first then
      stay_ended[#stay_ended + 1] = n
    else
      if other_in_line then
        redis.call('SETBIT', ended, other, 1)
        stay_ended[#stay_ended + 1] = other
      end
      bring_back(n, bucket, holder)
    end
  end
end
redis.call('EXPIRE', slot, seen_ttl_s)
if #came_back + #stay_ended > 0 then
  write_log(room, log, log_max, 'back', now, 'b', table.concat(came_back, ','),
    'l', table.concat(stay_ended, ','), 'a', table.concat(of_accounts, ','))
end
return #came_back
