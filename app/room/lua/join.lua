-- join: give each holder a number, once.
-- Guarantee: same holder in line -> same number; numbers strictly increase, never above the reserved bound; refused unless
--   the room takes people (a scheduled one from its very opening on, whenever the next tick opens it), and whoever has no
--   account where only accounts may join. Whose place is over (left, lapsed, served) gets a new one, at the back. A wish is kept until the turn.
-- KEYS: 1 room  2 gone  3 holders prefix  4 wishes prefix  5 seen prefix  6 admitted  7 active
-- ARGV: 1 now_ms or ""  2 epoch  3 seen_slot_ms  4 seen_ttl_s  5 wish_bucket
--   6 the people, as msgpack: {holder bucket, holder, wish or "", ...}  7 pattern of an account's holder
-- Returns: {state, last number, status, number, ...}   status: joined | already | refused | full | stranger      Cost: O(people)
local room, gone, holders, wishes, seen, admitted, active = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local epoch, slot_ms, seen_ttl_s, wish_bucket = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local people = cmsgpack.unpack(ARGV[6])
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local fields = redis.call('HMGET', room, 'state', 'epoch', 'number', 'bound', 'cursor', 'accounts_only', 'opens_ms')
local state, last, bound, cursor, opens = fields[1], tonumber(fields[3]), tonumber(fields[4]), tonumber(fields[5]), tonumber(fields[7])
if not state then return {'missing', 0} end
if fields[2] ~= epoch then return {'old_epoch', 0} end
local accounts_only, account = fields[6] == '1', ARGV[7]
local takes_people = state == 'open' or state == 'paused' or state == 'recovering' or state == 'scheduled' and opens > 0 and opens <= now
local slot = seen .. math.floor(now / slot_ms)
local first, answer = last, {state, 0}
-- whoever joins from here on is present for this slot: one number says so for all of them
redis.call('SET', slot .. ':after', last, 'NX', 'EX', seen_ttl_s)

local function had_turn(n)
  return n <= cursor and (redis.call('ZSCORE', admitted, n) or redis.call('ZSCORE', active, n))
end

for i = 1, #people, 3 do
  local bucket, holder, wish = holders .. people[i], people[i + 1], people[i + 2]
  local number = tonumber(redis.call('HGET', bucket, holder))
  local status = 'already'
  if number and redis.call('GETBIT', gone, number) == 0 then
    redis.call('SETBIT', slot, number, 1)
  elseif not takes_people then
    status, number = 'refused', 0
  elseif accounts_only and not string.find(holder, account) then
    status, number = 'stranger', 0
  elseif last >= bound then
    status, number = 'full', 0
  else
    last = last + 1
    status, number = 'joined', last
    redis.call('HSET', bucket, holder, number)
  end
  if wish ~= '' and number > 0 and state ~= 'closed' and not had_turn(number) then
    redis.call('HSET', wishes .. math.floor(number / wish_bucket), number, holder .. ' ' .. wish)
  end
  answer[#answer + 1] = status
  answer[#answer + 1] = number
end

redis.call('EXPIRE', slot, seen_ttl_s)
if last > first then redis.call('HSET', room, 'number', last) end
answer[2] = last
return answer
