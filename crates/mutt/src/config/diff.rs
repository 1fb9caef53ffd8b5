//! What changed between two configurations, and what of it needs a restart.

use serde_json::Value;

use super::Config;
use super::keys::{self, Apply};

/// A key whose value differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// `sinks.moog.url`
    pub key: String,
    /// When the new value takes effect.
    pub apply: Apply,
}

/// The keys that differ, in the order of the old and then the new configuration.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Vec<Changed> {
    let mut changed = Vec::new();
    compare(&old.redacted(), &new.redacted(), "", &mut changed);
    changed
        .into_iter()
        .map(|key| {
            let path: Vec<&str> = key.split('.').collect();
            let apply = apply_of(&path);
            Changed { key, apply }
        })
        .collect()
}

fn compare(old: &Value, new: &Value, path: &str, changed: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let null = Value::Null;
                compare(a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null), &path, changed);
            }
        }
        (a, b) if a != b => changed.push(path.to_owned()),
        _ => {}
    }
}

/// A list of tables or a whole table applies at once only when all its keys do.
pub(super) fn apply_of(path: &[&str]) -> Apply {
    if let Some(key) = keys::find(path) {
        return key.apply;
    }
    let under = keys::all().filter(|key| {
        let mut parts = key.path.split('.');
        path.iter().all(|name| {
            parts.next().is_none_or(|part| {
                part == "*" || part == *name || part.strip_suffix("[]") == Some(*name)
            })
        })
    });
    let mut slowest = None;
    for key in under {
        slowest = match (slowest, key.apply) {
            (_, Apply::Start) => return Apply::Start,
            (Some(Apply::Reload), _) | (_, Apply::Reload) => Some(Apply::Reload),
            _ => Some(Apply::Live),
        };
    }
    slowest.unwrap_or(Apply::Start)
}
