-- Reserve one shop's part of an order in the gate: all of it or nothing.
-- Asked twice with the same reservation id, it changes nothing the second time.
--
-- KEYS  1: the shop's reservations in flight; 2 .. n+1: one per pool; then, with a purchase limit, the limits
-- ARGV  1: reservation id; 2: order id; 3: how long it may be in flight, ms; 4: n;
--       then per pool: pool id, quantity; then, with a limit, per pool: buyer's field, most a buyer may have
-- returns  {"reserved"} | {"repeat", order id} | {"load", index, ...} (pools without a key)
--        | {"load_limits"} | {"sold_out", index, ...} | {"limit", index, ...}
local flight, id, order_id, ttl_ms, n = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local limits = KEYS[n + 2]

local entry = redis.call('HGET', flight, id)
if entry then
  return {'repeat', cmsgpack.unpack(entry)[1]}
end

local missing, short = {'load'}, {'sold_out'}
for i = 1, n do
  local pool = redis.call('HMGET', KEYS[i + 1], 'free', 'flight')
  if not pool[1] then
    missing[#missing + 1] = i
  elseif tonumber(pool[1]) - tonumber(pool[2] or 0) < tonumber(ARGV[4 + 2 * i]) then
    short[#short + 1] = i
  end
end
if #missing > 1 then return missing end
if #short > 1 then return short end

local limited = {}
if limits then
  if redis.call('HEXISTS', limits, '') == 0 then return {'load_limits'} end
  local over = {'limit'}
  for i = 1, n do
    local field, most = ARGV[3 + 2 * n + 2 * i], tonumber(ARGV[4 + 2 * n + 2 * i])
    local quantity = tonumber(ARGV[4 + 2 * i])
    if most > 0 then
      if tonumber(redis.call('HGET', limits, field) or 0) + quantity > most then
        over[#over + 1] = i
      end
      limited[#limited + 1], limited[#limited + 2] = field, quantity
    end
  end
  if #over > 1 then return over end
end

local pools = {}
for i = 1, n do
  local quantity = tonumber(ARGV[4 + 2 * i])
  redis.call('HINCRBY', KEYS[i + 1], 'flight', quantity)
  pools[#pools + 1], pools[#pools + 2] = ARGV[3 + 2 * i], quantity
end
for i = 1, #limited, 2 do redis.call('HINCRBY', limits, limited[i], limited[i + 1]) end
local now = redis.call('TIME')
local deadline_ms = now[1] * 1000 + math.floor(now[2] / 1000) + ttl_ms
redis.call('HSET', flight, id, cmsgpack.pack({order_id, deadline_ms, pools, limits or '', limited}))
return {'reserved'}
