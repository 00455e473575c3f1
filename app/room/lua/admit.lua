-- admit: let in the next people in line, as many as rate and capacity allow now.
-- Guarantee: in any w seconds at most rate*w + burst; admitted + claimed <= max_active; nobody present is passed over,
--   who came back goes first; nobody is absent before the web told for all slots but one whom it sees. By any number of workers.
-- KEYS: 1 room  2 gone  3 skipped  4 returned  5 admitted  6 active  7 log  8 seen prefix  9 wishes prefix  10 lane
-- ARGV: 1 now_ms or ""  2 refilled_ms last answered to the caller or ""  3 ms since then by its steady clock: no more is
--   granted, whatever Redis's clock does  4 epoch  5 slots  6 slot_ms  7 claim_ms  8 scan_max  9 log_max  10 wish_bucket
-- Returns: {state, people admitted, cursor, number, wishes sent, refilled_ms}    Cost: O(people passed), at most scan_max
local room, gone, skipped, returned, admitted, active = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local log, seen, wishes, lane, epoch, slots, log_max = KEYS[7], KEYS[8], KEYS[9], KEYS[10], ARGV[4], tonumber(ARGV[5]), ARGV[9]
local refilled_known, steady, slot_ms, claim_ms = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7])
local scan_max, bucket, time = tonumber(ARGV[8]), tonumber(ARGV[10]), redis.call('TIME')
local now, passed, let_in, scanned, wished = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000), {}, {}, 0, 0
local f = redis.call('HMGET', room, 'state', 'epoch', 'number', 'cursor', 'tokens', 'refilled_ms', 'rate', 'burst', 'max_active', 'logged', 'admitted_total', 'told_ms', 'told_since_ms')
local state, number, cursor, before, refilled = f[1], tonumber(f[3]), tonumber(f[4]), tonumber(f[5]), tonumber(f[6])
if not state or f[2] ~= epoch then return {state and 'old_epoch' or 'missing', 0, 0, 0, 0, '0'} end
local rate, burst, told, told_since, known = tonumber(f[7]), tonumber(f[8]), tonumber(f[12]), tonumber(f[13]), refilled_known or refilled
local elapsed = math.max(0, math.min(now - refilled, refilled < known and 0 or known + steady - refilled))
local tokens = math.min(burst, before + rate * elapsed / 1000)
-- what is kept for a later tick may not come to more than burst together with what is there now
local kept_from = math.min(now, math.max(refilled + elapsed, now - (burst - tokens) * 1000 / rate))
local free = tonumber(f[9]) - redis.call('ZCARD', admitted) - redis.call('ZCARD', active)
local whole = math.floor(tokens + 1e-9) -- ten times a tenth is less than one in binary, and may not cost a tick
local allowed = (state == 'open' or state == 'draining') and math.min(whole, free) or 0
local slot, deadline, joined_after = math.floor(now / slot_ms), now + claim_ms, nil
for s = slot - slots, slot do joined_after = joined_after or tonumber(redis.call('GET', seen .. s .. ':after')) end
local listened = told and told <= now and now - told <= slot_ms and now - told_since >= (slots - 1) * slot_ms
local function seen_lately(n) for s = slot, slot - slots, -1 do if redis.call('GETBIT', seen .. s, n) == 1 then return true end end end
while #let_in < allowed and scanned < scan_max do
  local back = redis.call('ZRANGE', returned, 0, 0)[1]
  local n = tonumber(back) or cursor + 1
  if n > number then break end
  local is_gone = redis.call('GETBIT', gone, n) == 1
  local here = not is_gone and (joined_after and n > joined_after or seen_lately(n))
  if not (is_gone or here or listened) then break end
  if back then redis.call('ZREM', returned, n) end
  cursor, scanned = math.max(cursor, n), scanned + 1
  if not is_gone then
    redis.call('SETBIT', skipped, n, here and 0 or 1)
    table.insert(here and let_in or passed, n)
  end
end
for _, n in ipairs(let_in) do
  redis.call('ZADD', admitted, deadline, n)
  local holder, wish = string.match(redis.call('HGET', wishes .. math.floor(n / bucket), n) or '', '^(%S+) (.*)$')
  if wish then
    local hold = '{"kind":"hold","id":"wish:%s:%d","holder":"%s","number":%d,"epoch":%s,"wish":%s}'
    redis.call('XADD', lane, '*', 'c', string.format(hold, epoch, n, holder, n, epoch, wish))
    wished = wished + redis.call('HDEL', wishes .. math.floor(n / bucket), n)
  end
end
if scanned > 0 or tokens ~= before or tokens < burst and kept_from ~= refilled then
  refilled = kept_from
  redis.call('HSET', room, 'cursor', cursor, 'tokens', string.format('%.17g', tokens - #let_in), 'refilled_ms', refilled, 'admitted_total', tonumber(f[11]) + #let_in)
end
if scanned > 0 or tonumber(f[10]) ~= number then
  local rev = redis.call('HINCRBY', room, 'rev', 1)
  redis.call('HSET', room, 'logged', number)
  redis.call('XADD', log, 'MAXLEN', '~', log_max, '*', 'r', rev, 'k', 'admit', 't', now, 'c', cursor, 'n', number, 'd', deadline, 'a', table.concat(let_in, ','), 's', table.concat(passed, ','))
end
return {state, #let_in, cursor, number, wished, string.format('%.17g', refilled)}
