-- Take over what the ledger says of a shop's pools, and take settled reservations out of flight.
-- Loading, releasing and the reconciler come through here too, so the gate can promise too little for a
-- moment, never too much. Settling twice changes nothing the second time; an older version changes nothing.
--
-- KEYS  1: the shop's reservations in flight; 2 .. n+1: pools whose ledger row is told
-- ARGV  1: n; 2: the key of a pool without its id; then per pool: free, version;
--       then per reservation: id, "placed" or "refused" (a refused one gives its purchase limit back)
-- returns  how many reservations were in flight
local flight, n, prefix = KEYS[1], tonumber(ARGV[1]), ARGV[2]

for i = 1, n do
  local free, version = ARGV[1 + 2 * i], ARGV[2 + 2 * i]
  local known = redis.call('HGET', KEYS[i + 1], 'version')
  if not known or tonumber(known) < tonumber(version) then
    redis.call('HSET', KEYS[i + 1], 'free', free, 'version', version)
  end
end

local settled = 0
for i = 3 + 2 * n, #ARGV, 2 do
  local entry = redis.call('HGET', flight, ARGV[i])
  if entry then
    redis.call('HDEL', flight, ARGV[i])
    settled = settled + 1
    local reservation = cmsgpack.unpack(entry)
    local pools, limits, limited = reservation[3], reservation[4], reservation[5]
    for p = 1, #pools, 2 do redis.call('HINCRBY', prefix .. pools[p], 'flight', -pools[p + 1]) end
    if ARGV[i + 1] == 'refused' then
      for l = 1, #limited, 2 do redis.call('HINCRBY', limits, limited[l], -limited[l + 1]) end
    end
  end
end
return settled
