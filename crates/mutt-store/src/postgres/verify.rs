//! `muttctl audit verify`: walks the chain of receipts and compares the audit's rows with it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use mutt_model::verdict::Environment;
use mutt_model::{Id, Timestamp};
use serde::Serialize;
use tokio_postgres::Row;

use super::copy::{AuditRow, COLUMNS, encode, table};
use super::receipts::{MARK, Sealed, content, mark, row_digest};
use super::types::Uid;
use super::{Conn, PostgresStore};
use crate::rows::JudgedAs;
use crate::store::StoreError;

/// Receipts that are read at once.
const CHUNK: i64 = 50;
/// Findings that are kept in a report; more are only counted.
const FINDINGS_MAX: usize = 1_000;
const DAY: i64 = 86_400_000_000;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditFault {
    /// Rows differ from what was committed.
    Altered,
    /// Rows are gone whose day is still kept.
    Missing,
    /// Rows stand that no commit wrote.
    Extra,
    /// A receipt differs from what was written, or does not follow the one before it.
    ReceiptAltered,
    /// Receipts are gone between two others, or at the end of the chain.
    ReceiptMissing,
}

/// One place where audit and receipts differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditFinding {
    /// What is wrong.
    pub fault: AuditFault,
    /// The shard; `None` for rows of no receipt.
    pub shard: Option<i32>,
    /// The receipt's number in its shard.
    pub receipt: Option<i64>,
    /// Its batch.
    pub batch: Option<Id>,
    /// The events, where they can be named.
    pub events: Vec<Id>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditVerify {
    /// Receipts that were walked.
    pub receipts: u64,
    /// Rows that are as they were committed.
    pub rows: u64,
    /// Rows that retention has removed with their day; their receipts still link.
    pub retired: u64,
    /// Receipts that retention has removed, before the first one that is kept.
    pub receipts_retired: u64,
    /// What differs, at most 1,000 places.
    pub findings: Vec<AuditFinding>,
    /// Places that differ, all.
    pub faults: u64,
}

impl AuditVerify {
    /// Whether all is as it was committed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults == 0
    }

    fn found(&mut self, fault: AuditFault, receipt: Option<&Receipt>, events: Vec<Id>) {
        self.faults += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(AuditFinding {
                fault,
                shard: receipt.map(|r| r.shard),
                receipt: receipt.map(|r| r.n),
                batch: receipt.map(|r| r.batch),
                events,
            });
        }
    }
}

/// A receipt as it stands.
struct Receipt {
    shard: i32,
    n: i64,
    batch: Id,
    seq_first: i64,
    rows: i32,
    first_at: i64,
    last_at: i64,
    marks: Vec<u8>,
    content: Vec<u8>,
    digest: Vec<u8>,
}

/// The days of which partitions stand and retention took nothing: (handled, day).
type Days = BTreeSet<(bool, i64)>;

impl PostgresStore {
    /// Compares the audit with its receipts, from those committed at `from` on (all: `None`).
    /// `progress` is called with (receipts done, receipts in all). Changes nothing; commits go on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    pub async fn verify_chain(
        &self,
        from: Option<Timestamp>,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<AuditVerify, StoreError> {
        let conn = self.conn("verify the audit").await?;
        let from = from.map_or(i64::MIN, |at| at.0);
        let heads =
            conn.all("SELECT shard, receipts, digest FROM shards ORDER BY shard", &[]).await?;
        let all: i64 = conn
            .one("SELECT COUNT(*) FROM receipts WHERE committed_at >= $1", &[&from])
            .await?
            .get(0);
        let all = u64::try_from(all).unwrap_or(0);
        let mut report = AuditVerify::default();
        for head in heads {
            let (shard, last): (i32, i64) = (head.get(0), head.get(1));
            let digest: Vec<u8> = head.get(2);
            shard_chain(&conn, shard, last, &digest, from, &mut report, &|done| {
                progress(done.min(all), all);
            })
            .await?;
        }
        extra_rows(&conn, from, &mut report).await?;
        progress(all, all);
        Ok(report)
    }
}

async fn days(conn: &Conn) -> Result<Days, StoreError> {
    let mut days = Days::new();
    for handled in [false, true] {
        let rows = conn
            .all(
                "SELECT to_date(substring(c.relname FROM '_p([0-9]{8})$'), 'YYYYMMDD')
                    - date '1970-01-01'
                 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = to_regclass('mutt.' || $1) AND c.relname ~ '_p[0-9]{8}$'
                 EXCEPT SELECT day FROM retired_days WHERE handled = $2",
                &[&table(handled), &handled],
            )
            .await?;
        days.extend(rows.iter().map(|row| (handled, i64::from(row.get::<_, i32>(0)))));
    }
    Ok(days)
}

async fn shard_chain(
    conn: &Conn,
    shard: i32,
    last: i64,
    head: &[u8],
    from: i64,
    report: &mut AuditVerify,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), StoreError> {
    let first: Option<i64> = conn
        .one(
            "SELECT MIN(n) FROM receipts WHERE shard = $1 AND committed_at >= $2",
            &[&shard, &from],
        )
        .await?
        .get(0);
    let Some(first) = first else {
        if last > 0 && from == i64::MIN {
            let gone = Receipt { shard, n: last, ..Receipt::none() };
            report.found(AuditFault::ReceiptMissing, Some(&gone), Vec::new());
        }
        return Ok(());
    };
    if from == i64::MIN {
        report.receipts_retired += u64::try_from(first - 1).unwrap_or(0);
    }
    let sql = "SELECT digest FROM receipts WHERE shard = $1 AND n = $2";
    let before = conn.opt(sql, &[&shard, &(first - 1)]).await?.map(|row| row.get::<_, Vec<u8>>(0));
    // The chain's beginning follows nothing; what follows a retired receipt is taken as it is.
    let mut before = if first == 1 { Some(Vec::new()) } else { before };
    let mut next = first;
    while next <= last {
        let rows = conn
            .all(
                "SELECT n, batch_id, seq_first, rows, first_at, last_at, marks, content, digest
                 FROM receipts WHERE shard = $1 AND n >= $2 AND n <= $3 ORDER BY n LIMIT $4",
                &[&shard, &next, &last, &CHUNK],
            )
            .await?;
        if rows.is_empty() {
            break;
        }
        let days = days(conn).await?;
        for row in &rows {
            let receipt = Receipt::read(shard, row);
            if receipt.n != next {
                report.found(AuditFault::ReceiptMissing, Some(&receipt), Vec::new());
                before = None;
            }
            let follows = before
                .as_ref()
                .is_none_or(|before| receipt.sealed().digest(before).as_slice() == receipt.digest);
            if !follows || receipt.marks.len() != MARK * usize::try_from(receipt.rows).unwrap_or(0)
            {
                report.found(AuditFault::ReceiptAltered, Some(&receipt), Vec::new());
            } else {
                compare(conn, &receipt, &days, report).await?;
            }
            next = receipt.n + 1;
            before = Some(receipt.digest);
            report.receipts += 1;
        }
        progress(report.receipts);
    }
    if next <= last || before.as_deref() != Some(head) {
        // The shard's own row knows the chain's end. A commit of this moment moves both together.
        let sql = "SELECT receipts FROM shards WHERE shard = $1";
        let now: i64 = conn.one(sql, &[&shard]).await?.get(0);
        if next <= last || now == last {
            let gone = Receipt { shard, n: last, ..Receipt::none() };
            report.found(AuditFault::ReceiptMissing, Some(&gone), Vec::new());
        }
    }
    Ok(())
}

impl Receipt {
    fn none() -> Self {
        Self {
            shard: 0,
            n: 0,
            batch: Id::default(),
            seq_first: 0,
            rows: 0,
            first_at: 0,
            last_at: 0,
            marks: Vec::new(),
            content: Vec::new(),
            digest: Vec::new(),
        }
    }

    fn read(shard: i32, row: &Row) -> Self {
        Self {
            shard,
            n: row.get(0),
            batch: row.get::<_, Uid>(1).0,
            seq_first: row.get(2),
            rows: row.get(3),
            first_at: row.get(4),
            last_at: row.get(5),
            marks: row.get(6),
            content: row.get(7),
            digest: row.get(8),
        }
    }

    fn sealed(&self) -> Sealed<'_> {
        let mut content = [0; 32];
        if self.content.len() == 32 {
            content.copy_from_slice(&self.content);
        }
        Sealed {
            shard: self.shard,
            n: self.n,
            batch: self.batch,
            seq_first: self.seq_first,
            rows: self.rows,
            marks: &self.marks,
            content,
        }
    }
}

fn id_of(mark: &[u8]) -> Id {
    let mut id = [0; 16];
    id.copy_from_slice(&mark[..16]);
    Id(id)
}

/// A row of the audit as it stands: its digest and id.
fn digest_of(row: &Row, handled: bool) -> (Id, [u8; 32]) {
    let id = row.get::<_, Uid>(1).0;
    let dev: bool = row.get(7);
    let judged = JudgedAs {
        handled,
        ruleset: row.get(3),
        rule_id: row.get(4),
        alert_id: row.get::<_, Option<Uid>>(5).map(|id| id.0),
        environment: if dev { Environment::Dev } else { Environment::Prod },
        decision: row.get(9),
        team: row.get(10),
    };
    let severity: Option<i16> = row.get(6);
    let audit = AuditRow {
        received_at: Timestamp(row.get(0)),
        id,
        seq: row.get(2),
        // A number that no event has was not written by a commit: the digest will differ.
        severity: severity.map(|s| u8::try_from(s).unwrap_or(u8::MAX)),
        host: row.get(8),
        judged,
        body: row.get(11),
    };
    let mut bytes = BytesMut::with_capacity(audit.body.len() + 200);
    encode(&mut bytes, &audit);
    (id, row_digest(handled, &bytes))
}

/// The rows of one receipt.
async fn compare(
    conn: &Conn,
    receipt: &Receipt,
    days: &Days,
    report: &mut AuditVerify,
) -> Result<(), StoreError> {
    let mut standing: BTreeMap<i64, [u8; 32]> = BTreeMap::new();
    let (mut altered, mut extra) = (Vec::new(), Vec::new());
    let end = receipt.seq_first + i64::from(receipt.rows);
    for handled in [false, true] {
        if receipt.rows == 0 {
            break;
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM {} WHERE received_at >= $1 AND received_at <= $2
             AND seq >= $3 AND seq < $4 ORDER BY seq",
            table(handled)
        );
        let params: super::pool::Params<'_> =
            &[&receipt.first_at, &receipt.last_at, &receipt.seq_first, &end];
        for row in conn.all(&sql, params).await? {
            let (id, digest) = digest_of(&row, handled);
            let place = row.get::<_, i64>(2) - receipt.seq_first;
            let at = usize::try_from(place).unwrap_or(0) * MARK;
            if standing.insert(place, digest).is_some() {
                extra.push(id);
            } else if receipt.marks[at..at + MARK] != mark(id, handled, &digest) {
                altered.push(id);
            }
        }
    }
    let (mut missing, mut retired) = (Vec::new(), 0);
    for (place, mark) in receipt.marks.chunks_exact(MARK).enumerate() {
        if standing.contains_key(&i64::try_from(place).unwrap_or(i64::MAX)) {
            continue;
        }
        let handled = mark[MARK - 1] & 1 == 1;
        let id = id_of(mark);
        let made = i64::try_from(id.millis()).unwrap_or(i64::MAX).saturating_mul(1_000);
        let day = made.clamp(receipt.first_at, receipt.last_at).div_euclid(DAY);
        if days.contains(&(handled, day)) {
            missing.push(id);
        } else {
            retired += 1;
        }
    }
    let whole = standing.len() == usize::try_from(receipt.rows).unwrap_or(0);
    let digests: Vec<u8> = standing.values().flatten().copied().collect();
    if whole && altered.is_empty() && content(&digests).as_slice() != receipt.content {
        // Made to have the same short digest: not to be named, but found.
        altered.extend(receipt.marks.chunks_exact(MARK).map(id_of));
    }
    report.rows += (standing.len() - altered.len().min(standing.len())) as u64;
    report.retired += retired;
    for (fault, events) in
        [(AuditFault::Altered, altered), (AuditFault::Missing, missing), (AuditFault::Extra, extra)]
    {
        if !events.is_empty() {
            report.found(fault, Some(receipt), events);
        }
    }
    Ok(())
}

/// Rows that no receipt covers, by place and time both. Rows from before the oldest receipt that is kept
/// of every shard cannot be judged. A place of 0 or less no commit gives: such rows come with an archive
/// of a store that keeps no places, and nowhere else may they stand.
async fn extra_rows(conn: &Conn, from: i64, report: &mut AuditVerify) -> Result<(), StoreError> {
    let floor: i64 = conn
        .one(
            "SELECT COALESCE(MAX(seq), 1) FROM (SELECT MIN(seq_first) AS seq FROM receipts
             GROUP BY shard HAVING MIN(n) > 1) AS s",
            &[],
        )
        .await?
        .get(0);
    for (handled, day) in days(conn).await? {
        let begin = day * DAY;
        if begin + DAY <= from {
            continue;
        }
        let table = table(handled);
        let sql = format!(
            "SELECT a.id FROM {table} a WHERE a.received_at >= $1 AND a.received_at < $2
             AND (a.seq >= $3 AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM receipts r
                    WHERE r.seq_first <= a.seq AND r.rows > 0
                    ORDER BY r.seq_first DESC LIMIT 1) AS c
                WHERE a.seq < c.seq_first + c.rows
                    AND a.received_at BETWEEN c.first_at AND c.last_at)
             OR a.seq <= 0 AND NOT EXISTS (SELECT 1 FROM archives p
                WHERE p.source = '{table}' AND p.restored_at IS NOT NULL
                    AND a.received_at >= p.span_from AND a.received_at < p.span_until)) LIMIT 1000",
        );
        let rows = conn.all(&sql, &[&begin, &(begin + DAY), &floor]).await?;
        let ids: Vec<Id> = rows.iter().map(|row| row.get::<_, Uid>(0).0).collect();
        if !ids.is_empty() {
            report.found(AuditFault::Extra, None, ids);
        }
    }
    Ok(())
}
