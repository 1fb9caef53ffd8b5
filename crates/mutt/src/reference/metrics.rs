//! METRICS.md: every metric by service, and what became of each name of v2.

use mutt_model::metrics::{ALL, Kind, Metric};

use super::{Header, code, head, row};

const HEADER: Header = Header {
    title: "MUTT Metrics Reference",
    audience: "On-call engineers, SREs",
    related: "[Configuration](CONFIG.md), [Errors](ERRORS.md)",
    intro: "Each service serves `/metrics` on its own port with its own families only: Ingestor 8080, Alerter\n8082, Moog Forwarder 8084, Remediation 8087, Web UI 8090.",
};

/// Names that the Python MUTT exported and that are gone, with what to use instead.
const GONE: &[(&str, &str)] = &[
    ("flask_exporter_info", "gone: no Flask"),
    (
        "flask_http_request_duration_seconds",
        "gone: mutt_ingest_latency_seconds, mutt_webui_api_latency_seconds",
    ),
    ("flask_http_request_exceptions_total", "gone: mutt_webui_api_requests_total by status"),
    ("flask_http_request_total", "gone: mutt_ingest_requests_total, mutt_webui_api_requests_total"),
    ("mutt_alerter_cache_dev_hosts_count", "gone: development hosts are part of the rule set"),
    ("mutt_alerter_cache_reload_failures_total", "gone: see MUTT-A003"),
    ("mutt_alerter_cache_reload_latency_seconds", "gone: rules are live within a second"),
    ("mutt_alerter_cache_rules_count", "gone: rules are part of the rule set"),
    ("mutt_alerter_cache_teams_count", "gone: teams are part of the rule set"),
    ("mutt_alerter_dlq_depth", "gone: no event is given up before the store"),
    ("mutt_alerter_processing_latency_seconds", "gone"),
    ("mutt_alerter_processing_list_depth", "gone: there is no processing list"),
    ("mutt_alerter_queue_depth", "gone: deliveries that wait are rows of the store"),
    ("mutt_alerter_shed_events_total", "gone: nothing is shed"),
    ("mutt_circuit_breaker_failures", "gone"),
    ("mutt_circuit_breaker_state", "gone"),
    ("mutt_circuit_breaker_state_changes_total", "gone"),
    ("mutt_db_write_latency_ms", "gone"),
    ("mutt_ingest_rate_limit_hits_total", "gone: there is no ingest limiter"),
    ("mutt_moog_alerts_processed_total", "gone"),
    ("mutt_moog_dlq_depth", "gone: dead is a state of a delivery"),
    ("mutt_moog_processing_list_depth", "gone: there is no processing list"),
    ("mutt_moog_rate_limit_hits_total", "gone"),
    ("mutt_moog_request_latency_seconds", "gone"),
    ("mutt_moog_requests_total", "gone"),
    ("mutt_remediation_dlq_depth", "gone: dead is a state of a delivery"),
    ("mutt_remediation_loop_duration_seconds", "gone"),
    ("mutt_remediation_loops_total", "gone"),
    (
        "mutt_remediation_moog_health",
        "gone: a held lane says so, see mutt_remediation_* and the sinks' lanes",
    ),
    ("mutt_remediation_poison_messages_total", "gone: a refused delivery is replayed by hand"),
    ("mutt_remediation_replay_fail_total", "gone"),
    ("mutt_remediation_replay_success_total", "gone"),
    (
        "mutt_retention_cleanup_last_run_timestamp_seconds",
        "now `mutt_retention_last_run_timestamp_seconds`",
    ),
    (
        "mutt_retention_cleanup_records_deleted_total",
        "now `mutt_remediation_rows_removed_total`, by table; the cap is counted too",
    ),
    (
        "mutt_retention_config_audits_deleted_total",
        "now `mutt_remediation_rows_removed_total{table=\"changes\"}`",
    ),
    (
        "mutt_retention_enforcement_duration_seconds",
        "part of `mutt_remediation_loop_duration_seconds`: each round applies retention",
    ),
    ("mutt_retention_errors_total", "now `mutt_remediation_replay_fail_total`, and MUTT-R001"),
    (
        "mutt_retention_events_archived_total",
        "now `mutt_retention_archived_bytes_total`, in bytes of archives (store.archive.dir)",
    ),
    (
        "mutt_retention_events_deleted_total",
        "now `mutt_remediation_rows_removed_total{table=\"audit_handled\"}`; on PostgreSQL whole partitions also count in `mutt_retention_partitions_dropped_total`",
    ),
    ("mutt_retention_last_run_timestamp", "now `mutt_retention_last_run_timestamp_seconds`"),
    ("mutt_retention_policy_days", "gone: see store.retention, or /api/v2/config"),
    ("mutt_webui_api_latency_seconds", "gone"),
    ("mutt_webui_api_requests_total", "gone"),
    ("mutt_webui_db_query_latency_ms", "gone"),
    ("mutt_webui_redis_scan_latency_seconds", "gone: there is no Redis scan"),
];

pub(super) fn page(date: &str) -> String {
    let mut text = HEADER.render(date);
    let mut services: Vec<&str> = Vec::new();
    services.extend(ALL.iter().map(|metric| metric.service));
    services.sort_unstable();
    services.dedup();
    for service in services {
        let of = if service == "every" {
            "every service".to_owned()
        } else {
            format!("the service {service}")
        };
        text += &format!("\n## Metrics of {of}\n");
        text.extend(ALL.iter().filter(|metric| metric.service == service).map(entry));
    }
    text += "\n## Names of v2\n\nWhat each metric name of the Python MUTT is now.\n";
    text += &head(&["name of v2", "now"]);
    let mut names: Vec<(&str, &str)> = GONE
        .iter()
        .copied()
        .filter(|(name, _)| ALL.iter().all(|metric| metric.name != *name))
        .collect();
    names.extend(ALL.iter().filter(|m| !m.v2.is_empty()).map(|m| (m.name, m.v2)));
    names.sort_unstable();
    for (name, now) in names {
        text += &row(&[&code(name), now]);
    }
    text
}

fn entry(metric: &Metric) -> String {
    let mut text = format!("\n### `{}`\n\n{}.\n\n", metric.name, metric.help.trim_end_matches('.'));
    let kind = match metric.kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Histogram(buckets) => {
            let buckets: Vec<String> = buckets.iter().map(ToString::to_string).collect();
            format!("histogram, buckets {}", buckets.join(" "))
        }
    };
    text += &format!("- Type: {kind}\n");
    for (label, values) in metric.labels {
        text += &format!("- Label `{label}`: {}\n", values.replace('|', ", "));
    }
    if !metric.v2.is_empty() {
        text += &format!("- Since v2: {}\n", metric.v2);
    }
    text
}
