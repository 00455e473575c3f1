-- reserve: allow numbers up to a bound that SQL has reserved.
-- Guarantee: the bound never decreases, also if a call is late; a missing room is not made, and one
--   that was made for another Redis process gets nothing.
-- KEYS: 1 room      ARGV: 1 bound
-- Returns: the bound in force, 0 without a room      Cost: O(1)
local room = KEYS[1]
local wanted = tonumber(ARGV[1])
local bound = tonumber(room_of(room, {'bound'}).bound)

if not bound then return 0 end
if wanted > bound then redis.call('HSET', room, 'bound', wanted) end
return math.max(wanted, bound)
