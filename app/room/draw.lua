-- draw: the order of a line whose opening is drawn; app/lua.py puts it before what asks for it.
-- Guarantee: only functions. A drawn number's rank is where the draw put it; every other number's
--   is the number itself. `is` has the room's opened_after and drawn, how many numbers were.
-- Returns: nothing      Cost: O(1), of last_ended O(bytes that it passes)

-- The item at a place of a packed table: four bytes each, big-endian.
local function item_at(tbl, at)
  local item = struct.unpack('>I4', redis.call('GETRANGE', tbl, at * 4 - 4, at * 4 - 1))
  return item
end

-- What a table says of a number or a rank that the draw may have moved.
local function look_up(tbl, is, n)
  local at = n - tonumber(is.opened_after)
  if at < 1 or at > (tonumber(is.drawn) or 0) then return n end
  return n - at + item_at(tbl, at)
end

-- A rank behind this one, or the same, up to which everybody's position is over: bytes of numbers
-- that were not drawn are looked at as a whole. After a loss there may be a million such numbers
-- between two people.
local function last_ended(ended, is, rank)
  local at = (rank + 1) / 8
  local drawn_to = tonumber(is.opened_after) + (tonumber(is.drawn) or 0)
  if rank < drawn_to or at % 1 ~= 0 then return rank end
  local free = redis.call('BITPOS', ended, 0, at)
  return math.max(rank, free - 1)
end

-- Whether those who are there at the opening are drawn: not if there is no time in which to come.
local function is_drawn(is, draw_ms)
  return is.opening == 'draw' and (draw_ms > 0 or (tonumber(is.lobby_ms) or 0) > 0)
end

-- Whether the round of a beacon is named for entries that close at this time, and still to come.
local function has_round(is, closes, now)
  if (tonumber(is.beacon_round) or 0) == 0 then return true end
  return tonumber(is.beacon_for_ms) == closes and now < tonumber(is.beacon_ms)
end

-- By how much people may come before the opening. Our clocks may differ by a second.
local function early_ms(is, draw_ms)
  if is.draw ~= 'ahead' then return 0 end
  return math.max(tonumber(is.lobby_ms) or 0, is_drawn(is, draw_ms) and 1000 or 0)
end

-- Whether a room's state and time let people join.
local function may_join(is, draw_ms, now)
  local opens = tonumber(is.opens_ms)
  local begins = opens - early_ms(is, draw_ms)
  local has_begun = begins <= now and (is.state == 'paused' or is.state == 'recovering'
    or is.state == 'scheduled' and opens > 0)
  return is.state == 'open' or is.state == 'lobby' or has_begun
end
