-- Takes everything up to a mark as done. ARGV 10-12: generation, mark, the line that the mark is of.
if s.gen ~= tonumber(ARGV[10]) then return answer('LEASE') end
local mark, line = tonumber(ARGV[11]), ARGV[12]
if line ~= s.line then
  -- Claimed before the server came back: only what it came back with has these marks.
  report(line, mark, mark)
elseif mark > s.ack then
  advance(math.min(mark, s.cum))
end
return answer('OK')
