-- due: do what is due by the clock: open a lobby, close its entries or open the room, end a
--   recovery, close a room whose sale has ended, end turns and passes that have expired.
-- Guarantee: due by Redis's clock; a room that an admin paused, drained or closed is not opened; a
--   turn ends once and frees its capacity. If a turn was not claimed, its wish is forgotten and the
--   command that frees the seats held for it is put on the lane in the same step. If a pass
--   expires, its hold stays until it expires itself.
-- KEYS: 1 room  2 ended  3 lapsed  4 admitted  5 active  6 log  7 lane  8 wishes prefix
-- ARGV: 1 now_ms or ""  2 epoch  3 at most this many turns of each kind  4 log_max
--   5 draw_ms: how long after the opening entries are taken  6 wish_bucket
-- Returns: turns ended      Cost: O(turns ended)
local room = KEYS[1]
local ended = KEYS[2]
local lapsed = KEYS[3]
local admitted = KEYS[4]
local active = KEYS[5]
local log = KEYS[6]
local lane = KEYS[7]
local wishes = KEYS[8]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local turns_max = ARGV[3]
local log_max = ARGV[4]
local draw_ms = tonumber(ARGV[5])
local wish_bucket = tonumber(ARGV[6])
local RELEASE = '{"kind":"drop","id":"lapse:%s:%d:%d","epoch":%s,"number":%d}'

local is = room_of(room, {'state', 'epoch', 'opens_ms', 'recover_until_ms', 'state_after',
  'closes_ms', 'draw', 'opening', 'lobby_ms', 'commitment', 'number', 'opened_after',
  'opened_ms', 'beacon_round', 'beacon_ms', 'beacon_for_ms'})
if is.epoch ~= epoch or is.state == 'closed' then return 0 end

local due_at = numbers_of(is)
local opens = due_at.opened_ms or due_at.opens_ms -- an admin opened it before its time
local closes = due_at.closes_ms
local state = is.state
if state == 'recovering' and due_at.recover_until_ms <= now then
  state = is.state_after == 'open' and opens > now and 'scheduled' or is.state_after
end
local begins = opens - early_ms(is, draw_ms)
if state == 'scheduled' and opens > 0 and opens <= now then state = 'open'
elseif state == 'scheduled' and opens > 0 and begins <= now then state = 'lobby' end
if state == 'lobby' and is.draw ~= 'closed' and opens <= now then state = 'open' end
local closes_entries = false
if state == 'open' and (is.draw == 'ahead' or is.draw == 'closed') then
  -- nobody is let in before the draw, nor are entries closed before its seed is committed to and
  -- a round of the beacon named that nobody knows yet
  local drawn = is.draw == 'closed' or is_drawn(is, draw_ms)
  local may_close = is.draw == 'ahead' and opens + draw_ms <= now and is.commitment ~= ''
    and has_round(is, opens + draw_ms, now)
  closes_entries = drawn and may_close
  if drawn then state = 'lobby' else redis.call('HSET', room, 'draw', 'done') end
  if closes_entries then
    redis.call('HSET', room, 'draw', 'closed', 'entries', is.number - is.opened_after)
  end
end
if closes > 0 and closes <= now then
  state = 'closed'
  redis.call('HSET', room, 'message', '', 'messages', '') -- about the line that is over
end

local numbers = {}
local function end_turns(turns)
  for _, n in ipairs(redis.call('ZRANGEBYSCORE', turns, '-inf', now, 'LIMIT', 0, turns_max)) do
    redis.call('ZREM', turns, n)
    redis.call('SETBIT', ended, n, 1)
    redis.call('SETBIT', lapsed, n, 1)
    numbers[#numbers + 1] = n
    if turns == active then redis.call('HINCRBY', room, 'visits_expired', 1) end
    if turns == admitted then
      redis.call('HDEL', wishes .. math.floor(n / wish_bucket), n)
      redis.call('XADD', lane, '*', 'c', string.format(RELEASE, epoch, n, now, epoch, n))
    end
  end
end
end_turns(admitted)
end_turns(active)

if state ~= is.state or closes_entries then
  redis.call('HSET', room, 'state', state, 'reason', state == 'closed' and 'sale_ended' or '')
  write_log(room, log, log_max, 'config', now)
end
if #numbers > 0 then
  write_log(room, log, log_max, 'lapse', now, 'l', table.concat(numbers, ','))
end
return #numbers
