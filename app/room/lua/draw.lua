-- draw: open a room in the order of its draw, whose tables are stored already.
-- Guarantee: once an epoch, and only after its entries were closed. A room that recovers, or whose
--   opening was moved to later meanwhile, is drawn and opens when it is due.
-- KEYS: 1 room  2 log
-- ARGV: 1 now_ms or ""  2 epoch  3 log_max  4 entries  5 people
-- Returns: 1 drawn now, 0 not      Cost: O(1)
local room = KEYS[1]
local log = KEYS[2]
local now = now_ms(ARGV[1])
local epoch = ARGV[2]
local log_max = ARGV[3]
local entries = ARGV[4]
local people = ARGV[5]

local is = room_of(room, {'state', 'epoch', 'draw', 'opens_ms', 'opened_ms', 'opened_after'})
if is.epoch ~= epoch or is.draw ~= 'closed' then return 0 end
local state = is.state
local opens = tonumber(is.opened_ms) or tonumber(is.opens_ms)
if state == 'lobby' then state = opens > now and 'scheduled' or 'open' end
redis.call('HSET', room, 'draw', 'done', 'drawn', entries, 'drawn_of', people, 'state', state,
  'opened_ms', '')
write_log(room, log, log_max, 'config', now, 'of', epoch, 'after', is.opened_after,
  'drawn', entries)
return 1
