//! The keyring: the secrets of the configuration that the services of this process work with, each with
//! the value that is in force. It reads them at start, looks at their places again while the program
//! runs, and hands them out so that a rotation needs no restart. What cannot be read again keeps its last
//! good value and is told; nothing ever takes the place of a secret that was never read.

mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mutt_model::codes::{self, Code};
use mutt_model::{Clock, LiveSecrets, Secret, Timestamp};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::session::{Logins, Session};
use super::vault::{VaultError, VaultFault};
use super::{SecretError, SecretRef};
use crate::config::{Config, EnvSource, ProcessEnv, VaultConfig};
use crate::services::Service;
use crate::telemetry::metrics::{ServiceMetrics, raise_to};

/// Files are looked at this often; a change is taken when it has stood still for one look.
pub const FILE_LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Pause after a first failure of Vault; it doubles with each further one.
pub const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// See [`RETRY_PAUSE`].
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(15);
/// At the end Vault gets this long to take the token back.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a secret could not be read, since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// For `explain`.
    pub code: &'static Code,
    /// What was asked, what came, what mends it; never a secret.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// A configuration key whose secret was never read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The configuration key.
    pub key: String,
    /// Whether Vault is to give it.
    pub in_vault: bool,
    /// Why it is not there.
    pub trouble: Trouble,
}

/// The secrets of one configuration key.
#[derive(Debug)]
struct Slot {
    key: String,
    /// Current, next; or a list, where each one counts.
    places: Vec<SecretRef>,
    live: LiveSecrets,
}

impl Slot {
    /// The second of a pair may be gone: then there is no next one now.
    fn may_lack(&self, at: usize) -> bool {
        at == 1 && self.places.len() == 2 && self.key != COMMUNITIES
    }
}

/// The one key that holds a list: each of its secrets is as good as the others.
const COMMUNITIES: &str = "ingestor.snmp.communities";

/// What is known of one place.
#[derive(Debug, Default)]
struct Place {
    value: Option<Secret>,
    trouble: Option<Trouble>,
    /// The place was asked and has none.
    absent: bool,
    stamp: Option<Stamp>,
    /// A change that was seen once.
    seen: Option<Stamp>,
}

/// Tells whether a file is the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug, Default)]
struct Held {
    slots: Vec<Slot>,
    places: BTreeMap<SecretRef, Place>,
    /// What keeps Vault as a whole from answering.
    vault: Option<Trouble>,
    /// Changes by key.
    changes: BTreeMap<String, u64>,
    logins: Logins,
}

struct Inner {
    /// Whose secrets are read; all of the configuration where none is named.
    services: Vec<Service>,
    env: Box<dyn EnvSource + Send + Sync>,
    clock: Clock,
    vault: Option<VaultConfig>,
    held: Mutex<Held>,
    session: tokio::sync::Mutex<Session>,
    nudge: Notify,
    changed: watch::Sender<u64>,
}

/// See the module. Clones are the same keyring.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring")
    }
}

impl Keyring {
    /// All secrets of the configuration. Reads what lies on this host; Vault is asked by
    /// [`Keyring::look_at_vault`] and [`Keyring::run`].
    #[must_use]
    pub fn new(config: &Config, env: Box<dyn EnvSource + Send + Sync>, clock: Clock) -> Self {
        Self::of(&[], config, env, clock)
    }

    /// As [`Keyring::new`], with what these services work with and nothing else.
    #[must_use]
    pub fn of(
        services: &[Service],
        config: &Config,
        env: Box<dyn EnvSource + Send + Sync>,
        clock: Clock,
    ) -> Self {
        let keyring = Self::with(services, config.vault.clone(), env, clock);
        keyring.declare(config);
        keyring
    }

    /// A keyring that nothing hangs on.
    #[must_use]
    pub fn empty(clock: Clock) -> Self {
        Self::with(&[], None, Box::new(ProcessEnv), clock)
    }

    fn with(
        services: &[Service],
        vault: Option<VaultConfig>,
        env: Box<dyn EnvSource + Send + Sync>,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner {
            services: services.to_vec(),
            env,
            clock,
            vault,
            held: Mutex::default(),
            session: tokio::sync::Mutex::default(),
            nudge: Notify::new(),
            changed: watch::Sender::new(0),
        }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the references of a configuration that was read again, and looks at all places at
    /// once. Keys that stay keep their values until then.
    pub fn declare(&self, config: &Config) {
        let mut slots: Vec<Slot> = Vec::new();
        let services = &self.0.services;
        let reads = |key: &str| {
            services.is_empty() || services.iter().any(|service| service.reads_secret(key, config))
        };
        {
            let mut held = self.held();
            let mut old: BTreeMap<String, LiveSecrets> =
                held.slots.drain(..).map(|slot| (slot.key, slot.live)).collect();
            for (key, place) in config.secret_refs().into_iter().filter(|(key, _)| reads(key)) {
                match slots.last_mut().filter(|slot| slot.key == key) {
                    Some(slot) => slot.places.push(place.clone()),
                    None => {
                        let live = old.remove(&key).unwrap_or_else(LiveSecrets::named);
                        slots.push(Slot { key, places: vec![place.clone()], live });
                    }
                }
            }
            let named: BTreeSet<&SecretRef> = slots.iter().flat_map(|slot| &slot.places).collect();
            held.places.retain(|place, _| named.contains(place));
            for place in named {
                held.places.entry(place.clone()).or_default();
            }
            held.slots = slots;
        }
        self.look_at_files(true);
        self.publish();
        self.refresh_soon();
    }

    /// The secrets of a configuration key, as they change: current, next. Awaited while none was read.
    #[must_use]
    pub fn live(&self, key: &str) -> LiveSecrets {
        let held = self.held();
        let slot = held.slots.iter().find(|slot| slot.key == key);
        slot.map(|slot| slot.live.clone()).unwrap_or_default()
    }

    /// One secret as it is now: a file is read, of Vault's the one that was read last. The last good
    /// one where the place cannot be read now.
    ///
    /// # Errors
    ///
    /// When it was never read, with the reason.
    pub fn get(&self, place: &SecretRef) -> Result<Secret, SecretError> {
        let fresh = if place.is_vault() { None } else { Some(place.resolve_in(&*self.0.env)) };
        if let Some(Ok(secret)) = fresh {
            return Ok(secret);
        }
        let held = self.held();
        let known = held.places.get(place);
        if let Some(value) = known.and_then(|known| known.value.clone()) {
            return Ok(value);
        }
        if let Some(Err(error)) = fresh {
            return Err(error);
        }
        let trouble = known.and_then(|known| known.trouble.clone()).or_else(|| held.vault.clone());
        let (code, why) = trouble.map_or_else(
            || (&codes::VAULT_AWAY, "Vault was not asked yet".to_owned()),
            |trouble| (trouble.code, trouble.why),
        );
        Err(SecretError { code, why: format!("{place}: {why}"), absent: false })
    }

    /// Rung when a secret that is in use has changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Looks at Vault as soon as it may, not only when it is time.
    pub fn refresh_soon(&self) {
        self.0.nudge.notify_one();
    }

    /// The first of the keys that `wanted` takes whose secret was never read.
    #[must_use]
    pub fn missing(&self, wanted: impl Fn(&str) -> bool) -> Option<Missing> {
        let held = self.held();
        let slot = held.slots.iter().filter(|slot| wanted(&slot.key)).find_map(|slot| {
            let places = slot.places.iter().enumerate();
            let mut lacking = places.filter(|(at, place)| {
                let known = held.places.get(place);
                let lacks = known.is_none_or(|known| known.value.is_none());
                lacks && !(slot.may_lack(*at) && known.is_some_and(|known| known.absent))
            });
            lacking.next().map(|(_, place)| (slot, place))
        });
        let (slot, place) = slot?;
        let trouble = held.places.get(place).and_then(|known| known.trouble.clone());
        let trouble = trouble.or_else(|| held.vault.clone()).unwrap_or_else(|| Trouble {
            code: &codes::VAULT_AWAY,
            why: "Vault was not asked yet".to_owned(),
            since: self.0.clock.wall(),
        });
        Some(Missing { key: slot.key.clone(), in_vault: place.is_vault(), trouble })
    }

    /// What keeps secrets from being read again, the longest first. Those that were read stay in force.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        let held = self.held();
        let places = held.places.values().filter_map(|place| place.trouble.as_ref());
        held.vault.iter().chain(places).min_by_key(|trouble| trouble.since).cloned()
    }

    /// What keeps Vault from giving what it is asked for.
    #[must_use]
    pub fn vault_trouble(&self) -> Option<Trouble> {
        let held = self.held();
        let places = held.places.iter().filter(|(place, _)| place.is_vault());
        let places = places.filter_map(|(_, place)| place.trouble.as_ref());
        held.vault.iter().chain(places).min_by_key(|trouble| trouble.since).cloned()
    }

    /// Every key whose secret cannot be had now, for `muttctl check`.
    #[must_use]
    pub fn unresolved(&self) -> Vec<(String, SecretError)> {
        let held = self.held();
        let mut found = Vec::new();
        for slot in &held.slots {
            for (at, place) in slot.places.iter().enumerate() {
                let Some(known) = held.places.get(place) else { continue };
                if known.value.is_some() || (slot.may_lack(at) && known.absent) {
                    continue;
                }
                let trouble = known.trouble.as_ref().or(held.vault.as_ref());
                let (code, why) = trouble.map_or_else(
                    || (&codes::VAULT_AWAY, "Vault was not asked".to_owned()),
                    |trouble| (trouble.code, trouble.why.clone()),
                );
                found.push((slot.key.clone(), SecretError { code, why, absent: known.absent }));
            }
        }
        found
    }

    /// Exports what it counts.
    pub fn export(&self, metrics: &ServiceMetrics) {
        use mutt_model::metrics as names;
        let changes = metrics.counters(&names::SECRET_CHANGES);
        let missing = metrics.gauge(&names::SECRETS_MISSING);
        let stale = metrics.gauge(&names::SECRETS_STALE);
        let vault = self
            .0
            .vault
            .is_some()
            .then(|| (metrics.gauge(&names::VAULT_UP), metrics.counters(&names::VAULT_LOGINS)));
        let keyring = self.clone();
        metrics.on_scrape(move || {
            missing.set(keyring.unresolved().len() as f64);
            let now = keyring.0.clock.wall();
            stale.set(keyring.trouble().map_or(0.0, |t| now.since(t.since).as_secs_f64()));
            if let Some((up, logins)) = &vault {
                up.set(if keyring.vault_trouble().is_none() { 1.0 } else { 0.0 });
                let counted = keyring.held().logins;
                for (outcome, count) in [("ok", counted.ok), ("refused", counted.refused)] {
                    let labels = vec![("outcome", outcome.to_owned())];
                    raise_to(&logins.get_or_create(&labels), count);
                }
            }
            for (key, count) in &keyring.held().changes {
                raise_to(&changes.get_or_create(&vec![("key", key.clone())]), *count);
            }
        });
    }

    /// Looks at every place until `stop`.
    ///
    /// # Errors
    ///
    /// None: what fails is told and tried again.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), String> {
        let (mut failures, mut due) = (0_u32, Duration::ZERO);
        loop {
            let now = self.0.clock.monotonic();
            tokio::task::block_in_place(|| self.look_at_files(false));
            if let Some(vault) = self.0.vault.as_ref().filter(|_| now >= due) {
                let ok = tokio::select! {
                    () = stop.cancelled() => break,
                    ok = self.look_at_vault() => ok,
                };
                failures = if ok { 0 } else { failures.saturating_add(1) };
                let pause = if ok { vault.refresh } else { pause_after(failures, vault.refresh) };
                let jitter = 0.9 + 0.1 * fastrand::f64();
                due = self.0.clock.monotonic().saturating_add(pause.mul_f64(jitter));
                if let Some(renew) = self.0.session.lock().await.due_at() {
                    due = due.min(renew);
                }
            }
            self.publish();
            let wait = due.saturating_sub(self.0.clock.monotonic());
            let wait = if self.0.vault.is_some() { wait } else { FILE_LOOK_PERIOD };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.0.nudge.notified() => due = Duration::ZERO,
                () = tokio::time::sleep(wait.min(FILE_LOOK_PERIOD).max(Duration::from_millis(1))) => {}
            }
        }
        self.end().await;
        Ok(())
    }

    /// Gives Vault its token back, as far as it answers in time.
    pub async fn end(&self) {
        let end = async { self.0.session.lock().await.end().await };
        let _ = tokio::time::timeout(FAREWELL, end).await;
    }

    /// Reads every secret of Vault once. `false` when Vault as a whole does not answer.
    pub async fn look_at_vault(&self) -> bool {
        let Some(vault) = &self.0.vault else { return true };
        let mut paths: BTreeMap<String, Vec<SecretRef>> = BTreeMap::new();
        for place in self.held().places.keys() {
            if let SecretRef::Vault(reference) = place {
                paths.entry(reference.path.clone()).or_default().push(place.clone());
            }
        }
        if paths.is_empty() {
            return true;
        }
        let mut session = self.0.session.lock().await;
        let (env, clock) = (&*self.0.env, &self.0.clock);
        let mut failed = session.ready(vault, env, clock).await.err();
        for (path, places) in &paths {
            if failed.is_some() {
                break;
            }
            match session.read(path, vault, env, clock).await {
                Ok(keys) => {
                    for place in places {
                        self.note(place, value_of(&keys, place));
                    }
                }
                Err(error) if matches!(error.fault, VaultFault::Denied | VaultFault::Absent) => {
                    for place in places {
                        self.note(place, Err(of_vault(&error)));
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        if failed.as_ref().is_some_and(|error| error.fault == VaultFault::Away) {
            session.reconnect();
        }
        self.held().logins = session.logins;
        let ok = failed.is_none();
        self.note_vault(failed.or_else(|| session.login_trouble.clone()));
        drop(session);
        self.publish();
        ok
    }

    /// Reads the files that changed, and what was never read. `at_once`: without waiting for a change
    /// to stand still.
    fn look_at_files(&self, at_once: bool) {
        let places: Vec<SecretRef> =
            self.held().places.keys().filter(|place| !place.is_vault()).cloned().collect();
        let env = &*self.0.env;
        for place in places {
            let stamp = place.path_in(env).ok().and_then(|path| stamp_of(&path));
            {
                let mut held = self.held();
                let Some(known) = held.places.get_mut(&place) else { continue };
                let first = known.value.is_none();
                if !first && stamp.is_some() && stamp == known.stamp && known.trouble.is_none() {
                    continue;
                }
                let is_env = matches!(place, SecretRef::Env(_));
                if !first && (is_env || (!at_once && stamp != known.seen)) {
                    known.seen = stamp;
                    continue;
                }
                known.seen = stamp;
            }
            let read = place.resolve_in(env);
            let good = read.is_ok();
            self.note(&place, read);
            if let (true, Some(known)) = (good, self.held().places.get_mut(&place)) {
                known.stamp = stamp;
            }
        }
    }

    /// What a look at a place has shown. Its beginning and its end are logged, not each look.
    fn note(&self, place: &SecretRef, read: Result<Secret, SecretError>) {
        let now = self.0.clock.wall();
        let mut held = self.held();
        let next_of_pair = held.slots.iter().any(|slot| {
            slot.places.iter().position(|p| p == place).is_some_and(|at| slot.may_lack(at))
        });
        let Some(known) = held.places.get_mut(place) else { return };
        match read {
            Ok(secret) => {
                known.value = Some(secret);
                known.absent = false;
                if known.trouble.take().is_some() {
                    tracing::info!(%place, "the secret can be read again");
                }
            }
            Err(error) if error.absent && next_of_pair => {
                (known.value, known.absent, known.trouble) = (None, true, None);
            }
            Err(error) => {
                let news = known.trouble.as_ref().is_none_or(|was| was.code != error.code);
                let since = known.trouble.as_ref().map_or(now, |was| was.since);
                if news && known.value.is_some() {
                    tracing::warn!(code = %error.code, %place, why = %error, "a secret cannot be read again; the last good one stays in force");
                } else if news && place.is_vault() {
                    tracing::error!(code = %error.code, %place, why = %error, "a secret cannot be read; what needs it waits");
                }
                known.trouble = Some(Trouble { code: error.code, why: error.why, since });
            }
        }
    }

    fn note_vault(&self, error: Option<VaultError>) {
        let now = self.0.clock.wall();
        let mut held = self.held();
        let was = held.vault.take();
        match (error, was) {
            (None, None) => {}
            (None, Some(_)) => tracing::info!("Vault gives secrets again"),
            (Some(error), was) => {
                let code = error.code();
                if was.as_ref().is_none_or(|was| was.code != code) {
                    tracing::error!(%code, why = %error, "Vault gives no secrets; those that were read stay in force, and it is tried again");
                }
                let since = was.map_or(now, |was| was.since);
                held.vault = Some(Trouble { code, why: error.why, since });
            }
        }
    }

    /// Puts in force what was read; tells of what changed.
    fn publish(&self) {
        let mut held = self.held();
        let Held { slots, places, changes, .. } = &mut *held;
        let mut any = false;
        for slot in slots {
            let known = |place: &SecretRef| places.get(place).and_then(|p| p.value.clone());
            let mut values: Vec<Secret> = slot.places.iter().filter_map(known).collect();
            values.dedup();
            let before = slot.live.get();
            if values.is_empty() || *before == *values {
                continue;
            }
            if !before.is_empty() {
                tracing::info!(key = slot.key, "a secret has changed and is in force");
                *changes.entry(slot.key.clone()).or_default() += 1;
            }
            slot.live.set(values);
            any = true;
        }
        drop(held);
        if any {
            self.0.changed.send_modify(|count| *count += 1);
        }
    }
}

fn pause_after(failures: u32, refresh: Duration) -> Duration {
    let doubled = RETRY_PAUSE * 2_u32.saturating_pow(failures.saturating_sub(1).min(8));
    doubled.min(RETRY_PAUSE_MAX).min(refresh.max(RETRY_PAUSE))
}

fn of_vault(error: &VaultError) -> SecretError {
    SecretError {
        code: error.code(),
        why: error.why.clone(),
        absent: error.fault == VaultFault::Absent,
    }
}

/// The value of a key; numbers and flags as they are written.
fn value_of(
    keys: &serde_json::Map<String, Value>,
    place: &SecretRef,
) -> Result<Secret, SecretError> {
    let absent =
        |why: String, absent: bool| Err(SecretError { code: &codes::VAULT_ABSENT, why, absent });
    let SecretRef::Vault(reference) = place else {
        return absent(format!("{place} is not in Vault"), false);
    };
    match keys.get(&reference.key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(Secret::new(text.clone())),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Secret::new(value.to_string())),
        Some(_) => absent(
            format!("the key {} at {} is no text, or empty", reference.key, reference.path),
            false,
        ),
        None => {
            absent(format!("the secret at {} has no key {}", reference.path, reference.key), true)
        }
    }
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        inode: meta.ino(),
        length: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}
