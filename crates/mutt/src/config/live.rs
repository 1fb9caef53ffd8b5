//! Settings over the configuration: overrides that were made while MUTT runs are laid over what file
//! and environment say, and read through the same registry. One that does not fit is left out and
//! told; it never stops a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mutt_model::codes;
use mutt_store::store::Settings;
use tokio::sync::watch;

use super::error::{ConfigError, Origin};
use super::keys::{self, Apply, Key};
use super::suggest::nearest;
use super::tree::Node;
use super::{Config, Read, SinkConfig, env};

/// What a process runs with.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    /// File and environment, with the overrides over them.
    pub config: Config,
    /// The same as a tree, each value with its place.
    pub tree: Node,
    /// The overrides, with those that are ignored.
    pub values: BTreeMap<String, String>,
    /// Their version; `None` before the store was asked.
    pub version: Option<i64>,
    /// Overrides that are not used, with the reason.
    pub ignored: BTreeMap<String, String>,
}

/// The configuration of a running process.
#[derive(Debug)]
pub struct LiveConfig {
    written: Mutex<Written>,
    in_force: watch::Sender<Arc<InForce>>,
}

#[derive(Debug)]
struct Written {
    base: Node,
    /// Sinks that no file names: the demo's.
    own_sinks: BTreeMap<String, SinkConfig>,
    settings: Option<Settings>,
}

impl LiveConfig {
    /// What was written, without overrides. Sinks of `running` that are not in the tree stay.
    #[must_use]
    pub fn new(read: Read, running: &Config) -> Self {
        let named = |name: &String| read.tree.get(&["sinks", name]).is_some();
        let own = running.sinks.iter().filter(|(name, _)| !named(name));
        let own_sinks = own.map(|(name, sink)| (name.clone(), sink.clone())).collect();
        let written = Written { base: read.tree, own_sinks, settings: None };
        let in_force = watch::Sender::new(Arc::new(written.in_force(None)));
        Self { written: Mutex::new(written), in_force }
    }

    /// Another base: file and environment were read again.
    pub fn rebase(&self, read: Read) {
        self.change(|written| written.base = read.tree);
    }

    /// Other overrides.
    pub fn take(&self, settings: Settings) {
        self.change(|written| written.settings = Some(settings));
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut written);
        let next = written.in_force(written.settings.as_ref());
        // Within the lock, so that the newest stands last.
        let before = self.in_force.send_replace(Arc::new(next));
        let now = self.in_force.borrow().clone();
        for (key, why) in now.ignored.iter().filter(|(key, _)| !before.ignored.contains_key(*key)) {
            tracing::warn!(code = %codes::CONFIG_OVERRIDE, key, why, "a setting is not used");
        }
    }

    /// What is in force.
    #[must_use]
    pub fn current(&self) -> Arc<InForce> {
        self.in_force.borrow().clone()
    }

    /// Tells of changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<InForce>> {
        self.in_force.subscribe()
    }

    /// How it would be with these overrides; changes nothing.
    #[must_use]
    pub fn with(&self, settings: &Settings) -> InForce {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.in_force(Some(settings))
    }
}

impl Written {
    fn in_force(&self, settings: Option<&Settings>) -> InForce {
        let none = BTreeMap::new();
        let values = settings.map_or(&none, |settings| &settings.values);
        let mut ignored = BTreeMap::new();
        let mut tree = self.base.clone();
        for (key, value) in values {
            match self.laid_over(&tree, key, value) {
                Ok(with) => tree = with,
                Err(why) => {
                    ignored.insert(key.clone(), why);
                }
            }
        }
        let mut config = super::understood(&tree, &mut Vec::new());
        for (name, sink) in &self.own_sinks {
            config.sinks.entry(name.clone()).or_insert_with(|| sink.clone());
        }
        let version = settings.map(|settings| settings.version);
        InForce { config, tree, values: values.clone(), version, ignored }
    }

    /// The tree with one override more, when that is allowed.
    fn laid_over(&self, tree: &Node, key: &str, value: &str) -> Result<Node, String> {
        let (path, _) = live_key(key)?;
        if let ["sinks", name, ..] = path.as_slice()
            && self.base.get(&["sinks", name]).is_none()
        {
            let known = self.base.get(&["sinks"]).and_then(Node::table);
            let known = known.into_iter().flatten().map(|(name, _)| name.as_str());
            return Err(match nearest(name, known) {
                Some(near) => format!("no sink is called `{name}`; did you mean `{near}`?"),
                None => format!("no sink of the configuration is called `{name}`"),
            });
        }
        let origin = Origin::Setting(key.to_owned());
        let mut with = tree.clone();
        with.set(&path, env::node(&path, value, &origin)?);
        let mut errors = Vec::new();
        super::understood(&with, &mut errors);
        match errors.first() {
            None => Ok(with),
            Some(ConfigError { message, .. }) => Err(message.clone()),
        }
    }
}

/// The path and the registry's key of a key that may be changed while MUTT runs.
///
/// # Errors
///
/// Why not, and what is to be done in its place.
pub fn live_key(key: &str) -> Result<(Vec<&str>, &'static Key), String> {
    let path: Vec<&str> = key.split('.').collect();
    let found = keys::find(&path).ok_or_else(|| {
        let known = keys::all().filter(|key| key.apply == Apply::Live).map(|key| key.path);
        match nearest(key, known) {
            Some(near) => format!("there is no key `{key}`; did you mean `{near}`?"),
            None => format!("there is no key `{key}`"),
        }
    })?;
    let how = match found.apply {
        Apply::Live if path.contains(&"*") => "name one sink in place of the *",
        Apply::Live => return Ok((path, found)),
        Apply::Reload => "write it into the file and send SIGHUP (systemctl reload)",
        Apply::Start => "write it into the file and restart the service",
    };
    Err(format!("`{key}` cannot be changed here: {how}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Overrides, read_all};

    const FILE: &str = "[log]\nlevel = \"warn\"\n[sinks.moog]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\nrate = \"5/s\"\n";

    fn live() -> LiveConfig {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mutt.toml");
        std::fs::write(&file, FILE).unwrap();
        let env: Vec<(&str, &str)> = Vec::new();
        let read = read_all(Some(&file), &env, &Overrides::default()).unwrap();
        let running = read.config.clone();
        LiveConfig::new(read, &running)
    }

    fn settings(version: i64, values: &[(&str, &str)]) -> Settings {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings { version, values }
    }

    #[test]
    fn what_is_allowed_is_in_force_and_what_is_not_is_left_out_with_its_reason() {
        let table: [(&str, &str, &str); 22] = [
            ("log.level", "debug", ""),
            ("log.level", "loud", "not known"),
            ("alerter.default_team", "Core", ""),
            ("alerter.default_team", " ", "empty"),
            ("alerter.unhandled_threshold", "0", ""),
            ("alerter.unhandled_threshold", "-1", "out of range"),
            ("alerter.unhandled_threshold", "many", "number"),
            ("alerter.unhandled_window", "1m", ""),
            ("alerter.unhandled_window", "59s", "1m to 30d"),
            ("sinks.moog.rate", "120/m", ""),
            ("sinks.moog.rate", "50", "50/s"),
            ("sinks.moog.rate", "0/s", "rate"),
            ("sinks.moog.retry_for", "31d", "1s to 30d"),
            ("sinks.moog.in_flight", "257", "out of range"),
            ("sinks.mog.rate", "1/s", "did you mean `moog`"),
            ("sinks.*.rate", "1/s", "name one sink"),
            ("remediation.redrive_batch", "5", ""),
            ("store.retention.handled", "90", "allowed"),
            ("queue.url", "embedded", "restart"),
            ("ingestor.snmp.communities", "[]", "SIGHUP"),
            ("alerter.defaultteam", "x", "did you mean `alerter.default_team`"),
            ("sinks.moog", "{}", "no key"),
        ];
        let live = live();
        for (key, value, expected) in table {
            let tried = live.with(&settings(1, &[(key, value)]));
            let why = tried.ignored.get(key).map_or("", String::as_str);
            assert_eq!(why.is_empty(), expected.is_empty(), "{key} = {value}: {why}");
            assert!(why.contains(expected), "{key} = {value}: {why}");
        }
        assert_eq!(live.current().config.log.level, "warn", "trying changes nothing");
    }

    #[test]
    fn a_base_read_again_keeps_the_overrides_and_an_unset_key_falls_back() {
        let live = live();
        let told = live.subscribe();
        live.take(settings(3, &[("sinks.moog.rate", "9/s"), ("sinks.gone.rate", "9/s")]));
        assert!(told.has_changed().unwrap());
        let now = live.current();
        assert_eq!((now.version, now.config.sinks["moog"].rate), (Some(3), Some(9.0)));
        assert_eq!(now.ignored.keys().collect::<Vec<_>>(), ["sinks.gone.rate"]);
        let origin = now.tree.origin_of(&["sinks", "moog", "rate"]);
        assert_eq!(*origin, Origin::Setting("sinks.moog.rate".to_owned()));
        let env = vec![("MUTT__LOG__LEVEL", "error")];
        let mut read = read_all(None, &env, &Overrides::default()).unwrap();
        read.tree.set(&["sinks", "moog"], now.tree.get(&["sinks", "moog"]).unwrap().clone());
        live.rebase(read);
        let now = live.current();
        assert_eq!((now.config.log.level.as_str(), now.version), ("error", Some(3)));
        assert_eq!(now.config.sinks["moog"].rate, Some(9.0));
        live.take(settings(4, &[("alerter.unhandled_window", "2h")]));
        let now = live.current();
        assert_eq!(now.config.alerter.unhandled_window, Duration::from_secs(7200));
        assert!(now.ignored.is_empty());
    }

    #[test]
    fn sinks_that_no_file_names_stay() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mutt.toml");
        std::fs::write(&file, FILE).unwrap();
        let env: Vec<(&str, &str)> = Vec::new();
        let with = read_all(Some(&file), &env, &Overrides::default()).unwrap();
        let without = read_all(None, &env, &Overrides::default()).unwrap();
        let live = LiveConfig::new(without, &with.config);
        assert!(live.current().config.sinks.contains_key("moog"));
    }
}
