-- snapshot: read a whole room at one moment, for a web process that starts or missed a log entry.
-- Guarantee: consistent with the log entry id it returns; reading the log after that id misses
--   nothing.
-- KEYS: 1 room  2 log  3 ended  4 skipped  5 lapsed  6 unproven  7 admitted  8 active
-- ARGV: none
-- Returns: {room fields, last log id, ended, skipped, lapsed, unproven, admitted with deadlines,
--   active with ends}
-- Cost: O(bytes of the bitmaps + turns)
local room = KEYS[1]
local log = KEYS[2]
local ended = KEYS[3]
local skipped = KEYS[4]
local lapsed = KEYS[5]
local unproven = KEYS[6]
local admitted = KEYS[7]
local active = KEYS[8]
local last_entry = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
return {
  redis.call('HGETALL', room),
  last_entry and last_entry[1] or '0-0',
  redis.call('GET', ended) or '',
  redis.call('GET', skipped) or '',
  redis.call('GET', lapsed) or '',
  redis.call('GET', unproven) or '',
  redis.call('ZRANGE', admitted, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', active, 0, -1, 'WITHSCORES'),
}
