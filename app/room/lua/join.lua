-- join: give each holder a number, once.
-- Guarantee: a holder in line keeps their number; numbers strictly increase, never above the
--   reserved bound; nobody joins unless the room's state allows it (a scheduled room may be joined
--   from its time on, even before a tick says so; a paused or recovering one not before). A place
--   takes what the door asks for; a holder whose position has ended takes a new number, before a
--   draw the old. A wish waits for the turn.
-- KEYS: 1 room  2 ended  3 holders prefix  4 wishes prefix  5 seen prefix  6 admitted  7 active
--   8 door prefix  9 log
-- ARGV: 1 now_ms or ""  2 epoch  3 seen_slot_ms  4 seen_ttl_s  5 wish_bucket
--   6 the people, as msgpack: {holder bucket, holder, wish or "",
--     network or "" if it is not counted, proof or "", 1 if a verified account, ...}
--   7 limits of the door, as msgpack (shares.lua)  8 their networks, each once, as msgpack
--   9 log_max  10 draw_ms: how long entries are taken  11 remembered: "number cursor"  12 made_in
-- Returns: {state, last number, left below the bound, status, number, ...}      Cost: O(people)
--   status: a JoinStatus; of `challenge` and `spent` the number is what the address has taken
local room = KEYS[1]
local ended = KEYS[2]
local holders = KEYS[3]
local wishes = KEYS[4]
local seen = KEYS[5]
local admitted = KEYS[6]
local active = KEYS[7]
local door_keys = KEYS[8]
local log = KEYS[9]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local slot_ms = tonumber(ARGV[3])
local seen_ttl_s = ARGV[4]
local wish_bucket = tonumber(ARGV[5])
local people = cmsgpack.unpack(ARGV[6])
local limits = cmsgpack.unpack(ARGV[7])
local networks = cmsgpack.unpack(ARGV[8])
local log_max = ARGV[9]
local draw_ms = tonumber(ARGV[10])
local remembered = ARGV[11]
local made_in = tonumber(ARGV[12])
local VALUES_PER_PERSON = 6

local fields = room_of(room, {'state', 'epoch', 'number', 'bound', 'door', 'opens_ms', 'draw',
  'opening', 'lobby_ms', 'commitment'}, remembered, made_in)
local state = fields.state
if fields.epoch ~= epoch then return {state and 'old_epoch' or 'missing', 0, 0} end

local takes_people = may_join(fields, draw_ms, now)
local undrawn = fields.draw == 'ahead' and is_drawn(fields, draw_ms)
local is_ready = not undrawn or fields.commitment ~= ''
local slot = seen .. math.floor(now / slot_ms)
local last = tonumber(fields.number)
local bound = tonumber(fields.bound)
local answer = {state, 0, 0}
local entrance = door_at(limits, door_keys, fields.door, now, networks)
-- whoever joins from here on is present for this slot: one number says so for all of them
redis.call('SET', slot .. ':after', last, 'NX', 'EX', seen_ttl_s)

local function had_turn(number)
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
  elseif not takes_people or not is_ready or last >= bound then
    status = not takes_people and 'refused' or not is_ready and 'unready' or 'full'
    number = 0
  else
    local network = people[at + 3]
    local proof = people[at + 4]
    local verified = people[at + 5]
    local entry = undrawn and number
    status, number = ask_door(entrance, holder, verified, network, proof)
    if status == 'joined' and entry then
      status, number = 'already', entry
      redis.call('SETBIT', ended, entry, 0)
      redis.call('SETBIT', slot, entry, 1)
      write_log(room, log, log_max, 'back', now, 'b', entry, 'l', '', 'a', '')
    elseif status == 'joined' then
      last = last + 1
      number = last
      redis.call('HSET', bucket, holder, number)
    end
  end
  local placed = status == 'joined' or status == 'already'
  if wish ~= '' and placed and state ~= 'closed' and not had_turn(number) then
    redis.call('HSET', wishes .. math.floor(number / wish_bucket), number, holder .. ' ' .. wish)
  end
  answer[#answer + 1] = status
  answer[#answer + 1] = number
end

close_door(entrance)
redis.call('EXPIRE', slot, seen_ttl_s)
if last > tonumber(fields.number) then redis.call('HSET', room, 'number', last) end
answer[2] = last
answer[3] = bound - last
return answer
