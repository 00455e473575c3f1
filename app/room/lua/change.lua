-- change: set what an operator may set, checked against the state the room is in now.
-- Guarantee: felt by the next tick; the new rate grants no time before it; reopening a closed room starts a new
--   epoch behind every number ever given, so old tickets are over and no number is used twice. A change of a closed room,
--   whose log nobody reads, is told in `opened`.
-- KEYS: 1 room  2 log  3 opened
-- ARGV: 1 now_ms or ""  2 log_max, also of `opened`  3 event_id  4.. {field, value}; fields: state rate burst max_active
--   accounts_only message
-- Returns: {changed | missing | refused, state before}      Cost: O(1)
local room, log, opened = KEYS[1], KEYS[2], KEYS[3]
local log_max, event_id = ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
local allowed = {
  scheduled = {open = true, paused = true, closed = true}, open = {paused = true, draining = true, closed = true},
  paused = {open = true, draining = true, closed = true}, draining = {open = true, paused = true, closed = true},
  closed = {open = true}, recovering = {closed = true},
}
local f = redis.call('HMGET', room, 'state', 'tokens', 'refilled_ms', 'number', 'epoch')
local state = f[1]
if not state then return {'missing', ''} end
local wanted = {}
for i = 4, #ARGV, 2 do wanted[ARGV[i]] = ARGV[i + 1] end
local new = wanted.state or state
if new ~= state and not allowed[state][new] then return {'refused', state} end

local tokens, refilled = tonumber(f[2]), tonumber(f[3])
if wanted.rate then refilled = now end -- nobody here can tell what is left of the last tick from a step of the clock
if wanted.burst then tokens = math.min(tokens, tonumber(wanted.burst)) end
if state == 'closed' and new == 'open' then
  redis.call('HSET', room, 'epoch', f[5] + 1, 'cursor', f[4], 'opened_after', f[4])
  tokens, refilled = 0, now
end
redis.call('HSET', room, 'tokens', string.format('%.17g', tokens), 'refilled_ms', refilled)
for field, value in pairs(wanted) do redis.call('HSET', room, field, value) end
if new ~= state then redis.call('HSET', room, 'reason', '') end
if state == 'closed' then redis.call('XADD', opened, 'MAXLEN', '~', log_max, '*', 'e', event_id) end
local rev = redis.call('HINCRBY', room, 'rev', 1)
local is = redis.call('HMGET', room, 'state', 'epoch', 'cursor', 'rate', 'burst', 'max_active')
redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'config', 't', now, 'state', is[1], 'epoch', is[2],
  'c', is[3], 'rate', is[4], 'burst', is[5], 'max_active', is[6])
return {'changed', state}
