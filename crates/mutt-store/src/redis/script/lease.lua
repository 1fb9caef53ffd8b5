-- Takes or renews the lease by this server's clock. ARGV 10, 11: owner, milliseconds.
local owner, ttl = ARGV[10], tonumber(ARGV[11])
-- A clock that was set back makes a lease no longer than it was given for.
if s['until'] > now + s.ttl then s['until'] = now + s.ttl end
if s.owner ~= owner and s.owner ~= '' and s['until'] > now then return answer('HELD') end
if s.owner ~= owner or s.gen == 0 then
  -- By the clock where that is later: a server that came back with less gives out no number twice.
  s.gen = math.max(s.gen + 1, now * 1000)
  s.owner = owner
end
s.ttl = ttl
s['until'] = now + ttl
return answer('OK')
