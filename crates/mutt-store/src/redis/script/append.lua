-- Appends batches, each once. ARGV 10-12: limit of events, limit of bytes, batches kept for
-- recognition; then for each batch: id, events, received_at in microseconds, overhead, bytes.
local limit_events, limit_bytes, window = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local new, events, bytes = {}, 0, 0
for i = 13, #ARGV, 5 do
  if not redis.call('ZSCORE', recent, ARGV[i]) then
    new[#new + 1] = i
    events = events + tonumber(ARGV[i + 1])
    bytes = bytes + tonumber(ARGV[i + 3]) + #ARGV[i + 4]
  end
end
if pending() + events > limit_events then return answer('FULL', { 'events' }) end
if s.bytes - s.ackbytes + bytes > limit_bytes then return answer('FULL', { 'bytes' }) end
if #new == 0 then
  -- Written, so that WAIT on this connection covers what was appended before it.
  redis.call('HINCRBY', state, 'repeats', 1)
  return answer('OK')
end
-- What was added before it stands, and the state knows of it.
local function refused(added)
  save()
  return added
end
local idle = s.ack == s.cum
for n, i in ipairs(new) do
  local own, data = tonumber(ARGV[i + 1]), ARGV[i + 4]
  local size = tonumber(ARGV[i + 3]) + #data
  local function add()
    return redis.pcall('XADD', stream, text(s.cum + own) .. '-' .. text(own),
      't', ARGV[i + 2], 's', text(s.bytes + size), 'l', text(size), 'd', data)
  end
  local added = add()
  if type(added) == 'table' and added.err then
    if n > 1 or not string.find(added.err, 'equal or smaller') then return refused(added) end
    -- The stream knows of more than the state: it is believed.
    local info = redis.call('XINFO', 'STREAM', stream)
    for k = 1, #info, 2 do
      if info[k] == 'last-generated-id' then s.cum = math.max(s.cum, (parse(info[k + 1]))) end
    end
    added = add()
    if type(added) == 'table' and added.err then return refused(added) end
  end
  if idle and n == 1 then s.oldest, s.ackbytes = ARGV[i + 2], s.bytes end
  s.cum, s.bytes = s.cum + own, s.bytes + size
  redis.call('ZADD', recent, text(s.cum), ARGV[i])
end
redis.call('ZREMRANGEBYRANK', recent, 0, -(window + 1))
return answer('OK')
