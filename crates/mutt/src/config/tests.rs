//! Tests of loading: defaults, errors with their places, environment, unsafe doors, reload.

use std::collections::BTreeSet;
use std::path::Path;

use mutt_model::rule::Handling;
use serde_json::Value;

use super::*;
use crate::secrets::SecretRef;

pub(super) fn load_text(text: &str, env: &dyn EnvSource) -> Result<Config, Vec<ConfigError>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mutt.toml");
    std::fs::write(&file, text).unwrap();
    load(Some(&file), env, &Overrides::default())
}

fn ok(text: &str) -> Config {
    load_text(text, &env::NoEnv).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// One error of this code, on this line, with these words.
fn fails(text: &str, code: &str, line: usize, words: &str) {
    let errors = load_text(text, &env::NoEnv).unwrap_err();
    let found = errors.iter().any(|error| {
        error.code.id == code && error.line() == line && error.message.contains(words)
    });
    assert!(found, "{code} line {line} `{words}` is not in {errors:#?}");
}

#[test]
fn without_configuration_everything_is_on_loopback_and_unprivileged() {
    let config = Config::defaults().unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(config.data_dir, Path::new("./mutt-data"));
    let http = config.ingestor.http.as_ref().unwrap();
    let mut addresses = vec![http.listen, config.web_ui.listen, config.alerter.listen];
    addresses.extend(&config.ingestor.syslog.udp);
    addresses.extend(&config.ingestor.syslog.tcp);
    addresses.extend(&config.ingestor.snmp.udp);
    addresses.extend([config.moog_forwarder.listen, config.remediation.listen]);
    let ports: Vec<u16> = addresses.iter().map(|address| address.port()).collect();
    assert_eq!(ports, [8080, 8090, 8082, 5514, 5514, 9162, 8084, 8087]);
    assert!(addresses.iter().all(|address| address.ip().is_loopback()));
    assert_eq!(config.queue.max_events, 1_000_000);
    assert_eq!(config.store.max_bytes, 5 << 30);
    assert!(config.sinks.is_empty());
}

const WHOLE: &str = r#"
data_dir = "/var/lib/mutt"
[queue]
url = "rediss://redis.example.net:6380"
user = "mutt"
password = [{ file = "/p" }]
tls = { ca = "ca.pem", cert = "c.pem", key = { file = "/k" } }
max_events = 1000000
max_bytes = "4GiB"
min_free = "1GiB"
[[ingestor.limits]]
sources = ["192.0.2.0/24"]
rate = "100/s"
[store]
url = "postgres://mutt@db.example.net/mutt"
password = { file = "/p" }
owner = { user = "mutt_owner", password = { file = "/o" } }
tls = { ca = "ca.pem", cert = "c.pem", key = { file = "/k" } }
max_bytes = "5GiB"
[ingestor.http]
listen = "127.0.0.1:8080"
tls = { cert = "c.pem", key = { file = "k.pem" }, client_ca = "ca.pem" }
[[ingestor.http.keys]]
name = "rsyslog"
key = [{ env = "INGEST_API_KEY" }, { file = "/next" }]
[ingestor.syslog]
tls = [{ listen = "127.0.0.1:6514", cert = "c.pem", key = { file = "k.pem" }, client_ca = "ca.pem" }]
relp = ["127.0.0.1:2514", { listen = "127.0.0.1:2515", cert = "c.pem", key = { file = "k.pem" }, client_ca = "ca.pem" }]
proxy_protocol = "required"
proxy_sources = ["192.0.2.7", "2001:db8::/32"]
[[ingestor.syslog.zones]]
sources = ["192.0.2.0/24", "edge-*"]
zone = "+02:00"
[ingestor.snmp]
proxy_protocol = "required"
proxy_sources = ["192.0.2.7"]
communities = [{ env = "COMMUNITY" }]
[[ingestor.snmp.users]]
name = "trapuser"
engine_id = "0x80000009:03:00"
auth = { protocol = "SHA-256", secret = { env = "A" } }
priv = { protocol = "AES-128", secret = [{ env = "P" }, { env = "Q" }] }
[[ingestor.snmp.devices]]
sources = ["192.0.2.0/24"]
time_window = "warn"
[alerter]
metrics_listen = "127.0.0.1:8081"
[moog_forwarder]
metrics_listen = "127.0.0.1:8083"
[remediation]
metrics_listen = "127.0.0.1:8086"
[sinks.moog]
kind = "moogsoft"
url = "https://moog.example.net/events/webhook_webhook1"
auth = { bearer = { env = "MOOG" } }
rate = "120/m"
teams = ["NetOps"]
decisions = ["page_only"]
environments = ["dev"]
ca = "ca.pem"
[sinks.basic]
kind = "webhook"
url = "http://127.0.0.1:9/"
auth = { basic = { user = "u", password = { env = "P" } } }
[sinks.header]
kind = "webhook"
url = "http://127.0.0.1:9/"
auth = { header = { name = "X-Key", value = { env = "P" } } }
repeat = "every"
[web_ui]
listen = "0.0.0.0:8090"
tls = { cert = "c.pem", key = { file = "k.pem" }, client_ca = "ca.pem" }
[[web_ui.tokens]]
name = "night-shift"
role = "operator"
token = { file = "/t" }
[vault]
url = "https://vault.example.net:8200"
role_id = { env = "ROLE_ID" }
secret_id = { credential = "vault_secret_id" }
auth_mount = "/services/"
namespace = "team"
ca = "ca.pem"
client_cert = "c.pem"
client_key = { file = "k.pem" }
"#;

#[test]
fn a_whole_file_means_what_it_says() {
    let config = ok(WHOLE);
    let moog = &config.sinks["moog"];
    assert_eq!(
        (moog.kind, moog.repeat, moog.rate),
        (SinkKind::Moogsoft, RepeatMode::Every, Some(2.0))
    );
    assert_eq!(moog.decisions, [Handling::PageOnly]);
    assert_eq!(config.sinks["basic"].repeat, RepeatMode::Changes);
    assert_eq!(config.ingestor.http.as_ref().unwrap().keys[0].key.len(), 2);
    assert_eq!(config.web_ui.tokens[0].role, Role::Operator);
    assert_eq!(config.secret_refs().len(), 19);
    assert!(config.ingestor.syslog.relp[0].tls.is_none());
    assert!(ok("ingestor.http.listen = \"off\"").ingestor.http.is_none());
}

/// The pattern of each leaf of the redacted configuration.
fn leaves(value: &Value, path: &[&str], found: &mut BTreeSet<String>) {
    if let Some(key) = keys::find(path) {
        found.insert(key.path.to_owned());
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                leaves(value, &[path, &[name.as_str()]].concat(), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, path, found)),
        _ => {
            found.insert(path.join("."));
        }
    }
}

#[test]
fn every_field_has_its_key_and_every_key_its_field() {
    let mut fields = BTreeSet::new();
    leaves(&ok(WHOLE).redacted(), &[], &mut fields);
    let keys: BTreeSet<String> = keys::all().map(|key| key.path.to_owned()).collect();
    assert_eq!(fields, keys);
    for key in keys::all() {
        assert!(!key.what.is_empty(), "{}", key.path);
    }
}

#[test]
fn every_error_names_its_line_its_key_and_what_is_allowed() {
    fails("[queue]\nmax_event = 5\n", "MUTT-C002", 2, "did you mean `max_events`?");
    fails("[qeue]\nmax_events = 5\n", "MUTT-C002", 1, "did you mean `queue`?");
    fails("max_events = 5\n", "MUTT-C002", 1, "did you mean `queue.max_events`?");
    fails("[queue]\n\nmax_events = 5\n", "MUTT-C003", 3, "from 1000 to 1000000000");
    fails("[queue]\nmax_bytes = 5\n", "MUTT-C003", 2, "has no unit");
    fails("[queue]\nmax_bytes = \"5 parrots\"\n", "MUTT-C003", 2, "is no size");
    fails("queue = 5\n", "MUTT-C003", 1, "it is a table: [queue]");
    fails("shutdown_timeout = \"1w\"\n", "MUTT-C003", 1, "not within 1s to 10m");
    fails("[queue]\nurl = \"kafka://host\"\n", "MUTT-C003", 2, "`kafka` is not a known engine");
    fails("[store]\nurl = \"mysql://u@h/d\"\n", "MUTT-C003", 2, "`mysql` is not a known engine");
    fails("[queue\n", "MUTT-C001", 1, "not TOML");
    let two = "[queue]\nmax_bytes = 5\n[store]\nmax_bytes = 5\n";
    assert_eq!(load_text(two, &env::NoEnv).unwrap_err().len(), 2);
    let missing = load(Some(Path::new("/nowhere.toml")), &env::NoEnv, &Overrides::default());
    assert_eq!(missing.unwrap_err()[0].code.id, "MUTT-C006");
}

#[test]
fn errors_of_listeners_name_their_line_and_their_key() {
    let syslog = |line: &str| format!("[ingestor.syslog]\n{line}\n");
    fails(&syslog("relp = [\"here\"]"), "MUTT-C003", 2, "is no address with port");
    fails(&syslog("tls = [\"127.0.0.1:6514\"]"), "MUTT-C003", 2, "it is a table");
    fails(&syslog("relp = [{ cert = \"c.pem\" }]"), "MUTT-C003", 2, "cert and key");
    fails(
        &syslog("relp = [{ listen = \"127.0.0.1:1\", client_ca = \"c\" }]"),
        "MUTT-C003",
        2,
        "or none",
    );
    fails(&syslog("proxy_sources = [\"192.0.2.7/24\"]"), "MUTT-C003", 2, "bits behind its length");
    fails(&syslog("proxy_protocol = \"on\""), "MUTT-C003", 2, "one of off, required");
    fails(
        &syslog("proxy_protocol = \"required\""),
        "MUTT-C005",
        2,
        "ingestor.syslog.proxy_sources",
    );
    let snmp = "[ingestor.snmp]\nproxy_protocol = \"required\"\n";
    fails(snmp, "MUTT-C005", 2, "ingestor.snmp.proxy_sources");
    let tls = "[[ingestor.syslog.tls]]\nlisten = \"127.0.0.1:6514\"\ncert = \"c.pem\"\n";
    fails(tls, "MUTT-C003", 1, "`ingestor.syslog.tls[0].key` is missing");
    fails("[ingestor.syslog]\nudp = [\"here\"]\n", "MUTT-C003", 2, "is no address with port");
    let user = |rest: &str| format!("[[ingestor.snmp.users]]\nname = \"u\"\n{rest}\n");
    let auth = r#"auth = { protocol = "SHA-1", secret = { env = "A" } }"#;
    let privacy = r#"priv = { protocol = "AES-128", secret = { env = "P" } }"#;
    ok(&user(""));
    ok(&user(&format!("{auth}\n{privacy}")));
    ok(&format!("{}{}", user(auth), user(&format!("engine_id = \"8000000001\"\n{auth}"))));
    fails(&user(privacy), "MUTT-C003", 1, "without being authenticated");
    fails(&user(&auth.replace("SHA-1", "SHA1")), "MUTT-C003", 3, "did you mean `SHA-1`");
    fails(
        &user(&format!("{auth}\n{}", privacy.replace("128", "129"))),
        "MUTT-C003",
        4,
        "AES-192-C",
    );
    fails(&user("auth = { protocol = \"MD5\" }"), "MUTT-C003", 3, "secret` is missing");
    fails(&user("engine_id = \"80\""), "MUTT-C003", 3, "5 to 32 octets");
    fails(&format!("{}{}", user(auth), user("")), "MUTT-C003", 4, "`u` stands twice");
    let devices = |rest: &str| format!("[[ingestor.snmp.devices]]\n{rest}\n");
    fails(&devices("time_window = \"warn\""), "MUTT-C003", 1, "sources` is missing");
    fails(&devices("sources = [\"x\"]"), "MUTT-C003", 2, "no network");
    fails("[ingestor.syslog]\nzone = \"Mars/Olympus\"\n", "MUTT-C003", 2, "no zone that this host");
    let zones = "[[ingestor.syslog.zones]]\nsources = [\"192.0.2.0/33\"]\nzone = \"UTC\"\n";
    fails(zones, "MUTT-C003", 2, "the prefix is a number up to 32");
    let zones = "[[ingestor.syslog.zones]]\nsources = [\"two words\"]\nzone = \"UTC\"\n";
    fails(zones, "MUTT-C003", 2, "no address, no network and no name of a host");
    let zones = "[[ingestor.syslog.zones]]\nsources = [\"edge-*\"]\n";
    fails(zones, "MUTT-C003", 1, "`ingestor.syslog.zones[0].zone` is missing");
    fails("[ingestor.http]\nkeys = 5\n", "MUTT-C003", 2, "a list of tables");
    fails(
        "[[ingestor.http.keys]]\nname = \"a\"\n",
        "MUTT-C003",
        1,
        "`ingestor.http.keys[0].key` is missing",
    );
    fails(
        "[[web_ui.tokens]]\nname = \"a\"\nrole = \"amdin\"\ntoken = { env = \"T\" }\n",
        "MUTT-C003",
        3,
        "did you mean `admin`?",
    );
    for kind in mutt_notify::SinkKind::LATER {
        let text = format!("[sinks.a]\nkind = \"{kind}\"\nurl = \"https://x/\"\n");
        fails(&text, "MUTT-C003", 2, "not built in this version; use moogsoft,");
    }
    fails(
        "[sinks.moog]\nkind = \"mogsoft\"\nurl = \"http://x/\"\n",
        "MUTT-C003",
        2,
        "did you mean `moogsoft`?",
    );
    fails(
        "[sinks.moog]\nkind = \"webhook\"\nurl = \"ftp://x/\"\n",
        "MUTT-C003",
        3,
        "no http or https URL",
    );
    fails(
        "[sinks.a]\nkind = \"webhook\"\nurl = \"http://x/\"\nauth = {}\n",
        "MUTT-C003",
        4,
        "name one way",
    );
    fails(
        "[sinks.a]\nkind = \"webhook\"\nurl = \"http://x/\"\ndecisions = [\"Ignore\"]\n",
        "MUTT-C003",
        4,
        "never leaves",
    );
}

#[test]
fn a_plain_secret_is_refused_and_not_repeated() {
    let text = "[[web_ui.tokens]]\nname = \"a\"\nrole = \"admin\"\ntoken = \"hunter2\"\n";
    fails(text, "MUTT-C003", 4, "write { file = \"PATH\" }");
    let errors = load_text(text, &env::NoEnv).unwrap_err();
    assert!(!format!("{errors:?}").contains("hunter2"));
    let url = "[sinks.a]\nkind = \"webhook\"\nurl = \"http://user:hunter2@x/\"\n";
    let errors = load_text(url, &env::NoEnv).unwrap_err();
    assert!(!format!("{errors:?}").contains("hunter2"));
}

#[test]
fn unsafe_doors_are_refused() {
    fails("[ingestor.http]\nlisten = \"0.0.0.0:8080\"\n", "MUTT-C005", 2, "ingestor.http.tls");
    fails("[web_ui]\nlisten = \"[::]:8090\"\n", "MUTT-C005", 2, "behind_proxy");
    fails("[ingestor.snmp]\nudp = [\"0.0.0.0:162\"]\n", "MUTT-C005", 2, "communities");
    ok("[ingestor.http]\nlisten = \"0.0.0.0:8080\"\nbehind_proxy = true\n");
    ok("[ingestor.snmp]\nudp = [\"0.0.0.0:162\"]\ncommunities = [{ env = \"C\" }]\n");
    fails("[ingestor.snmp]\ntcp = [\"0.0.0.0:162\"]\n", "MUTT-C005", 2, "communities");
    ok("[ingestor.snmp]\nudp = [\"0.0.0.0:162\"]\n[[ingestor.snmp.users]]\nname = \"u\"\n");
}

#[test]
fn no_two_listeners_have_one_address() {
    let both = "udp = [\"0.0.0.0:514\", \"[::]:514\"]";
    fails(
        &format!("[ingestor.syslog]\n{both}\n"),
        "MUTT-C003",
        2,
        "[::]:514 has them all, IPv4 and IPv6",
    );
    let twice = "tcp = [\"127.0.0.1:514\"]\nrelp = [\"127.0.0.1:514\"]";
    fails(
        &format!("[ingestor.syslog]\n{twice}\n"),
        "MUTT-C003",
        3,
        "is taken by ingestor.syslog.tcp",
    );
    let keys: Vec<_> = ok("[ingestor.syslog]\nrelp = [\"127.0.0.1:2514\"]\n").listens();
    assert!(keys.iter().any(|each| each.key == "ingestor.syslog.relp"), "{keys:?}");
    let inside = "udp = [\"192.0.2.1:514\", \"0.0.0.0:514\"]";
    fails(&format!("[ingestor.syslog]\n{inside}\n"), "MUTT-C003", 2, "0.0.0.0:514 has them all");
    ok(
        "[ingestor.syslog]\nudp = [\"0.0.0.0:514\", \"[::1]:514\", \"127.0.0.1:0\"]\ntcp = [\"0.0.0.0:514\", \"127.0.0.1:0\"]\n",
    );
}

#[test]
fn certificates_that_cannot_be_used_are_told_before_the_start() {
    let pair = |name| rcgen::generate_simple_self_signed([String::from(name)]).unwrap();
    let (one, other) = (pair("a.example.net"), pair("b.example.net"));
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let cert = file("cert", &one.cert.pem());
    let key = file("key", &one.signing_key.serialize_pem());
    let wrong = file("other", &other.signing_key.serialize_pem());
    let why = |cert: &str, key: &str| {
        let door =
            format!("[[ingestor.syslog.tls]]\nlisten = \"127.0.0.1:6514\"\ncert = \"{cert}\"\n");
        let errors = ok(&format!("{door}key = {{ file = \"{key}\" }}\n")).unusable_tls(&env::NoEnv);
        errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(why(&cert, &key), "");
    assert!(why(&cert, &wrong).contains("ingestor.syslog.tls[0].cert"));
    assert!(why(&key, &key).contains("no certificate in the file"));
    assert!(why("/is/not/there", &key).contains("No such file"));
}

#[test]
fn vault_is_named_whole_and_opened_by_what_lies_on_this_host() {
    let vault = "[vault]\nurl = \"https://vault.example.net\"\nrole_id = { env = \"R\" }\nsecret_id = { env = \"S\" }\n";
    let config = ok(&format!("{vault}[ingestor.snmp]\ncommunities = [{{ vault = \"a/b#c\" }}]\n"));
    let shown = config.redacted();
    assert_eq!(shown["ingestor"]["snmp"]["communities"][0]["vault"], "a/b#c");
    let named = "[ingestor.snmp]\ncommunities = [{ vault = \"a/b#c\" }]\n";
    fails(named, "MUTT-C003", 2, "there is no [vault]");
    let form = "[ingestor.snmp]\ncommunities = [{ vault = \"a/b\" }]\n";
    fails(&format!("{vault}{form}"), "MUTT-C003", 6, "mount/path#key");
    let inside = vault.replace("{ env = \"S\" }", "{ vault = \"a/b#c\" }");
    fails(&inside, "MUTT-C003", 4, "cannot lie in it");
    fails(&vault.replace("https", "http"), "MUTT-C005", 2, "allowed: https://");
    ok(&vault.replace("https://vault.example.net", "http://127.0.0.1:8200"));
    fails(&format!("{vault}client_cert = \"c\"\n"), "MUTT-C003", 1, "go together");
    fails("[vault]\nurl = \"https://vault\"\n", "MUTT-C003", 1, "`vault.role_id` is missing");
}

#[test]
fn the_environment_overrides_the_file() {
    let check = |name: &str, value: &str, key: &str, expected: Value| {
        let env = vec![(name, value)];
        let config = load_text("[queue]\nmax_events = 2000\n", &env);
        let value = config.unwrap_or_else(|errors| panic!("{name}: {errors:#?}")).redacted();
        let found = key.split('.').fold(&value, |value, part| &value[part]);
        assert_eq!(*found, expected, "{name}");
    };
    check("MUTT__QUEUE__MAX_EVENTS", "5000", "queue.max_events", 5000.into());
    check("MUTT__DATA_DIR", "/x", "data_dir", "/x".into());
    check("MUTT__INGESTOR__SYSLOG__UDP", "[]", "ingestor.syslog.udp", serde_json::json!([]));
    check("MUTT__INGESTOR__HTTP__BEHIND_PROXY", "true", "ingestor.http.behind_proxy", true.into());
    check("MUTT__ALERTER__DEFAULT_TEAM", "42", "alerter.default_team", "42".into());
    check(
        "MUTT__SINKS",
        "{ hook = { kind = \"webhook\", url = \"http://127.0.0.1:9/\" } }",
        "sinks.hook.kind",
        "webhook".into(),
    );
    check(
        "MUTT__WEB_UI__TOKENS",
        "[{ name = \"n\", role = \"viewer\", token = { env = \"T\" } }]",
        "web_ui.tokens",
        serde_json::json!([{ "name": "n", "role": "viewer", "token": [{ "env": "T" }] }]),
    );
    for (name, value, code) in [
        ("MUTT__QUEUE__MAX_EVENT", "5000", "MUTT-C002"),
        ("MUTT__QUEUE__MAX_EVENTS", "many", "MUTT-C003"),
        ("MUTT__INGESTOR__SYSLOG__UDP", "[oops", "MUTT-C003"),
    ] {
        let errors = load(None, &vec![(name, value)], &Overrides::default()).unwrap_err();
        assert_eq!(errors[0].code.id, code);
        assert_eq!(errors[0].origin.to_string(), format!("environment {name}"));
    }
}

#[test]
fn names_of_v2_are_understood_or_reported() {
    let env = vec![
        ("MOOG_WEBHOOK_URL", "https://moog.example.net/hook"),
        ("MOOG_API_KEY", "never shown"),
        ("MOOG_RATE_LIMIT", "100"),
        ("MOOG_RATE_PERIOD", "2"),
        ("UNHANDLED_EXPIRY_SECONDS", "3600"),
        ("METRICS_PORT_ALERTER", "8081"),
        ("LOG_LEVEL", "WARNING"),
        ("INGEST_API_KEY", "never shown"),
        ("REDIS_HOST", "redis1"),
        ("REDIS_PORT", "6380"),
        ("REDIS_TLS_ENABLED", "false"),
        ("REDIS_PASSWORD", "never shown"),
        ("DB_HOST", "db1"),
        ("DB_PASS", "never shown"),
        ("DB_TLS_ENABLED", "false"),
        ("REDIS_MAX_CONNECTIONS", "20"),
        ("MOOG_MAX_RETRIES", "5"),
        ("HOME", "/root"),
    ];
    let config = load(None, &env, &Overrides::default()).unwrap();
    let moog = &config.sinks["moog"];
    assert_eq!((moog.kind, moog.rate), (SinkKind::Moogsoft, Some(50.0)));
    assert_eq!(moog.auth, Some(SinkAuth::Bearer(SecretRef::Env("MOOG_API_KEY".to_owned()))));
    assert_eq!(config.alerter.unhandled_window, Duration::from_secs(3600));
    assert_eq!(config.alerter.metrics_listen, Some("127.0.0.1:8081".parse().unwrap()));
    assert_eq!(config.log.level, "warn");
    assert_eq!(config.ingestor.http.unwrap().keys[0].name, "v2");
    let notes = v2::notes(&env);
    let of = |name: &str| notes.iter().find(|note| note.name == name);
    assert_eq!(of("MOOG_API_KEY").unwrap().key, Some("sinks.moog.auth"));
    assert_eq!(config.queue.url.to_string(), "redis://redis1:6380");
    assert_eq!(config.queue.password, [SecretRef::Env("REDIS_PASSWORD".to_owned())]);
    assert_eq!(config.store.url.to_string(), "postgres://mutt_user@db1:5432/mutt_db");
    assert_eq!(config.store.password, [SecretRef::Env("DB_PASS".to_owned())]);
    assert_eq!(config.store.tls.mode, Some(StoreTlsMode::Off));
    let file = "[queue]\nurl = \"embedded\"\n[store]\nurl = \"sqlite\"\n";
    let config = load_text(file, &env).unwrap();
    assert_eq!((config.queue.url, config.store.url), (QueueUrl::Embedded, StoreUrl::Sqlite));
    assert!(config.queue.password.is_empty() && config.store.password.is_empty());
    assert_eq!(of("REDIS_HOST").unwrap().key, Some("queue.url"));
    assert_eq!(of("REDIS_MAX_CONNECTIONS").unwrap().key, None);
    assert!(of("MOOG_MAX_RETRIES").unwrap().what.contains("retry_for"));
    assert!(of("HOME").is_none());
    let file = "[alerter]\nunhandled_window = \"2h\"\n";
    assert_eq!(load_text(file, &env).unwrap().alerter.unhandled_window, Duration::from_secs(7200));
    for (_, key) in v2::understood() {
        let path: Vec<&str> = key.split('.').collect();
        let known = keys::find(&path).is_some()
            || keys::all().any(|k| {
                k.path.starts_with(&format!("{key}[]")) || k.path == "sinks.*.auth.bearer"
            });
        assert!(known, "{key}");
    }
}

#[test]
fn a_reload_knows_what_needs_a_restart() {
    let old = ok("[log]\nlevel = \"info\"\n");
    let new = ok(
        "[log]\nlevel = \"debug\"\n[queue]\nmax_events = 5000\n[[web_ui.tokens]]\nname = \"a\"\nrole = \"admin\"\ntoken = { env = \"T\" }\n",
    );
    let changed: Vec<(String, keys::Apply)> =
        diff(&old, &new).into_iter().map(|c| (c.key, c.apply)).collect();
    assert_eq!(
        changed,
        [
            ("queue.max_events".to_owned(), keys::Apply::Start),
            ("web_ui.tokens".to_owned(), keys::Apply::Reload),
            ("log.level".to_owned(), keys::Apply::Live),
        ]
    );
    assert!(diff(&old, &old).is_empty());
}

#[test]
fn missing_secrets_are_named() {
    let config = ok("[ingestor.snmp]\ncommunities = [{ env = \"NOT_SET\" }]\n");
    let errors = config.unresolved(&env::NoEnv);
    assert_eq!(errors[0].code.id, "MUTT-C004");
    assert!(errors[0].message.contains("NOT_SET"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let user = format!(
        "[[ingestor.snmp.users]]\nname = \"u\"\nauth = {{ protocol = \"SHA-1\", secret = {{ file = {file:?} }} }}\n"
    );
    let config = ok(&user);
    for (password, good) in [("1234567", false), ("12345678", true)] {
        std::fs::write(&file, password).unwrap();
        let errors = config.unresolved(&env::NoEnv);
        assert_eq!(errors.is_empty(), good, "{errors:?}");
        assert!(errors.iter().all(|error| error.message.contains("fewer than 8 octets")));
    }
}

const REDIS: &str = "[queue]\nurl = \"URL\"\n[store]\nurl = \"postgres://mutt@db/mutt\"\n";

#[test]
fn urls_of_engines_are_checked_without_connecting() {
    let good = |url: &str| ok(&REDIS.replace("URL", url)).queue.url.to_string();
    for url in ["redis://r1", "rediss://r1:6380/2", "redis://[::1]:6379", "unix:///run/redis.sock"]
    {
        assert_eq!(good(url), url);
    }
    let bad = |url: &str, words: &str| fails(&REDIS.replace("URL", url), "MUTT-C003", 2, words);
    bad("redis://", "names no host");
    bad("redis://a:port", "no port");
    bad("redis://a,b", "several hosts");
    bad("redis+sentinel://a:26379,b:26379", "the name that Sentinel knows");
    bad("redis+cluster://a:7000/1", "no databases");
    bad("redis://:hunter2@a", "name queue.user and queue.password");
    let pg = |url: &str, words: &str| {
        fails(&format!("[store]\nurl = \"{url}\"\n"), "MUTT-C003", 2, words);
    };
    pg("postgres://db/mutt", "the user is missing");
    pg("postgres://u@db", "the database is missing");
    pg("postgres://u:hunter2@db/mutt", "name store.password");
    pg("postgres://u@db/mutt?password=hunter2", "name store.password");
    for url in ["postgres://u@[::1]:5433/mutt", "postgresql://u@/mutt?host=/run/postgresql"] {
        assert_eq!(ok(&format!("[store]\nurl = \"{url}\"\n")).store.url.to_string(), url);
    }
    let errors = load_text("[store]\nurl = \"postgres://u:hunter2@db/m\"\n", &env::NoEnv);
    assert!(!format!("{errors:?}").contains("hunter2"));
}

#[test]
fn engines_that_do_not_go_together_are_refused() {
    let redis = "[queue]\nurl = \"redis://r1\"\n";
    fails(redis, "MUTT-C008", 2, "the SQLite store belongs to one");
    let with = |url: &str, more: &str| {
        REDIS.replace("URL", url).replace("[store]", &format!("{more}\n[store]"))
    };
    let sentinel = "redis+sentinel://a:26379,b:26379/main";
    fails(&with(sentinel, ""), "MUTT-C008", 2, "a failover loses");
    ok(&with(sentinel, "accept_failover_loss = true"));
    ok(&with(sentinel, "durability = \"fsync+replica\"\nreplicas = 2"));
    let waits = "durability = \"replica\"";
    fails(&with("redis://a", waits), "MUTT-C008", 3, "set queue.replicas");
    fails(&with("redis://a", "tls.ca = \"ca.pem\""), "MUTT-C008", 3, "a rediss:// URL");
    fails(&with("rediss://a", "tls.cert = \"c.pem\""), "MUTT-C008", 3, "stand together");
    let off = "[store]\nurl = \"postgres://u@h/d\"\ntls = { mode = \"off\", ca = \"ca.pem\" }\n";
    fails(off, "MUTT-C008", 3, "the mode is off");
}

#[test]
fn with_postgresql_no_token_is_invented() {
    let config = ok("[store]\nurl = \"postgres://u@h/d\"\n");
    let keys = |services: &[crate::services::Service]| {
        let missing = config.missing_doors(services);
        missing.into_iter().map(|error| error.key).collect::<Vec<_>>()
    };
    use crate::services::Service;
    assert_eq!(keys(&Service::ALL), ["ingestor.http.keys", "web_ui.tokens"]);
    assert_eq!(keys(&[Service::Alerter, Service::WebUi]), ["web_ui.tokens"]);
    assert!(ok("").missing_doors(&Service::ALL).is_empty());
}
