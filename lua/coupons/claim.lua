-- Ask for coupons of one template: each claim is counted as in flight, or told why not.
-- Asked again with a claim that is in flight, it changes nothing for it.
--
-- KEYS  1: how many were given; 2: claims in flight, by their deadline; 3: how many each buyer has
-- ARGV  1 (msgpack): {now ms, deadline ms, ttl s, how many there are or -1, most a buyer may have or -1,
--       {claim id, buyer, whether it is open, ...}}
-- returns  (msgpack) per claim: "claimed" | "repeat" | "load" | "closed" | "limit" | "exhausted", then how many
--       the buyer has
local given, flight, buyers, call = KEYS[1], KEYS[2], KEYS[3], cmsgpack.unpack(ARGV[1])
local now_ms, deadline_ms, ttl_s, total, most, asked = unpack(call)

-- A claim that nobody has settled in time: its process died, and only the ledger knows what became of it.
if redis.call('ZREMRANGEBYSCORE', flight, '-inf', now_ms) > 0 then redis.call('DEL', given, buyers) end

local granted = tonumber(redis.call('GET', given) or nil)
local loaded = granted and redis.call('HEXISTS', buyers, '') == 1
local left = loaded and (total < 0 and math.huge or total - granted - redis.call('ZCARD', flight))

local answers = {}
for i = 1, #asked, 3 do
  local id, buyer, is_open = asked[i], asked[i + 1], asked[i + 2]
  local held, verdict = tonumber(redis.call('HGET', buyers, buyer) or 0), 'claimed'
  if not loaded then verdict = 'load'
  elseif redis.call('ZSCORE', flight, id) then verdict = 'repeat'
  elseif not is_open then verdict = 'closed'
  elseif most >= 0 and held >= most then verdict = 'limit'
  elseif left <= 0 then verdict = 'exhausted'
  else
    left = left - 1
    redis.call('ZADD', flight, deadline_ms, id)
    redis.call('HINCRBY', buyers, buyer, 1)
  end
  answers[#answers + 1], answers[#answers + 2] = verdict, held
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ttl_s) end
return cmsgpack.pack(answers)
