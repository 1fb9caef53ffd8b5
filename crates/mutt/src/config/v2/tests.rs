//! What the names of v2 mean: every one that v2 or its templates knew has an answer.

use super::super::{Config, Overrides, SinkAuth, StoreTlsMode, load};
use super::{Note, live_names, live_setting, notes, tree};
use crate::config::EnvSource;
use crate::secrets::{SecretRef, VaultRef};

/// What v2's services, jobs and scripts read, and what its templates and documents name.
const NAMES: &str = "REDIS_HOST REDIS_PORT REDIS_TLS_ENABLED REDIS_CA_CERT_PATH REDIS_MAX_CONNECTIONS
    VAULT_ADDR VAULT_ROLE_ID VAULT_SECRET_ID_FILE VAULT_SECRETS_PATH VAULT_TOKEN_RENEW_THRESHOLD
    VAULT_RENEW_CHECK_INTERVAL LOG_LEVEL DYNAMIC_CONFIG_ENABLED POD_NAME BRPOPLPUSH_TIMEOUT
    INGEST_QUEUE_NAME ALERT_QUEUE_NAME METRICS_PREFIX DB_HOST DB_PORT DB_NAME DB_USER DB_TLS_ENABLED
    DB_TLS_CA_CERT_PATH DB_POOL_MIN_CONN DB_POOL_MAX_CONN SERVER_PORT_INGESTOR MAX_INGEST_QUEUE_SIZE
    REQUIRED_FIELDS RATE_LIMIT_ENABLED INGEST_MAX_RATE INGEST_RATE_WINDOW METRICS_PORT_ALERTER
    HEALTH_PORT_ALERTER ALERTER_PROCESSING_LIST_PREFIX ALERTER_HEARTBEAT_PREFIX
    ALERTER_HEARTBEAT_INTERVAL ALERTER_JANITOR_TIMEOUT ALERTER_DLQ_NAME ALERTER_MAX_RETRIES
    CACHE_RELOAD_INTERVAL UNHANDLED_PREFIX UNHANDLED_THRESHOLD UNHANDLED_EXPIRY_SECONDS
    UNHANDLED_DEFAULT_TEAM METRICS_PORT_MOOG HEALTH_PORT_MOOG MOOG_PROCESSING_LIST_PREFIX MOOG_DLQ_NAME
    MOOG_HEARTBEAT_PREFIX MOOG_HEARTBEAT_INTERVAL MOOG_JANITOR_TIMEOUT MOOG_WEBHOOK_URL
    MOOG_WEBHOOK_TIMEOUT MOOG_RATE_LIMIT MOOG_RATE_PERIOD MOOG_RATE_LIMIT_KEY MOOG_MAX_RETRIES
    MOOG_RETRY_BASE_DELAY MOOG_RETRY_MAX_DELAY CIRCUIT_BREAKER_ENABLED CIRCUIT_BREAKER_THRESHOLD
    CIRCUIT_BREAKER_TIMEOUT SERVER_PORT_WEBUI METRICS_CACHE_TTL AUDIT_LOG_PAGE_SIZE PROMETHEUS_URL
    MUTT_TESTING PYTEST_CURRENT_TEST METRICS_PORT_REMEDIATION HEALTH_PORT_REMEDIATION REDIS_DB
    DEAD_LETTER_QUEUE REMEDIATION_ENABLED REMEDIATION_INTERVAL REMEDIATION_BATCH_SIZE MAX_POISON_RETRIES
    MOOG_HEALTH_CHECK_ENABLED MOOG_HEALTH_TIMEOUT LOG_JSON_ENABLED SERVICE_VERSION OTEL_ENABLED
    OTEL_EXPORTER_OTLP_ENDPOINT OTEL_SERVICE_NAME OTEL_RESOURCE_ATTRIBUTES DEPLOYMENT_ENV
    RETENTION_PRECREATE_MONTHS EVENT_RETENTION_DAYS EVENT_ARCHIVE_RETENTION_YEARS
    CONFIG_AUDIT_RETENTION_DAYS RETENTION_ENFORCEMENT_ENABLED RETENTION_ENABLED RETENTION_DRY_RUN
    RETENTION_AUDIT_DAYS RETENTION_EVENT_AUDIT_DAYS RETENTION_DLQ_DAYS RETENTION_BATCH_SIZE
    RETENTION_METRICS_FILE DB_PASS REDIS_PASSWORD MUTT_INGEST_URL MUTT_INGEST_API_KEY MUTT_CACERT
    INGESTOR_HOST INGESTOR_PORT INGESTOR_WORKERS ALERTER_HEALTH_PORT ALERTER_METRICS_PORT
    ALERTER_WORKER_ID MOOG_FORWARDER_HEALTH_PORT MOOG_FORWARDER_METRICS_PORT MOOG_TIMEOUT
    RATE_LIMIT_MAX_REQUESTS RATE_LIMIT_WINDOW_SECONDS RATE_LIMIT_KEY RETRY_MAX_ATTEMPTS
    RETRY_INITIAL_DELAY RETRY_MAX_DELAY RETRY_BACKOFF_MULTIPLIER WEBUI_HOST WEBUI_PORT WEBUI_WORKERS
    REDIS_TLS_CA_CERT REDIS_TLS_CLIENT_CERT REDIS_TLS_CLIENT_KEY REDIS_SOCKET_KEEPALIVE
    REDIS_HEALTH_CHECK_INTERVAL PROCESSING_LIST_PREFIX_ALERTER PROCESSING_LIST_PREFIX_MOOG DLQ_NAME
    UNHANDLED_KEY_PREFIX INGEST_QUEUE_CAP POSTGRES_HOST POSTGRES_PORT POSTGRES_DB POSTGRES_USER
    POSTGRES_PASSWORD VAULT_TOKEN VAULT_MOUNT_PATH VAULT_SECRET_PATH VAULT_TLS_CA_CERT VAULT_TLS_VERIFY
    RULE_CACHE_TTL JANITOR_INTERVAL HEARTBEAT_INTERVAL HEARTBEAT_EXPIRY POISON_MESSAGE_MAX_RETRIES
    LOG_FORMAT METRICS_PORT PROMETHEUS_ENABLED ALERTER_QUEUE_WARN_THRESHOLD
    ALERTER_QUEUE_SHED_THRESHOLD ALERTER_SHED_MODE ALERTER_DEFER_SLEEP_MS SLO_WINDOW_HOURS
    RETENTION_CLEANUP_BATCH_SIZE RETENTION_METRICS_DAYS MOOG_CB_FAILURE_THRESHOLD MOOG_CB_OPEN_SECONDS
    MOOG_CB_KEY_PREFIX SERVER_PORT_ALERTER SERVER_PORT_ALERTER_METRICS SERVER_PORT_MOOG_METRICS
    ALERTER_POD_NAME MOOG_POD_NAME DB_SSL_MODE DB_SSL_ROOT_CERT REQUIRED_MESSAGE_FIELDS
    METRICS_PORT_INGESTOR UNHANDLED_EVENT_THRESHOLD UNHANDLED_EVENT_WINDOW
    ALERTER_RULE_CACHE_REFRESH_INTERVAL DB_PASSWORD REMEDIATION_SCAN_INTERVAL REMEDIATION_MAX_RETRIES
    REMEDIATION_BACKOFF_BASE MUTT_API_KEY BACKPRESSURE_ENABLED INGEST_API_KEY WEBUI_API_KEY
    MOOG_API_KEY";

fn read(env: &dyn EnvSource) -> Config {
    load(None, env, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

#[test]
fn every_name_of_v2_has_an_answer() {
    let env: Vec<(&str, &str)> = NAMES.split_whitespace().map(|name| (name, "1")).collect();
    let answered = notes(&env);
    for (name, _) in &env {
        assert!(answered.iter().any(|note| note.name == *name), "{name}");
    }
}

#[test]
fn tls_is_on_for_true_alone_as_it_was() {
    let check = |value: &str, on: bool| {
        let env = vec![
            ("REDIS_HOST", "redis1"),
            ("REDIS_TLS_ENABLED", value),
            ("REDIS_CA_CERT_PATH", "/etc/mutt/ca.pem"),
            ("DB_HOST", "db1"),
            ("DB_TLS_ENABLED", value),
            ("DB_TLS_CA_CERT_PATH", "/etc/mutt/ca.pem"),
        ];
        let config = read(&env);
        assert_eq!(config.queue.url.to_string().starts_with("rediss://"), on, "{value}");
        assert_eq!(config.queue.tls.ca.is_some(), on, "{value}");
        let mode = if on { StoreTlsMode::Require } else { StoreTlsMode::Off };
        assert_eq!((config.store.tls.mode, config.store.tls.files.ca.is_some()), (Some(mode), on));
    };
    check("true", true);
    check("True", true);
    check("TRUE", true);
    check("", true);
    check("False", false);
    check("false", false);
    check("1", false);
    check("yes", false);
}

const VAULT: [(&str, &str); 7] = [
    ("VAULT_ADDR", "https://vault.corp.internal:8200"),
    ("VAULT_ROLE_ID", "role-of-mutt"),
    ("VAULT_SECRET_ID_FILE", "/etc/mutt/secrets/vault_secret_id"),
    ("VAULT_SECRETS_PATH", "mutt/prod"),
    ("REDIS_HOST", "redis1"),
    ("DB_HOST", "db1"),
    ("MOOG_WEBHOOK_URL", "https://moog.corp.internal/events"),
];

#[test]
fn the_secrets_that_v2_read_from_vault_are_referred_to() {
    let in_vault = |key: &str| SecretRef::Vault(VaultRef::parse(&format!("secret/{key}")).unwrap());
    let config = read(&VAULT.to_vec());
    let vault = config.vault.as_ref().unwrap();
    assert_eq!(vault.url, "https://vault.corp.internal:8200");
    assert_eq!(vault.role_id, SecretRef::Env("VAULT_ROLE_ID".to_owned()));
    assert_eq!(vault.secret_id, SecretRef::File("/etc/mutt/secrets/vault_secret_id".into()));
    let pair = |of: &str| {
        ["CURRENT", "NEXT"].map(|which| in_vault(&format!("mutt/prod#{of}_PASS_{which}")))
    };
    assert_eq!(config.queue.password, pair("REDIS"));
    assert_eq!(config.store.password, pair("DB"));
    let keys = &config.ingestor.http.as_ref().unwrap().keys;
    assert_eq!(keys[0].key, [in_vault("mutt/prod#INGEST_API_KEY")]);
    assert_eq!(config.web_ui.tokens[0].token, [in_vault("mutt/prod#WEBUI_API_KEY")]);
    let bearer = SinkAuth::Bearer(in_vault("mutt/prod#MOOG_API_KEY"));
    assert_eq!(config.sinks["moog"].auth, Some(bearer));

    // A password that is named is where its name says.
    let named = [("REDIS_PASSWORD", "never shown"), ("INGEST_API_KEY", "never shown")];
    let config = read(&[&VAULT[..], &named].concat());
    assert_eq!(config.queue.password, [SecretRef::Env("REDIS_PASSWORD".to_owned())]);
    let keys = &config.ingestor.http.as_ref().unwrap().keys;
    assert_eq!(keys[0].key, [SecretRef::Env("INGEST_API_KEY".to_owned())]);
    assert_eq!(config.store.password, pair("DB"));
}

#[test]
fn vault_is_asked_as_v2_asked_it() {
    let path = |path: &'static str| {
        let env = VAULT
            .map(|(name, value)| (name, if name == "VAULT_SECRETS_PATH" { path } else { value }));
        read(&env.to_vec()).store.password[0].to_string()
    };
    assert_eq!(path("secret/mutt"), "vault secret/mutt#DB_PASS_CURRENT");
    assert_eq!(path("/mutt/"), "vault secret/mutt#DB_PASS_CURRENT");
    assert_eq!(path(""), "vault secret/mutt#DB_PASS_CURRENT");
    let env = vec![("VAULT_ADDR", "http://127.0.0.1:8200"), ("VAULT_SECRETS_PATH", "secret/mutt")];
    assert!(
        tree(&env).get(&["vault"]).is_none(),
        "the address alone belongs to Vault's own program"
    );
    assert!(notes(&env).iter().all(|note| note.key.is_none()), "{:?}", notes(&env));
    let env = [&env[..], &[("VAULT_ROLE_ID", "r")]].concat();
    let said = notes(&env);
    let of = said.iter().find(|note| note.name == "VAULT_SECRETS_PATH").unwrap();
    assert!(
        of.what.contains("secret/mutt#NAME") && of.what.contains("secret/secret/mutt"),
        "{of:?}"
    );
}

#[test]
fn a_v2_that_removed_nothing_is_warned_of_a_mutt_that_does() {
    let warned = |name: &str, value: &str| {
        let said: Vec<Note> = notes(&vec![(name, value)]);
        assert_eq!(said.len(), 1, "{name}");
        assert_eq!(said[0].warning, said[0].what.contains("muttctl hold add"), "{name}={value}");
        said[0].warning
    };
    assert!(warned("RETENTION_ENABLED", "false") && warned("RETENTION_ENABLED", "False"));
    assert!(warned("RETENTION_ENFORCEMENT_ENABLED", "0") && warned("RETENTION_DRY_RUN", "true"));
    assert!(!warned("RETENTION_ENABLED", "true") && !warned("RETENTION_DRY_RUN", "false"));
    assert!(!warned("EVENT_ARCHIVE_RETENTION_YEARS", "7"));
}

#[test]
fn dynamic_keys_of_v2_are_understood_one_by_one() {
    let check = |name: &str, value: &str, expected: Option<(&'static str, &str)>| {
        let expected = expected.map(|(key, value)| (key, value.to_owned()));
        assert_eq!(live_setting(name, value), expected, "{name}");
        assert_eq!(live_names().any(|(known, _)| known == name), expected.is_some(), "{name}");
    };
    check("unhandled_threshold", "70", Some(("alerter.unhandled_threshold", "70")));
    check("unhandled_expiry_seconds", "3600", Some(("alerter.unhandled_window", "3600s")));
    check("moog_rate_limit", "100", Some(("sinks.moog.rate", "100/s")));
    check("event_retention_days", "60", Some(("store.retention.handled", "60d")));
    check("log_level", "WARNING", Some(("log.level", "warn")));
    check("moog_rate_period", "60", None);
    check("max_ingest_queue_size", "5", None);
    check("redis_password", "x", None);
    check("UNHANDLED_THRESHOLD", "70", None);
}
