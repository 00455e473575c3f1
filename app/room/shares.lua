-- shares: what addresses take of a room's places; app/lua.py puts it before what gives them.
-- Guarantee: only functions. An address's share and what it has taken are counted in the call that
--   gives the place, and a proof is spent in it: nothing is looked at first and taken afterwards.
-- Returns: nothing      Cost: O(networks), in a few calls of Redis for all of them

-- The door of a room at this moment. `prefix`: of its keys. `limits`: share, window_ms,
-- pressure_per_s, hold_s (how long it stays pressed), proof_ttl_s, wait_s, shown_max, account: the
-- pattern of an account's holder. `networks`: those that are asked for here, each once.
local function door_at(limits, prefix, door, now, networks)
  local at = limits
  at.prefix = prefix
  at.door = door
  at.window = math.floor(now / at.window_ms)
  at.second = math.floor(now / 1000)
  at.ttl_s = math.ceil(at.window_ms * 2 / 1000)
  at.before_counts = 1 - (now / at.window_ms - at.window)
  at.shares = prefix .. 'share:' .. at.window
  at.taken = {}
  at.before = {}
  at.changed = {}
  at.given = 0
  if #networks > 0 then
    local shares_before = prefix .. 'share:' .. at.window - 1
    at.taken = fields_of(at.shares, networks)
    if redis.call('EXISTS', shares_before) == 1 then
      at.before = fields_of(shares_before, networks)
    end
    at.pressed = redis.call('EXISTS', prefix .. 'pressed') == 1
    at.given_before = tonumber(redis.call('GET', prefix .. 'given:' .. at.second) or 0)
  end
  return at
end

-- Whether more people join than the room was planned for.
local function is_pressed(at)
  if not at.pressed and at.given_before + at.given >= at.pressure_per_s then
    at.pressed = true
    redis.call('SET', at.prefix .. 'pressed', 1, 'EX', at.hold_s)
  end
  return at.pressed
end

-- Note what an address took or was asked for, for whoever watches: those with the most.
local function show_address(at, what, network, command, count)
  local shown = at.prefix .. what .. ':' .. at.window
  redis.call(command, shown, count, network)
  redis.call('ZREMRANGEBYRANK', shown, 0, -at.shown_max - 1)
  redis.call('EXPIRE', shown, at.ttl_s)
end

-- Spend a proof, once: s.. of work, w.. of a wait, of which an address may spend one in wait_s.
local function spend_proof(at, network, proof)
  local spent = at.prefix .. 'spent:' .. string.sub(proof, 2)
  if redis.call('EXISTS', spent) == 1 then return 'spent' end
  if string.sub(proof, 1, 1) == 'w' then
    local waited = at.prefix .. 'waited:' .. network
    if not redis.call('SET', waited, 1, 'NX', 'EX', at.wait_s) then return 'challenge' end
  end
  redis.call('SET', spent, 1, 'EX', at.proof_ttl_s)
  return 'joined'
end

-- Whether an address may take one more place: 'joined', or 'challenge' or 'spent', with what it has
-- taken within the window. A network '' is not counted.
local function ask_share(at, network, proof)
  local counted = network ~= ''
  local now_taken = tonumber(at.taken[network] or 0)
  local taken = now_taken + math.floor((at.before[network] or 0) * at.before_counts)
  local status = 'joined'
  if at.door == 'challenge' or counted and (taken >= at.share or is_pressed(at)) then
    status = 'challenge'
    if proof ~= '' then status = spend_proof(at, network, proof) end
  end
  if not counted then return status, taken end
  if status ~= 'joined' then
    show_address(at, 'asked', network, 'ZINCRBY', 1)
    return status, taken
  end
  at.given = at.given + 1
  at.taken[network] = now_taken + 1
  at.changed[network] = now_taken + 1
  if taken * 2 >= at.share then show_address(at, 'took', network, 'ZADD', taken + 1) end
  return status, taken
end

-- Store what was given in this call.
local function close_door(at)
  if at.given == 0 then return end
  local counts = {}
  for network, taken in pairs(at.changed) do
    counts[#counts + 1] = network
    counts[#counts + 1] = taken
  end
  local is_new = redis.call('EXISTS', at.shares) == 0
  redis.call('HSET', at.shares, unpack(counts))
  if is_new then redis.call('EXPIRE', at.shares, at.ttl_s) end
  local given = redis.call('INCRBY', at.prefix .. 'given:' .. at.second, at.given)
  if given == at.given then redis.call('EXPIRE', at.prefix .. 'given:' .. at.second, 2) end
end
