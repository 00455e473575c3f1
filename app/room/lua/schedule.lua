-- schedule: when a room opens and closes by the clock, and whether its event is cancelled.
-- Guarantee: what an operator decided stays: a room they opened early, paused, drained or closed. A room that only the clock
--   closed takes people again if its sale goes on, in a new epoch behind every number ever given. Cancelled is for good.
--   A change of a closed room, whose log nobody reads, is told in `opened`.
-- KEYS: 1 room  2 log  3 opened
-- ARGV: 1 now_ms or ""  2 log_max, also of `opened`  3 opens_ms  4 closes_ms or 0  5 cancelled, or ""  6 message if so
--   7 event_id
-- Returns: {changed | same | missing, epoch, the number before its first}      Cost: O(1)
local room, log, opened = KEYS[1], KEYS[2], KEYS[3]
local log_max, opens, closes, cancelled, message, event_id = ARGV[2], ARGV[3], ARGV[4], ARGV[5] ~= '', ARGV[6], ARGV[7]
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
local f = redis.call('HMGET', room, 'state', 'epoch', 'number', 'opens_ms', 'closes_ms', 'reason', 'opened_after')
local state, epoch, reason = f[1], tonumber(f[2]), f[6]
if not state then return {'missing', 0, 0} end
local opened_after = tonumber(f[7])
if reason == 'event_cancelled' then return {'same', epoch, opened_after} end
if not cancelled and f[4] == opens and f[5] == closes then return {'same', epoch, opened_after} end

local new, why, opens_later, goes_on = state, reason, tonumber(opens) > now, closes == '0' or tonumber(closes) > now
if cancelled then
  new, why = 'closed', 'event_cancelled'
  redis.call('HSET', room, 'message', message)
elseif state == 'closed' and reason == 'sale_ended' and goes_on then
  new, why, epoch, opened_after = opens_later and 'scheduled' or 'open', '', epoch + 1, tonumber(f[3])
  redis.call('HSET', room, 'epoch', epoch, 'cursor', f[3], 'opened_after', f[3], 'tokens', 0, 'refilled_ms', now)
elseif state == 'open' and opens_later and tonumber(f[4]) <= now then
  new = 'scheduled'
end
redis.call('HSET', room, 'state', new, 'reason', why, 'opens_ms', opens, 'closes_ms', closes)
if state == 'closed' then redis.call('XADD', opened, 'MAXLEN', '~', log_max, '*', 'e', event_id) end
local rev = redis.call('HINCRBY', room, 'rev', 1)
local is = redis.call('HMGET', room, 'state', 'epoch', 'cursor', 'rate', 'burst', 'max_active')
redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'config', 't', now, 'state', is[1], 'epoch', is[2],
  'c', is[3], 'rate', is[4], 'burst', is[5], 'max_active', is[6])
return {'changed', epoch, opened_after}
