-- prelude: what several commands need; app/lua.py puts it before each of them.
-- Guarantee: only functions. Nothing is read or written before a command calls one.
-- Returns: nothing      Cost: O(1)

-- Redis's time in Unix ms, or the one that a test passes in.
local function now_ms(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  local seconds = time[1]
  local microseconds = time[2]
  return seconds * 1000 + math.floor(microseconds / 1000)
end

-- Fields of a hash by their names; false for one that is not there.
local function fields_of(hash, names)
  local values = redis.call('HMGET', hash, unpack(names))
  local fields = {}
  for at, name in ipairs(names) do fields[name] = values[at] end
  return fields
end

-- The same fields as numbers; nil for what is not one.
local function numbers_of(fields)
  local numbers = {}
  for name, value in pairs(fields) do numbers[name] = tonumber(value) end
  return numbers
end

local function has_bit(bitmap, number)
  return redis.call('GETBIT', bitmap, number) == 1
end

-- Whether a place in line is this holder's. An account may have it by now.
local function owns(holders, holder_bucket, holder, number)
  return tonumber(redis.call('HGET', holders .. holder_bucket, holder)) == tonumber(number)
end

-- A number as text that reads back as the very same number.
local function exact(number)
  return string.format('%.17g', number)
end

-- Put the hold of a number's wish on the lane, once; 1 if there was a wish.
local function send_wish(lane, wishes, wish_bucket, epoch, n)
  local HOLD = '{"kind":"hold","id":"wish:%s:%d","holder":"%s","number":%d,"epoch":%s,"wish":%s}'
  local bucket = wishes .. math.floor(n / wish_bucket)
  local holder, wish = string.match(redis.call('HGET', bucket, n) or '', '^(%S+) (.*)$')
  if not wish then return 0 end
  redis.call('XADD', lane, '*', 'c', string.format(HOLD, epoch, n, holder, n, epoch, wish))
  return redis.call('HDEL', bucket, n)
end

-- Append to a stream that keeps about its last `entries_max` entries.
local function append(stream, entries_max, ...)
  return redis.call('XADD', stream, 'MAXLEN', '~', entries_max, '*', ...)
end

-- Write an entry of the room log, with the room's next revision: r revision, k kind, t time.
local function write_log(room, log, entries_max, kind, now, ...)
  local revision = redis.call('HINCRBY', room, 'rev', 1)
  redis.call('XADD', log, 'MAXLEN', '~', entries_max, '*', 'r', revision, 'k', kind, 't', now, ...)
end

-- Write the settings of a room that an admin or the sale's schedule has changed to its log.
local function log_settings(room, log, entries_max, now)
  local names = {'state', 'epoch', 'cursor', 'rate', 'burst', 'max_active'}
  local is = fields_of(room, names)
  write_log(room, log, entries_max, 'config', now, 'state', is.state, 'epoch', is.epoch,
    'c', is.cursor, 'rate', is.rate, 'burst', is.burst, 'max_active', is.max_active)
end
