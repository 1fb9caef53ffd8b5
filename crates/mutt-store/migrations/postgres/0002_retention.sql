-- Schema version 2. Legal holds, archives, the lease of upkeep; indexes of the readers.

-- Audit rows that outlive retention. host is lower case, NULL for every host. One that was released
-- still counts until the next round of retention begins, so that the holds of a round only grow while
-- it works.
CREATE TABLE holds (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, host text, since bigint, until bigint,
  reason text NOT NULL, who text NOT NULL, at bigint NOT NULL, archive text,
  released boolean NOT NULL DEFAULT false
);
-- Files with audit rows that went, or that were put back.
CREATE TABLE archives (
  name text PRIMARY KEY, source text NOT NULL, span_from bigint NOT NULL, span_until bigint NOT NULL,
  rows bigint NOT NULL, bytes bigint NOT NULL, sha256 text NOT NULL, written_at bigint NOT NULL,
  restored_at bigint
);
CREATE TABLE retention (one int PRIMARY KEY CHECK (one = 1), last_run bigint);
INSERT INTO retention VALUES (1, NULL);
-- Days of which retention has taken rows: what is not there was not lost.
CREATE TABLE retired_days (handled boolean NOT NULL, day int NOT NULL, PRIMARY KEY (handled, day));
-- One of several works at a time, by the server's clock.
CREATE TABLE leases (
  name text PRIMARY KEY, owner text NOT NULL, generation bigint NOT NULL, lease_until bigint NOT NULL
);

-- Whether a row of the audit is held.
CREATE FUNCTION mutt_held(row_host text, row_at bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT 1 FROM mutt.holds h WHERE (h.host IS NULL OR h.host = row_host)
    AND row_at >= COALESCE(h.since, row_at) AND (h.until IS NULL OR row_at < h.until))
$$;

-- The head of a key without its other rows.
CREATE INDEX deliveries_key_head ON deliveries (sink, key) WHERE head AND state < 3;
CREATE INDEX deliveries_live ON deliveries (seq) WHERE state < 3;
CREATE INDEX deliveries_dead_reason ON deliveries (reason, seq) WHERE state = 5;
-- Ended ones by age; the dead apart, because they may still be replayed.
DROP INDEX deliveries_ended;
CREATE INDEX deliveries_over ON deliveries (ended_at) WHERE state IN (3, 4);
CREATE INDEX deliveries_dead_ended ON deliveries (ended_at) WHERE state = 5;
CREATE INDEX alerts_open_seen ON alerts (last_seen, id) WHERE NOT cleared;
