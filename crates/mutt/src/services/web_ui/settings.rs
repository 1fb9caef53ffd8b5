//! The keys of the configuration as the web service shows and changes them.

use std::collections::BTreeSet;

use mutt_store::store::Settings;
use mutt_web::{HookError, KeyState, Role};
use serde_json::Value;

use crate::config::keys::{self, Apply, Key};
use crate::config::live::{InForce, LiveConfig, live_key};

fn role(key: &Key) -> Role {
    match key.role {
        crate::config::Role::Viewer => Role::Viewer,
        crate::config::Role::Operator => Role::Operator,
        crate::config::Role::Admin => Role::Admin,
    }
}

/// The concrete keys of a pattern: one for each sink, one for a whole list of tables.
fn concrete(key: &Key, config: &Value) -> Vec<String> {
    if let Some((list, _)) = key.path.split_once("[]") {
        return vec![list.to_owned()];
    }
    let Some((table, rest)) = key.path.split_once(".*.") else { return vec![key.path.to_owned()] };
    let names = config.get(table).and_then(Value::as_object).into_iter().flatten();
    names.map(|(name, _)| format!("{table}.{name}.{rest}")).collect()
}

/// Every key as it stands; overrides of keys that are not there come last.
pub(super) fn shown(now: &InForce) -> Vec<KeyState> {
    let config = now.config.redacted();
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    for key in keys::all() {
        for path in concrete(key, &config) {
            let value = config.pointer(&format!("/{}", path.replace('.', "/")));
            let value = value.cloned().unwrap_or_default();
            // The required keys of a table that nobody wrote.
            if (key.required && value.is_null()) || !seen.insert(path.clone()) {
                continue;
            }
            let parts: Vec<&str> = path.split('.').collect();
            let source = now.tree.get(&parts).map(|node| node.origin.to_string());
            all.push(KeyState {
                value,
                default: (!key.default.is_empty()).then(|| key.default.to_owned()),
                source: source.unwrap_or_else(|| "default".to_owned()),
                apply: key.apply.name().to_owned(),
                range: key.kind.allowed(),
                unit: key.kind.name().to_owned(),
                role: (key.apply == Apply::Live).then(|| role(key)),
                what: key.what.to_owned(),
                setting: now.values.get(&path).cloned(),
                ignored: now.ignored.get(&path).cloned(),
                key: path,
            });
        }
    }
    let strange = now.values.iter().filter(|(key, _)| !seen.contains(*key));
    all.extend(strange.map(|(key, value)| KeyState {
        key: key.clone(),
        value: Value::Null,
        default: None,
        source: "default".to_owned(),
        apply: Apply::Live.name().to_owned(),
        range: String::new(),
        unit: String::new(),
        role: Some(Role::Admin),
        what: String::new(),
        setting: Some(value.clone()),
        ignored: now.ignored.get(key).cloned(),
    }));
    all
}

/// Whether a key may be set so, and by whom. What stands and fits no more may be unset.
pub(super) fn check(
    live: &LiveConfig,
    key: &str,
    value: Option<&str>,
    settings: &Settings,
) -> Result<Role, HookError> {
    let found = live_key(key);
    let Some(value) = value else {
        return match found {
            Ok((_, found)) => Ok(role(found)),
            Err(_) if settings.values.contains_key(key) => Ok(Role::Admin),
            Err(why) => Err(HookError::NotFound(why)),
        };
    };
    let (path, found) = found.map_err(|why| {
        let parts: Vec<&str> = key.split('.').collect();
        match keys::find(&parts) {
            Some(_) => HookError::Bad(why),
            None => HookError::NotFound(why),
        }
    })?;
    let mut tried = settings.clone();
    tried.values.insert(path.join("."), value.to_owned());
    match live.with(&tried).ignored.remove(key) {
        None => Ok(role(found)),
        Some(why) => Err(HookError::Bad(why)),
    }
}
