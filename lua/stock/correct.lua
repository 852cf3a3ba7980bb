-- Overwrite a pool that the reconciler has found to differ, unless it has moved since it was read.
--
-- KEYS  1: the pool
-- ARGV  1: the version that was read; 2: free; 3: version
-- returns  "corrected" | "moved"
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 'moved' end
redis.call('HSET', KEYS[1], 'free', ARGV[2], 'version', ARGV[3])
return 'corrected'
