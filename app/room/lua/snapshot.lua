-- snapshot: read a whole room at one moment, for a web process that starts or missed a log entry.
-- Guarantee: consistent with the log entry id it returns; reading the log after that id misses
--   nothing. Nothing of a room that lacks what the caller remembers.
-- KEYS: 1 room  2 log  3 ended  4 skipped  5 lapsed  6 unproven  7 admitted  8 active
--   9 taken  10 absent
-- ARGV: 1 what the caller remembers: "number cursor"
-- Returns: {room fields, last log id, ended, skipped, lapsed, unproven, admitted with deadlines,
--   active with ends, taken, absent}, or false without a room
-- Cost: O(bytes of the bitmaps + turns)
local room = KEYS[1]
local log = KEYS[2]
local ended = KEYS[3]
local skipped = KEYS[4]
local lapsed = KEYS[5]
local unproven = KEYS[6]
local admitted = KEYS[7]
local active = KEYS[8]
local taken = KEYS[9]
local absent = KEYS[10]
local remembered = ARGV[1]
if not room_of(room, {'state'}, remembered).state then return false end
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
  redis.call('GET', taken) or '',
  redis.call('GET', absent) or '',
}
