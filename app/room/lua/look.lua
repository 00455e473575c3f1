-- look: read a room's hash, and say whether it is complete as far as anybody knows.
-- Guarantee: a room that lacks what SQL or the caller remembers is never used again as it is: it
--   has to be made again, and everything else calls it missing until then.
-- KEYS: 1 room
-- ARGV: 1 what is remembered: "number cursor"  2 its generation in SQL  3 the revision of its log
--   that was reached in that generation
-- Returns: {1 complete or 0, field, value, ...}      Cost: O(fields)
local room = KEYS[1]
local remembered = ARGV[1]
local generation = tonumber(ARGV[2])
local revision = tonumber(ARGV[3])
local count = numbers_of(fields_of(room, {'generation', 'rev', 'number'}))
local made_in = count.generation or 0

if count.number and (made_in < generation or made_in == generation and count.rev < revision) then
  redis.call('HSET', room, 'run_id', '')
end
local complete = room_of(room, {'state'}, remembered).state and 1 or 0
return {complete, unpack(redis.call('HGETALL', room))}
