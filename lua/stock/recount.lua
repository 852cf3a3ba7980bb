-- Make the units in flight of a shop's pools equal to its reservations in flight.
--
-- KEYS  1: the shop's reservations in flight; 2 .. n+1: the pools
-- ARGV  per pool: its id
-- returns  per pool: by how many units it was off
local sums, off = {}, {}
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  local pools = cmsgpack.unpack(entry)[3]
  for p = 1, #pools, 2 do sums[pools[p]] = (sums[pools[p]] or 0) + pools[p + 1] end
end
for i = 1, #ARGV do
  local counted, known = sums[ARGV[i]] or 0, tonumber(redis.call('HGET', KEYS[i + 1], 'flight') or 0)
  off[i] = known - counted
  if off[i] ~= 0 then redis.call('HSET', KEYS[i + 1], 'flight', counted) end
end
return off
