-- Take over what the ledger says of a shop's pools, and take settled reservations out of flight.
-- Loading, releasing and the reconciler come through here too, so the gate can promise too little for a
-- moment, never too much. Settling twice changes nothing the second time; an older version changes nothing.
--
-- KEYS  1: the shop's reservations in flight; 2 .. n+1: pools whose ledger row is told
-- ARGV  1 (msgpack): {key of a pool without its id, {free, version, ...}, {placed id, ...}, {refused id, ...}};
--       a refused reservation gives its purchase limit back
-- returns  how many reservations were in flight
local flight, call = KEYS[1], cmsgpack.unpack(ARGV[1])
local prefix, facts, placed, refused = call[1], call[2], call[3], call[4]

local settled, landed = 0, {} -- landed: pool key -> units out of flight
local function land(ids, gives_back)
  if #ids == 0 then return end
  for _, entry in ipairs(redis.call('HMGET', flight, unpack(ids))) do
    if entry then
      settled = settled + 1
      local reservation = cmsgpack.unpack(entry)
      local pools, limits, limited = reservation[3], reservation[4], reservation[5]
      for p = 1, #pools, 2 do
        local key = prefix .. pools[p]
        landed[key] = (landed[key] or 0) + pools[p + 1]
      end
      for l = 1, gives_back and #limited or 0, 2 do redis.call('HINCRBY', limits, limited[l], -limited[l + 1]) end
    end
  end
  redis.call('HDEL', flight, unpack(ids))
end
land(placed, false)
land(refused, true)

-- A pool that is told and has units landing, as nearly all after a commit, is read once and written once.
for i = 1, #facts, 2 do
  local key, free, version = KEYS[(i + 3) / 2], facts[i], facts[i + 1]
  local known = redis.call('HMGET', key, 'version', 'flight')
  if not known[1] or tonumber(known[1]) < version then
    redis.call('HSET', key, 'free', free, 'version', version, 'flight', (known[2] or 0) - (landed[key] or 0))
    landed[key] = nil
  end
end
for key, units in pairs(landed) do redis.call('HINCRBY', key, 'flight', -units) end
return settled
