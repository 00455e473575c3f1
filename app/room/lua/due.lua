-- due: what the clock decides: a scheduled room opens, a recovered one goes on, one whose sale is over closes, turns whose
--   time is over end.
-- Guarantee: only what is due at Redis's own now; a room that somebody paused, drained or closed is not opened; a turn ends
--   once, and its capacity goes back to the line. With a turn that nobody took up go the seats held for its wish: the command
--   that gives them back goes on the lane in the same step. Whoever has a pass keeps what they hold, which ends by itself.
-- KEYS: 1 room  2 gone  3 lapsed  4 admitted  5 active  6 log  7 lane
-- ARGV: 1 now_ms or ""  2 epoch  3 at most this many turns of each kind  4 log_max
-- Returns: turns ended      Cost: O(turns ended)
local room, gone, lapsed, admitted, active, log, lane = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local epoch, limit, log_max = ARGV[2], ARGV[3], ARGV[4]
local drop = '{"kind":"drop","id":"lapse:%s:%d:%d","epoch":%s,"number":%d}'
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
local f = redis.call('HMGET', room, 'state', 'epoch', 'opens_ms', 'recover_until_ms', 'state_after', 'closes_ms')
local state, opens, recovers, closes = f[1], tonumber(f[3]), tonumber(f[4]), tonumber(f[6])
if not state or f[2] ~= epoch or state == 'closed' then return 0 end

local new = state
if state == 'scheduled' and opens > 0 and opens <= now then new = 'open' end
if state == 'recovering' and recovers <= now then new = f[5] == 'open' and opens > now and 'scheduled' or f[5] end
if closes > 0 and closes <= now then new = 'closed' end
local over = {}
for _, turns in ipairs({admitted, active}) do
  for _, n in ipairs(redis.call('ZRANGEBYSCORE', turns, '-inf', now, 'LIMIT', 0, limit)) do
    redis.call('ZREM', turns, n)
    redis.call('SETBIT', gone, n, 1)
    redis.call('SETBIT', lapsed, n, 1)
    over[#over + 1] = n
    if turns == admitted then redis.call('XADD', lane, '*', 'c', string.format(drop, epoch, n, now, epoch, n)) end
  end
end
if new ~= state then
  redis.call('HSET', room, 'state', new, 'reason', new == 'closed' and 'sale_ended' or '')
  local rev = redis.call('HINCRBY', room, 'rev', 1)
  redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'config', 't', now)
end
if #over > 0 then
  local rev = redis.call('HINCRBY', room, 'rev', 1)
  redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'lapse', 't', now, 'l', table.concat(over, ','))
end
return #over
