-- Schema version 3. Sources: devices seen, by host and the address that their packets come from. body
-- is what Ingestors told of them, as JSON; the other columns are what is searched and watched. Times
-- are 0 where nothing was heard. told: 0 nobody, 1 by an alert of its own, 2 by its relay's.
CREATE TABLE sources (
  host text COLLATE "C" NOT NULL, peer text COLLATE "C" NOT NULL, listener text NOT NULL,
  heard_by text NOT NULL, first_seen bigint NOT NULL, last_seen bigint NOT NULL,
  usual_gap bigint NOT NULL, pending smallint NOT NULL, unparsed bigint NOT NULL, body text NOT NULL,
  reported_at bigint NOT NULL, muted smallint NOT NULL DEFAULT 0,
  forgotten smallint NOT NULL DEFAULT 0, told smallint NOT NULL DEFAULT 0,
  told_last bigint NOT NULL DEFAULT 0, excused bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (host, peer)
);
CREATE INDEX sources_seen ON sources (last_seen);
CREATE INDEX sources_peer ON sources (peer);
