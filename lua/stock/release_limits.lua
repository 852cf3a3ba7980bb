-- Give back what a canceled order had taken of its buyer's purchase limits.
-- A count never falls below zero, and one that is not loaded stays unknown.
--
-- KEYS  1: the limits
-- ARGV  per buyer and SKU: field, quantity
-- returns  nothing
for i = 1, #ARGV, 2 do
  local count = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0)
  if count > 0 then redis.call('HSET', KEYS[1], ARGV[i], math.max(0, count - tonumber(ARGV[i + 1]))) end
end
