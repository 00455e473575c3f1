-- change: set what an admin may set, checked against the room's current state.
-- Guarantee: it applies from the next tick; new limits do not count for the time before; the
--   message is about the state it was sent in, so another state takes it away; opening
--   a closed room starts a new epoch after every number ever given, so old tickets are void and no
--   number is used twice. A recovering room takes its new state once it has recovered. A change of
--   a closed or scheduled room, whose log nobody may read, is for the caller to announce.
-- KEYS: 1 room  2 log
-- ARGV: 1 now_ms or ""  2 log_max  3 draw_ms: how long after an opening entries are taken
--   4.. {field, value}
--   fields: state rate burst max_active door message messages opening lobby_ms
-- Returns: {changed | missing | refused, state before}      Cost: O(1)
local room = KEYS[1]
local log = KEYS[2]
local now = now_ms(ARGV[1])
local log_max = ARGV[2]
local draw_ms = tonumber(ARGV[3])
local ARGS_PER_FIELD = 2
local NEXT_STATES = {
  scheduled = {open = true, paused = true, closed = true},
  lobby = {open = true, closed = true},
  open = {paused = true, draining = true, closed = true},
  paused = {open = true, draining = true, closed = true},
  draining = {open = true, paused = true, closed = true},
  closed = {open = true},
  recovering = {open = true, paused = true, draining = true, closed = true},
}

local is = room_of(room, {'state', 'tokens', 'refilled_ms', 'number', 'epoch',
  'draw', 'opening', 'lobby_ms', 'opens_ms'})
if not is.state then return {'missing', ''} end
local wanted = {}
for at = 4, #ARGV, ARGS_PER_FIELD do
  local field = ARGV[at]
  wanted[field] = ARGV[at + 1]
end
local asked = wanted.state or is.state
if asked ~= is.state and not NEXT_STATES[is.state][asked] then return {'refused', is.state} end
if asked ~= is.state and not wanted.message then
  wanted.message = ''
  wanted.messages = ''
end
if is.state == 'recovering' and asked ~= 'closed' then -- it does so once everybody may be back
  wanted.state_after = wanted.state
  wanted.state = nil
end
local state = wanted.state or is.state

local tokens = tonumber(is.tokens)
local refilled = tonumber(is.refilled_ms)
-- the time since the last tick is dropped: here it cannot be told from a jump of the clock
if wanted.rate or wanted.burst then refilled = now end
if wanted.burst then tokens = math.min(tokens, tonumber(wanted.burst)) end
if is.state == 'closed' and state == 'open' then
  redis.call('HSET', room, 'epoch', is.epoch + 1, 'cursor', is.number, 'opened_after', is.number,
    'rate_limited', 0, 'drawn', 0, 'commitment', '', 'beacon_round', 0, 'opened_ms', '')
  is.draw = 'ahead'
  tokens = 0
  refilled = now
end
is.opening = wanted.opening or is.opening
is.lobby_ms = wanted.lobby_ms or is.lobby_ms
local opens_now = wanted.state == 'open' and is.draw == 'ahead'
if opens_now and is_drawn(is, draw_ms) then
  -- whoever comes in the next moment is drawn with those who are there
  wanted.state = 'lobby'
  wanted.opened_ms = now
  wanted.draw = 'ahead'
elseif (opens_now or wanted.state == 'draining') and is.draw ~= 'closed' then
  wanted.draw = 'done'
end
redis.call('HSET', room, 'tokens', exact(tokens), 'refilled_ms', exact(refilled))
for field, value in pairs(wanted) do redis.call('HSET', room, field, value) end
if state ~= is.state then redis.call('HSET', room, 'reason', '') end
log_settings(room, log, log_max, now)
return {'changed', is.state}
