-- due: do what is due by the clock: open a scheduled room, end a recovery, close a room whose sale
--   has ended, end turns and passes that have expired.
-- Guarantee: due by Redis's clock; a room that an admin paused, drained or closed is not opened; a
--   turn ends once and frees its capacity. If a turn was not claimed, the command that frees the
--   seats held for its wish is put on the lane in the same step. If a pass expires, its hold stays
--   until it expires itself.
-- KEYS: 1 room  2 ended  3 lapsed  4 admitted  5 active  6 log  7 lane
-- ARGV: 1 now_ms or ""  2 epoch  3 at most this many turns of each kind  4 log_max
-- Returns: turns ended      Cost: O(turns ended)
local room = KEYS[1]
local ended = KEYS[2]
local lapsed = KEYS[3]
local admitted = KEYS[4]
local active = KEYS[5]
local log = KEYS[6]
local lane = KEYS[7]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local turns_max = ARGV[3]
local log_max = ARGV[4]
local RELEASE = '{"kind":"drop","id":"lapse:%s:%d:%d","epoch":%s,"number":%d}'

local is = fields_of(room,
  {'state', 'epoch', 'opens_ms', 'recover_until_ms', 'state_after', 'closes_ms'})
if is.epoch ~= epoch or is.state == 'closed' then return 0 end

local due_at = numbers_of(is)
local opens = due_at.opens_ms
local closes = due_at.closes_ms
local state = is.state
if state == 'scheduled' and opens > 0 and opens <= now then state = 'open' end
if state == 'recovering' and due_at.recover_until_ms <= now then
  state = is.state_after == 'open' and opens > now and 'scheduled' or is.state_after
end
if closes > 0 and closes <= now then state = 'closed' end

local numbers = {}
local function end_turns(turns)
  for _, n in ipairs(redis.call('ZRANGEBYSCORE', turns, '-inf', now, 'LIMIT', 0, turns_max)) do
    redis.call('ZREM', turns, n)
    redis.call('SETBIT', ended, n, 1)
    redis.call('SETBIT', lapsed, n, 1)
    numbers[#numbers + 1] = n
    if turns == admitted then
      redis.call('XADD', lane, '*', 'c', string.format(RELEASE, epoch, n, now, epoch, n))
    end
  end
end
end_turns(admitted)
end_turns(active)

if state ~= is.state then
  redis.call('HSET', room, 'state', state, 'reason', state == 'closed' and 'sale_ended' or '')
  write_log(room, log, log_max, 'config', now)
end
if #numbers > 0 then
  write_log(room, log, log_max, 'lapse', now, 'l', table.concat(numbers, ','))
end
return #numbers
