-- What every script on a shard begins with: the shard's state, and its healing.
--
-- A mark is a number of events: how many were appended up to there. An entry's id is its mark after
-- it and its own number of events, so that a hole between two entries is counted without reading.
-- KEYS: stream, state, recent, claims, tries, gaps. ARGV 1-9: see script.rs::Memory.
local stream, state, recent, claims, tries, gaps = unpack(KEYS)
local mine = {
  shards = ARGV[1], fresh = ARGV[2], line = ARGV[3], cum = tonumber(ARGV[4]),
  ack = tonumber(ARGV[5]), acked = tonumber(ARGV[6]),
  gen = tonumber(ARGV[7]), owner = ARGV[8], ttl = tonumber(ARGV[9]),
}
-- What is written inside a script replicates as its effects, so that TIME and INFO may be asked.
if redis.replicate_commands then redis.replicate_commands() end

local function text(n) return string.format('%.0f', n) end

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')

local NAMES = { 'shards', 'line', 'run', 'base', 'cum', 'ack', 'acked', 'lost', 'bytes', 'ackbytes',
  'gen', 'owner', 'until', 'ttl', 'oldest', 'past' }
local TEXTS = { shards = true, line = true, run = true, owner = true, oldest = true, past = true }
local s, before = {}, redis.call('HMGET', state, unpack(NAMES))
for i, name in ipairs(NAMES) do
  local value = before[i] or ''
  if not TEXTS[name] then value = tonumber(value) or 0 end
  s[name] = value
end

-- Writes what has changed.
local function save()
  -- Whatever was told or stood there: a count below nothing would be refused by every process, for ever.
  if s.acked < 0 then s.acked, s.lost = 0, s.lost + s.acked end
  local changed = {}
  for i, name in ipairs(NAMES) do
    local value = s[name]
    if not TEXTS[name] then value = text(value) end
    if value ~= before[i] then
      changed[#changed + 1] = name
      changed[#changed + 1] = value
      before[i] = value
    end
  end
  if #changed > 0 then redis.call('HSET', state, unpack(changed)) end
end

-- The mark up to which the caller's marks are the shard's.
local shared = 0

local function status()
  return { s.line, text(shared), text(s.cum), text(s.ack), text(s.acked), text(s.lost),
    text(redis.call('XLEN', stream)), text(s.bytes - s.ackbytes), s.oldest, text(s.gen) }
end

local function answer(verdict, rest)
  save()
  return { verdict, status(), rest or {} }
end

local function pending() return s.cum - s.acked - s.lost end

-- Mark and number of events of an id.
local function parse(id)
  local mark, events = string.match(id, '(%d+)-(%d+)')
  return tonumber(mark), tonumber(events)
end

local function fields(entry)
  local out = {}
  for i = 1, #entry[2], 2 do out[entry[2][i]] = entry[2][i + 1] end
  return out
end

-- What the first waiting batch says.
local function front()
  local claimed = redis.call('ZRANGE', claims, 0, 0)[1]
  if claimed then
    local _, bytes, length, at = string.match(claimed, '(%d+) (%d+) (%d+) (%-?%d+)')
    s.oldest, s.ackbytes = at, tonumber(bytes) - tonumber(length)
    return
  end
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if first then
    local f = fields(first)
    s.oldest, s.ackbytes = f.t or '', (tonumber(f.s) or s.bytes) - (tonumber(f.l) or 0)
  else
    s.oldest, s.ackbytes = '', s.bytes
  end
end

-- Everything up to this mark is done.
local function advance(mark)
  local hole = 0
  for _, gap in ipairs(redis.call('ZRANGEBYSCORE', gaps, '-inf', text(mark))) do
    local from, to = parse(gap)
    redis.call('ZREM', gaps, gap)
    hole = hole + math.min(to, mark) - from
    if to > mark then redis.call('ZADD', gaps, text(mark), text(mark) .. '-' .. text(to)) end
  end
  s.acked = s.acked + (mark - s.ack) - hole
  s.ack = mark
  while true do
    local gap = redis.call('ZRANGEBYSCORE', gaps, text(s.ack), text(s.ack))[1]
    if not gap then break end
    redis.call('ZREM', gaps, gap)
    local _, to = parse(gap)
    s.ack = to
  end
  redis.call('XTRIM', stream, 'MINID', text(s.ack + 1))
  for _, claimed in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', text(s.ack))) do
    redis.call('HDEL', tries, string.match(claimed, '%d+'))
  end
  redis.call('ZREMRANGEBYSCORE', claims, '-inf', text(s.ack))
  front()
end

-- Nothing stands between these marks: what was not known to be lost is counted now.
local function missing(from, to)
  if to <= from then return end
  local known = 0
  for _, gap in ipairs(redis.call('ZRANGEBYSCORE', gaps, text(from), '(' .. text(to))) do
    local a, b = parse(gap)
    redis.call('ZREM', gaps, gap)
    known = known + b - a
  end
  redis.call('ZADD', gaps, text(from), text(from) .. '-' .. text(to))
  s.lost = s.lost + (to - from) - known
end

-- Keeps of a line of history: the mark at which it ended here; the mark to which somebody knows it
-- went on; to which mark, and how many events in all, somebody knows that it was acknowledged, beyond
-- its end and before it.
local function remember(line, l)
  local words = { text(l.base), text(l.to), text(l.ack), text(l.acked), text(l.had), text(l.done) }
  redis.call('HSET', state, 't:' .. line, table.concat(words, ' '))
  if string.find(s.past, line, 1, true) then return end
  s.past = s.past .. line .. ' '
  if #s.past > 1100 then
    local oldest = string.match(s.past, '^%w+')
    redis.call('HDEL', state, 't:' .. oldest)
    s.past = string.sub(s.past, #oldest + 2)
  end
end

-- A line that ends now.
local function ended()
  return { base = s.cum, to = s.cum, ack = s.cum, acked = s.cum - s.lost, had = s.ack, done = s.acked }
end

-- What is kept of a line. Of one that is not known all is new since the present line began.
local function recall(line)
  local n, kept = {}, redis.call('HGET', state, 't:' .. line) or ''
  for number in string.gmatch(kept, '%d+') do n[#n + 1] = tonumber(number) end
  if #n == 6 then
    return { base = n[1], to = n[2], ack = n[3], acked = n[4], had = n[5], done = n[6] }
  end
  return { base = s.base, to = s.base, ack = s.base, acked = math.max(0, s.base - s.lost),
    had = s.ack, done = s.acked }
end

-- Somebody knows of a line of history that ended: what it had beyond its end is gone with it. Without
-- `acked` all that was acknowledged since the last report was there.
local function report(line, cum, ack, acked)
  local l = recall(line)
  local upto = math.min(ack, l.base)
  if upto > s.ack then
    local from, before = s.ack, s.acked
    advance(upto)
    -- Holes that were known there and are not known here are among what was passed.
    if acked and ack <= l.base and from == l.had then
      local holes = math.max(0, s.acked - before - math.max(0, acked - l.done))
      s.acked, s.lost = s.acked - holes, s.lost + holes
      l.had, l.done, l.acked = s.ack, math.max(l.done, acked), l.acked - holes
      remember(line, l)
    end
  end
  local grown, credit = math.max(0, cum - l.to), 0
  if ack > l.base then
    credit = (acked or l.acked + math.max(0, ack - l.ack)) - l.acked
    if l.ack > l.base then credit = math.max(0, credit) end
  end
  if grown > 0 then
    redis.call('ZADD', gaps, text(s.cum), text(s.cum) .. '-' .. text(s.cum + grown))
    s.cum = s.cum + grown
  end
  if grown > 0 or credit ~= 0 then
    s.acked = s.acked + credit
    s.lost = s.lost + grown - credit
    l.to, l.ack, l.acked = l.to + grown, math.max(l.ack, ack), l.acked + credit
    remember(line, l)
    if s.ack + grown >= s.cum then advance(s.ack) end
  end
end

-- The state has gone: it begins again with what the caller and the stream know.
local function begin()
  local last, first, bytes = 0, nil, 0
  local stands = redis.call('EXISTS', stream) == 1
  if stands then
    local info = redis.call('XINFO', 'STREAM', stream)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then last = parse(info[i + 1]) end
      if info[i] == 'first-entry' and info[i + 1] then
        local mark, events = parse(info[i + 1][1])
        first = mark - events
      end
      if info[i] == 'last-entry' and info[i + 1] then bytes = tonumber(fields(info[i + 1]).s) or 0 end
    end
  end
  s.shards, s.run, s.bytes = mine.shards, run, bytes
  s.cum = math.max(mine.cum, last)
  s.ack = mine.ack
  if stands then s.ack = math.max(s.ack, first or last) end
  s.acked = mine.acked + (s.ack - mine.ack)
  s.lost = math.max(0, s.ack - s.acked)
  s.line, s.base = mine.fresh, s.cum
  redis.call('DEL', gaps)
  redis.call('XTRIM', stream, 'MINID', text(s.ack + 1))
  if mine.line ~= '' then remember(mine.line, ended()) end
  front()
end

if s.shards == '' then
  begin()
elseif s.shards ~= mine.shards then
  return { 'SHARDS', s.shards }
elseif s.run ~= run then
  -- Another server, or the same after a restart: it may have come back with less.
  remember(s.line, ended())
  s.line, s.run, s.base = mine.fresh, run, s.cum
end
if mine.line ~= '' and mine.line ~= s.line then
  if redis.call('HEXISTS', state, 't:' .. mine.line) == 1 then shared = recall(mine.line).base end
  report(mine.line, mine.cum, mine.ack, mine.acked)
end
if s.gen == 0 and mine.gen > 0 then
  -- The lease has gone with the state; whoever holds it goes on.
  s.gen, s.owner, s.ttl = mine.gen, mine.owner, mine.ttl
  s['until'] = now + mine.ttl
end

