//! Where the engines are, and which of them go together.

use mutt_model::codes;
use mutt_store::redis::RedisUrl;
use serde::{Serialize, Serializer};

use super::error::{ConfigError, Origin};
use super::tree::Node;
use super::{Config, EngineTls, QueueDurability, SentinelConfig, StoreTlsMode};
use crate::secrets::SecretRef;
use crate::services::Service;

/// The engine of the event queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueUrl {
    /// Files under `data_dir`.
    Embedded,
    /// A Redis, by a URL that was checked and carries no credential.
    Redis(String),
}

/// The engine of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file under `data_dir`.
    Sqlite,
    /// A PostgreSQL, by a URL that was checked and carries no password.
    Postgres(String),
}

const QUEUE_SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];

impl QueueUrl {
    /// Reads and checks a URL; nothing is connected to.
    ///
    /// # Errors
    ///
    /// What is wrong, without what might be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        let (scheme, rest) = text.split_once("://").ok_or("not a known engine")?;
        if scheme == "unix" && rest.starts_with('/') {
            return Ok(Self::Redis(text.to_owned()));
        }
        if !QUEUE_SCHEMES.contains(&scheme) {
            return Err(format!("`{scheme}` is not a known engine"));
        }
        if rest.contains('@') {
            return Err("the URL carries a credential; name queue.user and queue.password".into());
        }
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        hosts.split(',').try_for_each(host_and_port)?;
        let (sentinel, cluster) = (scheme.ends_with("+sentinel"), scheme.ends_with("+cluster"));
        if hosts.contains(',') && !sentinel && !cluster {
            return Err("several hosts need redis+sentinel:// or redis+cluster://".to_owned());
        }
        if sentinel && path.split('/').next().is_none_or(str::is_empty) {
            return Err("the name that Sentinel knows the master by is missing: \
                        redis+sentinel://HOST:PORT/NAME"
                .to_owned());
        }
        if cluster && !path.is_empty() {
            return Err("a Redis Cluster has no databases; end the URL after the hosts".to_owned());
        }
        RedisUrl::parse(text)?;
        Ok(Self::Redis(text.to_owned()))
    }

    /// Whether another server may take over with a failover.
    #[must_use]
    pub fn fails_over(&self) -> bool {
        matches!(self, Self::Redis(url) if url.contains("+sentinel://") || url.contains("+cluster://"))
    }

    /// Whether Sentinels are asked for the master.
    #[must_use]
    pub fn has_sentinels(&self) -> bool {
        matches!(self, Self::Redis(url) if url.contains("+sentinel://"))
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Redis(url) if url.starts_with("rediss"))
    }
}

fn host_and_port(text: &str) -> Result<(), String> {
    let host = match text.rsplit_once(':') {
        // An address of IPv6 stands in brackets.
        Some((host, port)) if !port.ends_with(']') => {
            port.parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("`{text}` has no port of a server"))?;
            host
        }
        _ => text,
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(format!("`{text}` names no host"));
    }
    Ok(())
}

impl StoreUrl {
    /// Reads and checks a URL; nothing is connected to.
    ///
    /// # Errors
    ///
    /// What is wrong, without what might be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "sqlite" {
            return Ok(Self::Sqlite);
        }
        let (scheme, rest) = text.split_once("://").ok_or("not a known engine")?;
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(format!("`{scheme}` is not a known engine"));
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, rest) =
            rest.rsplit_once('@').ok_or("the user is missing: postgres://USER@HOST/DATABASE")?;
        if user.contains(':') || query.split('&').any(|part| part.starts_with("password=")) {
            return Err("the URL carries a password; name store.password".to_owned());
        }
        if user.is_empty() {
            return Err("the user is missing: postgres://USER@HOST/DATABASE".to_owned());
        }
        let (host, database) = rest.split_once('/').unwrap_or((rest, ""));
        if database.is_empty() {
            return Err("the database is missing: postgres://USER@HOST/DATABASE".to_owned());
        }
        // A folder of unix sockets is named in the query, or percent-encoded.
        let socket = query.split('&').any(|part| part.starts_with("host="));
        if !(socket && host.is_empty() || host.starts_with("%2F") || host.starts_with("%2f")) {
            host.split(',').try_for_each(host_and_port)?;
        }
        Ok(Self::Postgres(text.to_owned()))
    }
}

impl std::fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if let Self::Redis(url) = self { url } else { "embedded" })
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if let Self::Postgres(url) = self { url } else { "sqlite" })
    }
}

impl Serialize for QueueUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Checks that the engines and what is said of them go together: MUTT-C008.
pub(super) fn check(config: &Config, root: &Node, errors: &mut Vec<ConfigError>) {
    let (queue, store) = (&config.queue, &config.store);
    let mut refuse = |path: &[&str], message: String| {
        let origin = root.get(path).map_or(Origin::Default, |node| node.origin.clone());
        let code = &codes::CONFIG_ENGINES;
        errors.push(ConfigError { code, origin, key: path.join("."), message });
    };
    if matches!((&queue.url, &store.url), (QueueUrl::Redis(_), StoreUrl::Sqlite)) {
        refuse(
            &["queue", "url"],
            "`queue.url`: Redis is for several processes, and the SQLite store belongs to one; \
             allowed: set store.url to postgres://USER@HOST/DATABASE, or queue.url to embedded"
                .to_owned(),
        );
    }
    if queue.durability.waits_for_replicas() && queue.replicas == 0 {
        refuse(
            &["queue", "durability"],
            "`queue.durability`: this durability waits for replicas and queue.replicas is 0; \
             allowed: set queue.replicas to the number of replicas that may be promoted"
                .to_owned(),
        );
    }
    if queue.url.fails_over()
        && queue.durability == QueueDurability::Fsync
        && !queue.accept_failover_loss
    {
        refuse(
            &["queue", "url"],
            "`queue.url`: with fsync alone a failover loses what no replica has; allowed: \
             queue.durability = \"fsync+replica\" with queue.replicas, or \
             queue.accept_failover_loss = true"
                .to_owned(),
        );
    }
    if queue.sentinel != SentinelConfig::default() && !queue.url.has_sentinels() {
        refuse(
            &["queue", "sentinel"],
            "`queue.sentinel`: the URL names no Sentinel; allowed: a redis+sentinel:// URL, or no \
             queue.sentinel"
                .to_owned(),
        );
    }
    if queue.tls != EngineTls::default() && !queue.url.is_tls() {
        refuse(
            &["queue", "tls"],
            "`queue.tls`: the URL does not speak TLS; allowed: a rediss:// URL, or no queue.tls"
                .to_owned(),
        );
    }
    if store.tls.mode == Some(StoreTlsMode::Off) && store.tls.files != EngineTls::default() {
        refuse(
            &["store", "tls"],
            "`store.tls`: files are named and the mode is off; allowed: another mode, or no files"
                .to_owned(),
        );
    }
    for (section, files) in [("queue", &queue.tls), ("store", &store.tls.files)] {
        if files.cert.is_some() != files.key.is_some() {
            refuse(
                &[section, "tls"],
                format!("`{section}.tls`: cert and key stand together or not at all"),
            );
        }
    }
}

impl Config {
    /// What a start with these services would miss: with PostgreSQL no token and no key is invented.
    #[must_use]
    pub fn missing_doors(&self, services: &[Service]) -> Vec<ConfigError> {
        let mut missing = Vec::new();
        if self.store.url == StoreUrl::Sqlite {
            return missing;
        }
        let mut miss = |key: &str, example: &str| {
            missing.push(ConfigError {
                code: &codes::CONFIG_NO_DOOR,
                origin: Origin::Default,
                key: key.to_owned(),
                message: format!(
                    "`{key}` is missing: with PostgreSQL no secret is invented; write {example}"
                ),
            });
        };
        let has = |service| services.contains(&service);
        if has(Service::Ingestor)
            && self.ingestor.http.as_ref().is_some_and(|http| http.keys.is_empty())
        {
            miss(
                "ingestor.http.keys",
                "[[ingestor.http.keys]] with name and key = { file = \"PATH\" }",
            );
        }
        if has(Service::WebUi) && self.web_ui.tokens.is_empty() {
            miss(
                "web_ui.tokens",
                "[[web_ui.tokens]] with name, role and token = { file = \"PATH\" }",
            );
        }
        missing
    }

    pub(super) fn engine_secrets<'c>(&'c self, all: &mut Vec<(String, &'c SecretRef)>) {
        let lists = [
            ("queue.password", &self.queue.password),
            ("queue.sentinel.password", &self.queue.sentinel.password),
            ("store.password", &self.store.password),
            ("store.owner.password", &self.store.owner.password),
        ];
        for (key, list) in lists {
            all.extend(list.iter().map(|secret| (key.to_owned(), secret)));
        }
        let keys =
            [("queue.tls.key", &self.queue.tls.key), ("store.tls.key", &self.store.tls.files.key)];
        for (key, secret) in keys {
            all.extend(secret.iter().map(|secret| (key.to_owned(), secret)));
        }
    }
}
