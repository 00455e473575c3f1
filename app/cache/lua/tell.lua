-- tell: tell every process which tags are out of date.
-- Guarantee: notices are numbered without a gap, so a reader that missed one knows; the stream stays bounded.
-- KEYS: 1 notices      ARGV: 1 notices_kept  2 tags  3 teller
-- Returns: number      Cost: O(1)
local notices = KEYS[1]
local notices_kept, tags, teller = ARGV[1], ARGV[2], ARGV[3]

local last = redis.call('XREVRANGE', notices, '+', '-', 'COUNT', 1)[1]
local number = last and tonumber(last[2][2]) + 1 or 1

redis.call('XADD', notices, 'MAXLEN', '~', notices_kept, '*', 'n', number, 't', tags, 'by', teller)
return number
