//! One commit: receipts, fencing, audit rows, alerts, counters and deliveries in one transaction.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use mutt_model::batch::encode_body;
use mutt_model::failpoint;
use mutt_model::verdict::{AlertChange, Verdict};
use mutt_model::{Event, Id, IdSource, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use super::SqliteStore;
use super::alerts::Book;
use super::audit::{self, NewRow};
use super::counting::{Unhandled, save_rates};
use super::engine::Writer;
use super::totals::{Totals, signed};
use crate::counting::Rates;
use crate::rows::{Fate, JudgedAs, bare};
use crate::store::{
    CommitPolicy, CommitStore, CommitWork, Committed, IMPORT_SHARD, JudgedBatch, StoreError,
};

#[async_trait]
impl CommitStore for SqliteStore {
    async fn commit(&self, work: CommitWork) -> Result<Committed, StoreError> {
        let done = self.on_writer("commit", move |writer| commit(writer, &work)).await?;
        self.tell_deliveries(&done);
        Ok(done)
    }

    async fn raise(
        &self,
        change: AlertChange,
        policy: Arc<CommitPolicy>,
        except: Option<&str>,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let except = except.map(str::to_owned);
        let raise = move |writer: &mut Writer| {
            let mut totals = Totals::load(&writer.conn)?;
            let mut out = Committed::default();
            let sinks = policy.sinks.iter().filter(|s| Some(&s.name) != except.as_ref());
            let mut book =
                Book::new(&writer.conn, &mut writer.ids, &mut totals, &mut out, sinks, now);
            book.apply(&change)?;
            book.close()?;
            finish(&writer.conn, &totals, &out, Rates::default(), now)?;
            Ok(out)
        };
        let done = self.write("raise an alert", raise).await?;
        self.tell_deliveries(&done);
        Ok(done)
    }
}

impl SqliteStore {
    fn tell_deliveries(&self, done: &Committed) {
        if !done.deliveries.is_empty() {
            self.signals.deliveries.ring();
        }
    }
}

struct Item<'b> {
    event: Event<'b>,
    body: &'b [u8],
    verdict: Option<&'b Verdict>,
    fate: Fate,
}

/// What one transaction has gathered; put back to a copy when a part of it is undone.
#[derive(Clone, Default)]
struct Sums {
    totals: Totals,
    out: Committed,
    newest: [Option<Id>; 2],
}

struct Commit<'a> {
    conn: &'a Connection,
    ids: &'a mut IdSource,
    work: &'a CommitWork,
    sums: Sums,
}

fn commit(writer: &mut Writer, work: &CommitWork) -> Result<Committed, StoreError> {
    failpoint::hit("store.commit.before_begin");
    // The plain way takes no savepoints; data that is refused is looked for on a second way.
    let done = match attempt(writer, work, false) {
        Err(StoreError::Data(why)) => {
            tracing::debug!(why, "bisecting a commit whose data was refused");
            attempt(writer, work, true)
        }
        done => done,
    }?;
    failpoint::hit("store.commit.after_commit");
    writer.cap.written += done.audited;
    Ok(done)
}

fn attempt(writer: &mut Writer, work: &CommitWork, careful: bool) -> Result<Committed, StoreError> {
    writer.transaction(|writer| {
        fence(&writer.conn, work.shard, work.generation)?;
        let totals = Totals::load(&writer.conn)?;
        let mut commit = Commit {
            conn: &writer.conn,
            ids: &mut writer.ids,
            work,
            sums: Sums { totals, ..Sums::default() },
        };
        let mut rates = Rates::default();
        for judged in &work.batches {
            if receipt(commit.conn, work.shard, judged.batch.id())? {
                commit.batch(judged, careful, &mut rates)?;
            } else {
                commit.sums.out.skip(judged);
            }
        }
        let Sums { mut totals, out, newest } = commit.sums;
        if work.shard == IMPORT_SHARD {
            rates = Rates::default();
        } else {
            totals.audited += signed(out.audited);
            totals.duplicates += signed(out.duplicates);
            totals.lost += signed(out.lost);
        }
        note_rule_set(&writer.conn, work.ruleset, newest)?;
        finish(&writer.conn, &totals, &out, rates, work.now)?;
        failpoint::hit("store.commit.before_commit");
        Ok(out)
    })
}

/// The end that every transaction with alerts has.
pub(super) fn finish(
    conn: &Connection,
    totals: &Totals,
    out: &Committed,
    mut rates: Rates,
    now: Timestamp,
) -> Result<(), StoreError> {
    rates.deliveries(now, signed(out.deliveries.values().sum()));
    save_rates(conn, &rates)?;
    totals.save(conn)?;
    Ok(())
}

/// Refuses an owner that was overtaken; takes note of a newer one.
fn fence(conn: &Connection, shard: u16, generation: u64) -> Result<(), StoreError> {
    let generation = signed(generation);
    let seen: Option<i64> = conn
        .prepare_cached("SELECT generation FROM shards WHERE shard = ?1")?
        .query_row([shard], |row| row.get(0))
        .optional()?;
    if seen.is_some_and(|seen| seen > generation) {
        return Err(StoreError::LeaseLost);
    }
    if seen != Some(generation) {
        conn.prepare_cached("REPLACE INTO shards VALUES (?1, ?2)")?.execute((shard, generation))?;
    }
    Ok(())
}

/// Writes the receipt; false when it stands already.
fn receipt(conn: &Connection, shard: u16, batch: Id) -> Result<bool, StoreError> {
    let written = conn
        .prepare_cached(
            "INSERT INTO receipts (shard, batch_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute((shard, batch.0.as_slice()))?;
    Ok(written == 1)
}

fn note_rule_set(
    conn: &Connection,
    ruleset: i64,
    newest: [Option<Id>; 2],
) -> Result<(), StoreError> {
    for (handled, id) in newest.into_iter().enumerate() {
        if let Some(id) = id {
            conn.prepare_cached(
                "INSERT INTO rule_set_use VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET newest = MAX(newest, ?3)",
            )?
            .execute((ruleset, signed(handled as u64), id.0.as_slice()))?;
        }
    }
    Ok(())
}

impl Commit<'_> {
    fn batch(
        &mut self,
        judged: &JudgedBatch,
        careful: bool,
        rates: &mut Rates,
    ) -> Result<(), StoreError> {
        let mut items = Vec::with_capacity(judged.batch.len() as usize);
        let mut events = judged.batch.iter();
        let mut verdicts = judged.verdicts.iter();
        while let Some(read) = events.next_with_body() {
            let verdict = verdicts.next().and_then(Option::as_ref);
            match read {
                Ok((event, body)) => items.push(Item { event, body, verdict, fate: Fate::Plain }),
                Err(_) => self.sums.out.lost += 1,
            }
        }
        let all = 0..items.len();
        if careful { self.guarded(&mut items, all, rates) } else { self.apply(&items, rates) }
    }

    /// Applies a range inside a savepoint; data that is refused is halved down to the one event.
    fn guarded(
        &mut self,
        items: &mut [Item<'_>],
        range: Range<usize>,
        rates: &mut Rates,
    ) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let (sums, counted) = (self.sums.clone(), rates.clone());
        self.conn.execute_batch("SAVEPOINT part")?;
        match self.apply(&items[range.clone()], rates) {
            Ok(()) => {
                self.conn.execute_batch("RELEASE part")?;
                return Ok(());
            }
            Err(StoreError::Data(_)) => {}
            Err(error) => return Err(error),
        }
        self.conn.execute_batch("ROLLBACK TO part; RELEASE part")?;
        (self.sums, *rates) = (sums, counted);
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            self.guarded(items, range.start..middle, rates)?;
            return self.guarded(items, middle..range.end, rates);
        }
        let item = &mut items[range.start];
        item.fate = match item.fate {
            Fate::Plain if audit::exists(self.conn, item.event.id)? => Fate::Duplicate,
            Fate::Plain => Fate::Unstorable,
            Fate::Duplicate | Fate::Unstorable | Fate::Lost => Fate::Lost,
        };
        self.guarded(items, range, rates)
    }

    fn apply(&mut self, items: &[Item<'_>], rates: &mut Rates) -> Result<(), StoreError> {
        let work = self.work;
        let Sums { totals, out, newest } = &mut self.sums;
        let sinks = work.policy.sinks.iter();
        let mut book = Book::new(self.conn, self.ids, totals, out, sinks, work.now);
        let mut unhandled = Unhandled::default();
        for item in items {
            let repeat = match item.fate {
                Fate::Lost => {
                    book.out.lost += 1;
                    continue;
                }
                Fate::Duplicate => true,
                Fate::Plain => is_repeat(self.conn, &item.event)?,
                Fate::Unstorable => false,
            };
            if repeat {
                book.out.duplicates += 1;
                continue;
            }
            book.totals.seq += 1;
            let handled = match (item.fate, item.verdict) {
                (Fate::Unstorable, _) => {
                    raw_only(self.conn, &item.event, book.totals.seq, work.ruleset)?;
                    book.out.unstorable += 1;
                    false
                }
                (_, verdict) => plain(self.conn, item, verdict, work, &mut book, &mut unhandled)?,
            };
            book.out.audited += 1;
            book.out.handled += u64::from(handled);
            rates.event(item.event.received_at, handled);
            let newest = &mut newest[usize::from(handled)];
            *newest = (*newest).max(Some(item.event.id));
        }
        book.close()?;
        unhandled.close(self.conn)
    }
}

/// Takes the event's key, where it has one; true when it was taken before and is still kept.
fn is_repeat(conn: &Connection, event: &Event<'_>) -> Result<bool, StoreError> {
    let Some(dedup) = &event.dedup else { return Ok(false) };
    let taken = conn
        .prepare_cached(
            "INSERT INTO dedup VALUES (?1, ?2) ON CONFLICT (digest) DO UPDATE
             SET keep_until = excluded.keep_until WHERE keep_until < ?3",
        )?
        .execute((dedup.digest.as_slice(), dedup.keep_until.0, event.received_at.0))?;
    Ok(taken == 0)
}

fn plain(
    conn: &Connection,
    item: &Item<'_>,
    verdict: Option<&Verdict>,
    work: &CommitWork,
    book: &mut Book<'_>,
    unhandled: &mut Unhandled,
) -> Result<bool, StoreError> {
    let mut alert_id = None;
    if let Some(verdict) = verdict {
        if let Some(change) = &verdict.change {
            alert_id = book.apply(change)?;
        } else if !verdict.handled()
            && let Some(meta) = unhandled.count(conn, &work.policy, &item.event, verdict)?
        {
            alert_id = book.apply(&meta)?;
            book.out.meta_alerts += 1;
        }
    }
    let judgement = JudgedAs::by(verdict, work.ruleset, alert_id);
    let seq = book.totals.seq;
    audit::insert(conn, &NewRow { seq, event: &item.event, judgement, body: item.body })?;
    Ok(judgement.handled)
}

/// What no row can hold as it is: its raw bytes and where they came from.
fn raw_only(
    conn: &Connection,
    event: &Event<'_>,
    seq: i64,
    ruleset: i64,
) -> Result<(), StoreError> {
    let bare = bare(event);
    let judgement = JudgedAs::unstorable(ruleset);
    audit::insert(conn, &NewRow { seq, event: &bare, judgement, body: &encode_body(&bare) })?;
    Ok(())
}
