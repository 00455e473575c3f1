-- tell: tell every process which tags are out of date.
-- Guarantee: notices are numbered without a gap, so a reader that missed one knows; the stream
--   stays bounded.
-- KEYS: 1 notices      ARGV: 1 notices_kept  2 tags  3 teller
-- Returns: number      Cost: O(1)
local notices = KEYS[1]
local notices_kept = ARGV[1]
local tags = ARGV[2]
local teller = ARGV[3]

local number = 1
local last = redis.call('XREVRANGE', notices, '+', '-', 'COUNT', 1)[1]
if last then
  local names_and_values = last[2] -- {'n', number, ...}
  number = tonumber(names_and_values[2]) + 1
end
append(notices, notices_kept, 'n', number, 't', tags, 'by', teller)
return number
