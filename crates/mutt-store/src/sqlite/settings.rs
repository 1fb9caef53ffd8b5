//! Settings by version, the change log's other entries, and the reports of processes. The store
//! belongs to one process, so that reports need no table.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use mutt_model::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::SqliteStore;
use super::read::{collect, wrong_cursor};
use super::rules::log_change;
use crate::store::{
    Actor, PROCESS_TTL, PROCESSES_MAX, Page, Process, ProcessReport, Recorded,
    SETTINGS_VERSIONS_KEPT, Settings, SettingsChange, SettingsStore, SettingsVersion, StoreError,
    no_version, plan,
};

/// The last report of each process with the time of it.
#[derive(Debug, Default)]
pub(super) struct Reports(Mutex<BTreeMap<String, (ProcessReport, Timestamp)>>);

impl Reports {
    fn change(
        &self,
        now: Timestamp,
        change: impl FnOnce(&mut BTreeMap<String, (ProcessReport, Timestamp)>),
    ) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reports.retain(|_, (_, at)| now.since(*at) <= PROCESS_TTL);
        change(&mut reports);
        while reports.len() > PROCESSES_MAX {
            let oldest = reports.iter().min_by_key(|(_, (_, at))| *at).map(|(id, _)| id.clone());
            reports.remove(&oldest.unwrap_or_default());
        }
    }

    fn all(&self, now: Timestamp) -> Vec<Process> {
        let mut all = Vec::new();
        self.change(now, |reports| {
            let live = |(report, at): &(ProcessReport, Timestamp)| Process {
                report: report.clone(),
                reported_at: *at,
                live: true,
            };
            all.extend(reports.values().map(live));
        });
        all.sort_by(|a, b| {
            let order = |p: &Process| (p.report.host.clone(), p.report.started_at);
            order(a).cmp(&order(b)).then_with(|| a.report.id.cmp(&b.report.id))
        });
        all
    }
}

pub(super) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT COALESCE(MAX(version), 0) FROM settings")?
        .query_row([], |row| row.get(0))
}

pub(super) fn load(conn: &Connection, wanted: Option<i64>) -> Result<Settings, StoreError> {
    let version = wanted.map_or_else(|| version(conn), Ok)?;
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM settings WHERE version = ?1")?
        .query_row([version], |row| row.get(0))
        .optional()?;
    match body {
        Some(body) => Ok(Settings { version, values: serde_json::from_str(&body)? }),
        None if version == 0 => Ok(Settings::default()),
        None => Err(no_version(version)),
    }
}

pub(super) fn write(
    conn: &Connection,
    settings: &Settings,
    entry: &SettingsVersion,
) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO settings (version, at, who, reason, rolled_back_to, edits, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            settings.version,
            entry.at.0,
            &entry.who,
            &entry.reason,
            entry.rolled_back_to,
            serde_json::to_string(&entry.edits)?,
            serde_json::to_string(&settings.values)?,
        ),
    )?;
    conn.execute(
        "DELETE FROM settings WHERE version <= ?1",
        [settings.version.saturating_sub(SETTINGS_VERSIONS_KEPT as i64)],
    )?;
    Ok(())
}

fn change(
    conn: &Connection,
    change: SettingsChange,
    expected: Option<i64>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Settings, StoreError> {
    let current = load(conn, None)?;
    let target = match change {
        SettingsChange::RollBack(version) => Some(load(conn, Some(version))?),
        SettingsChange::Edit(_) => None,
    };
    let planned = plan(&current, change, target, expected, actor, now)?;
    if planned.entry.edits.is_empty() {
        return Ok(current);
    }
    write(conn, &planned.settings, &planned.entry)?;
    for change in planned.changes() {
        log_change(conn, &change)?;
    }
    Ok(planned.settings)
}

fn from_row(row: &Row<'_>) -> Result<SettingsVersion, StoreError> {
    Ok(SettingsVersion {
        version: row.get(0)?,
        at: Timestamp(row.get(1)?),
        who: row.get(2)?,
        reason: row.get(3)?,
        rolled_back_to: row.get(4)?,
        edits: serde_json::from_str(&row.get::<_, String>(5)?)?,
    })
}

fn history(
    conn: &Connection,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<SettingsVersion>, StoreError> {
    let before: i64 = cursor.map_or(Ok(i64::MAX), str::parse).map_err(|_| wrong_cursor())?;
    let mut statement = conn.prepare_cached(
        "SELECT version, at, who, reason, rolled_back_to, edits FROM settings
         WHERE version < ?1 ORDER BY version DESC",
    )?;
    let mut rows = statement.query([before])?;
    let cursor = |row: &Row<'_>| row.get::<_, i64>(0).map(|version| version.to_string());
    collect(&mut rows, limit, cursor, |row| from_row(row).map(Some))
}

#[async_trait]
impl SettingsStore for SqliteStore {
    async fn settings_version(&self) -> Result<i64, StoreError> {
        self.read("read the settings' version", |conn| Ok(version(conn)?)).await
    }

    async fn settings(&self, version: Option<i64>) -> Result<Settings, StoreError> {
        self.read("read the settings", move |conn| load(conn, version)).await
    }

    async fn change_settings(
        &self,
        wanted: SettingsChange,
        expected: Option<i64>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Settings, StoreError> {
        let actor = actor.clone();
        let changed = self
            .write("change the settings", move |w| change(&w.conn, wanted, expected, &actor, now))
            .await?;
        self.signals.settings.ring();
        Ok(changed)
    }

    async fn settings_history(
        &self,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<SettingsVersion>, StoreError> {
        let cursor = cursor.map(str::to_owned);
        self.read("read the settings' history", move |conn| history(conn, limit, cursor.as_deref()))
            .await
    }

    async fn record_change(
        &self,
        change: Recorded,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let change = change.into_change(actor, now);
        self.write("write the change log", move |w| log_change(&w.conn, &change)).await
    }

    async fn report_process(&self, report: &ProcessReport) -> Result<(), StoreError> {
        let now = self.clock.wall();
        self.reports.change(now, |reports| {
            reports.insert(report.id.clone(), (report.clone(), now));
        });
        Ok(())
    }

    async fn end_process(&self, id: &str) -> Result<(), StoreError> {
        self.reports.change(self.clock.wall(), |reports| {
            reports.remove(id);
        });
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<Process>, StoreError> {
        Ok(self.reports.all(self.clock.wall()))
    }
}
