-- lease: take the lane's lease if nobody has it, or renew one's own.
-- Guarantee: at most one owner at a time; nobody takes another's lease; `keep` never restores a
--   lease that has ended, so it cannot undo a release that reaches Redis before it.
-- KEYS: 1 lease      ARGV: 1 owner  2 lease_ms  3 how: take | keep
-- Returns: taken | kept | lost      Cost: O(1)
local lease = KEYS[1]
local owner = ARGV[1]
local lease_ms = ARGV[2]
local how = ARGV[3]

if how == 'take' then
  return redis.call('SET', lease, owner, 'NX', 'PX', lease_ms) and 'taken' or 'lost'
end

if redis.call('GET', lease) ~= owner then
  return 'lost'
end
redis.call('PEXPIRE', lease, lease_ms)
return 'kept'
