//! Settings: values that are changed while MUTT runs, by version; and what running processes report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, Page, StoreError};

/// All overrides together, keys and values, hold at most this many bytes.
pub const SETTINGS_BYTES_MAX: usize = 256 << 10;
/// Versions of the settings that are kept, newest first.
pub const SETTINGS_VERSIONS_KEPT: usize = 500;
/// How often a process reports.
pub const PROCESS_REPORT_PERIOD: Duration = Duration::from_secs(2);
/// A process that has not reported for this long, by the store's clock, is gone.
pub const PROCESS_TTL: Duration = Duration::from_secs(15);
/// What a process that is gone had spilled is shown for this long, or until its successor on the same
/// host and data directory reports.
pub const SPILL_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);
/// Reports that are kept at most; the oldest go.
pub const PROCESSES_MAX: usize = 1_000;

/// The overrides that stand at one version. Version 0 has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Grows with every change; never the same for two contents.
    pub version: i64,
    /// Value by concrete key (`sinks.moog.rate`), written as an environment variable holds it.
    pub values: BTreeMap<String, String>,
}

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsChange {
    /// Sets keys, or (`None`) returns them to what file and environment say; all or nothing.
    Edit(BTreeMap<String, Option<String>>),
    /// Makes the overrides of this version stand again, as a new version.
    RollBack(i64),
}

/// One key in a change or a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingEdit {
    /// The concrete key.
    pub key: String,
    /// Before; `None`: not overridden.
    pub old: Option<String>,
    /// After; `None`: not overridden.
    pub new: Option<String>,
}

/// One version in the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsVersion {
    /// The version that was made.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// The token's name, or `restore`.
    pub who: String,
    /// Why, where it was said.
    pub reason: Option<String>,
    /// The version whose overrides it made stand again.
    pub rolled_back_to: Option<i64>,
    /// What it changed, by key.
    pub edits: Vec<SettingEdit>,
}

/// A change that something else than a table of the store made, for the change log.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// `store`, `sink`, `audit` ...
    pub object: &'static str,
    /// Its id or name.
    pub object_id: String,
    /// `backup`, `restore`, `test`, `archive` ...
    pub action: &'static str,
    /// Before.
    pub old: Option<serde_json::Value>,
    /// After.
    pub new: Option<serde_json::Value>,
}

/// What a process needs and whether it has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Whether it works.
    pub ready: bool,
    /// Since when it does not.
    pub since: Option<Timestamp>,
    /// What `muttctl explain` tells about.
    pub code: Option<String>,
    /// What is wrong.
    pub why: Option<String>,
}

/// What lies in a process's spill, beside the number of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpill {
    /// Its directory on the process's host.
    pub place: String,
    /// Since when everything appended is spilled; `None` while appends go to the server.
    pub spilling_since: Option<Timestamp>,
    /// Why: what the server, or the way to it, said last.
    pub why: Option<String>,
    /// When the oldest event in it was received.
    pub oldest_received_at: Option<Timestamp>,
    /// Bytes of its files.
    pub bytes: u64,
}

/// What a running process tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Made anew at each start.
    pub id: String,
    /// The services that run in it, by name.
    pub services: BTreeSet<String>,
    /// The host's name.
    pub host: String,
    /// The process id on that host.
    pub pid: u32,
    /// The program's version.
    pub program: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Its data directory.
    pub data_dir: String,
    /// The version of the settings that it runs with; `None` before it has read them.
    pub settings: Option<i64>,
    /// Overrides that it does not use, with the reason.
    pub settings_ignored: BTreeMap<String, String>,
    /// The rule set that it judges with; `None` when it judges nothing.
    pub ruleset: Option<i64>,
    /// Events in its spill.
    pub spilled_events: u64,
    /// More of its spill; `None` where it has none, and from a program that did not tell it yet.
    pub spill: Option<ProcessSpill>,
    /// The engines and others it depends on, by name.
    pub dependencies: BTreeMap<String, Dependency>,
    /// What its listeners counted since it started.
    #[serde(default)]
    pub listeners: Vec<ListenerReport>,
    /// Its event queue does not take events now.
    #[serde(default)]
    pub starved: bool,
}

/// What a listener counted since its process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerReport {
    /// `syslog-udp`, `snmp-udp`, `http` ...
    pub name: String,
    /// Frames counted where they are read: datagrams, messages of streams, records of requests.
    #[serde(default)]
    pub arrived: u64,
    /// Events made durable.
    pub stored: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Frames that their sender still has, or that hold no event.
    #[serde(default)]
    pub given_back: u64,
    /// Frames dropped before the append, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Its datagram sockets.
    pub sockets: Vec<SocketReport>,
}

/// What the kernel says of a datagram socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketReport {
    /// Its address.
    pub address: String,
    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub kernel_drops: u64,
    /// Bytes that wait in the receive buffer, with the kernel's overhead.
    pub waiting: u64,
    /// Bytes of the receive buffer that were granted.
    pub buffer: u64,
}

/// A report as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What it said last.
    #[serde(flatten)]
    pub report: ProcessReport,
    /// When, by the store's clock.
    pub reported_at: Timestamp,
    /// Whether it reported within [`PROCESS_TTL`]. A process that is gone is listed only while events
    /// lie in its spill.
    pub live: bool,
}

/// Settings, processes, and entries of the change log that no other call makes.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// The version in force, cheap to ask often.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn settings_version(&self) -> Result<i64, StoreError>;

    /// The overrides in force, or those of an earlier version that is still kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Transient`].
    async fn settings(&self, version: Option<i64>) -> Result<Settings, StoreError>;

    /// Makes one change as a new version, with an entry in the change log for each key, and rings
    /// `signals().settings`. The caller has validated it. With `expected` only while that version is
    /// in force. A change that changes nothing makes no version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when another version is in force, [`StoreError::NotFound`] for a key
    /// that is not overridden or a version that is not kept, [`StoreError::Data`] above
    /// [`SETTINGS_BYTES_MAX`], [`StoreError::Transient`].
    async fn change_settings(
        &self,
        change: SettingsChange,
        expected: Option<i64>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Settings, StoreError>;

    /// The versions that are kept, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] for a wrong cursor, [`StoreError::Transient`].
    async fn settings_history(
        &self,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<SettingsVersion>, StoreError>;

    /// Writes an entry of the change log for what was done elsewhere.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn record_change(
        &self,
        change: Recorded,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Tells that a process lives, by the store's clock; takes the place of its earlier report.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn report_process(&self, report: &ProcessReport) -> Result<(), StoreError>;

    /// A process ends in order: its report goes, unless events lie in its spill.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn end_process(&self, id: &str) -> Result<(), StoreError>;

    /// The live processes, and those that are gone with events in their spill; by host, start and id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn processes(&self) -> Result<Vec<Process>, StoreError>;
}

/// What differs between two versions, by key.
#[must_use]
pub fn diff(from: &Settings, to: &Settings) -> Vec<SettingEdit> {
    let keys: BTreeSet<&String> = from.values.keys().chain(to.values.keys()).collect();
    keys.into_iter()
        .filter(|key| from.values.get(*key) != to.values.get(*key))
        .map(|key| SettingEdit {
            key: key.clone(),
            old: from.values.get(key).cloned(),
            new: to.values.get(key).cloned(),
        })
        .collect()
}

/// A change worked out against the version in force, for a backend to write.
pub(crate) struct Planned {
    /// The new version.
    pub(crate) settings: Settings,
    /// Its line in the history; `edits` is empty when nothing is to be written.
    pub(crate) entry: SettingsVersion,
    /// For the change log.
    pub(crate) action: &'static str,
}

/// Works out a change: `current` is in force, `target` the version that a rollback names.
pub(crate) fn plan(
    current: &Settings,
    change: SettingsChange,
    target: Option<Settings>,
    expected: Option<i64>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Planned, StoreError> {
    if let Some(expected) = expected.filter(|version| *version != current.version) {
        return Err(StoreError::Conflict(format!(
            "the settings are at version {}, not {expected}: look again, then change",
            current.version
        )));
    }
    let mut values = current.values.clone();
    let mut rolled_back_to = None;
    match change {
        SettingsChange::Edit(edits) => {
            for (key, value) in edits {
                if let Some(value) = value {
                    values.insert(key, value);
                } else if values.remove(&key).is_none() {
                    return Err(StoreError::NotFound(format!("{key} is not overridden")));
                }
            }
        }
        SettingsChange::RollBack(version) => {
            let target = target.ok_or_else(|| no_version(version))?;
            rolled_back_to = Some(version);
            values = target.values;
        }
    }
    let bytes: usize = values.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > SETTINGS_BYTES_MAX {
        return Err(StoreError::Data(format!(
            "all settings together hold {bytes} bytes; at most {SETTINGS_BYTES_MAX} are kept"
        )));
    }
    let settings = Settings { version: current.version + 1, values };
    let entry = SettingsVersion {
        version: settings.version,
        at: now,
        who: actor.name.clone(),
        reason: actor.reason.clone(),
        rolled_back_to,
        edits: diff(current, &settings),
    };
    let action = if rolled_back_to.is_some() { "rollback" } else { "set" };
    Ok(Planned { settings, entry, action })
}

impl Planned {
    /// The entries of the change log, one for each key.
    pub(crate) fn changes(&self) -> impl Iterator<Item = super::Change> {
        self.entry.edits.iter().map(|edit| super::Change {
            id: 0,
            at: self.entry.at,
            who: self.entry.who.clone(),
            object: "config".to_owned(),
            object_id: edit.key.clone(),
            action: match (&edit.new, self.action) {
                (None, "set") => "unset".to_owned(),
                (_, action) => action.to_owned(),
            },
            old: edit.old.clone().map(Into::into),
            new: edit.new.clone().map(Into::into),
            reason: self.entry.reason.clone(),
        })
    }
}

impl Recorded {
    /// As the change log has it.
    pub(crate) fn into_change(self, actor: &Actor, now: Timestamp) -> super::Change {
        super::Change {
            id: 0,
            at: now,
            who: actor.name.clone(),
            object: self.object.to_owned(),
            object_id: self.object_id,
            action: self.action.to_owned(),
            old: self.old,
            new: self.new,
            reason: actor.reason.clone(),
        }
    }
}

pub(crate) fn no_version(version: i64) -> StoreError {
    StoreError::NotFound(format!("no settings of version {version} are kept"))
}
