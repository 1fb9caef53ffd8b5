-- Adds to the kept drop counters. KEYS: counters, tokens. ARGV: token, tokens kept; how many totals
-- the caller knows, and these totals; how many are new under the token, and these, once for each token;
-- each pair as reason and number. Then what spills have ever counted, as field, reason and total: what
-- the field does not have yet is added to the reason.
local token, window, known = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('HDEL', KEYS[1], '')
local at = 4
if redis.call('EXISTS', KEYS[1]) == 0 then
  for i = at, at + known * 2 - 1, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
at = at + known * 2
local new = tonumber(ARGV[at])
at = at + 1
if new > 0 and not redis.call('ZSCORE', KEYS[2], token) then
  local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or '0'
  redis.call('ZADD', KEYS[2], tonumber(last) + 1, token)
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -(window + 1))
  for i = at, at + new * 2 - 1, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
for i = at + new * 2, #ARGV, 3 do
  local total = tonumber(ARGV[i + 2])
  local told = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0)
  if total > told then
    redis.call('HINCRBY', KEYS[1], ARGV[i + 1], string.format('%.0f', total - told))
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  end
end
return redis.call('HGETALL', KEYS[1])
