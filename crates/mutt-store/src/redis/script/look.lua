-- Only looks; with a generation (ARGV 10, 0 is none) whether it is still the shard's, and with a
-- mark (ARGV 11, 0 is none) takes out the entry there, which cannot be read.
local generation, mark = tonumber(ARGV[10]), tonumber(ARGV[11])
if generation > 0 and s.gen ~= generation then return answer('LEASE') end
if mark > 0 then
  local entry = redis.call('XRANGE', stream, text(mark), text(mark), 'COUNT', 1)[1]
  if entry then redis.call('XDEL', stream, entry[1]) end
end
return answer('OK')
