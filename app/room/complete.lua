-- complete: whether a room has all that was ever done in it; app/lua.py puts it before what asks.
-- Guarantee: only functions. A room is complete for the Redis process for which it was made: what
--   another one holds of it, a replica that was promoted or one that read its file again, may lack
--   what was done last. `run_id` of a room says which process that is; "" after somebody knew more.
-- Returns: nothing      Cost: O(1)

-- What this Redis process calls itself until it ends: no other process, and no other start of it,
-- has the same run id.
local function own_run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

-- Fields of a room that is complete and knows all that the caller remembers of it, as "number
-- cursor"; none of any other, nor of one that was made again since the generation in which the
-- caller saw it made (0: any), who would send people whom Redis lost to the back. A cursor that is
-- remembered is noted for whoever makes the room again. What cannot have been, since it is above
-- the bound, proves nothing.
local function room_of(room, names, remembered, made_in)
  local made = fields_of(room, {'run_id', 'number', 'cursor', 'bound', 'seen_cursor', 'made_in'})
  if remembered and made.number then
    local number, cursor = string.match(remembered, '^(%d+) (%d+)$')
    local count = numbers_of(made)
    number = tonumber(number)
    cursor = tonumber(cursor)
    local knows_number = number <= count.number or number > count.bound
    local knows_cursor = cursor <= count.cursor or cursor > count.bound
    if not knows_number or not knows_cursor then made.run_id = '' end
    if not knows_cursor then
      redis.call('HSET', room, 'seen_cursor', math.max(cursor, count.seen_cursor or 0))
    end
    if made.run_id == '' then redis.call('HSET', room, 'run_id', '') end
  end
  if made.run_id ~= own_run_id() then return {} end
  if made_in and made_in > 0 and tonumber(made.made_in) ~= made_in then return {} end
  return fields_of(room, names)
end
