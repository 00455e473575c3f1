-- send: append commands to the lane and return whether an allocator must be woken.
-- Guarantee: commands keep their order; all of them are added or none; either a lease holder will
--   see them (it cannot release a lane that is not empty) or the caller is told to wake one.
-- KEYS: 1 lane  2 lease      ARGV: 1 commands_max  2.. command
-- Returns: {status, oldest}
--   status: wake | awake | full   oldest: id of the oldest waiting entry, "" when full
-- Cost: O(commands)
local lane = KEYS[1]
local lease = KEYS[2]
local commands_max = tonumber(ARGV[1])

if redis.call('XLEN', lane) + #ARGV - 1 > commands_max then
  return {'full', ''}
end

for i = 2, #ARGV do
  redis.call('XADD', lane, '*', 'c', ARGV[i])
end

local oldest = redis.call('XRANGE', lane, '-', '+', 'COUNT', 1)[1][1]
if redis.call('EXISTS', lease) == 1 then
  return {'awake', oldest}
end
return {'wake', oldest}
