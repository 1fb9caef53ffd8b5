-- Schema version 1. Times are microseconds since the epoch, so that partitions prune by parameters and
-- every backend has the same numbers; ids are UUIDv7. `slot` is a shard (from 0), or below 0 for what
-- belongs to none: no row is shared by two shards, readers sum over the slots.

-- What grows and must outlive retention.
CREATE TABLE totals (
  slot int PRIMARY KEY, audited bigint NOT NULL DEFAULT 0, duplicates bigint NOT NULL DEFAULT 0,
  lost bigint NOT NULL DEFAULT 0, deliveries bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Fencing, and the end of each shard's chain of receipts. Its row is the lock of the shard.
CREATE TABLE shards (
  shard int PRIMARY KEY, generation bigint NOT NULL, receipts bigint NOT NULL, digest bytea NOT NULL
) WITH (fillfactor = 50);
-- One row for each batch. seq_first and rows say which audit rows it wrote; first_at and last_at in
-- which partitions they are. content: SHA-256 over its rows' digests;
-- digest: over the receipt before it, marks and content: it stands also when the rows are gone.
CREATE TABLE receipts (
  shard int NOT NULL, n bigint NOT NULL, batch_id uuid NOT NULL, seq_first bigint NOT NULL,
  rows int NOT NULL, first_at bigint NOT NULL, last_at bigint NOT NULL, committed_at bigint NOT NULL,
  marks bytea NOT NULL, content bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (shard, n)
);
ALTER TABLE receipts ALTER marks SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX receipts_batch ON receipts (shard, batch_id);
CREATE INDEX receipts_seq ON receipts (seq_first);
-- seq is (base + transaction id) * 2^20 + row in the transaction: it grows with every shard's commits
-- and needs no counter. base moves when a dump was restored into a cluster with smaller ids.
CREATE TABLE seq_base (one int PRIMARY KEY CHECK (one = 1), base bigint NOT NULL);
INSERT INTO seq_base VALUES (1, 0);
CREATE TABLE dedup (digest bytea PRIMARY KEY, keep_until bigint NOT NULL);
CREATE INDEX dedup_until ON dedup (keep_until);

-- The audit, by day of received_at (UTC). body is the event as its batch carried it.
CREATE TABLE audit_handled (
  received_at bigint NOT NULL, id uuid NOT NULL, seq bigint NOT NULL, ruleset bigint NOT NULL,
  rule_id bigint, alert_id uuid, severity smallint, dev boolean NOT NULL, host text NOT NULL,
  decision text, team text, body bytea NOT NULL, PRIMARY KEY (received_at, id)
) PARTITION BY RANGE (received_at);
CREATE INDEX audit_handled_host ON audit_handled (host, received_at, id);
CREATE INDEX audit_handled_rule ON audit_handled (rule_id, received_at, id);
CREATE INDEX audit_handled_alert ON audit_handled (alert_id, received_at, id) WHERE alert_id IS NOT NULL;
CREATE TABLE audit_unhandled (
  received_at bigint NOT NULL, id uuid NOT NULL, seq bigint NOT NULL, ruleset bigint NOT NULL,
  rule_id bigint, alert_id uuid, severity smallint, dev boolean NOT NULL, host text NOT NULL,
  decision text, team text, body bytea NOT NULL, PRIMARY KEY (received_at, id)
) PARTITION BY RANGE (received_at);
CREATE INDEX audit_unhandled_host ON audit_unhandled (host, received_at, id);
CREATE INDEX audit_unhandled_alert ON audit_unhandled (alert_id, received_at, id) WHERE alert_id IS NOT NULL;
CREATE VIEW audit AS
  SELECT received_at, id, seq, true AS handled, ruleset, rule_id, alert_id, severity, dev, host,
    decision, team, body FROM audit_handled
  UNION ALL
  SELECT received_at, id, seq, false AS handled, ruleset, rule_id, alert_id, severity, dev, host,
    decision, team, body FROM audit_unhandled;

-- Makes the two partitions of a day; does nothing where they stand. Attached rather than created in
-- place: attaching lets readers and writers of the parent go on.
CREATE FUNCTION mutt_make_partition(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = mutt, pg_temp AS $$
DECLARE
  parent text; part text; floor bigint := (day - date '1970-01-01')::bigint * 86400000000;
BEGIN
  PERFORM pg_advisory_xact_lock(1297437780, 1);
  FOREACH parent IN ARRAY ARRAY['audit_handled', 'audit_unhandled'] LOOP
    part := parent || '_p' || to_char(day, 'YYYYMMDD');
    IF to_regclass('mutt.' || part) IS NULL THEN
      EXECUTE format('CREATE TABLE mutt.%I (LIKE mutt.%I INCLUDING DEFAULTS)', part, parent);
      EXECUTE format('ALTER TABLE mutt.%I ATTACH PARTITION mutt.%I FOR VALUES FROM (%s) TO (%s)',
        parent, part, floor, floor + 86400000000);
    END IF;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION mutt_make_partition(date) FROM PUBLIC;

-- Windows in which unhandled events of one host and template (hashed together) are counted.
CREATE TABLE unhandled (
  hash bigint PRIMARY KEY, first_at bigint NOT NULL, count bigint NOT NULL, fired boolean NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE rates (
  minute bigint NOT NULL, slot int NOT NULL, audited bigint NOT NULL, handled bigint NOT NULL,
  deliveries bigint NOT NULL, PRIMARY KEY (minute, slot)
) WITH (fillfactor = 70);

-- Alerts. host, team and problem are lower case for searching; body is the alert as JSON (as text:
-- jsonb refuses U+0000).
CREATE TABLE alerts (
  id uuid PRIMARY KEY, key text NOT NULL, cleared boolean NOT NULL, host text NOT NULL,
  team text NOT NULL, problem text NOT NULL, last_seen bigint NOT NULL, ages_out_at bigint,
  cleared_at bigint, body text NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX alerts_open ON alerts (key) WHERE NOT cleared;
CREATE INDEX alerts_age ON alerts (ages_out_at) WHERE NOT cleared;
CREATE INDEX alerts_seen ON alerts (last_seen, id);
CREATE INDEX alerts_host ON alerts (host, last_seen, id);
CREATE INDEX alerts_cleared_at ON alerts (cleared_at) WHERE cleared;
CREATE TABLE timeline (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, alert_id uuid NOT NULL, at bigint NOT NULL,
  what text NOT NULL, who text NOT NULL, text text, event_id uuid
);
CREATE INDEX timeline_alert ON timeline (alert_id, n);

-- Deliveries. state: 0 waiting (pending; held where the lane is), 1 leased, 3 delivered,
-- 4 suppressed, 5 dead. head: the one of its sink and key that may go next. The notice is the alert
-- as it was; its event is read from the audit. Whoever changes them holds the lock of the key.
CREATE SEQUENCE deliveries_seq CACHE 1;
CREATE TABLE deliveries (
  seq bigint PRIMARY KEY, id uuid NOT NULL, sink text NOT NULL, key text NOT NULL,
  kind smallint NOT NULL, state smallint NOT NULL, head boolean NOT NULL, reason text,
  attempts bigint NOT NULL, stands_for bigint NOT NULL, created_at bigint NOT NULL,
  due_at bigint NOT NULL, first_attempt_at bigint, ended_at bigint, alert_id uuid NOT NULL,
  event_id uuid, alert text NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX deliveries_id ON deliveries (id);
CREATE INDEX deliveries_alert ON deliveries (alert_id, seq);
CREATE INDEX deliveries_event ON deliveries (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX deliveries_key ON deliveries (sink, key, seq) WHERE state < 3;
CREATE INDEX deliveries_head ON deliveries (sink, seq) WHERE state = 0 AND head;
CREATE INDEX deliveries_due ON deliveries (sink, due_at) WHERE state = 0 AND head;
CREATE INDEX deliveries_leased ON deliveries (sink) WHERE state = 1;
CREATE INDEX deliveries_dead ON deliveries (seq) WHERE state = 5;
CREATE INDEX deliveries_ended ON deliveries ((state = 5), ended_at) WHERE state >= 3;
CREATE TABLE attempts (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, delivery_seq bigint NOT NULL, body text NOT NULL
);
CREATE INDEX attempts_delivery ON attempts (delivery_seq, n);
-- Rows by sink and state, as changes by slot: a slot's n may be below 0, their sum is not. removed
-- counts what retention took, so that the ledger outlives it.
CREATE TABLE delivery_counts (
  slot int NOT NULL, sink text NOT NULL, state smallint NOT NULL, n bigint NOT NULL,
  removed bigint NOT NULL DEFAULT 0, PRIMARY KEY (slot, sink, state)
) WITH (fillfactor = 50);
-- The newest delivery that a key has delivered; a replay must not be older.
CREATE TABLE key_delivered (
  sink text NOT NULL, key text NOT NULL, seq bigint NOT NULL, PRIMARY KEY (sink, key)
) WITH (fillfactor = 70);
CREATE TABLE lanes (
  sink text PRIMARY KEY, held_by smallint, held_reason text, held_since bigint,
  probe boolean NOT NULL DEFAULT false, breaker text NOT NULL DEFAULT 'closed', last_ok_at bigint,
  last_error text, last_error_at bigint, owner text, generation bigint NOT NULL DEFAULT 0,
  lease_until bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Rules: whole sets by version, and the day until which each version's newest event is kept (the end
-- of the newest event's day).
CREATE TABLE rule_state (
  one int PRIMARY KEY CHECK (one = 1), version bigint NOT NULL, rule_id bigint NOT NULL
);
INSERT INTO rule_state VALUES (1, 0, 0);
CREATE TABLE rule_sets (version bigint PRIMARY KEY, body text NOT NULL);
CREATE TABLE rule_set_use (
  version bigint NOT NULL, handled boolean NOT NULL, slot int NOT NULL, newest bigint NOT NULL,
  PRIMARY KEY (version, handled, slot)
);
CREATE TABLE changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at bigint NOT NULL, who text NOT NULL,
  object text NOT NULL, object_id text NOT NULL, action text NOT NULL, old text, new text, reason text
);
CREATE INDEX changes_at ON changes (at);

-- Settings: every version with what it changed (edits) and all overrides that stand in it (body),
-- both as JSON. Processes: the last report of each.
CREATE TABLE settings (
  version bigint PRIMARY KEY, at bigint NOT NULL, who text NOT NULL, reason text,
  rolled_back_to bigint, edits text NOT NULL, body text NOT NULL
);
CREATE TABLE processes (
  id text PRIMARY KEY, reported_at bigint NOT NULL, body text NOT NULL
) WITH (fillfactor = 50);
