-- release: give up the lane's lease, with `if_empty` only if no command waits.
-- Guarantee: only the owner's lease is deleted; with `if_empty` the owner of a lane that has
--   commands keeps it, so a command sent while an allocator is stopping is seen by it or wakes
--   another.
-- KEYS: 1 lane  2 lease      ARGV: 1 owner  2 when: if_empty | now
-- Returns: {status, oldest}
--   status: released | more | lost   oldest: id of the oldest waiting entry or ""
-- Cost: O(1)
local lane = KEYS[1]
local lease = KEYS[2]
local owner = ARGV[1]
local when = ARGV[2]

if redis.call('GET', lease) ~= owner then
  return {'lost', ''}
end
local first = redis.call('XRANGE', lane, '-', '+', 'COUNT', 1)[1]
local oldest = first and first[1] or ''
if when == 'if_empty' and first then
  return {'more', oldest}
end

redis.call('DEL', lease)
return {'released', oldest}
