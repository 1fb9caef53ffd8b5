//! One commit: fence, receipts, audit rows, alerts, counters and deliveries in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use mutt_model::batch::encode_body;
use mutt_model::failpoint;
use mutt_model::verdict::{AlertChange, Verdict};
use mutt_model::{Event, Timestamp};

use super::copy::{AuditRow, Rows};
use super::counts::signed;
use super::receipts::{Chain, Marks};
use super::together::together;
use super::types::Uid;
use super::{Conn, NO_SHARD, PostgresStore, alerts, counts, locks, signal};
use crate::book::Book;
use crate::counting::{Rates, Window, lower, meta_alert, shape};
use crate::rows::{Fate, JudgedAs, bare};
use crate::store::{CommitPolicy, CommitStore, CommitWork, Committed, IMPORT_SHARD, StoreError};

/// Rows of one transaction that `seq` has room for.
const ROWS_MAX: usize = 1 << 20;
const DAY: i64 = 86_400_000_000;

struct Item<'b> {
    event: Event<'b>,
    body: &'b [u8],
    verdict: Option<&'b Verdict>,
    fate: Fate,
    /// Place of its batch in the work.
    batch: usize,
}

/// What one transaction has gathered; put back to a copy when a part of it is undone.
#[derive(Clone, Default)]
struct Sums {
    out: Committed,
    rates: Rates,
    /// The newest event, unhandled and handled.
    newest: [Option<Timestamp>; 2],
    rows: usize,
    marks: Vec<Marks>,
}

struct Commit<'a> {
    store: &'a PostgresStore,
    conn: &'a Conn,
    work: &'a CommitWork,
    slot: i32,
    /// Of the transaction's first row.
    seq: i64,
    sums: Sums,
}

#[async_trait]
impl CommitStore for PostgresStore {
    async fn commit(&self, work: CommitWork) -> Result<Committed, StoreError> {
        failpoint::hit("store.commit.before_begin");
        self.make_days(&work, false).await?;
        // The plain way takes no savepoints; data that is refused is looked for on a second way.
        let mut done = self.attempt(&work, false).await;
        if let Err(StoreError::Data(why)) = &done {
            tracing::debug!(why, "bisecting a commit whose data was refused");
            // One cause is no fault of the data: a day's partitions were dropped since.
            self.make_days(&work, true).await?;
            done = self.attempt(&work, true).await;
        }
        let done = done?;
        failpoint::hit("store.commit.after_commit");
        if !done.deliveries.is_empty() {
            self.signals.deliveries.ring();
        }
        Ok(done)
    }

    async fn raise(
        &self,
        change: AlertChange,
        policy: Arc<CommitPolicy>,
        except: Option<&str>,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let conn = self.conn("raise an alert").await?;
        let sinks: Vec<_> =
            policy.sinks.iter().filter(|s| Some(s.name.as_str()) != except).collect();
        conn.begin().await?;
        locks::keys(&conn, [change.key.as_str()]).await?;
        let mut open = alerts::load_open(&conn, &[&change.key]).await?;
        let names: Vec<&str> = sinks.iter().map(|s| s.name.as_str()).collect();
        let blocked = alerts::blocked(&conn, &names).await?;
        let touched = {
            let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            let mut book = Book::new(&mut ids, sinks.iter().copied(), now);
            book.learn(&change.key, open.remove(&change.key));
            book.apply(&change)?;
            book.close()
        };
        let mut out = Committed::default();
        alerts::write(&conn, NO_SHARD, touched, &blocked, now, &mut out).await?;
        counts::add(&conn, NO_SHARD, &out, Rates::default(), now).await?;
        conn.commit().await?;
        if !out.deliveries.is_empty() {
            self.signals.deliveries.ring();
            signal::tell_deliveries(&conn).await;
        }
        Ok(out)
    }
}

impl PostgresStore {
    /// Makes the partitions that the work's events need and that are not known to stand. `anew`: asks
    /// for all of them.
    async fn make_days(&self, work: &CommitWork, anew: bool) -> Result<(), StoreError> {
        let mut wanted = BTreeSet::new();
        for judged in &work.batches {
            let mut events = judged.batch.iter();
            while let Some(read) = events.next_with_body() {
                if let Ok((event, _)) = read {
                    wanted.insert(event.received_at.0.div_euclid(DAY));
                }
            }
        }
        if !anew {
            let known = self.days.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.retain(|day| !known.contains(day));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let conn = self.conn("make partitions").await?;
        for day in &wanted {
            // A day that no date can name is found by the commit itself.
            let Ok(number) = i32::try_from(*day) else { continue };
            let sql = "SELECT mutt_make_partition(date '1970-01-01' + $1::int)";
            match conn.run(sql, &[&number]).await {
                Ok(_) | Err(StoreError::Data(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.days.lock().unwrap_or_else(PoisonError::into_inner).extend(wanted);
        Ok(())
    }

    async fn attempt(&self, work: &CommitWork, careful: bool) -> Result<Committed, StoreError> {
        let conn = self.conn("commit").await?;
        match self.transaction(&conn, work, careful).await {
            Err(error @ (StoreError::Data(_) | StoreError::LeaseLost)) => {
                Err(conn.refuse(error).await)
            }
            done => done,
        }
    }

    async fn transaction(
        &self,
        conn: &Conn,
        work: &CommitWork,
        careful: bool,
    ) -> Result<Committed, StoreError> {
        let slot = i32::from(work.shard);
        conn.ready(&[FENCE, RECEIPTS]).await?;
        let (begun, fenced, standing) = futures_util::future::join3(
            conn.begin(),
            fence(conn, slot, work.generation),
            receipts(conn, slot, work),
        )
        .await;
        begun?;
        let (mut chain, seq) = fenced?;
        let standing = standing?;
        let mut commit =
            Commit { store: self, conn, work, slot, seq: seq << 20, sums: Sums::default() };
        commit.sums.marks = vec![Marks::default(); work.batches.len()];
        let mut items = commit.items(&standing);
        if items.len() > ROWS_MAX {
            return Err(StoreError::Data(format!("more than {ROWS_MAX} events in one commit")));
        }
        if careful {
            // Parts take the locks of their keys one after another: nobody else comes in between.
            locks::all(conn).await?;
            let mut from = 0;
            while from < items.len() {
                let batch = items[from].batch;
                let to = from + items[from..].iter().take_while(|i| i.batch == batch).count();
                commit.guarded(&mut items, from..to).await?;
                from = to;
            }
        } else {
            commit.apply(&items).await?;
        }
        let Sums { out, rates, newest, marks, .. } = commit.sums;
        for (judged, (marks, stands)) in work.batches.iter().zip(marks.iter().zip(&standing)) {
            if !stands {
                chain.add(judged.batch.id(), marks, seq << 20);
            }
        }
        let counted = async {
            if work.shard == IMPORT_SHARD {
                return Ok(());
            }
            counts::add(conn, slot, &out, rates, work.now).await
        };
        together(vec![
            Box::pin(chain.save(conn, slot, work.now)),
            Box::pin(note_rule_set(conn, work.ruleset, slot, newest)),
            Box::pin(counted),
        ])
        .await?;
        failpoint::hit("store.commit.before_commit");
        conn.commit().await?;
        if !out.deliveries.is_empty() {
            signal::tell_deliveries(conn).await;
        }
        Ok(out)
    }
}

const FENCE: &str = "INSERT INTO shards AS s (shard, generation, receipts, digest)
     VALUES ($1, $2, 0, '')
     ON CONFLICT (shard) DO UPDATE SET generation = excluded.generation
        WHERE s.generation <= excluded.generation
     RETURNING receipts, digest, (SELECT base FROM seq_base) + txid_current()";
const RECEIPTS: &str = "SELECT batch_id FROM receipts WHERE shard = $1 AND batch_id = ANY($2)";

/// Locks the shard, refuses an owner that was overtaken, takes note of a newer one. Gives the end of
/// the shard's chain and the transaction's place in the order of commits.
async fn fence(conn: &Conn, slot: i32, generation: u64) -> Result<(Chain, i64), StoreError> {
    let row = conn.opt(FENCE, &[&slot, &signed(generation)]).await?.ok_or(StoreError::LeaseLost)?;
    Ok((Chain::after(row.get(0), row.get(1)), row.get(2)))
}

/// For each batch of the work whether its receipt stands.
async fn receipts(conn: &Conn, slot: i32, work: &CommitWork) -> Result<Vec<bool>, StoreError> {
    let ids: Vec<Uid> = work.batches.iter().map(|judged| Uid(judged.batch.id())).collect();
    let mut known: BTreeSet<Uid> =
        conn.all(RECEIPTS, &[&slot, &ids]).await?.iter().map(|row| row.get(0)).collect();
    // A batch that comes twice in one work is written once.
    Ok(ids.into_iter().map(|id| !known.insert(id)).collect())
}

async fn note_rule_set(
    conn: &Conn,
    ruleset: i64,
    slot: i32,
    newest: [Option<Timestamp>; 2],
) -> Result<(), StoreError> {
    let (mut handled, mut ends) = (Vec::with_capacity(2), Vec::with_capacity(2));
    for (which, at) in [false, true].into_iter().zip(newest) {
        if let Some(at) = at {
            handled.push(which);
            ends.push((at.0.div_euclid(DAY) + 1).saturating_mul(DAY));
        }
    }
    if !ends.is_empty() {
        conn.run(
            "INSERT INTO rule_set_use AS u
             SELECT $1::bigint, handled, $2::int, newest
             FROM unnest($3::boolean[], $4::bigint[]) AS n (handled, newest)
             ON CONFLICT (version, handled, slot) DO UPDATE SET newest = excluded.newest
             WHERE u.newest < excluded.newest",
            &[&ruleset, &slot, &handled, &ends],
        )
        .await?;
    }
    Ok(())
}

impl<'a> Commit<'a> {
    /// The events of the batches that have no receipt; counts what cannot be read.
    fn items(&mut self, standing: &[bool]) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        for (batch, judged) in self.work.batches.iter().enumerate() {
            if standing[batch] {
                self.sums.out.skip(judged);
                continue;
            }
            let mut events = judged.batch.iter();
            let mut verdicts = judged.verdicts.iter();
            while let Some(read) = events.next_with_body() {
                let verdict = verdicts.next().and_then(Option::as_ref);
                match read {
                    Ok((event, body)) => {
                        items.push(Item { event, body, verdict, fate: Fate::Plain, batch });
                    }
                    Err(_) => self.sums.out.lost += 1,
                }
            }
        }
        items
    }

    /// Applies a range inside a savepoint; data that is refused is halved down to the one event.
    async fn guarded(
        &mut self,
        items: &mut [Item<'_>],
        range: Range<usize>,
    ) -> Result<(), StoreError> {
        let mut todo = vec![range];
        while let Some(range) = todo.pop() {
            if range.is_empty() {
                continue;
            }
            let before = self.sums.clone();
            self.conn.batch("SAVEPOINT part").await?;
            match self.apply(&items[range.clone()]).await {
                Ok(()) => {
                    self.conn.batch("RELEASE part").await?;
                    continue;
                }
                Err(StoreError::Data(_)) => {}
                Err(error) => return Err(error),
            }
            self.conn.batch("ROLLBACK TO part; RELEASE part").await?;
            self.sums = before;
            if range.len() > 1 {
                let middle = range.start + range.len() / 2;
                todo.push(middle..range.end);
                todo.push(range.start..middle);
                continue;
            }
            let item = &mut items[range.start];
            item.fate = match item.fate {
                Fate::Plain if self.exists(&item.event).await? => Fate::Duplicate,
                Fate::Plain => Fate::Unstorable,
                Fate::Duplicate | Fate::Unstorable | Fate::Lost => Fate::Lost,
            };
            todo.push(range);
        }
        Ok(())
    }

    /// Whether the event stands in the audit.
    async fn exists(&self, event: &Event<'_>) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM audit WHERE received_at = $1 AND id = $2)";
        Ok(self.conn.one(sql, &[&event.received_at.0, &Uid(event.id)]).await?.get(0))
    }

    async fn apply(&mut self, items: &[Item<'_>]) -> Result<(), StoreError> {
        let repeats = repeats(self.conn, items).await?;
        let mut windows = Windows::read(self.conn, &self.work.policy, items, &repeats).await?;
        let changes = windows.changes(&self.work.policy, items, &repeats);
        let keys: BTreeSet<&str> = changes.values().map(|change| change.key.as_str()).collect();
        let keys: Vec<&str> = keys.into_iter().collect();
        let policy = &self.work.policy;
        let sinks: Vec<&str> = policy.sinks.iter().map(|s| s.name.as_str()).collect();
        let (mut open, blocked) = alerts::lock_and_load(self.conn, &keys, &sinks).await?;
        let size: usize = items.iter().map(|item| item.body.len() + 160).sum();
        let mut rows = [Rows::with_capacity(size / 2), Rows::with_capacity(size / 2)];
        let touched = {
            let mut ids = self.store.ids.lock().unwrap_or_else(PoisonError::into_inner);
            let mut book = Book::new(&mut ids, policy.sinks.iter(), self.work.now);
            for key in &keys {
                book.learn(key, open.remove(*key));
            }
            for (at, item) in items.iter().enumerate() {
                let repeat = repeats.contains(&at);
                self.sums.item(
                    item,
                    repeat,
                    changes.get(&at),
                    self.work.ruleset,
                    self.seq,
                    &mut book,
                    &mut rows,
                )?;
            }
            book.close()
        };
        let [unhandled, handled] = rows;
        let (conn, now) = (self.conn, self.work.now);
        together(vec![
            Box::pin(unhandled.send(conn, false)),
            Box::pin(handled.send(conn, true)),
            Box::pin(alerts::write(conn, self.slot, touched, &blocked, now, &mut self.sums.out)),
            Box::pin(windows.write(conn)),
        ])
        .await
    }
}

impl Sums {
    /// One event: its change applied, its row encoded, counted.
    #[allow(clippy::too_many_arguments, reason = "the parts of one transaction, borrowed apart")]
    fn item(
        &mut self,
        item: &Item<'_>,
        repeat: bool,
        change: Option<&Change>,
        ruleset: i64,
        first_seq: i64,
        book: &mut Book<'_, '_>,
        rows: &mut [Rows; 2],
    ) -> Result<(), StoreError> {
        match item.fate {
            Fate::Lost => {
                self.out.lost += 1;
                return Ok(());
            }
            Fate::Duplicate => {
                self.out.duplicates += 1;
                return Ok(());
            }
            Fate::Plain if repeat => {
                self.out.duplicates += 1;
                return Ok(());
            }
            Fate::Plain | Fate::Unstorable => {}
        }
        let event = &item.event;
        let at = event.received_at;
        let seq = first_seq + self.rows as i64;
        let severity = event.severity.map(mutt_model::Severity::number);
        let handled;
        let encoded = if item.fate == Fate::Unstorable {
            self.out.unstorable += 1;
            let bare = bare(event);
            let body = encode_body(&bare);
            let host = lower(&bare.host);
            let judged = JudgedAs::unstorable(ruleset);
            handled = false;
            let row = AuditRow {
                received_at: at,
                id: event.id,
                seq,
                severity: None,
                host: &host,
                judged,
                body: &body,
            };
            rows[0].push(&row)
        } else {
            let mut alert_id = None;
            if let Some(change) = change {
                alert_id = book.apply(change)?;
                self.out.meta_alerts += u64::from(change.meta);
            }
            let judged = JudgedAs::by(item.verdict, ruleset, alert_id);
            handled = judged.handled;
            let host = lower(&event.host);
            let row = AuditRow {
                received_at: at,
                id: event.id,
                seq,
                severity,
                host: &host,
                judged,
                body: item.body,
            };
            rows[usize::from(handled)].push(&row)
        };
        self.marks[item.batch].add(event.id, at, seq, handled, encoded);
        self.rows += 1;
        self.out.audited += 1;
        self.out.handled += u64::from(handled);
        self.rates.event(at, handled);
        let newest = &mut self.newest[usize::from(handled)];
        *newest = (*newest).max(Some(at));
        Ok(())
    }
}

/// A change that an event asks for.
struct Change {
    change: AlertChange,
    /// Raised by counting, not by a rule.
    meta: bool,
}

impl std::ops::Deref for Change {
    type Target = AlertChange;
    fn deref(&self) -> &AlertChange {
        &self.change
    }
}

/// Takes the keys of the events that have one; the places of those that were taken before and are
/// still kept. In rounds: an event of each key at a time, in order.
async fn repeats(conn: &Conn, items: &[Item<'_>]) -> Result<BTreeSet<usize>, StoreError> {
    let mut repeats = BTreeSet::new();
    let mut left: Vec<usize> = (0..items.len())
        .filter(|at| items[*at].fate == Fate::Plain && items[*at].event.dedup.is_some())
        .collect();
    while !left.is_empty() {
        let mut round: BTreeMap<[u8; 16], (usize, i64, i64)> = BTreeMap::new();
        let mut later = Vec::new();
        for at in left {
            let event = &items[at].event;
            let Some(dedup) = &event.dedup else { continue };
            if let std::collections::btree_map::Entry::Vacant(free) = round.entry(dedup.digest) {
                free.insert((at, dedup.keep_until.0, event.received_at.0));
            } else {
                later.push(at);
            }
        }
        let digests: Vec<&[u8]> = round.keys().map(<[u8; 16]>::as_slice).collect();
        let keep: Vec<i64> = round.values().map(|v| v.1).collect();
        let received: Vec<i64> = round.values().map(|v| v.2).collect();
        // A digest comes once, so that the row's own moment can be found again in the arrays.
        let rows = conn
            .all(
                "INSERT INTO dedup AS d (digest, keep_until)
                 SELECT digest, keep_until FROM unnest($1::bytea[], $2::bigint[])
                    AS n (digest, keep_until)
                 ON CONFLICT (digest) DO UPDATE SET keep_until = excluded.keep_until
                    WHERE d.keep_until < ($3::bigint[])[array_position($1::bytea[], d.digest)]
                 RETURNING digest",
                &[&digests, &keep, &received],
            )
            .await?;
        let taken: BTreeSet<Vec<u8>> = rows.iter().map(|row| row.get(0)).collect();
        for (digest, (at, ..)) in &round {
            if !taken.contains(digest.as_slice()) {
                repeats.insert(*at);
            }
        }
        left = later;
    }
    Ok(repeats)
}

/// Windows of unhandled shapes. A host's events are all of one shard, whose row is locked.
struct Windows(HashMap<i64, Window>);

impl Windows {
    async fn read(
        conn: &Conn,
        policy: &CommitPolicy,
        items: &[Item<'_>],
        repeats: &BTreeSet<usize>,
    ) -> Result<Self, StoreError> {
        let keys: BTreeSet<i64> =
            counted(policy, items, repeats).map(|(_, _, shape)| shape.key).collect();
        let mut windows = HashMap::with_capacity(keys.len());
        if !keys.is_empty() {
            let keys: Vec<i64> = keys.into_iter().collect();
            let sql = "SELECT hash, first_at, count, fired FROM unhandled WHERE hash = ANY($1)";
            for row in conn.all(sql, &[&keys]).await? {
                let count = u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
                let window = Window { first_at: row.get(1), count, fired: row.get(3) };
                windows.insert(row.get(0), window);
            }
        }
        Ok(Self(windows))
    }

    /// Counts in event order; the changes that events ask for, by their place.
    fn changes(
        &mut self,
        policy: &CommitPolicy,
        items: &[Item<'_>],
        repeats: &BTreeSet<usize>,
    ) -> HashMap<usize, Change> {
        let mut changes = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            let change = item.verdict.and_then(|verdict| verdict.change.as_ref());
            if let Some(change) =
                change.filter(|_| item.fate == Fate::Plain && !repeats.contains(&at))
            {
                changes.insert(at, Change { change: change.clone(), meta: false });
            }
        }
        for (at, item, shape) in counted(policy, items, repeats) {
            let received_at = item.event.received_at;
            let window = self.0.entry(shape.key).or_insert_with(|| Window::fresh(received_at));
            if window.count(policy, received_at)
                && let Some(verdict) = item.verdict
            {
                let change = meta_alert(policy, &item.event, verdict, &shape, window.count);
                changes.insert(at, Change { change, meta: true });
            }
        }
        changes
    }

    async fn write(self, conn: &Conn) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let windows: BTreeMap<i64, Window> = self.0.into_iter().collect();
        let keys: Vec<i64> = windows.keys().copied().collect();
        let first: Vec<i64> = windows.values().map(|w| w.first_at).collect();
        let counts: Vec<i64> = windows.values().map(|w| signed(w.count)).collect();
        let fired: Vec<bool> = windows.values().map(|w| w.fired).collect();
        conn.run(
            "INSERT INTO unhandled SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[],
                $4::boolean[])
             ON CONFLICT (hash) DO UPDATE SET first_at = excluded.first_at,
                count = excluded.count, fired = excluded.fired",
            &[&keys, &first, &counts, &fired],
        )
        .await?;
        Ok(())
    }
}

/// The events that count for a shape: unhandled, without a change of their own.
fn counted<'i, 'b>(
    policy: &'i CommitPolicy,
    items: &'i [Item<'b>],
    repeats: &'i BTreeSet<usize>,
) -> impl Iterator<Item = (usize, &'i Item<'b>, crate::counting::Shape<'i>)> {
    items.iter().enumerate().filter_map(move |(at, item)| {
        let verdict = item.verdict.filter(|verdict| verdict.change.is_none())?;
        if item.fate != Fate::Plain || repeats.contains(&at) {
            return None;
        }
        Some((at, item, shape(policy, &item.event, verdict)?))
    })
}
