-- create: make a room, once; after a loss of Redis, make it again behind every number ever given.
-- Guarantee: a room that was made for this Redis process is left alone. One made again takes
--   people, admits nobody while `recovering`, and counts the numbers of its epoch that it does not
--   know as unproven until their ticket is shown again; what is left of it is kept: of a replica
--   that was behind, or of a file that was read again. Whoever was passed beyond what it knows
--   comes back first. The caller announces it.
-- KEYS: 1 room  2 log  3 ended  4 unproven  5 skipped  6 admitted  7 order
-- ARGV: 1 now_ms or ""  2 log_max  3 recover_ms or 0
--   4.. {field, value}: the room's hash, of which this reads state, epoch, number (the last one),
--   generation, bound, opened_after (the number before the epoch's first), cursor, rate, burst,
--   max_active
-- Returns: 1 made, 0 there already      Cost: O((number - opened_after) / 8 + turns + fields)
local room = KEYS[1]
local log = KEYS[2]
local ended = KEYS[3]
local unproven = KEYS[4]
local skipped = KEYS[5]
local admitted = KEYS[6]
local order = KEYS[7]
local now = now_ms(ARGV[1])
local log_max = ARGV[2]
local recover_ms = tonumber(ARGV[3])
local ARGS_PER_FIELD = 2
local BITS_PER_BYTE = 8
local FULL_BYTE = '\255'

local was = fields_of(room, {'state', 'epoch', 'run_id', 'number', 'cursor', 'seen_cursor', 'rev',
  'generation'})
local is = {}
for at = 4, #ARGV, ARGS_PER_FIELD do
  local field = ARGV[at]
  is[field] = ARGV[at + 1]
end
local run_id = own_run_id()
local count = numbers_of(was)
local generation = tonumber(is.generation)
if was.state and (was.run_id == run_id or count.epoch > tonumber(is.epoch)) then
  -- another one made it meanwhile; what SQL reserved for this one is good for that room as well
  if was.run_id == run_id and (count.generation or 0) < generation then
    redis.call('HSET', room, 'generation', generation, 'bound', is.bound)
  end
  return 0
end
-- without a room a late keeper may still have noted something about the one that was lost
if not was.state then redis.call('DEL', room) end
local goes_on = was.state and was.epoch == is.epoch
local opened_after = tonumber(is.opened_after)
local kept = goes_on and count.number or opened_after
local passed = goes_on and count.cursor or opened_after
local number = math.max(tonumber(is.number), kept)
local cursor = math.min(number, math.max(tonumber(is.cursor), passed, count.seen_cursor or 0))
local rev = math.max(now, (count.rev or 0) + 1)
local recovers = is.state == 'recovering'
for field, value in pairs(is) do redis.call('HSET', room, field, value) end
redis.call('HDEL', room, 'seen_cursor', 'told_ms', 'told_since_ms')
redis.call('HSETNX', room, 'admitted_total', 0)
redis.call('HSET', room, 'run_id', run_id, 'made_in', generation)
redis.call('HSET', room, 'number', number, 'cursor', cursor, 'rev', rev,
  'tokens', 0, 'refilled_ms', now, 'logged', number,
  'recover_until_ms', recover_ms > 0 and now + recover_ms or 0)

-- Set the bits of every number after `first` up to `last`: whole bytes, and those beside them.
local function set_all(bitmap, first, last)
  local first_byte = math.ceil((first + 1) / BITS_PER_BYTE)
  local end_byte = math.max(first_byte, math.floor((last + 1) / BITS_PER_BYTE))
  if end_byte > first_byte then
    redis.call('SETRANGE', bitmap, first_byte, string.rep(FULL_BYTE, end_byte - first_byte))
  end
  for n = first + 1, math.min(last, first_byte * BITS_PER_BYTE - 1) do
    redis.call('SETBIT', bitmap, n, 1)
  end
  for n = math.max(first + 1, end_byte * BITS_PER_BYTE), last do
    redis.call('SETBIT', bitmap, n, 1)
  end
end
if recovers then
  set_all(ended, kept, number)
  set_all(unproven, kept, number)
  for rank = passed + 1, goes_on and cursor or 0 do
    redis.call('SETBIT', skipped, look_up(order, is, rank), 1)
  end
  -- some of these may have claimed; nobody's seats are released before they can have said so
  for _, n in ipairs(redis.call('ZRANGEBYSCORE', admitted, '-inf', now + recover_ms)) do
    redis.call('ZADD', admitted, now + recover_ms, n)
  end
end
append(log, log_max, 'r', rev, 'k', 'config', 't', now, 'state', is.state, 'epoch', is.epoch,
  'c', cursor, 'rate', is.rate, 'burst', is.burst, 'max_active', is.max_active,
  'lost', recovers and number or 0, 'kept', goes_on and kept or 0)
return 1
