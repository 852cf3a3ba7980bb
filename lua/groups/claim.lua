-- Ask for slots of one group: each claim is counted as in flight, or told why not.
-- Asked again with a claim that is in flight, it changes nothing for it.
--
-- KEYS  1: the group, as tell.lua keeps it; 2: claims in flight, claim id -> "deadline ms buyer"
-- ARGV  1 (msgpack): {now ms, deadline ms, ttl s, {claim id, buyer, ...}}
-- returns  (msgpack) per claim two words: "claimed" | "repeat" | "load" | "full" | "over" | "member"; then of
--       "over" the group's status, of "member" the order that has the slot, else ""
local group, flight, call = KEYS[1], KEYS[2], cmsgpack.unpack(ARGV[1])
local now_ms, deadline_ms, ttl_s, asked = unpack(call)

local entries, in_flight, claiming, lost = redis.call('HGETALL', flight), {}, {}, {}
for i = 1, #entries, 2 do
  local deadline, buyer = string.match(entries[i + 1], '^(%d+) (.*)$')
  in_flight[entries[i]], claiming[buyer] = true, true
  if tonumber(deadline) <= now_ms then lost[#lost + 1] = entries[i] end
end
-- Claims that nobody has settled in time: their process died, and only the ledger knows what became of them.
if #lost > 0 then
  redis.call('HDEL', flight, unpack(lost))
  redis.call('DEL', group)
end

local wanted = {'free', 'ends_ms', 'status'}
for i = 2, #asked, 2 do wanted[#wanted + 1] = '@' .. asked[i] end
local known = redis.call('HMGET', group, unpack(wanted))
local free, ends_ms, status = tonumber(known[1] or nil), tonumber(known[2] or nil), known[3]
local loaded = free ~= nil
if loaded then free = free - #entries / 2 end

local answers, claimed = {}, {}
for i = 1, #asked, 2 do
  local id, buyer, order = asked[i], asked[i + 1], known[3 + (i + 1) / 2]
  local verdict, detail = 'claimed', ''
  if not loaded then verdict = 'load'
  -- Another claim of the same buyer: one of the two is refused, and the ledger says which.
  elseif in_flight[id] or claiming[buyer] then verdict = 'repeat'
  elseif status ~= 'OPEN' or now_ms >= ends_ms then verdict, detail = 'over', status
  elseif order then verdict, detail = 'member', order
  elseif free <= 0 then verdict = 'full'
  else
    free, in_flight[id], claiming[buyer] = free - 1, true, true
    claimed[#claimed + 1], claimed[#claimed + 2] = id, string.format('%.0f %s', deadline_ms, buyer)
  end
  answers[#answers + 1], answers[#answers + 2] = verdict, detail
end
if #claimed > 0 then
  redis.call('HSET', flight, unpack(claimed))
  redis.call('EXPIRE', flight, ttl_s)
end
return cmsgpack.pack(answers)
