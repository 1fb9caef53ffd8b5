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
CREATE TABLE event_audit_log_2025_10 PARTITION OF event_audit_log
    FOR VALUES FROM ('2025-10-01') TO ('2025-11-01');
CREATE TABLE event_audit_log_2025_11 PARTITION OF event_audit_log
    FOR VALUES FROM ('2025-11-01') TO ('2025-12-01');
CREATE TABLE event_audit_log_2099_01 PARTITION OF event_audit_log
    FOR VALUES FROM ('2099-01-01') TO ('2099-02-01');
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
