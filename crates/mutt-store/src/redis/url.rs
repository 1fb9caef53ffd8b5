//! The address of a Redis: what `queue.url` may say, read once and trusted afterwards.

use std::fmt;
use std::path::PathBuf;

/// Where the data nodes of a Redis listen unless the URL says otherwise.
const PORT: u16 = 6379;
/// Where Sentinels listen unless the URL says otherwise.
const SENTINEL_PORT: u16 = 26379;

/// How the servers of a URL belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One server.
    Standalone,
    /// The URL names Sentinels; they name the master.
    Sentinel,
    /// The URL names some nodes; they name the owner of each slot.
    Cluster,
}

/// One server's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A host name or IP address, with its port.
    Tcp {
        /// Without brackets.
        host: String,
        /// Never 0.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A Redis URL. It never holds a secret, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    kind: Kind,
    tls: bool,
    user: Option<String>,
    servers: Vec<Address>,
    master: Option<String>,
    db: u32,
}

impl RedisUrl {
    /// Reads `redis://`, `rediss://`, `redis+sentinel://`, `rediss+sentinel://`, `redis+cluster://`,
    /// `rediss+cluster://` or `unix://`.
    ///
    /// # Errors
    ///
    /// What is wrong and what to write instead, in words; never a password that stood there.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.trim().split_once("://") else {
            return Err(format!("this is no Redis URL; {}", forms()));
        };
        let (kind, tls) = match scheme {
            "redis" => (Kind::Standalone, false),
            "rediss" => (Kind::Standalone, true),
            "redis+sentinel" => (Kind::Sentinel, false),
            "rediss+sentinel" => (Kind::Sentinel, true),
            "redis+cluster" => (Kind::Cluster, false),
            "rediss+cluster" => (Kind::Cluster, true),
            "unix" => return unix(rest),
            other => return Err(format!("`{other}://` is not known; {}", forms())),
        };
        no_query(rest)?;
        // The last `@` ends the user: a password may hold one, or a `/`; hosts and paths do not.
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (user_name(user)?, rest),
            None => (None, rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if kind == Kind::Sentinel { SENTINEL_PORT } else { PORT };
        let servers = hosts
            .split(',')
            .map(|host| server(host.trim(), port))
            .collect::<Result<Vec<_>, _>>()?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let (master, db) = match kind {
            Kind::Standalone => (None, database(path)?),
            Kind::Sentinel => {
                let (name, db) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return Err(format!(
                        "the URL must name the master as the Sentinels know it: {scheme}://{hosts}/mymaster"
                    ));
                }
                (Some(decoded(name)?), database(db)?)
            }
            Kind::Cluster => (None, database(path)?),
        };
        if kind == Kind::Standalone && servers.len() > 1 {
            return Err(format!(
                "several servers need Sentinel or Cluster: {scheme}+sentinel://{hosts}/mymaster or {scheme}+cluster://{hosts}"
            ));
        }
        if kind == Kind::Cluster && db != 0 {
            return Err("a Redis Cluster has only database 0: leave the number away".into());
        }
        Ok(Self { kind, tls, user, servers, master, db })
    }

    /// How the servers belong together.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether every connection, also to Sentinels, is encrypted.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The user to log in as; none is Redis' `default`.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The servers that the URL names, at least one: data nodes, or Sentinels.
    #[must_use]
    pub fn servers(&self) -> &[Address] {
        &self.servers
    }

    /// The name under which Sentinels know the master; none where there are no Sentinels.
    #[must_use]
    pub fn master(&self) -> Option<&str> {
        self.master.as_deref()
    }

    /// The database number.
    #[must_use]
    pub fn db(&self) -> u32 {
        self.db
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Address::Unix(path)) = self.servers.first() {
            write!(f, "unix://{}", path.display())?;
            return if self.db == 0 { Ok(()) } else { write!(f, "?db={}", self.db) };
        }
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        f.write_str(match self.kind {
            Kind::Standalone => "",
            Kind::Sentinel => "+sentinel",
            Kind::Cluster => "+cluster",
        })?;
        f.write_str("://")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", encoded(user))?;
        }
        for (n, server) in self.servers.iter().enumerate() {
            write!(f, "{}{server}", if n == 0 { "" } else { "," })?;
        }
        if let Some(master) = &self.master {
            write!(f, "/{}", encoded(master))?;
        }
        if self.db == 0 { Ok(()) } else { write!(f, "/{}", self.db) }
    }
}

fn forms() -> &'static str {
    "write redis://HOST:PORT, rediss:// (TLS), redis+sentinel://S1,S2,S3/MASTER, redis+cluster://N1,N2,N3 or unix:///PATH"
}

fn unix(rest: &str) -> Result<RedisUrl, String> {
    let (path, db) = match rest.split_once('?') {
        None => (rest, 0),
        Some((path, query)) => match query.split_once('=') {
            Some(("db", number)) => (path, database(number)?),
            _ => {
                return Err(
                    "after a Unix socket only `?db=N` is understood; a password belongs into `queue.password = { file = \"...\" }`"
                        .into(),
                );
            }
        },
    };
    if !path.starts_with('/') || path.len() < 2 {
        return Err("a Unix socket is named by its whole path: unix:///run/redis/redis.sock".into());
    }
    Ok(RedisUrl {
        kind: Kind::Standalone,
        tls: false,
        user: None,
        servers: vec![Address::Unix(PathBuf::from(decoded(path)?))],
        master: None,
        db,
    })
}

fn no_query(rest: &str) -> Result<(), String> {
    match rest.find(['?', '#']) {
        None => Ok(()),
        Some(_) => Err(
            "a Redis URL has no `?` or `#` part: settings are keys of [queue], a password belongs into `queue.password = { file = \"...\" }`"
                .into(),
        ),
    }
}

/// The user before the `@`. A password is refused without being repeated.
fn user_name(text: &str) -> Result<Option<String>, String> {
    match text.split_once(':') {
        Some(_) => Err(
            "a password does not belong into the URL, where it is shown and logged: write `queue.password = { file = \"...\" }` (or env, credential, vault) and only the user name before the @"
                .into(),
        ),
        None if text.is_empty() => Ok(None),
        None => decoded(text).map(Some),
    }
}

fn server(text: &str, default_port: u16) -> Result<Address, String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port != 0 => Ok(port),
        // Not repeated: it may be a password whose `@` was forgotten.
        _ => Err("what follows the colon is no port: write a number from 1 to 65535".to_owned()),
    };
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or_else(|| format!("`{text}` lacks the closing bracket of an IPv6 address"))?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| format!("`{host}` is no IPv6 address"))?;
        match after.strip_prefix(':') {
            Some(text) => (host, port(text)?),
            None if after.is_empty() => (host, default_port),
            None => return Err("what follows the IPv6 address is no port".into()),
        }
    } else {
        match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => {
                return Err(format!("write the IPv6 address in brackets: [{text}]"));
            }
            Some((host, text)) => (host, port(text)?),
            None => (text, default_port),
        }
    };
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() {
        return Err("the URL names no server".into());
    }
    if !host.chars().all(named) {
        return Err(format!("`{host}` is no host name"));
    }
    Ok(Address::Tcp { host: host.into(), port })
}

fn database(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| format!("`{text}` is no database number"))
}

/// Percent-decoding, as far as a name needs it.
fn decoded(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not well percent-encoded");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).ok_or_else(wrong);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_again() {
        let check = |url: &str, shown: &str, kind: Kind, tls: bool, db: u32| {
            let read = RedisUrl::parse(url).unwrap();
            assert_eq!(read.to_string(), shown, "{url}");
            assert_eq!((read.kind(), read.tls(), read.db()), (kind, tls, db), "{url}");
            assert_eq!(RedisUrl::parse(shown).unwrap(), read, "{url}");
        };
        use Kind::{Cluster, Sentinel, Standalone};
        check("redis://localhost", "redis://localhost:6379", Standalone, false, 0);
        check("redis://localhost:6380/", "redis://localhost:6380", Standalone, false, 0);
        check("rediss://mutt@r1/3", "rediss://mutt@r1:6379/3", Standalone, true, 3);
        check("redis://[::1]:7000", "redis://[::1]:7000", Standalone, false, 0);
        check("redis://a%40b@h", "redis://a%40b@h:6379", Standalone, false, 0);
        check("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2", Standalone, false, 2);
        check("unix:///run/redis.sock", "unix:///run/redis.sock", Standalone, false, 0);
        let shown = "redis+sentinel://s1:26379,s2:26000/mymaster/1";
        check("redis+sentinel://s1,s2:26000/mymaster/1", shown, Sentinel, false, 1);
        let shown = "rediss+sentinel://u@s1:26379/m";
        check("rediss+sentinel://u@s1/m", shown, Sentinel, true, 0);
        let shown = "redis+cluster://n1:6379,[fe80::1]:7001";
        check("redis+cluster://n1,[fe80::1]:7001", shown, Cluster, false, 0);
        check("rediss+cluster://n1:7001/0", "rediss+cluster://n1:7001", Cluster, true, 0);
        let read = RedisUrl::parse("redis+sentinel://mutt@s1,s2/mymaster").unwrap();
        assert_eq!((read.user(), read.master()), (Some("mutt"), Some("mymaster")));
        assert_eq!(read.servers().len(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        let check = |url: &str, says: &str| {
            let why = RedisUrl::parse(url).unwrap_err();
            assert!(why.contains(says), "{url}: {why}");
            assert!(!why.contains("hunter2"), "{url}: {why}");
        };
        check("localhost:6379", "redis://HOST:PORT");
        check("http://localhost", "`http://` is not known");
        check("redis://", "names no server");
        check("redis://:hunter2@h", "queue.password = { file =");
        check("redis://user:hunter2@h/0", "queue.password = { file =");
        check("redis://user:hunter2@x@h/0", "queue.password = { file =");
        check("redis://user:a/hunter2@h/0", "queue.password = { file =");
        check("redis://user:hunter2", "1 to 65535");
        check("unix:///r.sock?password=hunter2", "queue.password = { file =");
        check("redis://h/0?password=hunter2", "queue.password = { file =");
        check("redis://h:0", "1 to 65535");
        check("redis://h:x", "1 to 65535");
        check("redis://::1", "in brackets");
        check("redis://[::1", "closing bracket");
        check("redis://[h]", "no IPv6 address");
        check("redis://a b", "no host name");
        check("redis://h/mutt", "no database number");
        check("redis://h1,h2", "redis+sentinel://h1,h2/mymaster");
        check("redis+sentinel://s1,s2", "redis+sentinel://s1,s2/mymaster");
        check("redis+cluster://n1/2", "only database 0");
        check("unix://redis.sock", "whole path");
        check("redis://%zz@h", "percent-encoded");
    }
}
