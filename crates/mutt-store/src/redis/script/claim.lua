-- Gives out what follows a mark. ARGV 10-12: generation, mark, batches at most.
if s.gen ~= tonumber(ARGV[10]) then return answer('LEASE') end
local from, most = math.max(tonumber(ARGV[11]), s.ack), tonumber(ARGV[12])
local entries = redis.call('XRANGE', stream, text(from + 1), '+', 'COUNT', most)
local out, expected = {}, from
for _, entry in ipairs(entries) do
  local mark, events = parse(entry[1])
  missing(expected, mark - events)
  expected = mark
  local f, key = fields(entry), text(mark)
  local times = redis.call('HINCRBY', tries, key, 1) - 1
  if f.s and f.l and f.t then
    redis.call('ZADD', claims, key, key .. ' ' .. f.s .. ' ' .. f.l .. ' ' .. f.t)
  end
  out[#out + 1] = { key, text(times), f.d or '' }
end
if #entries < most then missing(expected, s.cum) end
if redis.call('ZRANGEBYSCORE', gaps, text(s.ack), text(s.ack))[1] then advance(s.ack) end
return answer('OK', out)
