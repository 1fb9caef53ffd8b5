//! From what was written to what it means: each field is read by its key of the registry, which knows
//! type, range and default.

mod engines;
mod snmp;
mod value;
mod vault;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::error::{ConfigError, Origin};
use super::keys::{self, Key, Kind};
use super::tree::{self, Node, Value};
use super::{
    AlerterConfig, ApiToken, Config, HttpListener, IngestKey, IngestorConfig, LimitConfig,
    LogConfig, LogFormat, MoogForwarderConfig, ProxyProtocol, QuietConfig, RemediationConfig,
    RepeatMode, Role, SinkAuth, SinkConfig, SinkKind, SourceZone, StreamListener, SyslogConfig,
    TlsConfig, WebUiConfig,
};
use crate::secrets::SecretRef;

/// Stands where a required value is missing or wrong; such a configuration is refused.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A table of the tree under its pattern; `node` is `None` when it was not written.
struct Table<'a> {
    node: Option<&'a Node>,
    pattern: String,
    shown: String,
    origin: Origin,
}

impl<'a> Table<'a> {
    fn root(root: &'a Node) -> Self {
        Self {
            node: Some(root),
            pattern: String::new(),
            shown: String::new(),
            origin: root.origin.clone(),
        }
    }

    fn path(&self, name: &str) -> (String, String) {
        if self.pattern.is_empty() {
            return (name.to_owned(), name.to_owned());
        }
        (format!("{}.{name}", self.pattern), format!("{}.{name}", self.shown))
    }

    fn table(&self, name: &str) -> Table<'a> {
        let (pattern, shown) = self.path(name);
        let node = self.node.and_then(|node| node.get(&[name]));
        let origin = node.map_or_else(|| self.origin.clone(), |node| node.origin.clone());
        Table { node, pattern, shown, origin }
    }

    /// The sub-table, when it was written.
    fn written(&self, name: &str) -> Option<Table<'a>> {
        Some(self.table(name)).filter(|table| table.node.is_some_and(|n| n.table().is_some()))
    }

    /// The tables of `[[name]]`.
    fn tables(&self, name: &str) -> Vec<Table<'a>> {
        let (pattern, shown) = self.path(name);
        let Some(Value::List(items)) =
            self.node.and_then(|node| node.get(&[name])).map(|node| &node.value)
        else {
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .map(|(at, node)| Table {
                node: Some(node),
                pattern: format!("{pattern}[]"),
                shown: format!("{shown}[{at}]"),
                origin: node.origin.clone(),
            })
            .collect()
    }
}

struct Reader<'e> {
    errors: &'e mut Vec<ConfigError>,
}

impl Reader<'_> {
    /// The field's value, or its default's; `None` when there is neither.
    fn field<T>(
        &mut self,
        table: &Table<'_>,
        name: &str,
        parse: impl Fn(Kind, &Value) -> Result<T, String>,
    ) -> Option<T> {
        let (pattern, shown) = table.path(name);
        let key = keys::by_pattern(&pattern)?;
        if let Some(node) = table.node.and_then(|node| node.get(&[name])) {
            match parse(key.kind, &node.value) {
                Ok(value) => return Some(value),
                Err(why) => self.errors.push(ConfigError::value(
                    &node.origin,
                    &shown,
                    format!("`{shown}`: {why}; allowed: {}", key.kind.allowed()),
                )),
            }
        } else if key.required {
            self.errors.push(ConfigError::value(
                &table.origin,
                &shown,
                format!("`{shown}` is missing; allowed: {}", key.kind.allowed()),
            ));
        }
        default_value(key).and_then(|value| parse(key.kind, &value).ok())
    }

    fn text(&mut self, table: &Table<'_>, name: &str) -> String {
        self.field(table, name, value::text).unwrap_or_default()
    }

    fn path(&mut self, table: &Table<'_>, name: &str) -> Option<PathBuf> {
        self.field(table, name, value::text).map(PathBuf::from)
    }

    fn flag(&mut self, table: &Table<'_>, name: &str) -> bool {
        self.field(table, name, value::flag).unwrap_or_default()
    }

    fn count(&mut self, table: &Table<'_>, name: &str) -> u64 {
        self.field(table, name, value::count).unwrap_or_default()
    }

    fn small(&mut self, table: &Table<'_>, name: &str) -> usize {
        usize::try_from(self.count(table, name)).unwrap_or(usize::MAX)
    }

    fn size(&mut self, table: &Table<'_>, name: &str) -> u64 {
        self.field(table, name, value::size).unwrap_or_default()
    }

    fn duration(&mut self, table: &Table<'_>, name: &str) -> Duration {
        self.field(table, name, value::duration).unwrap_or_default()
    }

    fn address(&mut self, table: &Table<'_>, name: &str) -> SocketAddr {
        self.field(table, name, value::address).unwrap_or(NOWHERE)
    }

    fn addresses(&mut self, table: &Table<'_>, name: &str) -> Vec<SocketAddr> {
        self.field(table, name, value::addresses).unwrap_or_default()
    }

    fn secret(&mut self, table: &Table<'_>, name: &str) -> SecretRef {
        let secret = self.field(table, name, |_, value| value::secret(value));
        secret.unwrap_or_else(|| SecretRef::Env(String::new()))
    }

    fn secrets(&mut self, table: &Table<'_>, name: &str) -> Vec<SecretRef> {
        self.field(table, name, value::secrets).unwrap_or_default()
    }

    fn tls(&mut self, table: &Table<'_>) -> Option<TlsConfig> {
        let tls = table.written("tls")?;
        Some(TlsConfig {
            cert: self.path(&tls, "cert").unwrap_or_default(),
            key: self.secret(&tls, "key"),
            client_ca: self.path(&tls, "client_ca"),
        })
    }

    /// A table of `ingestor.syslog.tls` or `.relp`, or the address that stands for it.
    fn stream_listener(&mut self, table: &Table<'_>) -> StreamListener {
        if let Some(Node { value: text @ Value::Text(_), origin }) = table.node {
            let listen = value::address(Kind::Address, text).unwrap_or_else(|why| {
                let shown = &table.shown;
                let allowed = Kind::Address.allowed();
                let message = format!("`{shown}`: {why}; allowed: {allowed}");
                self.errors.push(ConfigError::value(origin, shown, message));
                NOWHERE
            });
            return StreamListener { listen, tls: None };
        }
        let listen = self.address(table, "listen");
        let cert = self.path(table, "cert");
        let has_key = table.node.is_some_and(|node| node.get(&["key"]).is_some());
        let client_ca = self.path(table, "client_ca");
        if cert.is_some() != has_key || client_ca.is_some() && cert.is_none() {
            let shown = &table.shown;
            let message = format!(
                "`{shown}`: cert, key and client_ca; allowed: cert and key, with or without client_ca, or none of them"
            );
            self.errors.push(ConfigError::value(&table.origin, shown, message));
        }
        let tls = cert.map(|cert| TlsConfig { cert, key: self.secret(table, "key"), client_ca });
        StreamListener { listen, tls }
    }

    /// Names of a list of tables stand once.
    fn unique<'n>(&mut self, tables: &[Table<'_>], names: impl Iterator<Item = &'n str>) {
        let mut seen = Vec::new();
        for (table, name) in tables.iter().zip(names) {
            if seen.contains(&name) {
                let key = format!("{}.name", table.shown);
                let message = format!("`{key}`: `{name}` stands twice; allowed: a name of its own");
                self.errors.push(ConfigError::value(&table.origin, &key, message));
            }
            seen.push(name);
        }
    }
}

fn default_value(key: &Key) -> Option<Value> {
    match key.default {
        "" => None,
        text => Some(match key.kind {
            Kind::Count { .. } | Kind::Flag | Kind::Addresses | Kind::Texts | Kind::Networks => {
                tree::parse_value(text, &Origin::Default).ok()?.value
            }
            Kind::Decisions | Kind::Environments | Kind::SecretList | Kind::Secrets => {
                tree::parse_value(text, &Origin::Default).ok()?.value
            }
            _ => Value::Text(text.to_owned()),
        }),
    }
}

/// Reads the whole configuration; what is wrong goes to `errors`.
pub(super) fn config(root: &Node, errors: &mut Vec<ConfigError>) -> Config {
    let mut reader = Reader { errors };
    let r = &mut reader;
    let root = Table::root(root);
    let log = root.table("log");
    Config {
        data_dir: r.path(&root, "data_dir").unwrap_or_default(),
        shutdown_timeout: r.duration(&root, "shutdown_timeout"),
        queue: engines::queue(r, &root.table("queue")),
        store: engines::store(r, &root.table("store")),
        ingestor: ingestor(r, &root.table("ingestor")),
        alerter: alerter(r, &root.table("alerter")),
        moog_forwarder: forwarder(r, &root.table("moog_forwarder")),
        remediation: remediation(r, &root.table("remediation")),
        sinks: sinks(r, &root.table("sinks")),
        web_ui: web_ui(r, &root.table("web_ui")),
        vault: vault::vault(r, &root),
        log: LogConfig {
            level: r.text(&log, "level"),
            format: r
                .field(&log, "format", |kind, value| {
                    Ok(match value::text(kind, value)?.as_str() {
                        "json" => LogFormat::Json,
                        "text" => LogFormat::Text,
                        _ => LogFormat::Auto,
                    })
                })
                .unwrap_or(LogFormat::Auto),
        },
    }
}

fn ingestor(r: &mut Reader<'_>, table: &Table<'_>) -> IngestorConfig {
    IngestorConfig {
        http: http(r, &table.table("http")),
        syslog: syslog(r, &table.table("syslog")),
        snmp: snmp::snmp(r, &table.table("snmp")),
        allow: r.field(table, "allow", value::networks).unwrap_or_default(),
        limits: table.tables("limits").iter().map(|table| limit(r, table)).collect(),
        max_sources: r.count(table, "max_sources"),
        dedup_window_http: r.duration(table, "dedup_window_http"),
        dedup_window_informs: r.duration(table, "dedup_window_informs"),
        report: r.flag(table, "report"),
    }
}

fn limit(r: &mut Reader<'_>, table: &Table<'_>) -> LimitConfig {
    LimitConfig {
        sources: r.field(table, "sources", value::networks).unwrap_or_default(),
        rate: r.field(table, "rate", value::rate),
        burst: r.count(table, "burst"),
    }
}

fn http(r: &mut Reader<'_>, table: &Table<'_>) -> Option<HttpListener> {
    let tables = table.tables("keys");
    let keys: Vec<IngestKey> = tables
        .iter()
        .map(|table| IngestKey {
            name: r.text(table, "name"),
            key: r.secrets(table, "key"),
            rate: r.field(table, "rate", value::rate),
            burst: r.field(table, "burst", value::count),
        })
        .collect();
    r.unique(&tables, keys.iter().map(|key| key.name.as_str()));
    let listen = r.field(table, "listen", |kind, value| match value {
        Value::Text(text) if text == "off" => Ok(None),
        other => value::address(kind, other).map(Some),
    });
    let listener = HttpListener {
        allow: r.field(table, "allow", value::networks).unwrap_or_default(),
        listen: listen.flatten().unwrap_or(NOWHERE),
        tls: r.tls(table),
        behind_proxy: r.flag(table, "behind_proxy"),
        keys,
        max_body: r.size(table, "max_body"),
        max_records: r.small(table, "max_records"),
        max_connections: r.small(table, "max_connections"),
        request_timeout: r.duration(table, "request_timeout"),
    };
    (listen != Some(None)).then_some(listener)
}

fn syslog(r: &mut Reader<'_>, table: &Table<'_>) -> SyslogConfig {
    let zones = table.tables("zones").into_iter().map(|table| SourceZone {
        sources: r.field(&table, "sources", value::sources).unwrap_or_default(),
        zone: r.field(&table, "zone", value::zone).unwrap_or_default(),
    });
    let zones = zones.collect();
    SyslogConfig {
        allow: r.field(table, "allow", value::networks).unwrap_or_default(),
        zone: r.field(table, "zone", value::zone).unwrap_or_default(),
        zones,
        udp: r.addresses(table, "udp"),
        tcp: r.addresses(table, "tcp"),
        tls: table.tables("tls").iter().map(|door| r.stream_listener(door)).collect(),
        relp: table.tables("relp").iter().map(|door| r.stream_listener(door)).collect(),
        proxy_protocol: proxy_protocol(r, table),
        proxy_sources: r.field(table, "proxy_sources", value::networks).unwrap_or_default(),
        udp_sockets: r.small(table, "udp_sockets"),
        max_connections_per_source: r.small(table, "max_connections_per_source"),
        message_timeout: r.duration(table, "message_timeout"),
        keepalive: r.duration(table, "keepalive"),
        max_message: r.size(table, "max_message"),
        max_connections: r.small(table, "max_connections"),
        idle_timeout: r.duration(table, "idle_timeout"),
        receive_buffer: r.size(table, "receive_buffer"),
    }
}

fn proxy_protocol(r: &mut Reader<'_>, table: &Table<'_>) -> ProxyProtocol {
    match r.field(table, "proxy_protocol", value::text).as_deref() {
        Some("required") => ProxyProtocol::Required,
        _ => ProxyProtocol::Off,
    }
}

fn alerter(r: &mut Reader<'_>, table: &Table<'_>) -> AlerterConfig {
    AlerterConfig {
        listen: r.address(table, "listen"),
        metrics_listen: r.field(table, "metrics_listen", value::address),
        default_team: r.text(table, "default_team"),
        unhandled_threshold: r.count(table, "unhandled_threshold"),
        unhandled_window: r.duration(table, "unhandled_window"),
    }
}

fn forwarder(r: &mut Reader<'_>, table: &Table<'_>) -> MoogForwarderConfig {
    MoogForwarderConfig {
        listen: r.address(table, "listen"),
        metrics_listen: r.field(table, "metrics_listen", value::address),
    }
}

fn remediation(r: &mut Reader<'_>, table: &Table<'_>) -> RemediationConfig {
    RemediationConfig {
        listen: r.address(table, "listen"),
        metrics_listen: r.field(table, "metrics_listen", value::address),
        interval: r.duration(table, "interval"),
        redrive_batch: r.count(table, "redrive_batch"),
        quiet: quiet(r, &table.table("quiet")),
    }
}

fn quiet(r: &mut Reader<'_>, table: &Table<'_>) -> QuietConfig {
    QuietConfig {
        enabled: r.flag(table, "enabled"),
        history: r.duration(table, "history"),
        factor: r.count(table, "factor"),
        floor: r.duration(table, "floor"),
    }
}

fn web_ui(r: &mut Reader<'_>, table: &Table<'_>) -> WebUiConfig {
    let tables = table.tables("tokens");
    let tokens: Vec<ApiToken> = tables
        .iter()
        .map(|table| ApiToken {
            name: r.text(table, "name"),
            role: r.field(table, "role", value::role).unwrap_or(Role::Viewer),
            token: r.secrets(table, "token"),
        })
        .collect();
    r.unique(&tables, tokens.iter().map(|token| token.name.as_str()));
    WebUiConfig {
        listen: r.address(table, "listen"),
        tls: r.tls(table),
        behind_proxy: r.flag(table, "behind_proxy"),
        tokens,
        max_connections: r.small(table, "max_connections"),
    }
}

fn sinks(r: &mut Reader<'_>, table: &Table<'_>) -> BTreeMap<String, SinkConfig> {
    let Some(written) = table.node.and_then(Node::table) else { return BTreeMap::new() };
    let mut sinks = BTreeMap::new();
    for (name, node) in written {
        let table = Table {
            node: Some(node),
            pattern: "sinks.*".to_owned(),
            shown: format!("sinks.{name}"),
            origin: node.origin.clone(),
        };
        if !value::is_name(name) {
            let message = format!(
                "`sinks.{name}`: a sink's name has letters, digits, - and _ only, at most 64"
            );
            r.errors.push(ConfigError::value(&node.origin, &table.shown, message));
        }
        if node.table().is_some() {
            sinks.insert(name.clone(), sink(r, &table));
        }
    }
    sinks
}

fn sink(r: &mut Reader<'_>, table: &Table<'_>) -> SinkConfig {
    let kind = r.field(table, "kind", value::sink_kind).unwrap_or(SinkKind::Webhook);
    let counts_itself = matches!(kind, SinkKind::Moogsoft | SinkKind::MoogsoftCloud);
    let repeat = r.field(table, "repeat", value::repeat);
    SinkConfig {
        kind,
        url: r.field(table, "url", value::url).unwrap_or_default(),
        auth: auth(r, table),
        rate: r.field(table, "rate", value::rate),
        retry_for: r.duration(table, "retry_for"),
        teams: r.field(table, "teams", value::texts).unwrap_or_default(),
        decisions: r.field(table, "decisions", value::decisions).unwrap_or_default(),
        environments: r.field(table, "environments", value::environments).unwrap_or_default(),
        repeat: repeat.unwrap_or(if counts_itself {
            RepeatMode::Every
        } else {
            RepeatMode::Changes
        }),
        repeat_interval: r.duration(table, "repeat_interval"),
        timeout: r.duration(table, "timeout"),
        in_flight: r.small(table, "in_flight"),
        probe_interval: r.duration(table, "probe_interval"),
        ca: r.path(table, "ca"),
    }
}

fn auth(r: &mut Reader<'_>, table: &Table<'_>) -> Option<SinkAuth> {
    let auth = table.written("auth")?;
    let entries = auth.node.and_then(Node::table).map_or(0, BTreeMap::len);
    if entries != 1 {
        let message = format!(
            "`{}`: name one way; allowed: {{ bearer = REF }}, {{ basic = {{ user = \"...\", password = REF }} }} or {{ header = {{ name = \"...\", value = REF }} }}",
            auth.shown
        );
        r.errors.push(ConfigError::value(&auth.origin, &auth.shown, message));
        return None;
    }
    if let Some(basic) = auth.written("basic") {
        return Some(SinkAuth::Basic {
            user: r.text(&basic, "user"),
            password: r.secret(&basic, "password"),
        });
    }
    if let Some(header) = auth.written("header") {
        return Some(SinkAuth::Header {
            name: r.text(&header, "name"),
            value: r.secret(&header, "value"),
        });
    }
    r.field(&auth, "bearer", |_, value| value::secret(value)).map(SinkAuth::Bearer)
}
