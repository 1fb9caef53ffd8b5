//! COPY by one connection of rows that were dumped before: the measure of what the server can take.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::SinkExt as _;
use mutt_model::{Clock, IdSource};
use tokio_postgres::NoTls;

use crate::Result;

const COLUMNS: &str = "received_at, id, seq, ruleset, rule_id, alert_id, severity, dev, host, \
    decision, team, body";
/// Signature, flags, length of the extension; and what ends a stream.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
/// Of a row behind its count of fields: where the time, the id and the sequence number are.
const TIME: usize = 4;
const ID: usize = TIME + 8 + 4;
const SEQ: usize = ID + 16 + 4;
/// Bytes of one message.
const PIECE: usize = 256 << 10;

/// The rows of one table, each from its count of fields on.
struct Dump {
    table: &'static str,
    bytes: Vec<u8>,
    rows: Vec<(usize, usize)>,
    next: usize,
}

impl Dump {
    fn read(folder: &Path, table: &'static str) -> Result<Self> {
        let bytes = std::fs::read(folder.join(table))?;
        if !bytes.starts_with(HEADER) {
            return Err(format!("{table} is no binary dump").into());
        }
        let number = |at: usize| -> Option<i32> {
            Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        let (mut rows, mut at) = (Vec::new(), HEADER.len());
        while let Some(fields) = bytes.get(at..at + 2).filter(|fields| fields[0] == 0) {
            let begin = at;
            let fields = fields[1];
            at += 2;
            for _ in 0..fields {
                let length = number(at).ok_or("the dump ends within a row")?;
                at += 4 + usize::try_from(length).unwrap_or(0);
            }
            rows.push((begin, at));
        }
        if rows.is_empty() {
            return Err(format!("{table} has no rows").into());
        }
        Ok(Self { table, bytes, rows, next: 0 })
    }

    /// The next row as a new one.
    fn put_next(&mut self, out: &mut BytesMut, ids: &mut IdSource, seq: i64) {
        let (begin, end) = self.rows[self.next % self.rows.len()];
        self.next += 1;
        let row = out.len() + 2;
        out.put_slice(&self.bytes[begin..end]);
        let at = Clock::System.wall();
        out[row + TIME..row + TIME + 8].copy_from_slice(&at.0.to_be_bytes());
        out[row + ID..row + ID + 16].copy_from_slice(&ids.next(at).0);
        out[row + SEQ..row + SEQ + 8].copy_from_slice(&seq.to_be_bytes());
    }
}

pub(super) async fn copy(url: &str, folder: &Path, length: Duration, chunk: u64) -> Result<()> {
    let mut dumps = [Dump::read(folder, "audit_unhandled")?, Dump::read(folder, "audit_handled")?];
    let all: usize = dumps.iter().map(|dump| dump.rows.len()).sum();
    let shares = [0, 1].map(|n: usize| chunk * dumps[n].rows.len() as u64 / all as u64);
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("SET search_path = mutt").await?;
    let mut ids = IdSource::from_entropy();
    let begun = Instant::now();
    let mut written: u64 = 0;
    while begun.elapsed() < length {
        client.batch_execute("BEGIN").await?;
        for (dump, share) in dumps.iter_mut().zip(shares) {
            let sql = format!("COPY {} ({COLUMNS}) FROM STDIN (FORMAT binary)", dump.table);
            let sink = client.copy_in::<_, Bytes>(&sql).await?;
            let mut sink = std::pin::pin!(sink);
            let mut out = BytesMut::with_capacity(PIECE + 4_096);
            out.put_slice(HEADER);
            for _ in 0..share {
                written += 1;
                dump.put_next(&mut out, &mut ids, written.cast_signed());
                if out.len() >= PIECE {
                    sink.send(out.split().freeze()).await?;
                }
            }
            out.put_i16(TRAILER);
            sink.send(out.freeze()).await?;
            sink.as_mut().finish().await?;
        }
        client.batch_execute("COMMIT").await?;
    }
    let spent = begun.elapsed().as_secs_f64();
    println!("copied {written} seconds {spent:.2} rate {:.0}", written as f64 / spent);
    Ok(())
}
