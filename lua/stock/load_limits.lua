-- Load an activity's purchase counts whole, once: afterwards an absent field means zero.
--
-- KEYS  1: the limits
-- ARGV  per buyer and SKU: field, quantity
-- returns  "loaded" | "known"
if redis.call('HEXISTS', KEYS[1], '') == 1 then return 'known' end
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], '', 1)
return 'loaded'
