//! Rows of the audit as COPY takes them: binary, encoded here into one buffer, nothing allocated for a
//! row. The same bytes are what a receipt's digest is made of.

use bytes::{BufMut as _, BytesMut};
use futures_util::SinkExt as _;
use mutt_model::verdict::Environment;
use mutt_model::{Id, Timestamp};

use super::Conn;
use crate::rows::JudgedAs;
use crate::store::StoreError;

/// The columns in the order of [`encode`].
pub(crate) const COLUMNS: &str = "received_at, id, seq, ruleset, rule_id, alert_id, severity, dev, \
    host, decision, team, body";
const FIELDS: i16 = 12;
/// Signature, flags, length of the extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;

/// The table of handled or of unhandled events.
pub(crate) const fn table(handled: bool) -> &'static str {
    if handled { "audit_handled" } else { "audit_unhandled" }
}

/// A row to be written.
pub(super) struct AuditRow<'a> {
    pub(super) received_at: Timestamp,
    pub(super) id: Id,
    pub(super) seq: i64,
    pub(super) severity: Option<u8>,
    /// Lower case.
    pub(super) host: &'a str,
    pub(super) judged: JudgedAs<'a>,
    pub(super) body: &'a [u8],
}

/// A stream of rows for one table.
#[derive(Debug)]
pub(super) struct Rows(BytesMut);

impl Rows {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut out = BytesMut::with_capacity(bytes + HEADER.len() + 2);
        out.put_slice(HEADER);
        Self(out)
    }

    /// Adds a row; its bytes.
    pub(super) fn push(&mut self, row: &AuditRow<'_>) -> &[u8] {
        let begin = self.0.len();
        encode(&mut self.0, row);
        &self.0[begin..]
    }

    /// Sends them, if there are any.
    pub(super) async fn send(mut self, conn: &Conn, handled: bool) -> Result<(), StoreError> {
        if self.0.len() <= HEADER.len() {
            return Ok(());
        }
        self.0.put_i16(TRAILER);
        let sql = format!("COPY {} ({COLUMNS}) FROM STDIN (FORMAT binary)", table(handled));
        let statement = conn.prepared(&sql).await?;
        let sink = conn.client()?.copy_in(&statement).await.map_err(|e| conn.failed(e))?;
        let mut sink = std::pin::pin!(sink);
        sink.send(self.0.freeze()).await.map_err(|e| conn.failed(e))?;
        sink.as_mut().finish().await.map_err(|e| conn.failed(e))?;
        Ok(())
    }
}

fn bytes(out: &mut BytesMut, value: &[u8]) {
    out.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
    out.put_slice(value);
}

fn optional(out: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        Some(value) => bytes(out, value),
        None => out.put_i32(-1),
    }
}

pub(super) fn encode(out: &mut BytesMut, row: &AuditRow<'_>) {
    let judged = &row.judged;
    out.put_i16(FIELDS);
    bytes(out, &row.received_at.0.to_be_bytes());
    bytes(out, &row.id.0);
    bytes(out, &row.seq.to_be_bytes());
    bytes(out, &judged.ruleset.to_be_bytes());
    optional(out, judged.rule_id.map(i64::to_be_bytes).as_ref().map(|b| b.as_slice()));
    optional(out, judged.alert_id.as_ref().map(|id| id.0.as_slice()));
    optional(out, row.severity.map(|s| i16::from(s).to_be_bytes()).as_ref().map(|b| b.as_slice()));
    bytes(out, &[u8::from(judged.environment == Environment::Dev)]);
    bytes(out, row.host.as_bytes());
    optional(out, judged.decision.map(str::as_bytes));
    optional(out, judged.team.map(str::as_bytes));
    bytes(out, row.body);
}
