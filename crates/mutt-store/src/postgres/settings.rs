//! Settings by version, the change log's other entries, and the reports of processes on all hosts.

use async_trait::async_trait;
use mutt_model::Timestamp;
use tokio_postgres::Row;

use super::rules::log_change;
use super::{Conn, PostgresStore, signal};
use crate::store::{
    Actor, PAGE_MAX, PROCESS_TTL, PROCESSES_MAX, Page, Process, ProcessReport, Recorded,
    SETTINGS_VERSIONS_KEPT, SPILL_REMEMBERED, Settings, SettingsChange, SettingsStore,
    SettingsVersion, StoreError, no_version, plan,
};

async fn version(conn: &Conn) -> Result<i64, StoreError> {
    Ok(conn.one("SELECT COALESCE(MAX(version), 0) FROM settings", &[]).await?.get(0))
}

async fn load(conn: &Conn, wanted: Option<i64>) -> Result<Settings, StoreError> {
    let version = match wanted {
        Some(version) => version,
        None => version(conn).await?,
    };
    match conn.opt("SELECT body FROM settings WHERE version = $1", &[&version]).await? {
        Some(row) => Ok(Settings { version, values: serde_json::from_str(row.get(0))? }),
        None if version == 0 => Ok(Settings::default()),
        None => Err(no_version(version)),
    }
}

async fn change(
    conn: &Conn,
    change: SettingsChange,
    expected: Option<i64>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Settings, StoreError> {
    // One change at a time; readers go on.
    conn.batch("LOCK TABLE settings IN SHARE ROW EXCLUSIVE MODE").await?;
    let current = load(conn, None).await?;
    let target = match change {
        SettingsChange::RollBack(version) => Some(load(conn, Some(version)).await?),
        SettingsChange::Edit(_) => None,
    };
    let planned = plan(&current, change, target, expected, actor, now)?;
    if planned.entry.edits.is_empty() {
        return Ok(current);
    }
    let (settings, entry) = (&planned.settings, &planned.entry);
    let edits = serde_json::to_string(&entry.edits)?;
    let body = serde_json::to_string(&settings.values)?;
    conn.run(
        "INSERT INTO settings (version, at, who, reason, rolled_back_to, edits, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &settings.version,
            &entry.at.0,
            &entry.who,
            &entry.reason,
            &entry.rolled_back_to,
            &edits,
            &body,
        ],
    )
    .await?;
    let kept = i64::try_from(SETTINGS_VERSIONS_KEPT).unwrap_or(i64::MAX);
    let oldest = settings.version.saturating_sub(kept);
    conn.run("DELETE FROM settings WHERE version <= $1", &[&oldest]).await?;
    for change in planned.changes() {
        log_change(conn, &change).await?;
    }
    conn.batch(signal::NOTIFY_SETTINGS).await?;
    Ok(planned.settings)
}

fn from_row(row: &Row) -> Result<SettingsVersion, StoreError> {
    Ok(SettingsVersion {
        version: row.get(0),
        at: Timestamp(row.get(1)),
        who: row.get(2),
        reason: row.get(3),
        rolled_back_to: row.get(4),
        edits: serde_json::from_str(row.get(5))?,
    })
}

/// Whether the report of a process that is gone is still worth keeping: events lie in its spill, and
/// no successor in the same place has told of them.
fn is_remembered(report: &ProcessReport, age_us: i64, live: &[ProcessReport]) -> bool {
    let remembered = i64::try_from(SPILL_REMEMBERED.as_micros()).unwrap_or(i64::MAX);
    let succeeded = |other: &ProcessReport| {
        other.host == report.host
            && other.data_dir == report.data_dir
            && !other.services.is_disjoint(&report.services)
    };
    report.spilled_events > 0 && age_us <= remembered && !live.iter().any(succeeded)
}

/// All reports that count now, and the ids of those that are over.
async fn reports(conn: &Conn, now: Timestamp) -> Result<(Vec<Process>, Vec<String>), StoreError> {
    let rows = conn.all("SELECT id, reported_at, body FROM processes", &[]).await?;
    let mut read = Vec::with_capacity(rows.len());
    for row in &rows {
        let report: ProcessReport = serde_json::from_str(row.get(2))?;
        let at = Timestamp(row.get(1));
        read.push(Process { report, reported_at: at, live: now.since(at) <= PROCESS_TTL });
    }
    let live: Vec<_> = read.iter().filter(|p| p.live).map(|p| p.report.clone()).collect();
    let (kept, over): (Vec<_>, Vec<_>) = read.into_iter().partition(|process| {
        let age = now.0.saturating_sub(process.reported_at.0);
        process.live || is_remembered(&process.report, age, &live)
    });
    let mut kept = kept;
    kept.sort_by(|a, b| {
        let order = |p: &Process| (p.report.host.clone(), p.report.started_at);
        order(a).cmp(&order(b)).then_with(|| a.report.id.cmp(&b.report.id))
    });
    Ok((kept, over.into_iter().map(|process| process.report.id).collect()))
}

#[async_trait]
impl SettingsStore for PostgresStore {
    async fn settings_version(&self) -> Result<i64, StoreError> {
        version(&self.conn("read the settings' version").await?).await
    }

    async fn settings(&self, version: Option<i64>) -> Result<Settings, StoreError> {
        load(&self.conn("read the settings").await?, version).await
    }

    async fn change_settings(
        &self,
        wanted: SettingsChange,
        expected: Option<i64>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Settings, StoreError> {
        let conn = self.conn("change the settings").await?;
        conn.begin().await?;
        let changed = match change(&conn, wanted, expected, actor, now).await {
            Ok(changed) => changed,
            Err(error) => return Err(conn.refuse(error).await),
        };
        conn.commit().await?;
        self.signals.settings.ring();
        Ok(changed)
    }

    async fn settings_history(
        &self,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<SettingsVersion>, StoreError> {
        let wrong = |_| StoreError::Data("the cursor is not one that this store gave".to_owned());
        let before: i64 = cursor.map_or(Ok(i64::MAX), str::parse).map_err(wrong)?;
        let limit = limit.clamp(1, PAGE_MAX);
        let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let conn = self.conn("read the settings' history").await?;
        let rows = conn
            .all(
                "SELECT version, at, who, reason, rolled_back_to, edits FROM settings
                 WHERE version < $1 ORDER BY version DESC LIMIT $2",
                &[&before, &most],
            )
            .await?;
        let more = rows.len() > limit;
        let items = rows.iter().take(limit).map(from_row).collect::<Result<Vec<_>, _>>()?;
        let next_cursor = items.last().filter(|_| more).map(|last| last.version.to_string());
        Ok(Page { items, next_cursor, complete: true })
    }

    async fn record_change(
        &self,
        change: Recorded,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let conn = self.conn("write the change log").await?;
        log_change(&conn, &change.into_change(actor, now)).await
    }

    async fn report_process(&self, report: &ProcessReport) -> Result<(), StoreError> {
        let conn = self.conn("report the process").await?;
        let (now, body) = (self.now(&conn).await?, serde_json::to_string(report)?);
        conn.run(
            "INSERT INTO processes (id, reported_at, body) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET reported_at = $2, body = $3",
            &[&report.id, &now.0, &body],
        )
        .await?;
        let (kept, mut over) = reports(&conn, now).await?;
        if kept.len() > PROCESSES_MAX {
            let mut oldest: Vec<_> = kept.iter().map(|p| (p.reported_at, &p.report.id)).collect();
            oldest.sort();
            let beyond = oldest.iter().take(kept.len() - PROCESSES_MAX);
            over.extend(beyond.map(|(_, id)| (*id).clone()));
        }
        if !over.is_empty() {
            // It may have reported again since it was read.
            let since = now.minus(PROCESS_TTL).0;
            conn.run(
                "DELETE FROM processes WHERE id = ANY($1) AND reported_at < $2",
                &[&over, &since],
            )
            .await?;
        }
        Ok(())
    }

    async fn end_process(&self, id: &str) -> Result<(), StoreError> {
        let conn = self.conn("end the process").await?;
        let row = conn.opt("SELECT body FROM processes WHERE id = $1", &[&id]).await?;
        let Some(row) = row else { return Ok(()) };
        let report: ProcessReport = serde_json::from_str(row.get(0))?;
        // What lies in its spill is not forgotten; it only counts as gone from now on.
        if report.spilled_events > 0 {
            let ttl = i64::try_from(PROCESS_TTL.as_micros()).unwrap_or(i64::MAX);
            let sql = "UPDATE processes SET reported_at = reported_at - $2 - 1 WHERE id = $1";
            conn.run(sql, &[&id, &ttl]).await?;
        } else {
            conn.run("DELETE FROM processes WHERE id = $1", &[&id]).await?;
        }
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<Process>, StoreError> {
        let conn = self.conn("read the processes").await?;
        let now = self.now(&conn).await?;
        Ok(reports(&conn, now).await?.0)
    }
}
