-- create: make a room, once; after a loss of Redis, make it again behind every number ever given.
-- Guarantee: an existing room is left alone. A room made again takes people, admits nobody while
--   `recovering`, and counts every number this epoch ever gave as unproven until its ticket is
--   shown again. `opened` announces it.
-- KEYS: 1 room  2 log  3 rooms  4 ended  5 unproven  6 opened
-- ARGV: 1 now_ms or ""  2 event_id  3 epoch  4 last number  5 bound  6 cursor  7 state
--   8 opens_ms  9 rate  10 burst  11 max_active  12 message  13 recover_ms or 0  14 state_after
--   15 log_max, also of `opened`  16 opened_after: the number before the epoch's first
--   17 closes_ms or 0  18 reason: why a room is born closed  19 accounts_only: 1 or 0
-- Returns: 1 made, 0 there already      Cost: O((number - opened_after) / 8)
local room = KEYS[1]
local log = KEYS[2]
local rooms = KEYS[3]
local ended = KEYS[4]
local unproven = KEYS[5]
local opened = KEYS[6]
local now = now_ms(ARGV[1])
local event_id = ARGV[2]
local epoch = ARGV[3]
local number = tonumber(ARGV[4])
local bound = ARGV[5]
local cursor = tonumber(ARGV[6])
local state = ARGV[7]
local opens_ms = ARGV[8]
local rate = ARGV[9]
local burst = ARGV[10]
local max_active = ARGV[11]
local message = ARGV[12]
local recover_ms = tonumber(ARGV[13])
local state_after = ARGV[14]
local log_max = ARGV[15]
local opened_after = tonumber(ARGV[16])
local closes_ms = ARGV[17]
local reason = ARGV[18]
local accounts_only = ARGV[19]
local BITS_PER_BYTE = 8
local FULL_BYTE = '\255'

redis.call('SADD', rooms, event_id)
if redis.call('HEXISTS', room, 'state') == 1 then return 0 end
redis.call('DEL', room) -- a late keeper may have noted something about the room that was lost
local recovers = state == 'recovering'
local recover_until = recover_ms > 0 and now + recover_ms or 0
redis.call('HSET', room, 'state', state, 'epoch', epoch, 'number', number, 'bound', bound,
  'cursor', cursor, 'rate', rate, 'burst', burst, 'max_active', max_active, 'message', message,
  'opens_ms', opens_ms, 'closes_ms', closes_ms, 'reason', reason, 'accounts_only', accounts_only,
  'tokens', 0, 'refilled_ms', now, 'logged', number, 'admitted_total', 0, 'rev', now,
  'opened_after', opened_after, 'state_after', state_after, 'recover_until_ms', recover_until)

-- Set the bits of every number of this epoch: whole bytes, then those beside them back to 0.
local function set_all(bitmap)
  local first_byte = math.floor((opened_after + 1) / BITS_PER_BYTE)
  local last_byte = math.floor(number / BITS_PER_BYTE)
  redis.call('SETRANGE', bitmap, first_byte, string.rep(FULL_BYTE, last_byte - first_byte + 1))
  for n = first_byte * BITS_PER_BYTE, opened_after do redis.call('SETBIT', bitmap, n, 0) end
  for n = number + 1, (last_byte + 1) * BITS_PER_BYTE - 1 do redis.call('SETBIT', bitmap, n, 0) end
end
if recovers and number > opened_after then
  set_all(ended)
  set_all(unproven)
end
append(opened, log_max, 'e', event_id)
append(log, log_max, 'r', now, 'k', 'config', 't', now, 'state', state, 'epoch', epoch, 'c', cursor,
  'rate', rate, 'burst', burst, 'max_active', max_active, 'lost', recovers and number or 0)
return 1
