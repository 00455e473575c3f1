-- snapshot: the whole of a room at one moment, for a web process that starts or missed something.
-- Guarantee: consistent with the log entry id it returns; reading the log after that id misses nothing.
-- KEYS: 1 room  2 log  3 gone  4 skipped  5 lapsed  6 lost  7 admitted  8 active      ARGV: none
-- Returns: {room fields, last log id, gone, skipped, lapsed, lost, admitted with deadlines, active with ends}
-- Cost: O(bytes of the bitmaps + turns)
local room, log, gone, skipped = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local lapsed, lost, admitted, active = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
return {
  redis.call('HGETALL', room),
  last[1] and last[1][1] or '0-0',
  redis.call('GET', gone) or '',
  redis.call('GET', skipped) or '',
  redis.call('GET', lapsed) or '',
  redis.call('GET', lost) or '',
  redis.call('ZRANGE', admitted, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', active, 0, -1, 'WITHSCORES'),
}
