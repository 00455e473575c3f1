-- admit: let in the next people in line, as many as rate and capacity allow now.
-- Guarantee: in any w seconds at most rate*w + burst are due, and nobody is let in before; admitted
--   + claimed at most max_active; who came back goes first, and nobody present is passed over, but
--   while presence was not reported for all slots but one, and then by those who were seen only. By
--   any number of workers; also said in domain/admission.py. The log says if the clock went back.
--   A wish's hold is sent now only if the buyer was seen a moment ago; else by seen or claim.
-- KEYS: 1 room  2 ended  3 skipped  4 returned  5 admitted  6 active  7 seen prefix
--   8 wishes prefix  9 log  10 lane  11 order
-- ARGV: 1 now_ms or ""  2 refilled_ms last answered or ""  3 ms since then: no more time counts
--   4 epoch  5 limits, as msgpack: {slots, slot_ms, claim_ms, log_max, wish_bucket, recent_ms,
--     late_max_ms: how late who was due may be let in, scan_max: numbers that it looks at,
--     unseen_max: of these, whom it looks past though it is not known whether they are absent}
--   6 what the caller remembers: "number cursor"
-- Returns: {state, admitted, cursor, number, wishes sent, refilled_ms, waits}   Cost: O(passed)
local room = KEYS[1]
local ended = KEYS[2]
local skipped = KEYS[3]
local returned = KEYS[4]
local admitted = KEYS[5]
local active = KEYS[6]
local seen = KEYS[7]
local wishes = KEYS[8]
local log = KEYS[9]
local lane = KEYS[10]
local order = KEYS[11]
local now = now_ms(ARGV[1])
local known_ms = tonumber(ARGV[2])
local steady_ms = tonumber(ARGV[3])
local epoch = ARGV[4]
local limits = cmsgpack.unpack(ARGV[5])
local remembered = ARGV[6]
local is = room_of(room, {'state', 'epoch', 'number', 'cursor', 'tokens', 'refilled_ms', 'rate',
  'burst', 'rate_limited', 'max_active', 'logged', 'admitted_total', 'told_ms', 'told_since_ms',
  'opened_after', 'drawn'}, remembered)
if is.epoch ~= epoch then return {is.state and 'old_epoch' or 'missing', 0, 0, 0, 0, '0', 0} end
local count = numbers_of(is)
local cursor = count.cursor
local tokens, refilled = refill(count, now, known_ms, steady_ms, limits.late_max_ms)
local by_rate = whole(tokens)
local free = count.max_active - redis.call('ZCARD', admitted) - redis.call('ZCARD', active)
local is_open = is.state == 'open' or is.state == 'draining'
local allowed = is_open and math.min(by_rate, free) or 0
local slot = math.floor(now / limits.slot_ms)
local goes_on = reports_go_on(count, now, limits.slot_ms)
local is_known = absence_known(count, now, limits.slots, limits.slot_ms)
local new_after = joined_after(seen, slot) -- who joined before must have been seen since

local deadline = now + limits.claim_ms
local let_in = {}
local passed_over = {}
local unseen = {} -- they may be present, and nobody behind them is let in yet
local reached = cursor
local scanned = 0
local moved = false
while #let_in < allowed and scanned < limits.scan_max and #unseen < limits.unseen_max do
  local back = redis.call('ZRANGE', returned, 0, 0)[1]
  if not back and reached >= count.number then break end
  local n = tonumber(back) or look_up(order, is, reached + 1)
  if back then moved = redis.call('ZREM', returned, n) == 1 else reached = reached + 1 end
  scanned = scanned + 1
  if has_bit(ended, n) then -- its position is over
    reached = last_ended(ended, is, reached)
  elseif is_present(seen, slot, limits.slots, new_after, not goes_on and #unseen > 0, n) then
    let_in[#let_in + 1] = n
    for at = 1, #unseen do passed_over[#passed_over + 1] = unseen[at] end
    unseen = {}
  else
    table.insert((back or is_known) and passed_over or unseen, n)
  end
  if #unseen == 0 then cursor = reached end
end
moved = moved or cursor ~= count.cursor
for _, n in ipairs(passed_over) do redis.call('SETBIT', skipped, n, 1) end

local wishes_sent = 0
local recent = math.floor(now / limits.recent_ms)
for _, n in ipairs(let_in) do
  redis.call('SETBIT', skipped, n, 0)
  redis.call('ZADD', admitted, deadline, n)
  if has_bit(seen .. 'r' .. recent, n) or has_bit(seen .. 'r' .. recent - 1, n) then
    wishes_sent = wishes_sent + send_wish(lane, wishes, limits.wish_bucket, epoch, n)
  end
end
local waits = (cursor < count.number or redis.call('ZCARD', returned) > 0) and 1 or 0
local limited = is_open and #let_in == by_rate and waits or 0
local left = math.min(count.burst, tokens - #let_in)
local is_same = not moved and left == count.tokens and limited == (count.rate_limited or 0)
if is_same and left >= count.burst then refilled = count.refilled_ms else
  redis.call('HSET', room, 'cursor', cursor, 'tokens', exact(left), 'refilled_ms', exact(refilled),
    'rate_limited', limited, 'admitted_total', count.admitted_total + #let_in)
end
local back_ms = math.max(0, count.refilled_ms - now)
if moved or count.logged ~= count.number or back_ms > 0 then
  local first_ms, every_ms = due_times(count, tokens, refilled)
  redis.call('HSET', room, 'logged', count.number)
  write_log(room, log, limits.log_max, 'admit', now, 'c', cursor, 'n', count.number, 'd', deadline,
    'a', table.concat(let_in, ','), 's', table.concat(passed_over, ','),
    'f', exact(first_ms), 'e', exact(every_ms), 'back_ms', exact(back_ms))
end
return {is.state, #let_in, cursor, count.number, wishes_sent, exact(refilled), waits}
