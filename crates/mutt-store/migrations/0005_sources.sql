-- Schema version 5. Sources: devices seen, by host and the address that their packets come from. body
-- is what Ingestors told of them, as JSON; the other columns are what is searched and watched. Times
-- are 0 where nothing was heard. told: 0 nobody, 1 by an alert of its own, 2 by its relay's.
CREATE TABLE sources (
  host TEXT NOT NULL, peer TEXT NOT NULL, listener TEXT NOT NULL, heard_by TEXT NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, usual_gap INTEGER NOT NULL,
  pending INTEGER NOT NULL, unparsed INTEGER NOT NULL, body TEXT NOT NULL,
  reported_at INTEGER NOT NULL, muted INTEGER NOT NULL DEFAULT 0,
  forgotten INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 0,
  told_last INTEGER NOT NULL DEFAULT 0, excused INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (host, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX sources_seen ON sources (last_seen);
CREATE INDEX sources_peer ON sources (peer);
