-- join: give each holder a number, once.
-- Guarantee: a holder in line keeps their number; numbers strictly increase, never above the
--   reserved bound; nobody joins unless the room's state allows it (a scheduled room may be joined
--   from its opening time on, even before a tick opens it), and no guest if only accounts may join.
--   A holder whose position has ended gets a new number. A wish is stored until the turn.
-- KEYS: 1 room  2 ended  3 holders prefix  4 wishes prefix  5 seen prefix  6 admitted  7 active
-- ARGV: 1 now_ms or ""  2 epoch  3 seen_slot_ms  4 seen_ttl_s  5 wish_bucket
--   6 the people, as msgpack: {holder bucket, holder, wish or "", ...}
--   7 pattern of an account's holder
-- Returns: {state, last number, status, number, ...}      Cost: O(people)
--   status: joined | already | refused | full | stranger
local room = KEYS[1]
local ended = KEYS[2]
local holders = KEYS[3]
local wishes = KEYS[4]
local seen = KEYS[5]
local admitted = KEYS[6]
local active = KEYS[7]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local slot_ms = tonumber(ARGV[3])
local seen_ttl_s = ARGV[4]
local wish_bucket = tonumber(ARGV[5])
local people = cmsgpack.unpack(ARGV[6])
local account = ARGV[7]
local VALUES_PER_PERSON = 3

local fields = fields_of(room,
  {'state', 'epoch', 'number', 'bound', 'cursor', 'accounts_only', 'opens_ms'})
local state = fields.state
if not state then return {'missing', 0} end
if fields.epoch ~= epoch then return {'old_epoch', 0} end

local bound = tonumber(fields.bound)
local cursor = tonumber(fields.cursor)
local opens = tonumber(fields.opens_ms)
local accounts_only = fields.accounts_only == '1'
local has_opened = state == 'scheduled' and opens > 0 and opens <= now
local takes_people = state == 'open' or state == 'paused' or state == 'recovering' or has_opened
local slot = seen .. math.floor(now / slot_ms)
local last_before = tonumber(fields.number)
local last = last_before
local answer = {state, 0}
-- whoever joins from here on is present for this slot: one number says so for all of them
redis.call('SET', slot .. ':after', last, 'NX', 'EX', seen_ttl_s)

local function had_turn(number)
  if number > cursor then return false end
  return redis.call('ZSCORE', admitted, number) or redis.call('ZSCORE', active, number)
end

for at = 1, #people, VALUES_PER_PERSON do
  local bucket = holders .. people[at]
  local holder = people[at + 1]
  local wish = people[at + 2]
  local number = tonumber(redis.call('HGET', bucket, holder))
  local status = 'already'
  if number and not has_bit(ended, number) then
    redis.call('SETBIT', slot, number, 1)
  elseif not takes_people then
    status = 'refused'
    number = 0
  elseif accounts_only and not string.find(holder, account) then
    status = 'stranger'
    number = 0
  elseif last >= bound then
    status = 'full'
    number = 0
  else
    last = last + 1
    status = 'joined'
    number = last
    redis.call('HSET', bucket, holder, number)
  end
  if wish ~= '' and number > 0 and state ~= 'closed' and not had_turn(number) then
    redis.call('HSET', wishes .. math.floor(number / wish_bucket), number, holder .. ' ' .. wish)
  end
  answer[#answer + 1] = status
  answer[#answer + 1] = number
end

redis.call('EXPIRE', slot, seen_ttl_s)
if last > last_before then redis.call('HSET', room, 'number', last) end
answer[2] = last
return answer
