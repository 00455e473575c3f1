-- change: set what an admin may set, checked against the room's current state.
-- Guarantee: it applies from the next tick; a new rate does not count for the time before; opening
--   a closed room starts a new epoch after every number ever given, so old tickets are void and no
--   number is used twice. A change of a closed room, whose log nobody reads, is announced in
--   `opened`.
-- KEYS: 1 room  2 log  3 opened
-- ARGV: 1 now_ms or ""  2 log_max, also of `opened`  3 event_id  4.. {field, value}
--   fields: state rate burst max_active accounts_only message
-- Returns: {changed | missing | refused, state before}      Cost: O(1)
local room = KEYS[1]
local log = KEYS[2]
local opened = KEYS[3]
local now = now_ms(ARGV[1])
local log_max = ARGV[2]
local event_id = ARGV[3]
local ARGS_PER_FIELD = 2
local NEXT_STATES = {
  scheduled = {open = true, paused = true, closed = true},
  open = {paused = true, draining = true, closed = true},
  paused = {open = true, draining = true, closed = true},
  draining = {open = true, paused = true, closed = true},
  closed = {open = true},
  recovering = {closed = true},
}

local is = fields_of(room, {'state', 'tokens', 'refilled_ms', 'number', 'epoch'})
if not is.state then return {'missing', ''} end
local wanted = {}
for at = 4, #ARGV, ARGS_PER_FIELD do
  local field = ARGV[at]
  wanted[field] = ARGV[at + 1]
end
local state = wanted.state or is.state
if state ~= is.state and not NEXT_STATES[is.state][state] then return {'refused', is.state} end

local tokens = tonumber(is.tokens)
local refilled = tonumber(is.refilled_ms)
-- the time since the last tick is dropped: here it cannot be told from a jump of the clock
if wanted.rate then refilled = now end
if wanted.burst then tokens = math.min(tokens, tonumber(wanted.burst)) end
if is.state == 'closed' and state == 'open' then
  redis.call('HSET', room, 'epoch', is.epoch + 1, 'cursor', is.number, 'opened_after', is.number)
  tokens = 0
  refilled = now
end
redis.call('HSET', room, 'tokens', exact(tokens), 'refilled_ms', refilled)
for field, value in pairs(wanted) do redis.call('HSET', room, field, value) end
if state ~= is.state then redis.call('HSET', room, 'reason', '') end
if is.state == 'closed' then append(opened, log_max, 'e', event_id) end
log_settings(room, log, log_max, now)
return {'changed', is.state}
