-- admit: let in the next people in line, as many as rate and capacity allow now.
-- Guarantee: in any w seconds at most rate*w + burst, by any number of workers; admitted + claimed
--   at most max_active; nobody present is passed over, and who came back goes first; nobody is
--   absent before presence was reported for all slots but one. Also said in domain/admission.py.
-- KEYS: 1 room  2 ended  3 skipped  4 returned  5 admitted  6 active  7 log  8 seen prefix
--   9 wishes prefix  10 lane
-- ARGV: 1 now_ms or ""  2 refilled_ms last answered to the caller or ""
--   3 ms since then by its monotonic clock: no more time counts, whatever Redis's clock does
--   4 epoch  5 slots  6 slot_ms  7 claim_ms  8 scan_max  9 log_max  10 wish_bucket
-- Returns: {state, admitted, cursor, number, wishes sent, refilled_ms}      Cost: O(people passed)
local room = KEYS[1]
local ended = KEYS[2]
local skipped = KEYS[3]
local returned = KEYS[4]
local admitted = KEYS[5]
local active = KEYS[6]
local log = KEYS[7]
local seen = KEYS[8]
local wishes = KEYS[9]
local lane = KEYS[10]
local now = now_ms(ARGV[1])
local steady = tonumber(ARGV[3])
local epoch = ARGV[4]
local slots = tonumber(ARGV[5])
local slot_ms = tonumber(ARGV[6])
local deadline = now + tonumber(ARGV[7])
local scan_max = tonumber(ARGV[8])
local log_max = ARGV[9]
local wish_bucket = tonumber(ARGV[10])
local HOLD = '{"kind":"hold","id":"wish:%s:%d","holder":"%s","number":%d,"epoch":%s,"wish":%s}'
local ROUNDING = 1e-9 -- ten times a tenth is less than one in binary, and may not cost a tick

local is = fields_of(room, {'state', 'epoch', 'number', 'cursor', 'tokens', 'refilled_ms', 'rate',
  'burst', 'max_active', 'logged', 'admitted_total', 'told_ms', 'told_since_ms'})
if is.epoch ~= epoch then return {is.state and 'old_epoch' or 'missing', 0, 0, 0, 0, '0'} end
local count = numbers_of(is)
local cursor = count.cursor
local refilled = count.refilled_ms
local known = tonumber(ARGV[2]) or refilled
local vouched = refilled < known and 0 or known + steady - refilled
local elapsed = math.max(0, math.min(now - refilled, vouched))
local tokens = math.min(count.burst, count.tokens + count.rate * elapsed / 1000)
-- what is kept for a later tick may not come to more than burst together with what is there now
local still_worth = math.max(refilled + elapsed, now - (count.burst - tokens) * 1000 / count.rate)
local kept_from = math.min(now, still_worth)
local free = count.max_active - redis.call('ZCARD', admitted) - redis.call('ZCARD', active)
local moves = is.state == 'open' or is.state == 'draining'
local allowed = moves and math.min(math.floor(tokens + ROUNDING), free) or 0
local slot = math.floor(now / slot_ms)
local reports_go_on = count.told_ms and count.told_ms <= now and now - count.told_ms <= slot_ms
local absence_known = reports_go_on and now - count.told_since_ms >= (slots - 1) * slot_ms
local joined_after
for s = slot - slots, slot do
  joined_after = joined_after or tonumber(redis.call('GET', seen .. s .. ':after'))
end
local function is_present(n)
  if joined_after and n > joined_after then return true end
  for s = slot, slot - slots, -1 do if has_bit(seen .. s, n) then return true end end
end

local let_in = {}
local passed_over = {}
local scanned = 0
while #let_in < allowed and scanned < scan_max do
  local back = redis.call('ZRANGE', returned, 0, 0)[1]
  local n = tonumber(back) or cursor + 1
  if n > count.number then break end
  local in_line = not has_bit(ended, n)
  local present = in_line and is_present(n)
  if in_line and not present and not absence_known then break end
  if back then redis.call('ZREM', returned, n) end
  cursor = math.max(cursor, n)
  scanned = scanned + 1
  if in_line then
    redis.call('SETBIT', skipped, n, present and 0 or 1)
    table.insert(present and let_in or passed_over, n)
  end
end

local wishes_sent = 0
for _, n in ipairs(let_in) do
  redis.call('ZADD', admitted, deadline, n)
  local bucket = wishes .. math.floor(n / wish_bucket)
  local holder, wish = string.match(redis.call('HGET', bucket, n) or '', '^(%S+) (.*)$')
  if wish then
    redis.call('XADD', lane, '*', 'c', string.format(HOLD, epoch, n, holder, n, epoch, wish))
    wishes_sent = wishes_sent + redis.call('HDEL', bucket, n)
  end
end
if scanned > 0 or tokens ~= count.tokens or tokens < count.burst and kept_from ~= refilled then
  refilled = kept_from
  redis.call('HSET', room, 'cursor', cursor, 'tokens', exact(tokens - #let_in),
    'refilled_ms', refilled, 'admitted_total', count.admitted_total + #let_in)
end
if scanned > 0 or count.logged ~= count.number then
  redis.call('HSET', room, 'logged', count.number)
  write_log(room, log, log_max, 'admit', now, 'c', cursor, 'n', count.number, 'd', deadline,
    'a', table.concat(let_in, ','), 's', table.concat(passed_over, ','))
end
return {is.state, #let_in, cursor, count.number, wishes_sent, exact(refilled)}
