-- door: who may have a new place in line; app/lua.py puts it before the commands that give one.
-- Guarantee: only functions. What an address takes is counted as shares.lua says.
-- Returns: nothing      Cost: O(1)

-- Whether a holder may have a new place: 'joined', or why not and what the address has taken.
-- `verified`: 1 for a verified account.
local function ask_door(at, holder, verified, network, proof)
  local asks_account = at.door == 'accounts' or at.door == 'verified'
  if asks_account and not string.find(holder, at.account) then return 'stranger', 0 end
  if at.door == 'verified' and verified ~= 1 then return 'unverified', 0 end
  if at.door == 'invited' and not string.find(holder, at.invited) then return 'uninvited', 0 end
  if asks_account or at.door == 'invited' then return 'joined', 0 end
  return ask_share(at, network, proof)
end
