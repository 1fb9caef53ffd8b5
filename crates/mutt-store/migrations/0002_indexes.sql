-- Schema version 2. Upkeep and lists find what they need without walking whole tables.

-- The bound of the receipts that are kept.
CREATE INDEX receipts_order ON receipts (shard, n);
-- An alert's deliveries in order.
DROP INDEX deliveries_alert;
CREATE INDEX deliveries_alert ON deliveries (alert_id, seq);
-- Ended ones by age; the dead apart, because they may still be replayed.
DROP INDEX deliveries_ended;
CREATE INDEX deliveries_ended ON deliveries ((state = 5), ended_at) WHERE state >= 3;
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead ON deliveries (seq) WHERE state = 5;
CREATE INDEX deliveries_dead_reason ON deliveries (reason, seq) WHERE state = 5;
