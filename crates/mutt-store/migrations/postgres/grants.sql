-- What the services' role may do. Run after every migration; {app} is the role's name, quoted.
-- Of the audit, the receipts and the change log it can add and read, and nothing else.
GRANT USAGE ON SCHEMA mutt TO {app};
GRANT SELECT ON ALL TABLES IN SCHEMA mutt TO {app};
GRANT INSERT ON audit_handled, audit_unhandled, receipts, changes TO {app};
GRANT INSERT, UPDATE, DELETE ON totals, shards, dedup, unhandled, rates, alerts, timeline, deliveries,
  attempts, delivery_counts, key_delivered, lanes, rule_sets, rule_set_use, settings,
  processes, sources, mibs TO {app};
GRANT INSERT, UPDATE ON holds, archives, leases TO {app};
GRANT UPDATE ON rule_state, seq_base TO {app};
GRANT EXECUTE ON FUNCTION mutt_held(text, bigint) TO {app};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA mutt TO {app};
GRANT EXECUTE ON FUNCTION mutt_make_partition(date) TO {app};
