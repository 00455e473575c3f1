-- create: make a room, once; after a loss of Redis, make it again behind every number ever given.
-- Guarantee: an existing room is left alone. A room made again takes people, admits nobody while `recovering`, and counts
--   every number this epoch ever gave as lost until its ticket is shown again. `opened` tells of it.
-- KEYS: 1 room  2 log  3 rooms  4 gone  5 lost  6 opened
-- ARGV: 1 now_ms or ""  2 event_id  3 epoch  4 last number  5 bound  6 cursor  7 state  8 opens_ms  9 rate  10 burst
--   11 max_active  12 message  13 recover_ms or 0  14 state_after  15 log_max, also of `opened`  16 opened_after: the number before the epoch's first
--   17 closes_ms or 0  18 reason: why a room is born closed  19 accounts_only: 1 or 0
-- Returns: 1 made, 0 there already      Cost: O((number - opened_after) / 8)
local room, log, rooms, gone, lost, opened, event_id = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], ARGV[2]
local epoch, number, bound, cursor, state, opens_ms = ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local rate, burst, max_active, message, recover_ms = ARGV[9], ARGV[10], ARGV[11], ARGV[12], tonumber(ARGV[13])
local state_after, log_max, opened_after, time = ARGV[14], ARGV[15], tonumber(ARGV[16]), redis.call('TIME')
local closes_ms, reason, accounts_only = ARGV[17], ARGV[18], ARGV[19]
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SADD', rooms, event_id)
if redis.call('HEXISTS', room, 'state') == 1 then return 0 end
redis.call('DEL', room) -- a keeper that was late may have noted something about the room that was lost

redis.call('HSET', room, 'state', state, 'epoch', epoch, 'number', number, 'bound', bound, 'cursor', cursor,
  'rate', rate, 'burst', burst, 'max_active', max_active, 'message', message, 'opens_ms', opens_ms,
  'closes_ms', closes_ms, 'reason', reason, 'accounts_only', accounts_only, 'tokens', 0,
  'refilled_ms', now, 'logged', number, 'admitted_total', 0, 'rev', now, 'opened_after', opened_after,
  'state_after', state_after, 'recover_until_ms', recover_ms > 0 and now + recover_ms or 0)
if state == 'recovering' and number > opened_after then
  local first = math.floor((opened_after + 1) / 8)
  local all = string.rep('\255', math.floor(number / 8) - first + 1)
  for _, bitmap in ipairs({gone, lost}) do
    redis.call('SETRANGE', bitmap, first, all)
    for n = first * 8, opened_after do redis.call('SETBIT', bitmap, n, 0) end
    for n = number + 1, math.floor(number / 8) * 8 + 7 do redis.call('SETBIT', bitmap, n, 0) end
  end
end
redis.call('XADD', opened, 'MAXLEN', '~', log_max, '*', 'e', event_id)
redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', now, 'k', 'config', 't', now, 'state', state, 'epoch', epoch,
  'c', cursor, 'rate', rate, 'burst', burst, 'max_active', max_active, 'lost', state == 'recovering' and number or 0)
return 1
