-- rate: how many people may be let in now; app/lua.py puts it before what asks for it.
-- Guarantee: only functions. domain/admission.py says the same in Python: `refill` and `_due`.
--   `count` has the room's tokens, refilled_ms, rate_limited, rate and burst.
-- Returns: nothing      Cost: O(1)

-- The tokens there are now, and up to when time has become tokens. No more time counts than
-- steady_ms since known_ms; what does not count yet is kept, if it is worth no more than fits.
local function refill(count, now, known_ms, steady_ms, late_max_ms)
  local refilled = count.refilled_ms
  local known = known_ms or refilled
  local vouched = refilled < known and 0 or known + steady_ms - refilled
  local elapsed = math.max(0, math.min(now - refilled, vouched))
  local depth = count.burst
  local by_late_tick = count.tokens + count.rate * late_max_ms / 1000
  if count.rate_limited == 1 then depth = math.max(depth, by_late_tick) end
  local tokens = math.min(depth, count.tokens + count.rate * elapsed / 1000)
  local still_worth = now - (depth - tokens) * 1000 / count.rate
  return tokens, math.min(now, math.max(refilled + elapsed, still_worth))
end

-- Whole tokens. Ten times a tenth is less than one in binary, and may not cost a tick.
local function whole(tokens)
  return math.floor(tokens + 1e-9)
end

-- When the first one who is let in was due, and how long after each other the next ones were.
local function due_times(count, tokens, refilled)
  if count.rate_limited ~= 1 then return refilled, 0 end
  return refilled - (tokens - 1) * 1000 / count.rate, 1000 / count.rate
end
