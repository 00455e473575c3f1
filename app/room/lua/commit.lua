-- commit: store that SQL has the seed of this epoch's draw: from now on entries may be given. Name
--   the round of a beacon for it, or another one if the opening has moved.
-- Guarantee: a commitment is stored once an epoch; a round is named only before entries close.
-- KEYS: 1 room
-- ARGV: 1 epoch  2 commitment  3 round, or zero without a beacon  4 when it is, in ms
--   5 for entries that close at this time
-- Returns: 1 stored, 0 not      Cost: O(1)
local room = KEYS[1]
local epoch = ARGV[1]
local commitment = ARGV[2]
local round = ARGV[3]
local round_ms = ARGV[4]
local for_ms = ARGV[5]
local is = room_of(room, {'epoch', 'draw', 'commitment'})
if is.epoch ~= epoch or is.draw ~= 'ahead' then return 0 end
if (is.commitment or '') == '' then redis.call('HSET', room, 'commitment', commitment) end
redis.call('HSET', room, 'beacon_round', round, 'beacon_ms', round_ms, 'beacon_for_ms', for_ms)
return 1
