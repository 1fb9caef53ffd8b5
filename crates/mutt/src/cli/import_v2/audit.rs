//! v2's audited events, at the times that they had.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::rule::Handling;
use mutt_model::verdict::{Environment, Verdict};
use mutt_model::{BatchBuilder, Clock, Id, Timestamp, failpoint};
use mutt_store::postgres::v2::{V2Audit, V2AuditRow, V2Database};
use mutt_store::store::{CommitPolicy, CommitWork, IMPORT_SHARD, JudgedBatch, Store};

use super::super::failure::Failure;
use super::progress::Progress;
use super::records::{Record, audited, derived};
use super::report::Report;
use super::rules::RuleIds;
use super::{store_failed, v2_failed};

/// Rows that are read, looked for and committed at once.
const PAGE: i64 = 4_000;
/// A row whose time lies further ahead than this is refused: a device's clock was wrong.
const AHEAD_MAX: Duration = Duration::from_secs(86_400);

/// Reads both tables and, with `apply`, commits what does not stand here yet. Gives the time of the oldest
/// row that stands here then.
pub(super) async fn import(
    v2: &V2Database,
    store: &dyn Store,
    rules: &RuleIds,
    apply: bool,
    report: &mut Report,
) -> Result<Option<Timestamp>, Failure> {
    let mut oldest = None;
    let set = store.rule_set(None).await.map_err(|error| store_failed(&error))?;
    let work = Import { store, rules, apply, dev_hosts: set.dev_hosts, version: set.version };
    for table in [V2Audit::Log, V2Audit::Archive] {
        if !v2.has(table.table()).await.map_err(|error| v2_failed(&error))? {
            continue;
        }
        report.count(table.table());
        let total = v2.audit_rows(table).await.map_err(|error| v2_failed(&error))?;
        let mut progress = Progress::new(table.table(), total);
        let read = async |after: Option<&V2AuditRow>| {
            v2.audit(table, after, PAGE).await.map_err(|error| v2_failed(&error))
        };
        let mut rows = read(None).await?;
        while let Some(last) = rows.last() {
            // The next ones are read while these are committed.
            let there = report.count(table.table()).there;
            let (next, done) = tokio::join!(read(Some(last)), work.page(table, &rows, report));
            oldest = done?.into_iter().chain(oldest).min();
            let skipped = report.count(table.table()).there - there;
            progress.advance(rows.len() as u64, skipped);
            rows = next?;
        }
        progress.end();
    }
    Ok(oldest)
}

/// How many of these go into one batch.
fn fits(records: &[(Record, Verdict)]) -> usize {
    let mut trial = BatchBuilder::new(Id::default(), IMPORT_SHARD);
    let mut count = 0;
    for (record, _) in records {
        if trial.is_full() {
            break;
        }
        record.push(&mut trial);
        count += 1;
    }
    count
}

struct Import<'a> {
    store: &'a dyn Store,
    rules: &'a RuleIds,
    apply: bool,
    dev_hosts: std::collections::BTreeSet<String>,
    version: i64,
}

/// The row's time, where it can stand here.
fn moment(row: &V2AuditRow) -> Result<Timestamp, &'static str> {
    match row.at {
        None => Err("its time is infinite"),
        Some(at) if at < Timestamp(0) => Err("its time lies before 1970"),
        Some(at) if at > Clock::System.wall().plus(AHEAD_MAX) => Err("its time lies in the future"),
        Some(at) => Ok(at),
    }
}

impl Import<'_> {
    async fn page(
        &self,
        table: V2Audit,
        rows: &[V2AuditRow],
        report: &mut Report,
    ) -> Result<Option<Timestamp>, Failure> {
        let name = table.table();
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            report.count(name).found += 1;
            match moment(row) {
                Ok(at) => records.push((audited(table, row, at), self.verdict(row))),
                Err(why) => report.refuse(name, row.id, format!("{why}: {}", row.mark)),
            }
        }
        let ids: Vec<_> = records.iter().map(|(r, _)| (r.received_at, r.id)).collect();
        let oldest = ids.iter().map(|(at, _)| *at).min();
        let there = self.store.standing(&ids).await.map_err(|error| store_failed(&error))?;
        // v2 may have archived a row twice.
        let (read, mut met) = (records.len(), there);
        records.retain(|(record, _)| met.insert(record.id));
        report.count(name).there += (read - records.len()) as u64;
        if !self.apply {
            report.count(name).taken += records.len() as u64;
        } else if !records.is_empty() {
            failpoint::hit("import.audit.before_commit");
            self.commit(name, &records, report).await?;
            failpoint::hit("import.audit.after_commit");
        }
        Ok(oldest)
    }

    /// Commits them at once, in as many batches as they need.
    async fn commit(
        &self,
        name: &str,
        fresh: &[(Record, Verdict)],
        report: &mut Report,
    ) -> Result<(), Failure> {
        let (mut batches, mut left) = (Vec::new(), fresh);
        while !left.is_empty() {
            let (now_taken, others) = left.split_at(fits(left));
            // The receipt follows from what is in the batch: a commit whose answer was lost is not
            // repeated.
            let ids: Vec<&[u8]> = now_taken.iter().map(|(r, _)| r.id.0.as_slice()).collect();
            let at = now_taken.first().map_or(Timestamp(0), |(record, _)| record.received_at);
            let mut builder = BatchBuilder::new(derived(at, &ids), IMPORT_SHARD);
            now_taken.iter().for_each(|(record, _)| record.push(&mut builder));
            let verdicts = now_taken.iter().map(|(_, verdict)| Some(verdict.clone())).collect();
            batches.push(JudgedBatch { batch: Arc::new(builder.finish()), verdicts, first: false });
            left = others;
        }
        let work = CommitWork {
            shard: IMPORT_SHARD,
            generation: 1,
            ruleset: self.version,
            batches,
            policy: Arc::new(CommitPolicy {
                unhandled_threshold: 0,
                unhandled_window: Duration::from_secs(60),
                default_team: String::new(),
                sinks: Vec::new(),
            }),
            now: Clock::System.wall(),
        };
        let done = self.store.commit(work).await.map_err(|error| store_failed(&error))?;
        let count = report.count(name);
        count.taken += done.audited;
        // By their ids or, a whole batch, by its receipt.
        count.there += (fresh.len() as u64).saturating_sub(done.audited + done.lost);
        if done.lost > 0 {
            report.refuse(name, format!("{} rows", done.lost), "the store refused their data");
            report.count(name).refused += done.lost - 1;
        }
        if done.unstorable > 0 {
            report
                .note(format!("{} rows of {name} were kept as their text alone", done.unstorable));
        }
        Ok(())
    }

    /// What v2 decided. A rule that v2 has no longer keeps its number there, below zero, so that it is
    /// not taken for one of here.
    fn verdict(&self, row: &V2AuditRow) -> Verdict {
        let rule = self.rules.get(&row.rule);
        let dev = self.dev_hosts.contains(&row.hostname.trim().to_lowercase());
        Verdict {
            rule_id: Some(rule.map_or(-row.rule, |rule| rule.id)),
            decision: Some(Handling::parse(&row.decision)),
            environment: if dev { Environment::Dev } else { Environment::Prod },
            team: rule.and_then(|rule| rule.team_assignment.clone()).unwrap_or_default(),
            change: None,
            template: None,
        }
    }
}
