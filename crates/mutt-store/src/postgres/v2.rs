//! Reads the tables of the Python MUTT (v2) for the import. The session is read-only.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, Timestamp};
use tokio_postgres::{Client, Row};

use super::PgOptions;
use super::pool::{Params, Pool, bare};
use super::target::Target;
use crate::store::{OpenError, StoreError};

/// Rules, development hosts or teams that are read at most; of more, none.
const LIST_MAX: i64 = 100_000;

/// A row of `alert_rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V2Rule {
    /// v2's own id.
    pub id: i64,
    /// Text or pattern.
    pub match_string: Option<String>,
    /// OID, often with a leading dot.
    pub trap_oid: Option<String>,
    /// 0 to 7.
    pub syslog_severity: Option<i32>,
    /// `contains`, `regex` or `oid_prefix`.
    pub match_type: String,
    /// Lowest wins.
    pub priority: i64,
    /// Decision on production hosts.
    pub prod_handling: String,
    /// Decision on development hosts.
    pub dev_handling: String,
    /// Team.
    pub team_assignment: String,
    /// Whether it matches at all.
    pub is_active: bool,
}

/// A row of `event_audit_log` or of its archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V2AuditRow {
    /// The id within its table.
    pub id: i64,
    /// Of a row of the archive: the id that it had in `event_audit_log`, where v2 noted it.
    pub original_id: Option<i64>,
    /// Where the next page goes on: the event's time as PostgreSQL writes it.
    pub mark: String,
    /// The event's time; `None` for an infinite one.
    pub at: Option<Timestamp>,
    /// The device.
    pub hostname: String,
    /// v2's id of the rule that won.
    pub rule: i64,
    /// What was decided.
    pub decision: String,
    /// Whether it was meant to leave.
    pub forwarded: bool,
    /// The event as JSON text, where it was kept.
    pub raw: Option<String>,
}

/// The two tables of audited events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V2Audit {
    /// `event_audit_log`
    Log,
    /// `event_audit_log_archive`
    Archive,
}

impl V2Audit {
    /// The table's name.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Log => "event_audit_log",
            Self::Archive => "event_audit_log_archive",
        }
    }
}

/// v2's database. Nothing in it is ever changed.
pub struct V2Database {
    client: Client,
    /// Drives the connection.
    _pool: Arc<Pool>,
}

impl std::fmt::Debug for V2Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("V2Database").finish_non_exhaustive()
    }
}

fn text(row: &Row, at: usize) -> String {
    row.get::<_, Option<String>>(at).unwrap_or_default()
}

impl V2Database {
    /// Connects, in the schema `public`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`] for options that cannot work, [`StoreError::Transient`].
    pub async fn open(options: &PgOptions, clock: &Clock) -> Result<Self, StoreError> {
        let target = Target::new(options, None).map_err(|why| {
            StoreError::Open(OpenError::Other(why.replace("store.url", "the database URL")))
        })?;
        let pool = Arc::new(Pool::new(target, 1, clock.clone()));
        let client = pool.connect(Box::new(|_| ())).await.map_err(|trouble| {
            StoreError::Transient { doing: "connect to v2's database", why: trouble.why }
        })?;
        let timeout = options.statement_timeout.max(Duration::from_secs(300)).as_millis();
        let setup = format!(
            "SET default_transaction_read_only = on; SET search_path = public;
             SET statement_timeout = {timeout}"
        );
        client.batch_execute(&setup).await.map_err(bare("prepare v2's session"))?;
        Ok(Self { client, _pool: pool })
    }

    async fn all(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.client.query(sql, params).await.map_err(bare("read v2's database"))
    }

    /// All rows of a table that is held in memory: of too many none, rather than those that fit.
    async fn list(&self, table: &str, sql: &str, max: i64) -> Result<Vec<Row>, StoreError> {
        let rows = self.all(sql, &[&(max + 1)]).await?;
        if i64::try_from(rows.len()).is_ok_and(|rows| rows <= max) {
            return Ok(rows);
        }
        Err(StoreError::Conflict(format!("{table} has more than {max} rows; none of it was taken")))
    }

    /// Whether a table is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    pub async fn has(&self, table: &str) -> Result<bool, StoreError> {
        let rows =
            self.all("SELECT to_regclass('public.' || $1::text) IS NOT NULL", &[&table]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Rows of `config_audit_log`, which are not imported.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    pub async fn config_changes(&self) -> Result<u64, StoreError> {
        let rows = self.all("SELECT count(*) FROM config_audit_log", &[]).await?;
        Ok(rows.first().map_or(0, |row| u64::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
    }

    /// All rules, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`], [`StoreError::Conflict`] where there are more than can be read.
    pub async fn rules(&self) -> Result<Vec<V2Rule>, StoreError> {
        let sql = "SELECT id::bigint, match_string::text, trap_oid::text, syslog_severity::int,
                match_type::text, priority::bigint, prod_handling::text, dev_handling::text,
                team_assignment::text, is_active
            FROM alert_rules ORDER BY id LIMIT $1";
        let rows = self.list("alert_rules", sql, LIST_MAX).await?;
        let rule = |row: &Row| V2Rule {
            id: row.get(0),
            match_string: row.get(1),
            trap_oid: row.get(2),
            syslog_severity: row.get(3),
            match_type: text(row, 4),
            priority: row.get(5),
            prod_handling: text(row, 6),
            dev_handling: text(row, 7),
            team_assignment: text(row, 8),
            is_active: row.get(9),
        };
        Ok(rows.iter().map(rule).collect())
    }

    /// The development hosts.
    ///
    /// # Errors
    ///
    /// As [`V2Database::rules`].
    pub async fn development_hosts(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT hostname::text FROM development_hosts ORDER BY 1 LIMIT $1";
        let rows = self.list("development_hosts", sql, LIST_MAX).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The devices that have a team of their own.
    ///
    /// # Errors
    ///
    /// As [`V2Database::rules`].
    pub async fn teams(&self) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT hostname::text, team_assignment::text FROM device_teams
            ORDER BY 1 LIMIT $1";
        let rows = self.list("device_teams", sql, LIST_MAX).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// How many rows a table of the audit has.
    ///
    /// # Errors
    ///
    /// As [`V2Database::rules`].
    pub async fn audit_rows(&self, table: V2Audit) -> Result<u64, StoreError> {
        let rows = self.all(&format!("SELECT count(*) FROM {}", table.table()), &[]).await?;
        Ok(rows.first().map_or(0, |row| u64::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
    }

    /// The next rows of the audit after `after`, by id and time.
    ///
    /// # Errors
    ///
    /// As [`V2Database::rules`].
    pub async fn audit(
        &self,
        table: V2Audit,
        after: Option<&V2AuditRow>,
        limit: i64,
    ) -> Result<Vec<V2AuditRow>, StoreError> {
        let original = match table {
            V2Audit::Log => "NULL::bigint",
            V2Audit::Archive => "original_id::bigint",
        };
        let sql = format!(
            "SELECT id, event_timestamp::text, CASE WHEN isfinite(event_timestamp)
                    THEN (EXTRACT(EPOCH FROM event_timestamp) * 1000000)::bigint END,
                hostname::text, matched_rule_id::bigint, handling_decision::text,
                forwarded_to_moog, raw_message, {original}
             FROM {} WHERE (id, event_timestamp) > ($1, $2::text::timestamptz)
             ORDER BY id, event_timestamp LIMIT $3",
            table.table()
        );
        let (id, mark) = after.map_or((i64::MIN, "-infinity"), |row| (row.id, row.mark.as_str()));
        let rows = self.all(&sql, &[&id, &mark, &limit]).await?;
        let audited = |row: &Row| V2AuditRow {
            id: row.get(0),
            mark: text(row, 1),
            at: row.get::<_, Option<i64>>(2).map(Timestamp),
            hostname: text(row, 3),
            rule: row.get(4),
            decision: text(row, 5),
            forwarded: row.get::<_, Option<bool>>(6).unwrap_or(false),
            raw: row.get(7),
            original_id: row.get(8),
        };
        Ok(rows.iter().map(audited).collect())
    }
}
