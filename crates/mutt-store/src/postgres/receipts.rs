//! Receipts: what was committed, chained by digests so that a later change of the audit shows.

use mutt_model::{Id, Timestamp};
use ring::digest::{Context, SHA256};

use super::Conn;
use super::together::together;
use super::types::Uid;
use crate::store::StoreError;

/// Bytes of one row's mark: its id, and of its digest the first eight, the last bit telling whether it
/// stands among the handled.
pub(super) const MARK: usize = 24;

/// The rows of one batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    pub(super) bytes: Vec<u8>,
    /// The rows' whole digests, one after another.
    pub(super) digests: Vec<u8>,
    pub(super) seq_first: i64,
    pub(super) rows: i32,
    pub(super) first_at: Option<Timestamp>,
    pub(super) last_at: Option<Timestamp>,
}

impl Marks {
    /// Adds a row by its bytes as COPY takes them.
    pub(super) fn add(&mut self, id: Id, at: Timestamp, seq: i64, handled: bool, row: &[u8]) {
        if self.rows == 0 {
            self.seq_first = seq;
        }
        let digest = row_digest(handled, row);
        self.bytes.extend_from_slice(&mark(id, handled, &digest));
        self.digests.extend_from_slice(&digest);
        self.rows += 1;
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
    }
}

/// Of one row.
pub(super) fn row_digest(handled: bool, row: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&[u8::from(handled)]);
    context.update(row);
    finished(context)
}

pub(super) fn mark(id: Id, handled: bool, digest: &[u8; 32]) -> [u8; MARK] {
    let mut mark = [0; MARK];
    mark[..16].copy_from_slice(&id.0);
    mark[16..].copy_from_slice(&digest[..8]);
    mark[MARK - 1] = mark[MARK - 1] & !1 | u8::from(handled);
    mark
}

fn finished(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// What a receipt's digest is made of, beside the one before it.
pub(super) struct Sealed<'a> {
    pub(super) shard: i32,
    pub(super) n: i64,
    pub(super) batch: Id,
    pub(super) seq_first: i64,
    pub(super) rows: i32,
    pub(super) marks: &'a [u8],
    /// SHA-256 over the rows' digests: of `rows` rows.
    pub(super) content: [u8; 32],
}

/// SHA-256 over the digests of a batch's rows.
pub(super) fn content(digests: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(digests);
    finished(context)
}

impl Sealed<'_> {
    /// The receipt's digest.
    pub(super) fn digest(&self, before: &[u8]) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(b"mutt receipt 1");
        context.update(&(before.len() as u64).to_be_bytes());
        context.update(before);
        context.update(&self.shard.to_be_bytes());
        context.update(&self.n.to_be_bytes());
        context.update(&self.batch.0);
        context.update(&self.seq_first.to_be_bytes());
        context.update(&self.rows.to_be_bytes());
        context.update(&content(self.marks));
        context.update(&self.content);
        finished(context)
    }
}

struct New {
    batch: Id,
    marks: Marks,
}

/// The end of a shard's chain, and what is added to it.
pub(super) struct Chain {
    n: i64,
    digest: Vec<u8>,
    new: Vec<New>,
}

impl Chain {
    /// After the receipt `n` with this digest.
    pub(super) fn after(n: i64, digest: Vec<u8>) -> Self {
        Self { n, digest, new: Vec::new() }
    }

    /// Adds the receipt of a batch; `seq` for one without rows.
    pub(super) fn add(&mut self, batch: Id, marks: &Marks, seq: i64) {
        let mut marks = marks.clone();
        if marks.rows == 0 {
            marks.seq_first = seq;
        }
        self.new.push(New { batch, marks });
    }

    /// Writes the new receipts and the chain's new end.
    pub(super) async fn save(
        mut self,
        conn: &Conn,
        shard: i32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.new.is_empty() {
            return Ok(());
        }
        let (mut numbers, mut digests, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for new in &self.new {
            self.n += 1;
            let marks = &new.marks;
            let content = content(&marks.digests);
            let sealed = Sealed {
                shard,
                n: self.n,
                batch: new.batch,
                seq_first: marks.seq_first,
                rows: marks.rows,
                marks: &marks.bytes,
                content,
            };
            self.digest = sealed.digest(&self.digest).to_vec();
            numbers.push(self.n);
            digests.push(self.digest.clone());
            contents.push(content.to_vec());
        }
        let batches: Vec<Uid> = self.new.iter().map(|new| Uid(new.batch)).collect();
        let seqs: Vec<i64> = self.new.iter().map(|new| new.marks.seq_first).collect();
        let rows: Vec<i32> = self.new.iter().map(|new| new.marks.rows).collect();
        let time = |at: Option<Timestamp>| at.unwrap_or(now).0;
        let first: Vec<i64> = self.new.iter().map(|new| time(new.marks.first_at)).collect();
        let last: Vec<i64> = self.new.iter().map(|new| time(new.marks.last_at)).collect();
        let marks: Vec<&[u8]> = self.new.iter().map(|new| new.marks.bytes.as_slice()).collect();
        let added = async {
            conn.run(
                "INSERT INTO receipts (shard, n, batch_id, seq_first, rows, first_at, last_at,
                    committed_at, marks, content, digest)
                 SELECT $1::int, n, batch_id, seq_first, rows, first_at, last_at, $2::bigint, marks,
                    content, digest
                 FROM unnest($3::bigint[], $4::uuid[], $5::bigint[], $6::int[], $7::bigint[],
                    $8::bigint[], $9::bytea[], $10::bytea[], $11::bytea[]) AS u (n, batch_id,
                    seq_first, rows, first_at, last_at, marks, content, digest)",
                &[
                    &shard, &now.0, &numbers, &batches, &seqs, &rows, &first, &last, &marks,
                    &contents, &digests,
                ],
            )
            .await?;
            Ok(())
        };
        let ended = async {
            conn.run(
                "UPDATE shards SET receipts = $2, digest = $3 WHERE shard = $1",
                &[&shard, &self.n, &self.digest],
            )
            .await?;
            Ok(())
        };
        together(vec![Box::pin(added), Box::pin(ended)]).await
    }
}
