//! `[ingestor.snmp]`, with what cannot be: privacy without authentication, a user twice, protocols that
//! this host forbids.

use mutt_wire::snmp::usm::{Auth, ENGINE_ID_MAX, Privacy, USER_NAME_MAX};

use super::{ConfigError, Kind, Reader, Table, Value, value};
use crate::config::snmp::{SnmpConfig, SnmpDevices, SnmpProtocol, SnmpUser, TimeWindow};

/// Where the kernel says that only FIPS 140's cryptography may be used.
const FIPS: &str = "/proc/sys/crypto/fips_enabled";

pub(super) fn snmp(r: &mut Reader<'_>, table: &Table<'_>) -> SnmpConfig {
    let fips = std::fs::read_to_string(FIPS).is_ok_and(|text| text.trim() == "1");
    let devices = table.tables("devices");
    SnmpConfig {
        allow: r.field(table, "allow", value::networks).unwrap_or_default(),
        udp: r.addresses(table, "udp"),
        tcp: r.addresses(table, "tcp"),
        communities: r.secrets(table, "communities"),
        users: users(r, table, fips),
        time_window: time_window(r, table),
        devices: devices
            .iter()
            .map(|table| SnmpDevices {
                sources: r.field(table, "sources", value::networks).unwrap_or_default(),
                time_window: time_window(r, table),
            })
            .collect(),
        proxy_protocol: super::proxy_protocol(r, table),
        proxy_sources: r.field(table, "proxy_sources", value::networks).unwrap_or_default(),
        max_connections: r.small(table, "max_connections"),
        max_connections_per_source: r.small(table, "max_connections_per_source"),
        idle_timeout: r.duration(table, "idle_timeout"),
        receive_buffer: r.size(table, "receive_buffer"),
        mib_dirs: r.field(table, "mib_dirs", value::texts).unwrap_or_default(),
    }
}

fn time_window(r: &mut Reader<'_>, table: &Table<'_>) -> TimeWindow {
    let read = |kind: Kind, value: &Value| {
        Ok(match value::text(kind, value)?.as_str() {
            "warn" => TimeWindow::Warn,
            _ => TimeWindow::Reject,
        })
    };
    r.field(table, "time_window", read).unwrap_or(TimeWindow::Reject)
}

fn users(r: &mut Reader<'_>, table: &Table<'_>, fips: bool) -> Vec<SnmpUser> {
    let mut users: Vec<SnmpUser> = Vec::new();
    for table in table.tables("users") {
        let user = SnmpUser {
            name: r.text(&table, "name"),
            engine_id: r.field(&table, "engine_id", |_, value| engine_id(value)),
            auth: protocol(r, &table, "auth"),
            privacy: protocol(r, &table, "priv"),
        };
        let known = |known: &SnmpUser| known.label() == user.label();
        let wrong = if user.name.len() > USER_NAME_MAX {
            Some(("name", format!("a name has at most {USER_NAME_MAX} octets")))
        } else if users.iter().any(known) {
            let why = format!(
                "`{}` stands twice; allowed: a name of its own, or an engine_id for each",
                user.label()
            );
            Some(("name", why))
        } else if user.privacy.is_some() && user.auth.is_none() {
            Some(("priv", "nothing is encrypted without being authenticated; allowed: name auth, too, or leave priv out".to_owned()))
        } else {
            forbidden(&user).filter(|_| fips)
        };
        if let Some((name, why)) = wrong {
            let key = format!("{}.{name}", table.shown);
            r.errors.push(ConfigError::value(&table.origin, &key, format!("`{key}`: {why}")));
        }
        users.push(user);
    }
    users
}

fn protocol(r: &mut Reader<'_>, table: &Table<'_>, name: &str) -> Option<SnmpProtocol> {
    let table = table.written(name)?;
    Some(SnmpProtocol { protocol: r.text(&table, "protocol"), secret: r.secrets(&table, "secret") })
}

/// The protocol that a host under FIPS 140 does not have.
fn forbidden(user: &SnmpUser) -> Option<(&'static str, String)> {
    let auth = user.auth.as_ref().and_then(|auth| Auth::parse(&auth.protocol));
    let privacy = user.privacy.as_ref().and_then(|privacy| Privacy::parse(&privacy.protocol));
    let why = |name: &str, instead: &str| {
        format!("{name} is forbidden on this host ({FIPS} is 1); allowed: {instead}")
    };
    if auth.is_some_and(Auth::is_refused_by_fips) {
        return Some(("auth", why("MD5", "SHA-256")));
    }
    privacy.is_some_and(Privacy::is_refused_by_fips).then(|| ("priv", why("DES", "AES-128")))
}

/// Hexadecimal digits, as devices and `snmptrap -e` show an engine id: with or without 0x and colons.
fn engine_id(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::Text(text) => text,
        other => return Err(format!("{} stands where text is needed", other.what())),
    };
    let digits: String = text
        .strip_prefix("0x")
        .unwrap_or(text)
        .chars()
        .filter(|c| !matches!(c, ':' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let good = digits.chars().all(|c| c.is_ascii_hexdigit())
        && digits.len().is_multiple_of(2)
        && (10..=ENGINE_ID_MAX * 2).contains(&digits.len());
    if good {
        Ok(digits)
    } else {
        Err(format!(
            "`{text}` is no engine id of 5 to {ENGINE_ID_MAX} octets in hexadecimal digits"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::error::Origin;
    use crate::config::tree;

    #[test]
    fn a_host_under_fips_takes_only_what_it_may() {
        let check = |auth: &str, privacy: &str, fips: bool, expected: &str| {
            let text = format!(
                "[{{ name = \"u\", auth = {{ protocol = \"{auth}\", secret = {{ env = \"A\" }} }}, priv = {{ protocol = \"{privacy}\", secret = {{ env = \"P\" }} }} }}]"
            );
            let list = tree::parse_value(&text, &Origin::Default).unwrap();
            let mut node = tree::Node::empty();
            node.set(&["users"], list);
            let mut errors = Vec::new();
            let table = Table {
                node: Some(&node),
                pattern: "ingestor.snmp".to_owned(),
                shown: "ingestor.snmp".to_owned(),
                origin: Origin::Default,
            };
            users(&mut Reader { errors: &mut errors }, &table, fips);
            let found = errors.first().map_or("", |error| error.message.as_str());
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
        };
        check("MD5", "DES", false, "");
        check("MD5", "AES-128", true, "MD5 is forbidden on this host");
        check("SHA-1", "DES", true, "DES is forbidden on this host");
        check("SHA-256", "AES-256-C", true, "");
    }

    #[test]
    fn engine_ids_are_read_as_devices_show_them() {
        let check = |text: &str, expected: Option<&str>| {
            let read = engine_id(&Value::Text(text.to_owned())).ok();
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        check("800007e5804089071bc6d10a41", Some("800007e5804089071bc6d10a41"));
        check("0x800000090300", Some("800000090300"));
        check("80:00:00:09:03:AA", Some("8000000903aa"));
        check("80000009", None);
        check("8000000903a", None);
        check("80000009zz", None);
        check(&"ab".repeat(33), None);
    }
}
