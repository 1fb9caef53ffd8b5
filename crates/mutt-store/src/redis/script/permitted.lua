-- The commands of the other scripts that the user may not run. Each is tried so that nothing changes:
-- on a key that is not there, and what would make it is told something that it refuses.
local key, denied = KEYS[1], {}
local function try(name, ...)
  local answer = redis.pcall(name, ...)
  local said = type(answer) == 'table' and answer.err or ''
  for _, words in ipairs({'NOPERM', 'no permissions', 'executing the script can'}) do
    if said:find(words, 1, true) then
      denied[#denied + 1] = name
      return
    end
  end
end
try('DEL', key)
try('EXISTS', key)
try('HDEL', key, 'f')
try('HEXISTS', key, 'f')
try('HGET', key, 'f')
try('HGETALL', key)
try('HINCRBY', key, 'f', 'no number')
try('HMGET', key, 'f')
try('HSET', key, 'f', 'v', 'no pair')
try('INFO', 'server')
try('TIME')
try('XADD', key, 'NOMKSTREAM', '*', 'f', 'v')
try('XDEL', key, '1-1')
try('XINFO', 'STREAM', key)
try('XLEN', key)
try('XRANGE', key, '-', '+', 'COUNT', 1)
try('XREAD', 'COUNT', 1, 'STREAMS', key, '0')
try('XTRIM', key, 'MAXLEN', 1)
try('ZADD', key, 'XX', 1, 'm')
try('ZRANGE', key, 0, 0)
try('ZRANGEBYSCORE', key, 0, 0)
try('ZREM', key, 'm')
try('ZREMRANGEBYRANK', key, 0, 0)
try('ZREMRANGEBYSCORE', key, 0, 0)
try('ZREVRANGE', key, 0, 0)
try('ZSCORE', key, 'm')
return denied
