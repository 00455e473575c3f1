-- schedule: set when a room opens and closes by itself, or cancel its event.
-- Guarantee: a room that an admin opened early, paused, drained or closed stays so. A room that was
--   closed because its sale ended opens again if its sale goes on, in a new epoch after every
--   number ever given. A cancelled event stays cancelled. A change of a closed room, whose log
--   nobody reads, is announced in `opened`.
-- KEYS: 1 room  2 log  3 opened
-- ARGV: 1 now_ms or ""  2 log_max, also of `opened`  3 opens_ms  4 closes_ms or 0
--   5 cancelled, or ""  6 message if so  7 event_id
-- Returns: {changed | same | missing, epoch, the number before its first}      Cost: O(1)
local room = KEYS[1]
local log = KEYS[2]
local opened = KEYS[3]
local now = now_ms(ARGV[1])
local log_max = ARGV[2]
local opens = ARGV[3]
local closes = ARGV[4]
local cancelled = ARGV[5] ~= ''
local message = ARGV[6]
local event_id = ARGV[7]

local is = fields_of(room,
  {'state', 'epoch', 'number', 'opens_ms', 'closes_ms', 'reason', 'opened_after'})
if not is.state then return {'missing', 0, 0} end
local epoch = tonumber(is.epoch)
local opened_after = tonumber(is.opened_after)
local is_unchanged = not cancelled and is.opens_ms == opens and is.closes_ms == closes
if is.reason == 'event_cancelled' or is_unchanged then return {'same', epoch, opened_after} end

local state = is.state
local reason = is.reason
local opens_later = tonumber(opens) > now
local goes_on = closes == '0' or tonumber(closes) > now
if cancelled then
  state = 'closed'
  reason = 'event_cancelled'
  redis.call('HSET', room, 'message', message)
elseif state == 'closed' and reason == 'sale_ended' and goes_on then
  state = opens_later and 'scheduled' or 'open'
  reason = ''
  epoch = epoch + 1
  opened_after = tonumber(is.number)
  redis.call('HSET', room, 'epoch', epoch, 'cursor', is.number, 'opened_after', is.number,
    'tokens', 0, 'refilled_ms', now)
elseif state == 'open' and opens_later and tonumber(is.opens_ms) <= now then
  state = 'scheduled'
end
redis.call('HSET', room, 'state', state, 'reason', reason, 'opens_ms', opens, 'closes_ms', closes)
if is.state == 'closed' then append(opened, log_max, 'e', event_id) end
log_settings(room, log, log_max, now)
return {'changed', epoch, opened_after}
