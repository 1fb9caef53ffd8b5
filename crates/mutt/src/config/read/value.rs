//! Single values: text to what it means, or a sentence that says what is wrong. A message never shows
//! what might be a secret.

use std::net::SocketAddr;
use std::time::Duration;

use mutt_model::amount;
use mutt_model::rule::Handling;
use mutt_model::verdict::Environment;
use mutt_notify::BuildError;
use mutt_wire::syslog::SourcePattern;

use crate::config::keys::{self, Kind};
use crate::config::suggest::nearest;
use crate::config::tree::Value;
use crate::config::zones::zone_of;
use crate::config::{QueueUrl, RepeatMode, Role, SinkKind, StoreUrl};
use crate::net::network::Network;
use crate::secrets::{SecretRef, VaultRef};

fn str_of(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("{} stands where text is needed", other.what())),
    }
}

pub(super) fn text(kind: Kind, value: &Value) -> Result<String, String> {
    let text = str_of(value)?;
    if let Kind::Choice(choices) = kind {
        return choice(text, choices).map(str::to_owned);
    }
    if text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    Ok(text.to_owned())
}

fn choice<'a>(text: &str, choices: &[&'a str]) -> Result<&'a str, String> {
    choices.iter().copied().find(|choice| *choice == text).ok_or_else(|| {
        match nearest(text, choices.iter().copied()) {
            Some(known) => format!("`{text}` is not known; did you mean `{known}`?"),
            None => format!("`{text}` is not known"),
        }
    })
}

pub(super) fn flag(_: Kind, value: &Value) -> Result<bool, String> {
    match value {
        Value::Flag(flag) => Ok(*flag),
        other => Err(format!("{} stands where true or false is needed", other.what())),
    }
}

pub(super) fn count(kind: Kind, value: &Value) -> Result<u64, String> {
    let Value::Number(number) = value else {
        return Err(format!("{} stands where a number is needed", value.what()));
    };
    let range = match kind {
        Kind::Count { min, max } => min..=max,
        _ => 0..=u64::MAX,
    };
    u64::try_from(*number)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("{number} is out of range"))
}

pub(super) fn size(kind: Kind, value: &Value) -> Result<u64, String> {
    match (kind, unit_text(value, "4GiB")?) {
        (Kind::Size { min, max }, text) => keys::size_in(text, min, max),
        (_, text) => amount::parse_size(text),
    }
}

pub(super) fn duration(kind: Kind, value: &Value) -> Result<Duration, String> {
    match (kind, unit_text(value, "30s")?) {
        (Kind::Duration { min, max }, text) => keys::duration_in(text, min, max),
        (_, text) => amount::parse_duration(text),
    }
}

/// A bare number for a time or size is the commonest mistake: say how it is written.
fn unit_text<'v>(value: &'v Value, example: &str) -> Result<&'v str, String> {
    match value {
        Value::Number(number) => {
            Err(format!("{number} has no unit; write it as text with one, as \"{example}\""))
        }
        other => str_of(other),
    }
}

pub(super) fn rate(_: Kind, value: &Value) -> Result<f64, String> {
    amount::parse_rate(unit_text(value, "50/s")?)
}

pub(super) fn address(_: Kind, value: &Value) -> Result<SocketAddr, String> {
    parse_address(str_of(value)?)
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let localhost = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    localhost
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| format!("`{text}` is no address with port"))
}

fn list(value: &Value) -> Result<Vec<&str>, String> {
    match value {
        Value::List(items) => items.iter().map(|item| str_of(&item.value)).collect(),
        other => Err(format!("{} stands where a list is needed", other.what())),
    }
}

pub(super) fn addresses(_: Kind, value: &Value) -> Result<Vec<SocketAddr>, String> {
    list(value)?.into_iter().map(parse_address).collect()
}

pub(super) fn texts(_: Kind, value: &Value) -> Result<Vec<String>, String> {
    Ok(list(value)?.into_iter().map(str::to_owned).collect())
}

pub(super) fn networks(_: Kind, value: &Value) -> Result<Vec<Network>, String> {
    list(value)?.into_iter().map(Network::parse).collect()
}

pub(super) fn sources(_: Kind, value: &Value) -> Result<Vec<String>, String> {
    let sources = list(value)?;
    if sources.is_empty() {
        return Err("it is empty".to_owned());
    }
    sources.into_iter().map(|s| SourcePattern::parse(s).map(|_| s.to_owned())).collect()
}

pub(super) fn zone(_: Kind, value: &Value) -> Result<String, String> {
    let text = str_of(value)?;
    zone_of(text).map(|_| text.to_owned())
}

pub(super) fn decisions(_: Kind, value: &Value) -> Result<Vec<Handling>, String> {
    list(value)?
        .into_iter()
        .map(|name| {
            let handling = Handling::parse(name);
            match (&handling, handling.delivers()) {
                (_, true) => Ok(handling),
                (Handling::Unknown(_), _) => match nearest(name, Handling::KNOWN) {
                    Some(known) => Err(format!("`{name}` is not known; did you mean `{known}`?")),
                    None => Err(format!("`{name}` is not known")),
                },
                _ => Err(format!("`{name}` never leaves through a sink")),
            }
        })
        .collect()
}

pub(super) fn environments(_: Kind, value: &Value) -> Result<Vec<Environment>, String> {
    list(value)?
        .into_iter()
        .map(|name| match name {
            "prod" => Ok(Environment::Prod),
            "dev" => Ok(Environment::Dev),
            other => Err(format!("`{other}` is not known")),
        })
        .collect()
}

pub(super) fn role(kind: Kind, value: &Value) -> Result<Role, String> {
    Ok(match text(kind, value)?.as_str() {
        "admin" => Role::Admin,
        "operator" => Role::Operator,
        _ => Role::Viewer,
    })
}

pub(super) fn repeat(kind: Kind, value: &Value) -> Result<RepeatMode, String> {
    Ok(match text(kind, value)?.as_str() {
        "every" => RepeatMode::Every,
        _ => RepeatMode::Changes,
    })
}

pub(super) fn sink_kind(kind: Kind, value: &Value) -> Result<SinkKind, String> {
    let name = str_of(value)?;
    if let Err(later @ BuildError::KindLater(_)) = mutt_notify::SinkKind::parse(name) {
        return Err(later.to_string());
    }
    let name = text(kind, value)?;
    SinkKind::ALL
        .into_iter()
        .find_map(|(kind, known)| (known == name).then_some(kind))
        .ok_or_else(|| format!("`{name}` is not known"))
}

/// A URL with a host and without a credential in it.
pub(super) fn url(_: Kind, value: &Value) -> Result<String, String> {
    let text = str_of(value)?;
    let parsed = reqwest::Url::parse(text).map_err(|why| format!("`{text}` is no URL: {why}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(format!("`{text}` is no http or https URL"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("the URL carries a credential; name it under auth instead".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn queue_url(_: Kind, value: &Value) -> Result<QueueUrl, String> {
    QueueUrl::parse(str_of(value)?)
}

pub(super) fn store_url(_: Kind, value: &Value) -> Result<StoreUrl, String> {
    StoreUrl::parse(str_of(value)?)
}

/// `{ env = "..." }`, `{ file = "..." }`, `{ credential = "..." }`, `{ vault = "..." }`.
pub(super) fn secret(value: &Value) -> Result<SecretRef, String> {
    let table = match value {
        Value::Table(table) => table,
        Value::Text(_) | Value::Number(_) => {
            return Err("a plain value stands here; secrets are never written into the \
                        configuration: put it into a file and write { file = \"PATH\" }"
                .to_owned());
        }
        other => return Err(format!("{} stands where a secret reference is needed", other.what())),
    };
    let mut entries = table.iter();
    let (Some((name, node)), None) = (entries.next(), entries.next()) else {
        return Err("a secret reference names exactly one place".to_owned());
    };
    let place = str_of(&node.value)?;
    if place.is_empty() {
        return Err(format!("the {name} of the secret reference is empty"));
    }
    match name.as_str() {
        "env" => Ok(SecretRef::Env(place.to_owned())),
        "file" => Ok(SecretRef::File(place.into())),
        "credential" => Ok(SecretRef::Credential(place.to_owned())),
        "vault" => VaultRef::parse(place).map(SecretRef::Vault),
        other => Err(match nearest(other, ["env", "file", "credential", "vault"]) {
            Some(known) => {
                format!("unknown key `{other}` in a secret reference; did you mean `{known}`?")
            }
            None => format!("unknown key `{other}` in a secret reference"),
        }),
    }
}

/// One reference, or a list of them: current and next where two are the rule.
pub(super) fn secrets(kind: Kind, value: &Value) -> Result<Vec<SecretRef>, String> {
    let Value::List(items) = value else {
        return match kind {
            Kind::SecretList => Err(format!("{} stands where a list is needed", value.what())),
            _ => Ok(vec![secret(value)?]),
        };
    };
    if kind == Kind::Secrets && !(1..=2).contains(&items.len()) {
        return Err(format!("{} references", items.len()));
    }
    items.iter().map(|item| secret(&item.value)).collect()
}

/// Names that stand in URLs, metrics and file names.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
