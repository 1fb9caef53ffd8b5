-- Gives out what follows a mark. ARGV 10-13: generation, mark, batches at most, bytes after which no
-- further batch is given out.
if s.gen ~= tonumber(ARGV[10]) then return answer('LEASE') end
local from, most = math.max(tonumber(ARGV[11]), s.ack), tonumber(ARGV[12])
local limit = tonumber(ARGV[13])
local out, expected, bytes, done = {}, from, 0, false
while not done and #out < most do
  -- Few at a time: the limit is met before much is read that is not given out.
  local few = math.min(most - #out, 8)
  local entries = redis.call('XRANGE', stream, text(expected + 1), '+', 'COUNT', few)
  for _, entry in ipairs(entries) do
    if bytes >= limit then
      done = true
      break
    end
    local mark, events = parse(entry[1])
    missing(expected, mark - events)
    expected = mark
    local f, key = fields(entry), text(mark)
    local times = redis.call('HINCRBY', tries, key, 1) - 1
    if f.s and f.l and f.t then
      redis.call('ZADD', claims, key, key .. ' ' .. f.s .. ' ' .. f.l .. ' ' .. f.t)
    end
    out[#out + 1] = { key, text(times), f.d or '' }
    bytes = bytes + #(f.d or '')
  end
  if not done and #entries < few then
    missing(expected, s.cum)
    done = true
  end
end
if redis.call('ZRANGEBYSCORE', gaps, text(s.ack), text(s.ack))[1] then advance(s.ack) end
return answer('OK', out)
