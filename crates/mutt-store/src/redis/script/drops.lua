-- Adds to the kept drop counters, once for each token. KEYS: counters, tokens. ARGV: token, tokens
-- kept, how many totals the caller knows, then these totals and what is new, as reason and number.
local token, window, known = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('HDEL', KEYS[1], '')
local at = 4
if redis.call('EXISTS', KEYS[1]) == 0 then
  for i = at, at + known * 2 - 1, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
at = at + known * 2
if #ARGV >= at and not redis.call('ZSCORE', KEYS[2], token) then
  local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or '0'
  redis.call('ZADD', KEYS[2], tonumber(last) + 1, token)
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -(window + 1))
  for i = at, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return redis.call('HGETALL', KEYS[1])
