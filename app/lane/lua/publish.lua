-- publish: append a committed batch to `out` and delete its commands from the lane.
-- Guarantee: only the lease's owner publishes, so versions in `out` never decrease; both happen or
--   neither.
-- KEYS: 1 lane  2 lease  3 out
-- ARGV: 1 owner  2 lease_ms  3 entries_kept  4 published  5.. entry id
-- Returns: published | lost      Cost: O(entry ids)
local lane = KEYS[1]
local lease = KEYS[2]
local out = KEYS[3]
local owner = ARGV[1]
local lease_ms = ARGV[2]
local entries_kept = ARGV[3]
local published = ARGV[4]

if redis.call('GET', lease) ~= owner then
  return 'lost'
end

redis.call('PEXPIRE', lease, lease_ms)
append(out, entries_kept, 'o', published)
for i = 5, #ARGV do
  redis.call('XDEL', lane, ARGV[i])
end
return 'published'
