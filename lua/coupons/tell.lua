-- Take over what the ledger says of one template, and take settled claims out of flight.
-- Coupons are never taken back, so the higher of two counts is the newer one: telling it twice, or late,
-- changes nothing.
--
-- KEYS  1: how many were given; 2: claims in flight, by their deadline; 3: how many each buyer has
-- ARGV  1 (msgpack): {ttl s, how many were given, whether all buyers have been told, {buyer, how many, ...},
--       {placed claim id, ...}, {refused claim id, buyer, ...}}
-- returns  how many claims were in flight
local given, flight, buyers, call = KEYS[1], KEYS[2], KEYS[3], cmsgpack.unpack(ARGV[1])
local ttl_s, granted, complete, counts, placed, refused = unpack(call)

if tonumber(redis.call('GET', given) or -1) < granted then redis.call('SET', given, granted) end
local settled = 0
for _, id in ipairs(placed) do settled = settled + redis.call('ZREM', flight, id) end
for i = 1, #refused, 2 do
  if redis.call('ZREM', flight, refused[i]) == 1 then
    settled = settled + 1
    if redis.call('HINCRBY', buyers, refused[i + 1], -1) <= 0 then redis.call('HDEL', buyers, refused[i + 1]) end
  end
end
for i = 1, #counts, 2 do
  local known = tonumber(redis.call('HGET', buyers, counts[i]) or 0)
  if known < counts[i + 1] then redis.call('HSET', buyers, counts[i], counts[i + 1]) end
end
if complete then redis.call('HSET', buyers, '', 1) end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ttl_s) end
return settled
