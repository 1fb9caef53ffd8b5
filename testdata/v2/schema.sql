-- What the SQL files of the Python MUTT (v2) make, table by table and with what they insert: the text
-- of mutt_schema.sql without its frame, partitioned_event_audit_log.sql and config_audit_schema.sql.
-- No partition is made there: see events.sql.
DROP TABLE IF EXISTS event_audit_log;
DROP TABLE IF EXISTS device_teams;
DROP TABLE IF EXISTS development_hosts;
DROP TABLE IF EXISTS alert_rules;
CREATE TABLE alert_rules (
    id SERIAL PRIMARY KEY,
    match_string VARCHAR(255) NULL,
    trap_oid VARCHAR(255) NULL,
    syslog_severity INT NULL,
    match_type VARCHAR(20) NOT NULL DEFAULT 'contains',
    priority INT NOT NULL DEFAULT 100,
    prod_handling VARCHAR(100) NOT NULL,
    dev_handling VARCHAR(100) NOT NULL,
    team_assignment VARCHAR(100) NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT true,
    CONSTRAINT chk_match_type CHECK (match_type IN ('contains', 'regex', 'oid_prefix')),
    CONSTRAINT chk_syslog_severity CHECK (syslog_severity IS NULL OR syslog_severity BETWEEN 0 AND 7),
    CONSTRAINT chk_match_criteria CHECK (match_string IS NOT NULL OR trap_oid IS NOT NULL)
);
CREATE INDEX idx_alert_rules_match_type ON alert_rules (match_type);
CREATE INDEX idx_alert_rules_is_active ON alert_rules (is_active);
COMMENT ON TABLE alert_rules IS 'Rules that decide how an event is handled';
COMMENT ON COLUMN alert_rules.trap_oid IS 'SNMP trap OID, e.g. .1.3.6.1.4.1.9.9.41.2.*';
COMMENT ON COLUMN alert_rules.priority IS 'Lower number = higher priority';
CREATE TABLE development_hosts (hostname VARCHAR(255) PRIMARY KEY);
CREATE TABLE device_teams (
    hostname VARCHAR(255) PRIMARY KEY,
    team_assignment VARCHAR(100) NOT NULL
);
CREATE TABLE event_audit_log (
    id BIGSERIAL,
    event_timestamp TIMESTAMPTZ NOT NULL,
    hostname VARCHAR(255) NOT NULL,
    matched_rule_id INT NOT NULL,
    handling_decision VARCHAR(100) NOT NULL,
    forwarded_to_moog BOOLEAN NOT NULL DEFAULT false,
    raw_message TEXT NULL,
    PRIMARY KEY (id, event_timestamp),
    CONSTRAINT fk_event_audit_matched_rule FOREIGN KEY (matched_rule_id)
        REFERENCES alert_rules (id) ON DELETE RESTRICT
) PARTITION BY RANGE (event_timestamp);
CREATE INDEX idx_audit_log_timestamp ON event_audit_log (event_timestamp);
CREATE INDEX idx_audit_log_hostname ON event_audit_log (hostname);
CREATE INDEX idx_audit_log_rule_id ON event_audit_log (matched_rule_id);
COMMENT ON TABLE event_audit_log IS 'Audit of handled events, partitioned by month';
COMMENT ON COLUMN event_audit_log.raw_message IS 'JSON text of the whole event';
CREATE TABLE event_audit_log_archive (
    id BIGSERIAL PRIMARY KEY,
    event_timestamp TIMESTAMPTZ NOT NULL,
    hostname VARCHAR(255) NOT NULL,
    matched_rule_id INT NOT NULL,
    handling_decision VARCHAR(100) NOT NULL,
    forwarded_to_moog BOOLEAN NOT NULL DEFAULT false,
    raw_message TEXT NULL,
    archived_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    archived_from_partition VARCHAR(50),
    original_id BIGINT,
    original_partition_timestamp TIMESTAMPTZ
);
CREATE INDEX idx_archive_timestamp ON event_audit_log_archive (event_timestamp);
CREATE INDEX idx_archive_hostname ON event_audit_log_archive (hostname);
CREATE INDEX idx_archive_archived_at ON event_audit_log_archive (archived_at);
CREATE INDEX idx_archive_rule_id ON event_audit_log_archive (matched_rule_id);
COMMENT ON TABLE event_audit_log_archive IS 'Rows that left event_audit_log after 90 days, kept 7 years';
CREATE FUNCTION create_monthly_partition(start_date DATE) RETURNS void AS $$
BEGIN
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF event_audit_log FOR VALUES FROM (%L) TO (%L)',
        'event_audit_log_' || to_char(start_date, 'YYYY_MM'), start_date, start_date + INTERVAL '1 month');
END;
$$ LANGUAGE plpgsql;
CREATE VIEW partition_health_summary AS
    SELECT child.relname AS partition_name,
        pg_get_expr(child.relpartbound, child.oid) AS partition_range,
        pg_size_pretty(pg_total_relation_size(child.oid)) AS size,
        (SELECT count(*) FROM pg_class WHERE oid = child.oid) AS row_count_estimate
    FROM pg_inherits
        JOIN pg_class parent ON pg_inherits.inhparent = parent.oid
        JOIN pg_class child ON pg_inherits.inhrelid = child.oid
    WHERE parent.relname = 'event_audit_log'
    ORDER BY child.relname;
COMMENT ON VIEW partition_health_summary IS 'Partitions of event_audit_log with range and size';
CREATE TABLE config_audit_log (
    id BIGSERIAL PRIMARY KEY,
    changed_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_by VARCHAR(100) NOT NULL,
    operation VARCHAR(10) NOT NULL CHECK (operation IN ('CREATE', 'UPDATE', 'DELETE')),
    table_name VARCHAR(50) NOT NULL,
    record_id INTEGER NOT NULL,
    old_values JSONB,
    new_values JSONB,
    reason TEXT,
    correlation_id VARCHAR(36)
);
CREATE INDEX idx_config_audit_table_record ON config_audit_log (table_name, record_id);
CREATE INDEX idx_config_audit_changed_at ON config_audit_log (changed_at DESC);
CREATE INDEX idx_config_audit_changed_by ON config_audit_log (changed_by);
CREATE INDEX idx_config_audit_correlation_id ON config_audit_log (correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE INDEX idx_config_audit_old_values ON config_audit_log USING GIN (old_values);
CREATE INDEX idx_config_audit_new_values ON config_audit_log USING GIN (new_values);
COMMENT ON TABLE config_audit_log IS 'Changes of the configuration; 90 days online, then 7 years';
COMMENT ON COLUMN config_audit_log.changed_by IS 'Who made the change: the beginning of the API key';
INSERT INTO alert_rules (match_string, trap_oid, match_type, priority, prod_handling, dev_handling,
    team_assignment) VALUES
    ('CRITICAL', NULL, 'contains', 10, 'Page_and_ticket', 'Ticket_only', 'NETO'),
    ('ERROR', NULL, 'contains', 20, 'Ticket_only', 'Ignore', 'NETO'),
    ('LINK-DOWN', NULL, 'contains', 5, 'Page_and_ticket', 'Ticket_only', 'NetOps'),
    ('DOT1X-FIRMWARE-RUNNING', NULL, 'contains', 50, 'Ticket_only', 'Ignore', 'Security'),
    (NULL, '.1.3.6.1.4.1.9.9.41.2', 'oid_prefix', 15, 'Page_and_ticket', 'Ignore', 'NetOps');
INSERT INTO development_hosts VALUES ('dev-router1'), ('test-switch1'), ('qa-firewall1');
INSERT INTO device_teams VALUES ('router1.prod.example.com', 'NetOps'),
    ('switch1.prod.example.com', 'NetOps'), ('firewall1.prod.example.com', 'Security'),
    ('server1.prod.example.com', 'SysAdmin');
INSERT INTO config_audit_log (changed_by, operation, table_name, record_id, old_values, new_values, reason,
    correlation_id) VALUES
    ('admin_api_key', 'CREATE', 'alert_rules', 1, NULL,
        '{"match_string": "CRITICAL", "priority": 10, "is_active": true}', 'Initial rule', NULL),
    ('admin_api_key', 'UPDATE', 'alert_rules', 1, '{"priority": 10}', '{"priority": 5}', 'More urgent',
        '3f0e4d5c-0000-4000-8000-000000000001'),
    ('ops_api_key', 'CREATE', 'development_hosts', 1, NULL, '{"hostname": "dev-router1"}', NULL, NULL),
    ('ops_api_key', 'DELETE', 'device_teams', 1, '{"hostname": "old-r1", "team_assignment": "NetOps"}',
        NULL, 'Out of service', NULL);
