-- count: add what a web process counted of a site to the figures that all processes share.
-- Guarantee: every key ends by itself; no more than errors_max errors are kept, the latest ones.
-- KEYS: 1 short span  2 long span  3 errors
-- ARGV: 1 at_s  2 short_kept_s  3 long_kept_s  4 errors_kept_s  5 errors_max
--   6 counts, as msgpack: {field, count, ...}  7 errors, as msgpack: {error, ...}
--   8 by how many seconds a connector's clock is ahead, or ""
-- Returns: how many errors are kept      Cost: O(counts + errors)
local short_span = KEYS[1]
local long_span = KEYS[2]
local errors = KEYS[3]
local at_s = ARGV[1]
local short_kept_s = ARGV[2]
local long_kept_s = ARGV[3]
local errors_kept_s = ARGV[4]
local errors_max = tonumber(ARGV[5])
local counts = cmsgpack.unpack(ARGV[6])
local happened = cmsgpack.unpack(ARGV[7])
local ahead_s = ARGV[8]

for at = 1, #counts, 2 do
  redis.call('HINCRBY', short_span, counts[at], counts[at + 1])
  redis.call('HINCRBY', long_span, counts[at], counts[at + 1])
end
if ahead_s ~= '' then redis.call('HSET', long_span, 'ahead', ahead_s) end
redis.call('EXPIRE', short_span, short_kept_s)
redis.call('EXPIRE', long_span, long_kept_s)
for at = 1, #happened do
  redis.call('ZADD', errors, at_s, happened[at])
end
redis.call('ZREMRANGEBYRANK', errors, 0, -errors_max - 1)
redis.call('EXPIRE', errors, errors_kept_s)
return redis.call('ZCARD', errors)
