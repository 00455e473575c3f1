-- presence: who is here, from what web processes reported; app/lua.py puts it before what asks.
-- Guarantee: only functions. domain/admission.py says the same in Python. `seen` is the prefix of
--   the slots' bitmaps, `slot` the one of now, `slots` how many make up the presence window.
-- Returns: nothing      Cost: O(slots)

-- Whether presence was reported within the last slot, by a clock that was not set back since.
local function reports_go_on(count, now, slot_ms)
  return count.told_ms and count.told_ms <= now and now - count.told_ms <= slot_ms
end

-- Whether who was not seen is absent: presence was reported for all slots but one.
local function absence_known(count, now, slots, slot_ms)
  local goes_on = reports_go_on(count, now, slot_ms)
  return goes_on and now - count.told_since_ms >= (slots - 1) * slot_ms
end

-- The number behind which everybody joined in this slot or in the one before.
local function joined_after(seen, slot)
  local before = redis.call('GET', seen .. slot - 1 .. ':after')
  return tonumber(before or redis.call('GET', seen .. slot .. ':after'))
end

-- Whether a number was seen within the presence window.
local function was_seen(seen, slot, slots, n)
  for s = slot, slot - slots, -1 do
    if has_bit(seen .. s, n) then return true end
  end
  return false
end

-- Whether a number is present: it was seen, or joined behind new_after, that is lately. Who was not
-- seen passes over nobody (`passes`) while nothing is reported.
local function is_present(seen, slot, slots, new_after, passes, n)
  if new_after and n > new_after and not passes then return true end
  return was_seen(seen, slot, slots, n)
end
