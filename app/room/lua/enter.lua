-- enter: let people straight in: each gets a number, an admission and a pass at once, or nothing.
-- Guarantee: by the rule of admit.lua: in any w seconds at most rate*w + burst, never above the
--   capacity, and nobody while somebody who came before waits; a number as join.lua gives it, for
--   what the door asks. Who has a place in line already, or may not come in now, gets nothing.
-- KEYS: 1 room  2 ended  3 holders prefix  4 returned  5 admitted  6 active  7 door prefix  8 log
-- ARGV: 1 now_ms or ""  2 epoch  3 refilled_ms last answered or ""  4 ms since then, as of admit
--   5 the people, as msgpack: {holder bucket, holder, network or "", proof or "", ...}
--   6 limits of the door, as msgpack  7 their networks, each once, as msgpack  8 log_max
--   9 pass_ms  10 late_max_ms  11 remembered: "number cursor"  12 made_in
-- Returns: {state, refilled_ms, expires_ms, number or 0, ...}      Cost: O(people)
local room = KEYS[1]
local ended = KEYS[2]
local holders = KEYS[3]
local returned = KEYS[4]
local admitted = KEYS[5]
local active = KEYS[6]
local door_keys = KEYS[7]
local log = KEYS[8]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local known_ms = tonumber(ARGV[3])
local steady_ms = tonumber(ARGV[4])
local people = cmsgpack.unpack(ARGV[5])
local limits = cmsgpack.unpack(ARGV[6])
local networks = cmsgpack.unpack(ARGV[7])
local log_max = ARGV[8]
local pass_ms = tonumber(ARGV[9])
local late_max_ms = tonumber(ARGV[10])
local remembered = ARGV[11]
local made_in = tonumber(ARGV[12])
local VALUES_PER_PERSON = 4

local is = room_of(room, {'state', 'epoch', 'number', 'bound', 'door', 'cursor', 'tokens',
  'refilled_ms', 'rate', 'burst', 'rate_limited', 'max_active', 'admitted_total'}, remembered,
  made_in)
if is.epoch ~= epoch then return {is.state and 'old_epoch' or 'missing', '0', 0} end
local count = numbers_of(is)
local tokens, refilled = refill(count, now, known_ms, steady_ms, late_max_ms)
local waits = count.cursor < count.number or redis.call('ZCARD', returned) > 0
local allowed = 0
if is.state == 'open' and not waits then
  local free = count.max_active - redis.call('ZCARD', admitted) - redis.call('ZCARD', active)
  allowed = math.min(whole(tokens), free, count.bound - count.number)
end
local entrance = door_at(limits, door_keys, is.door, now, networks)
local expires = now + pass_ms
local last = count.number
local let_in = {}
local passes = {}
local answer = {is.state, '', expires}

local function is_in_line(bucket, holder)
  local number = redis.call('HGET', bucket, holder)
  return number and not has_bit(ended, number)
end

for at = 1, #people, VALUES_PER_PERSON do
  local bucket = holders .. people[at]
  local holder = people[at + 1]
  local number = 0
  if #let_in < allowed and not is_in_line(bucket, holder)
    and ask_door(entrance, holder, 0, people[at + 2], people[at + 3]) == 'joined' then
    last = last + 1
    number = last
    redis.call('HSET', bucket, holder, number)
    let_in[#let_in + 1] = number
    passes[#passes + 1] = expires
    passes[#passes + 1] = number
  end
  answer[#answer + 1] = number
end

if #let_in > 0 then
  local first_ms, every_ms = due_times(count, tokens, refilled)
  local numbers = table.concat(let_in, ',')
  close_door(entrance)
  redis.call('ZADD', active, unpack(passes))
  redis.call('HSET', room, 'number', last, 'cursor', last, 'logged', last, 'rate_limited', 0,
    'tokens', exact(math.min(count.burst, tokens - #let_in)), 'refilled_ms', exact(refilled),
    'admitted_total', count.admitted_total + #let_in)
  write_log(room, log, log_max, 'admit', now, 'c', last, 'n', last, 'd', expires, 'a', numbers,
    's', '', 'f', exact(first_ms), 'e', exact(every_ms),
    'back_ms', exact(math.max(0, count.refilled_ms - now)))
  write_log(room, log, log_max, 'claim', now, 'n', numbers, 'e', expires)
else
  refilled = count.refilled_ms
end
answer[2] = exact(refilled)
return answer
