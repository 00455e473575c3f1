-- schedule: set when a room opens and closes by itself, or cancel its event.
-- Guarantee: a room that an admin opened early, paused, drained or closed stays so. A room that was
--   closed because its sale ended opens again if its sale goes on, in a new epoch after every
--   number ever given. A cancelled event stays cancelled. What was read of an event before its last
--   change changes nothing. A change of a closed or scheduled room, whose log nobody may read, is
--   for the caller to announce.
-- KEYS: 1 room  2 log
-- ARGV: 1 now_ms or ""  2 log_max  3 opens_ms  4 closes_ms or 0
--   5 cancelled, or ""  6 the event's version
-- Returns: {changed | same | missing, epoch, the number before its first}      Cost: O(1)
local room = KEYS[1]
local log = KEYS[2]
local now = now_ms(ARGV[1])
local log_max = ARGV[2]
local opens = ARGV[3]
local closes = ARGV[4]
local cancelled = ARGV[5] ~= ''
local version = tonumber(ARGV[6])

local is = room_of(room, {'state', 'epoch', 'number', 'opens_ms', 'closes_ms', 'reason',
  'opened_after', 'sale_version'})
if not is.state then return {'missing', 0, 0} end
local epoch = tonumber(is.epoch)
local opened_after = tonumber(is.opened_after)
local is_unchanged = not cancelled and is.opens_ms == opens and is.closes_ms == closes
local is_outdated = version < (tonumber(is.sale_version) or 0)
if is.reason == 'event_cancelled' or is_outdated then return {'same', epoch, opened_after} end
redis.call('HSET', room, 'sale_version', version)
if is_unchanged then return {'same', epoch, opened_after} end

local state = is.state
local reason = is.reason
local opens_later = tonumber(opens) > now
local goes_on = closes == '0' or tonumber(closes) > now
if cancelled then
  state = 'closed'
  reason = 'event_cancelled'
  redis.call('HSET', room, 'message', '', 'messages', '') -- the reason says why
elseif state == 'closed' and reason == 'sale_ended' and goes_on then
  state = opens_later and 'scheduled' or 'open'
  reason = ''
  epoch = epoch + 1
  opened_after = tonumber(is.number)
  redis.call('HSET', room, 'epoch', epoch, 'cursor', is.number, 'opened_after', is.number,
    'tokens', 0, 'refilled_ms', now, 'rate_limited', 0, 'draw', 'ahead', 'drawn', 0,
    'commitment', '', 'beacon_round', 0, 'opened_ms', '')
elseif state == 'open' and opens_later and tonumber(is.opens_ms) <= now then
  state = 'scheduled'
  local came = tonumber(is.number) > opened_after
  if not came then redis.call('HSET', room, 'draw', 'ahead') end -- nobody has a place yet
end
redis.call('HSET', room, 'state', state, 'reason', reason, 'opens_ms', opens, 'closes_ms', closes)
log_settings(room, log, log_max, now)
return {'changed', epoch, opened_after}
