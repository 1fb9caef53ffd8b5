//! The registry of configuration keys: path, type, unit, default, range, what the key does and what
//! happens at its limits. Defaults, CONFIG.md, suggestions and range checks all come from here.
//!
//! In a path `*` stands for a name that the operator chooses and `name[]` for a list of tables.

mod engines;
mod services;
mod sinks;
mod vault;

use mutt_model::amount;
use mutt_model::codes;

use super::Role;
use super::error::ConfigError;
use super::suggest::nearest;
use super::tree::{Node, Value};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A path.
    Path,
    /// `IP:PORT`.
    Address,
    /// `IP:PORT`, or `off`.
    AddressOrOff,
    /// A list of `IP:PORT`.
    Addresses,
    /// A whole number in a range.
    Count {
        /// Not below.
        min: u64,
        /// Not above.
        max: u64,
    },
    /// Bytes with a unit, in a range.
    Size {
        /// Not below.
        min: &'static str,
        /// Not above.
        max: &'static str,
    },
    /// Time with a unit, in a range.
    Duration {
        /// Not below.
        min: &'static str,
        /// Not above.
        max: &'static str,
    },
    /// `50/s`, `120/m`, `1000/h`.
    Rate,
    /// true or false.
    Flag,
    /// A list of texts.
    Texts,
    /// A list of addresses and networks.
    Networks,
    /// A list of addresses, networks and names of hosts.
    SourcePatterns,
    /// A time zone by name or offset.
    Zone,
    /// A list of decisions.
    Decisions,
    /// A list of `prod`, `dev`.
    Environments,
    /// `http://` or `https://`.
    Url,
    /// `embedded`, or where Redis is.
    QueueUrl,
    /// `sqlite`, or where PostgreSQL is.
    StoreUrl,
    /// A reference of a secret.
    Secret,
    /// One reference, or current and next.
    Secrets,
    /// A list of references.
    SecretList,
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// With the next start.
    Start,
    /// With SIGHUP.
    Reload,
    /// Within a second, in every process: by REST, CLI and UI, and with SIGHUP.
    Live,
}

impl Apply {
    /// The name in API and reference.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "restart",
            Self::Reload => "reload",
            Self::Live => "live",
        }
    }
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// `queue.max_events`
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// As written in a file, text without quotes; empty: none.
    pub default: &'static str,
    /// What it does.
    pub what: &'static str,
    /// What happens when it is met, too low or too high; empty where nothing can.
    pub limits: &'static str,
    /// Whether it must be written when its table is.
    pub required: bool,
    /// When a change takes effect.
    pub apply: Apply,
    /// Who may change it while MUTT runs, where that is possible.
    pub role: Role,
    /// The first version with it.
    pub since: &'static str,
}

const fn key(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    what: &'static str,
    limits: &'static str,
) -> Key {
    Key {
        path,
        kind,
        default,
        what,
        limits,
        required: false,
        apply: Apply::Start,
        role: Role::Admin,
        since: "3.0.0",
    }
}

const fn required(path: &'static str, kind: Kind, what: &'static str) -> Key {
    let mut key = key(path, kind, "", what, "");
    key.required = true;
    key
}

impl Key {
    const fn reloaded(mut self) -> Self {
        self.apply = Apply::Reload;
        self
    }

    const fn live(mut self, role: Role) -> Self {
        self.apply = Apply::Live;
        self.role = role;
        self
    }
}

/// Every key, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [engines::KEYS, services::KEYS, sinks::KEYS, vault::KEYS].into_iter().flatten()
}

/// The key of a concrete path such as `["sinks", "moog", "url"]`.
#[must_use]
pub fn find(path: &[&str]) -> Option<&'static Key> {
    all().find(|key| {
        let mut parts = key.path.split('.');
        path.iter().all(|name| {
            parts.next().is_some_and(|part| {
                part == "*" || part == *name || part.strip_suffix("[]") == Some(*name)
            })
        }) && parts.next().is_none()
    })
}

/// The key with exactly this pattern.
#[must_use]
pub fn by_pattern(pattern: &str) -> Option<&'static Key> {
    all().find(|key| key.path == pattern)
}

/// The names that may stand under a pattern's prefix, without doubles.
fn children(prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = all()
        .filter_map(|key| {
            let rest = if prefix.is_empty() {
                key.path
            } else {
                key.path.strip_prefix(prefix)?.strip_prefix('.')?
            };
            rest.split('.').next()
        })
        .collect();
    names.dedup();
    names
}

/// Reports every key of the tree that is not in the registry, with the nearest one that is.
pub fn check_tree(root: &Node, errors: &mut Vec<ConfigError>) {
    walk(root, "", "", errors);
}

fn walk(node: &Node, pattern: &str, shown: &str, errors: &mut Vec<ConfigError>) {
    let Some(table) = node.table() else {
        errors.push(ConfigError::value(
            &node.origin,
            shown,
            format!("`{shown}` holds {}, but it is a table: [{shown}]", node.value.what()),
        ));
        return;
    };
    let names = children(pattern);
    for (name, child) in table {
        let shown = if shown.is_empty() { name.clone() } else { format!("{shown}.{name}") };
        let found = names
            .iter()
            .copied()
            .find(|known| *known == "*" || known == name || known.strip_suffix("[]") == Some(name));
        let Some(part) = found else {
            errors.push(unknown(child, &shown, name, pattern, &names));
            continue;
        };
        let pattern =
            if pattern.is_empty() { part.to_owned() } else { format!("{pattern}.{part}") };
        if children(&pattern).is_empty() {
            continue;
        }
        match (&child.value, part.ends_with("[]")) {
            (Value::List(items), true) => {
                for (at, item) in items.iter().enumerate() {
                    if is_address(item, &pattern) {
                        continue;
                    }
                    walk(item, &pattern, &format!("{shown}[{at}]"), errors);
                }
            }
            (_, true) => errors.push(ConfigError::value(
                &child.origin,
                &shown,
                format!(
                    "`{shown}` holds {}, but it is a list of tables: [[{shown}]]",
                    child.value.what()
                ),
            )),
            (_, false) => walk(child, &pattern, &shown, errors),
        }
    }
}

/// A listener that needs nothing but its address may be written as that.
fn is_address(item: &Node, pattern: &str) -> bool {
    let listens = by_pattern(&format!("{pattern}.listen"));
    let alone = children(pattern).iter().all(|name| {
        *name == "listen" || by_pattern(&format!("{pattern}.{name}")).is_some_and(|k| !k.required)
    });
    matches!(item.value, Value::Text(_)) && listens.is_some() && alone
}

fn unknown(node: &Node, shown: &str, name: &str, pattern: &str, names: &[&str]) -> ConfigError {
    let bare = names.iter().map(|known| known.trim_end_matches("[]"));
    let hint = match nearest(name, bare.clone()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => match elsewhere(name) {
            Some(path) => format!("did you mean `{path}`?"),
            None => format!("known here: {}", bare.collect::<Vec<_>>().join(", ")),
        },
    };
    let place =
        if pattern.is_empty() { "at the top".to_owned() } else { format!("in [{pattern}]") };
    ConfigError {
        code: &codes::CONFIG_UNKNOWN_KEY,
        origin: node.origin.clone(),
        key: shown.to_owned(),
        message: format!("unknown key `{name}` {place}; {hint}"),
    }
}

/// The one key of this name in another table; of several the one that stands highest.
fn elsewhere(name: &str) -> Option<&'static str> {
    let depth = |key: &&Key| key.path.split('.').count();
    let mut found: Vec<&Key> =
        all().filter(|key| key.path.rsplit('.').next() == Some(name)).collect();
    found.sort_by_key(depth);
    match found.as_slice() {
        [] => None,
        [first, second, ..] if depth(first) == depth(second) => None,
        [first, ..] => Some(first.path),
    }
}

impl Kind {
    /// What may be written, for messages and the reference.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
            Self::Path => "a path".to_owned(),
            Self::Address => "IP:PORT, as 127.0.0.1:8080 or [::1]:8080".to_owned(),
            Self::AddressOrOff => "IP:PORT, as 127.0.0.1:8080, or off".to_owned(),
            Self::Addresses => "a list of IP:PORT, as [\"127.0.0.1:5514\"]".to_owned(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Size { min, max } => format!("a size from {min} to {max}, as 64KiB or 4GiB"),
            Self::Duration { min, max } => {
                format!("a duration from {min} to {max}, as 30s or 24h")
            }
            Self::Rate => "a rate, as 50/s, 120/m or 1000/h".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Texts => "a list of texts, as [\"NetOps\"]".to_owned(),
            Self::Networks => "a list of addresses and networks, as [\"192.0.2.7\", \"2001:db8::/32\"]".to_owned(),
            Self::SourcePatterns => {
                "a list of addresses, networks and names of hosts, as [\"192.0.2.0/24\", \"edge-*\"]"
                    .to_owned()
            }
            Self::Zone => "a zone, as Europe/Berlin, UTC or +02:00".to_owned(),
            Self::Decisions => "a list of Page_and_ticket, Page_only, Ticket_only".to_owned(),
            Self::Environments => "a list of prod, dev".to_owned(),
            Self::Url => "http:// or https:// with a host".to_owned(),
            Self::QueueUrl => "embedded, redis://HOST:PORT, rediss://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/NAME, rediss+sentinel://..., redis+cluster://HOST:PORT,HOST:PORT, rediss+cluster://..., unix:///SOCKET".to_owned(),
            Self::StoreUrl => "sqlite, or postgres://USER@HOST:PORT/DATABASE".to_owned(),
            Self::Secret => {
                "a secret reference: { file = \"PATH\" }, { env = \"NAME\" }, { credential = \"NAME\" } or { vault = \"mount/path#key\" }"
                    .to_owned()
            }
            Self::Secrets => {
                "a secret reference such as { file = \"PATH\" }, or two of them: [current, next]"
                    .to_owned()
            }
            Self::SecretList => {
                "a list of secret references: [{ file = \"PATH\" }, { env = \"NAME\" }]".to_owned()
            }
        }
    }

    /// The type's name in the reference.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text | Self::Choice(_) => "text",
            Self::Path => "path",
            Self::Address | Self::AddressOrOff => "address",
            Self::Addresses => "list of addresses",
            Self::Count { .. } => "number",
            Self::Size { .. } => "size (B, KiB, MiB, GiB, TiB)",
            Self::Duration { .. } => "duration (ms, s, m, h, d, w)",
            Self::Rate => "rate (/s, /m, /h)",
            Self::Flag => "flag",
            Self::Texts | Self::SourcePatterns | Self::Decisions | Self::Environments => {
                "list of texts"
            }
            Self::Zone => "zone",
            Self::Networks => "list of networks",
            Self::Url | Self::QueueUrl | Self::StoreUrl => "URL",
            Self::Secret => "REF",
            Self::Secrets => "REF or [REF, REF]",
            Self::SecretList => "list of REF",
        }
    }
}

/// Reads a size in the range of its kind.
///
/// # Errors
///
/// What is allowed.
pub fn size_in(text: &str, min: &str, max: &str) -> Result<u64, String> {
    let bytes = amount::parse_size(text)?;
    let within = amount::parse_size(min)? <= bytes && bytes <= amount::parse_size(max)?;
    if within { Ok(bytes) } else { Err(format!("{text} is not within {min} to {max}")) }
}

/// Reads a duration in the range of its kind.
///
/// # Errors
///
/// What is allowed.
pub fn duration_in(text: &str, min: &str, max: &str) -> Result<std::time::Duration, String> {
    let duration = amount::parse_duration(text)?;
    let within =
        amount::parse_duration(min)? <= duration && duration <= amount::parse_duration(max)?;
    if within { Ok(duration) } else { Err(format!("{text} is not within {min} to {max}")) }
}
