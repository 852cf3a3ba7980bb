-- Reserve one shop's parts of orders in the gate: each order's part whole or not at all, one after the other.
-- Asked again with a reservation id that is in flight, it changes nothing for it.
--
-- KEYS  1: the shop's reservations in flight; 2 .. n+1: the pools; then the limits of the activities
-- ARGV  1 (msgpack): {deadline ms, n, {reservation, ...}}, a reservation being
--       {id, order id, {pool index, pool id, quantity, ...}, limits index or 0, {field, quantity, most, ...}}
-- returns  (msgpack) per reservation {"reserved"} | {"repeat", order id} | {"load_limits"}
--        | {"load" | "sold_out" | "gone", want, ...} | {"limit", limit, ...}, counting from 1 in its own list;
--       gone: sold out, and nothing of it is in flight that could come back
local flight, call = KEYS[1], cmsgpack.unpack(ARGV[1])
local deadline_ms, pool_count, asked = call[1], call[2], call[3]

local ids, answers, in_flight, entries = {}, {}, {}, {}
for i, r in ipairs(asked) do ids[i] = r[1] end
for i, entry in ipairs(redis.call('HMGET', flight, unpack(ids))) do in_flight[ids[i]] = entry or nil end

-- What is left of each pool, and what each buyer has, as this call counts on.
local available, in_flight_of, taken, counts = {}, {}, {}, {}
local function left(index)
  if available[index] == nil then
    local pool = redis.call('HMGET', KEYS[index + 1], 'free', 'flight')
    in_flight_of[index] = tonumber(pool[2] or 0)
    available[index] = pool[1] and tonumber(pool[1]) - in_flight_of[index] or false
  end
  return available[index]
end
local function count(index, field)
  counts[index] = counts[index] or {}
  local known = counts[index][field] or tonumber(redis.call('HGET', KEYS[pool_count + 1 + index], field) or 0)
  counts[index][field] = known
  return known
end

local function judge(r)
  if in_flight[r[1]] then return {'repeat', cmsgpack.unpack(in_flight[r[1]])[1]} end
  local missing, short, over, wants, limits, limited = {'load'}, {'gone'}, {'limit'}, r[3], r[4], r[5]
  for w = 1, #wants, 3 do
    local free = left(wants[w])
    if not free then missing[#missing + 1] = (w + 2) / 3
    elseif free < wants[w + 2] then
      short[#short + 1] = (w + 2) / 3
      if in_flight_of[wants[w]] > 0 or taken[wants[w]] then short[1] = 'sold_out' end
    end
  end
  if #missing > 1 then return missing elseif #short > 1 then return short end
  if limits > 0 and redis.call('HEXISTS', KEYS[pool_count + 1 + limits], '') == 0 then return {'load_limits'} end
  for l = 1, #limited, 3 do
    if count(limits, limited[l]) + limited[l + 1] > limited[l + 2] then over[#over + 1] = (l + 2) / 3 end
  end
  return #over > 1 and over or {'reserved'}
end

for i, r in ipairs(asked) do
  answers[i] = judge(r)
  if answers[i][1] == 'reserved' then
    local pools, limited = {}, {}
    for w = 1, #r[3], 3 do
      local index, quantity = r[3][w], r[3][w + 2]
      available[index], taken[index] = available[index] - quantity, (taken[index] or 0) + quantity
      pools[#pools + 1], pools[#pools + 2] = r[3][w + 1], quantity
    end
    for l = 1, #r[5], 3 do
      counts[r[4]][r[5][l]] = counts[r[4]][r[5][l]] + r[5][l + 1]
      redis.call('HINCRBY', KEYS[pool_count + 1 + r[4]], r[5][l], r[5][l + 1])
      limited[#limited + 1], limited[#limited + 2] = r[5][l], r[5][l + 1]
    end
    local limits_key = r[4] > 0 and KEYS[pool_count + 1 + r[4]] or ''
    in_flight[r[1]] = cmsgpack.pack({r[2], deadline_ms, pools, limits_key, limited})
    entries[#entries + 1], entries[#entries + 2] = r[1], in_flight[r[1]]
  end
end
for index, quantity in pairs(taken) do redis.call('HINCRBY', KEYS[index + 1], 'flight', quantity) end
if #entries > 0 then redis.call('HSET', flight, unpack(entries)) end
return cmsgpack.pack(answers)
