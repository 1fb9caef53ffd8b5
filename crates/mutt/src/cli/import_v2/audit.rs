//! v2's audited events, at the times that they had.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::rule::Handling;
use mutt_model::verdict::{Environment, Verdict};
use mutt_model::{BatchBuilder, Clock, Id, Timestamp};
use mutt_store::postgres::v2::{V2Audit, V2AuditRow, V2Database};
use mutt_store::store::{CommitPolicy, CommitWork, IMPORT_SHARD, JudgedBatch, Store};

use super::super::failure::Failure;
use super::records::{Record, audited, derived};
use super::report::Report;
use super::rules::RuleIds;
use super::{store_failed, v2_failed};

/// Rows that are read, and committed, at once.
const PAGE: usize = 500;
/// A row whose time lies further ahead than this is refused: a device's clock was wrong.
const AHEAD_MAX: Duration = Duration::from_secs(86_400);

/// Reads both tables and, with `apply`, commits what does not stand here yet.
pub(super) async fn import(
    v2: &V2Database,
    store: &dyn Store,
    rules: &RuleIds,
    apply: bool,
    report: &mut Report,
) -> Result<(), Failure> {
    let set = store.rule_set(None).await.map_err(|error| store_failed(&error))?;
    let work = Import { store, rules, apply, dev_hosts: set.dev_hosts, version: set.version };
    for table in [V2Audit::Log, V2Audit::Archive] {
        if !v2.has(table.table()).await.map_err(|error| v2_failed(&error))? {
            continue;
        }
        report.count(table.table());
        let mut last: Option<V2AuditRow> = None;
        loop {
            let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
            let rows = v2.audit(table, last.as_ref(), limit).await;
            let rows = rows.map_err(|error| v2_failed(&error))?;
            work.page(table, &rows, report).await?;
            let full = rows.len() == PAGE;
            last = rows.into_iter().next_back();
            if !full {
                break;
            }
        }
    }
    Ok(())
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
    ) -> Result<(), Failure> {
        let name = table.table();
        let mut fresh = Vec::new();
        for row in rows {
            report.count(name).found += 1;
            let at = match moment(row) {
                Ok(at) => at,
                Err(why) => {
                    report.refuse(name, row.id, format!("{why}: {}", row.mark));
                    continue;
                }
            };
            let record = audited(name, row, at);
            let there = self.store.event(record.id).await.map_err(|error| store_failed(&error))?;
            if there.is_some() {
                report.count(name).there += 1;
            } else {
                fresh.push((record, self.verdict(row)));
            }
        }
        if !self.apply {
            report.count(name).taken += fresh.len() as u64;
            return Ok(());
        }
        let mut left = fresh.as_slice();
        while !left.is_empty() {
            left = self.commit(name, left, report).await?;
        }
        Ok(())
    }

    /// Commits as many as one batch takes; gives back the others.
    async fn commit<'r>(
        &self,
        name: &str,
        fresh: &'r [(Record, Verdict)],
        report: &mut Report,
    ) -> Result<&'r [(Record, Verdict)], Failure> {
        let (mut full, mut count) = (BatchBuilder::new(Id::default(), IMPORT_SHARD), 0);
        for (record, _) in fresh {
            if full.is_full() {
                break;
            }
            record.push(&mut full);
            count += 1;
        }
        let (now_taken, left) = fresh.split_at(count);
        // The receipt follows from what is in the batch: a commit whose answer was lost is not repeated.
        let ids: Vec<&[u8]> = now_taken.iter().map(|(record, _)| record.id.0.as_slice()).collect();
        let at = now_taken.first().map_or(Timestamp(0), |(record, _)| record.received_at);
        let mut builder = BatchBuilder::new(derived(at, &ids), IMPORT_SHARD);
        now_taken.iter().for_each(|(record, _)| record.push(&mut builder));
        let verdicts = now_taken.iter().map(|(_, verdict)| Some(verdict.clone())).collect();
        let work = CommitWork {
            shard: IMPORT_SHARD,
            generation: 1,
            ruleset: self.version,
            batches: vec![JudgedBatch { batch: Arc::new(builder.finish()), verdicts }],
            policy: Arc::new(CommitPolicy {
                unhandled_threshold: 0,
                unhandled_window: Duration::from_secs(60),
                default_team: String::new(),
                sinks: Vec::new(),
            }),
            now: Clock::System.wall(),
        };
        let done = self.store.commit(work).await.map_err(|error| store_failed(&error))?;
        report.count(name).taken += done.audited;
        report.count(name).there += done.duplicates;
        if done.skipped_batches > 0 {
            report.count(name).there += count as u64;
        }
        if done.lost > 0 {
            report.refuse(name, format!("{} rows", done.lost), "the store refused their data");
        }
        if done.unstorable > 0 {
            report
                .note(format!("{} rows of {name} were kept as their text alone", done.unstorable));
        }
        Ok(left)
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
