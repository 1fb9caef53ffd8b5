-- Schema version 1. Times are microseconds since the epoch; ids are the 16 bytes of a UUIDv7.

-- One row: what grows and must outlive retention.
CREATE TABLE totals (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL, delivery_seq INTEGER NOT NULL, rule_id INTEGER NOT NULL,
  ruleset INTEGER NOT NULL, audited INTEGER NOT NULL, duplicates INTEGER NOT NULL,
  lost INTEGER NOT NULL, deliveries INTEGER NOT NULL
) STRICT;
INSERT INTO totals VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0);

CREATE TABLE shards (shard INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
CREATE TABLE receipts (
  n INTEGER PRIMARY KEY, shard INTEGER NOT NULL, batch_id BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX receipts_batch ON receipts (shard, batch_id);
CREATE TABLE dedup (digest BLOB PRIMARY KEY, keep_until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX dedup_until ON dedup (keep_until);

-- The audit. seq is common to both tables; body is the event as its batch carried it.
CREATE TABLE audit_handled (
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL, host TEXT NOT NULL, severity INTEGER,
  ruleset INTEGER NOT NULL, rule_id INTEGER, decision TEXT, dev INTEGER NOT NULL, team TEXT,
  alert_id BLOB, body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX audit_handled_id ON audit_handled (id);
CREATE INDEX audit_handled_host ON audit_handled (host, id);
CREATE INDEX audit_handled_rule ON audit_handled (rule_id, id);
CREATE INDEX audit_handled_alert ON audit_handled (alert_id, id) WHERE alert_id IS NOT NULL;
CREATE TABLE audit_unhandled (
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL, host TEXT NOT NULL, severity INTEGER,
  ruleset INTEGER NOT NULL, rule_id INTEGER, decision TEXT, dev INTEGER NOT NULL, team TEXT,
  alert_id BLOB, body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX audit_unhandled_id ON audit_unhandled (id);
CREATE INDEX audit_unhandled_host ON audit_unhandled (host, id);
CREATE INDEX audit_unhandled_alert ON audit_unhandled (alert_id, id) WHERE alert_id IS NOT NULL;

-- Windows in which unhandled events of one host and template (hashed together) are counted.
CREATE TABLE unhandled (
  hash INTEGER PRIMARY KEY, first_at INTEGER NOT NULL, count INTEGER NOT NULL,
  fired INTEGER NOT NULL
) STRICT;
CREATE TABLE rates (
  minute INTEGER PRIMARY KEY, audited INTEGER NOT NULL, handled INTEGER NOT NULL,
  deliveries INTEGER NOT NULL
) STRICT;

-- Alerts. host, team and problem are lower case for searching; body is the alert as JSON.
CREATE TABLE alerts (
  id BLOB PRIMARY KEY, key TEXT NOT NULL, cleared INTEGER NOT NULL, host TEXT NOT NULL,
  team TEXT NOT NULL, problem TEXT NOT NULL, last_seen INTEGER NOT NULL, ages_out_at INTEGER,
  cleared_at INTEGER, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX alerts_open ON alerts (key) WHERE cleared = 0;
CREATE INDEX alerts_age ON alerts (ages_out_at) WHERE cleared = 0;
CREATE INDEX alerts_seen ON alerts (last_seen, id);
CREATE INDEX alerts_state ON alerts (cleared, last_seen, id);
CREATE INDEX alerts_host ON alerts (host, last_seen, id);
CREATE INDEX alerts_cleared_at ON alerts (cleared_at) WHERE cleared = 1;
CREATE TABLE timeline (
  n INTEGER PRIMARY KEY, alert_id BLOB NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL,
  who TEXT NOT NULL, text TEXT, event_id BLOB
) STRICT;
CREATE INDEX timeline_alert ON timeline (alert_id, n);

-- Deliveries. state: 0 waiting (pending; held where the lane is), 1 leased, 3 delivered,
-- 4 suppressed, 5 dead. head: the one of its sink and key that may go next. The notice is the alert
-- as it was; its event is read from the audit.
CREATE TABLE deliveries (
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL, sink TEXT NOT NULL, key TEXT NOT NULL,
  kind INTEGER NOT NULL, state INTEGER NOT NULL, head INTEGER NOT NULL, reason TEXT,
  attempts INTEGER NOT NULL, stands_for INTEGER NOT NULL, created_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL, first_attempt_at INTEGER, ended_at INTEGER, alert_id BLOB NOT NULL,
  event_id BLOB, alert TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX deliveries_id ON deliveries (id);
CREATE INDEX deliveries_alert ON deliveries (alert_id, sink);
CREATE INDEX deliveries_event ON deliveries (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX deliveries_key ON deliveries (sink, key, seq) WHERE state < 3;
CREATE INDEX deliveries_head ON deliveries (sink, seq) WHERE state = 0 AND head = 1;
CREATE INDEX deliveries_due ON deliveries (sink, due_at) WHERE state = 0 AND head = 1;
CREATE INDEX deliveries_leased ON deliveries (sink) WHERE state = 1;
CREATE INDEX deliveries_live ON deliveries (state) WHERE state < 3;
CREATE INDEX deliveries_dead ON deliveries (state) WHERE state = 5;
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE state >= 3;
CREATE TABLE attempts (
  n INTEGER PRIMARY KEY, delivery_seq INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE INDEX attempts_delivery ON attempts (delivery_seq, n);
-- Rows by sink and state; removed counts what retention took, so that the ledger outlives it.
CREATE TABLE delivery_counts (
  sink TEXT NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, removed INTEGER NOT NULL,
  PRIMARY KEY (sink, state)
) STRICT, WITHOUT ROWID;
-- The newest delivery that a key has delivered; a replay must not be older.
CREATE TABLE key_delivered (
  sink TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (sink, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE lanes (
  sink TEXT PRIMARY KEY, held_by INTEGER, held_reason TEXT, held_since INTEGER,
  probe INTEGER NOT NULL, breaker TEXT NOT NULL, last_ok_at INTEGER, last_error TEXT,
  last_error_at INTEGER, owner TEXT, generation INTEGER NOT NULL, lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rules: whole sets by version, and the newest event that each version judged.
CREATE TABLE rule_sets (version INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE rule_set_use (
  version INTEGER NOT NULL, handled INTEGER NOT NULL, newest BLOB NOT NULL,
  PRIMARY KEY (version, handled)
) STRICT, WITHOUT ROWID;
CREATE TABLE changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL,
  object TEXT NOT NULL, object_id TEXT NOT NULL, action TEXT NOT NULL, old TEXT, new TEXT,
  reason TEXT
) STRICT;
CREATE INDEX changes_at ON changes (at);
