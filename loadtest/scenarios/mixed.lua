-- mixed: 70 % event detail, 20 % seat map, 10 % reserve, in an order that never changes;
-- one seat at random each.
-- Arguments: 1 event id  2 seats in the hall  3 Authorization header
-- Prints: `scenario NAME VALUE` lines for tools.py. A connection that broke or timed out is
-- `failed`.
local threads = {}
local made = 0

function setup(thread)
  thread:set("id", #threads + 1)
  threads[#threads + 1] = thread
end

function init(args)
  event, seats, bearer = args[1], tonumber(args[2]), args[3]
  detail = wrk.format("GET", "/api/events/" .. event)
  map = wrk.format("GET", "/api/seats/events/" .. event)
  math.randomseed(id)
  statuses = {}
  for code = 0, 599 do statuses[code] = 0 end
end

function request()
  local turn = made % 10
  made = made + 1
  if turn < 7 then return detail end
  if turn < 9 then return map end
  local body = string.format('{"eventId":"%s","seatIds":["s%d"]}', event, math.random(0, seats - 1))
  local headers = {["Content-Type"] = "application/json", ["Authorization"] = bearer}
  return wrk.format("POST", "/api/seats/reserve", headers, body)
end

function response(status)
  statuses[status] = statuses[status] + 1
end

function done(summary, latency)
  local total = {}
  for _, thread in ipairs(threads) do
    for code, count in pairs(thread:get("statuses")) do total[code] = (total[code] or 0) + count end
  end
  for code, count in pairs(total) do
    if count > 0 then io.write(string.format("scenario status_%d %d\n", code, count)) end
  end
  local errors = summary.errors
  io.write(string.format("scenario requests %d\n", summary.requests))
  io.write(string.format("scenario us %d\n", summary.duration))
  io.write(string.format("scenario mean_us %.1f\n", latency.mean))
  io.write(string.format("scenario p95_us %d\n", latency:percentile(95)))
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("scenario failed %d\n", failed))
end
