-- Partitions and audited events as a v2 in use has them.
SELECT create_monthly_partition('2025-10-01'), create_monthly_partition('2025-11-01'),
    create_monthly_partition('2099-01-01');
INSERT INTO event_audit_log (event_timestamp, hostname, matched_rule_id, handling_decision,
    forwarded_to_moog, raw_message)
    SELECT timestamptz '2025-10-30 00:00:00Z' + n * interval '5 minutes', 'edge-r' || n % 7, 3,
        'Page_and_ticket', true, json_build_object('hostname', 'edge-r' || n % 7,
            'message', 'LINK-DOWN on port ' || n, 'timestamp', '2025-10-30T00:00:00Z',
            '_correlation_id', 'c-' || n)::text
    FROM generate_series(1, 700) AS n;
INSERT INTO event_audit_log (event_timestamp, hostname, matched_rule_id, handling_decision,
    raw_message) VALUES
    ('2025-11-10 10:00:00.123456Z', 'dev-router1', 2, 'Ignore', NULL);
INSERT INTO event_audit_log_archive (event_timestamp, hostname, matched_rule_id, handling_decision,
    forwarded_to_moog, raw_message) VALUES
    ('2024-02-29 12:00:00Z', 'old-r1', 77, 'Page_only', true, 'no JSON at all');
