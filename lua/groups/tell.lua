-- Take over what the ledger says of one group, then take settled claims out of flight: so the gate can promise
-- too little for a moment, never too much. An older version, or the same words twice, change nothing.
--
-- KEYS  1: the group, kept as the fields "version", "free" (slots), "ends_ms", "status" and for each member
--       "@buyer" -> its order; 2: claims in flight
-- ARGV  1 (msgpack): {version, or -1 where nothing is told; ttl s, {field, value, ...}, {settled claim id, ...}}
-- returns  how many claims were in flight
local group, flight, call = KEYS[1], KEYS[2], cmsgpack.unpack(ARGV[1])
local version, ttl_s, fields, settled = unpack(call)

if tonumber(redis.call('HGET', group, 'version') or -1) < version then
  redis.call('DEL', group)
  redis.call('HSET', group, 'version', version, unpack(fields))
  redis.call('EXPIRE', group, ttl_s)
end
return #settled > 0 and redis.call('HDEL', flight, unpack(settled)) or 0
