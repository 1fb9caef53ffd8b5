//! The batch: what travels through the event queue, and its stored form (format 1).
//!
//! ```text
//! "MUTB" | format u16 | shard u16 | batch id 16 | events u32 | crc32 of these 28 bytes
//! then for each event: body length u32 | crc32 of the body | body
//! body: id 16 | received_at i64 | device_time i64 (MIN = none) | source u8 | severity u8 (255 = none)
//!       | facility u8 (255 = none) | parse status u8 | presence bits u32 | [digest 16, keep_until i64]
//!       | for each present text: offset u32, length u32 | data (raw first)
//! ```
//!
//! All numbers are little-endian. A text that the decoder took from the raw bytes is a range over
//! them and is stored once. A reader understands its own format and the one before and refuses others
//! without acknowledging.

use std::borrow::Cow;
use std::sync::Arc;

use crate::event::{DedupKey, Event, Parse, ParseStatus, Severity, Source};
use crate::id::Id;
use crate::time::Timestamp;

/// A batch holds at most this many events.
pub const BATCH_EVENTS_MAX: usize = 1_000;
/// A batch is closed when it holds this many bytes; one event may carry it over.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;
/// A batch that is neither full nor empty is closed after this time.
pub const BATCH_AGE_MAX: std::time::Duration = std::time::Duration::from_millis(5);
/// The format written by this version.
pub const BATCH_FORMAT: u16 = 1;

const MAGIC: &[u8; 4] = b"MUTB";
const HEAD: usize = 32;
const FIXED: usize = 40;
const DEDUP_BIT: u32 = 1 << 31;
const NONE_TIME: i64 = i64::MIN;

/// Why a stored batch cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BatchError {
    /// Too short, wrong magic or a header that fails its checksum.
    #[error("the batch header is damaged")]
    Header,
    /// Written by a newer (or much older) version; it must not be acknowledged.
    #[error("the batch has format {0}, this version reads {BATCH_FORMAT}")]
    Format(u16),
    /// The event at this position fails its checksum or is cut off.
    #[error("event {0} of the batch is damaged")]
    Event(u32),
}

/// Writes events into one record.
#[derive(Debug)]
pub struct BatchBuilder {
    id: Id,
    shard: u16,
    bytes: Vec<u8>,
    events: u32,
    first_received_at: Option<Timestamp>,
}

impl BatchBuilder {
    /// An empty batch for one shard.
    #[must_use]
    pub fn new(id: Id, shard: u16) -> Self {
        let mut bytes = Vec::with_capacity(64 * 1024);
        bytes.resize(HEAD, 0);
        Self { id, shard, bytes, events: 0, first_received_at: None }
    }

    /// The batch's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Events so far.
    #[must_use]
    pub fn events(&self) -> u32 {
        self.events
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Whether the batch must be closed before another event is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.events as usize >= BATCH_EVENTS_MAX || self.bytes.len() >= BATCH_BYTES_MAX
    }

    /// When the first event was received.
    #[must_use]
    pub fn first_received_at(&self) -> Option<Timestamp> {
        self.first_received_at
    }

    /// Adds one event.
    pub fn push(&mut self, event: &Event<'_>) {
        self.first_received_at.get_or_insert(event.received_at);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8]);
        encode_event(&mut self.bytes, event);
        let body = &self.bytes[start + 8..];
        let (length, crc) = (body.len() as u32, crc32fast::hash(body));
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.bytes[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        self.events += 1;
    }

    /// The finished batch.
    #[must_use]
    pub fn finish(mut self) -> Batch {
        let mut head = [0u8; HEAD];
        head[..4].copy_from_slice(MAGIC);
        head[4..6].copy_from_slice(&BATCH_FORMAT.to_le_bytes());
        head[6..8].copy_from_slice(&self.shard.to_le_bytes());
        head[8..24].copy_from_slice(&self.id.0);
        head[24..28].copy_from_slice(&self.events.to_le_bytes());
        let crc = crc32fast::hash(&head[..28]);
        head[28..].copy_from_slice(&crc.to_le_bytes());
        self.bytes[..HEAD].copy_from_slice(&head);
        Batch { id: self.id, shard: self.shard, events: self.events, bytes: Arc::new(self.bytes) }
    }
}

/// A batch as stored: its header is checked, its events are checked when they are read. A clone
/// shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    id: Id,
    shard: u16,
    events: u32,
    bytes: Arc<Vec<u8>>,
}

impl Batch {
    /// Takes a stored record and checks its header.
    ///
    /// # Errors
    ///
    /// When the header is damaged or the format is not one that this version reads.
    pub fn open(bytes: Vec<u8>) -> Result<Self, BatchError> {
        let head = bytes.get(..HEAD).ok_or(BatchError::Header)?;
        if &head[..4] != MAGIC || crc32fast::hash(&head[..28]) != le32(&head[28..]) {
            return Err(BatchError::Header);
        }
        let format = u16::from_le_bytes([head[4], head[5]]);
        if format != BATCH_FORMAT {
            return Err(BatchError::Format(format));
        }
        let mut id = [0u8; 16];
        id.copy_from_slice(&head[8..24]);
        let shard = u16::from_le_bytes([head[6], head[7]]);
        Ok(Self { id: Id(id), shard, events: le32(&head[24..]), bytes: Arc::new(bytes) })
    }

    /// The id that the Ingestor gave it.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// The shard it belongs to.
    #[must_use]
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// How many events it says to hold.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.events
    }

    /// Whether it says to hold none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The stored form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The events in order, each checked. After the first event whose length cannot be trusted the
    /// iterator ends with one error for each event that is missing.
    pub fn iter(&self) -> BatchEvents<'_> {
        BatchEvents { bytes: &self.bytes[HEAD..], at: 0, next: 0, events: self.events, cut: false }
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Result<Event<'a>, BatchError>;
    type IntoIter = BatchEvents<'a>;

    fn into_iter(self) -> BatchEvents<'a> {
        self.iter()
    }
}

/// Reads the events of a batch.
#[derive(Debug)]
pub struct BatchEvents<'a> {
    bytes: &'a [u8],
    at: usize,
    next: u32,
    events: u32,
    cut: bool,
}

impl<'a> Iterator for BatchEvents<'a> {
    type Item = Result<Event<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_with_body()?.map(|(event, _)| event))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.events - self.next) as usize;
        (left, Some(left))
    }
}

/// Reads the stored body of one event, as [`BatchEvents::next_with_body`] and [`encode_body`] give it.
#[must_use]
pub fn decode_body(body: &[u8]) -> Option<Event<'_>> {
    decode_event(body)
}

/// The stored body of one event.
#[must_use]
pub fn encode_body(event: &Event<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + event.raw.len());
    encode_event(&mut out, event);
    out
}

impl<'a> BatchEvents<'a> {
    /// The next event with its stored body, which a store may keep as it is.
    pub fn next_with_body(&mut self) -> Option<Result<(Event<'a>, &'a [u8]), BatchError>> {
        if self.next >= self.events {
            return None;
        }
        let position = self.next;
        self.next += 1;
        if self.cut {
            return Some(Err(BatchError::Event(position)));
        }
        let Some((body, crc)) = self.body() else {
            self.cut = true;
            return Some(Err(BatchError::Event(position)));
        };
        if crc32fast::hash(body) != crc {
            return Some(Err(BatchError::Event(position)));
        }
        Some(decode_event(body).map(|event| (event, body)).ok_or(BatchError::Event(position)))
    }

    fn body(&mut self) -> Option<(&'a [u8], u32)> {
        let head = self.bytes.get(self.at..self.at.checked_add(8)?)?;
        let (length, crc) = (le32(head) as usize, le32(&head[4..]));
        let start = self.at + 8;
        let body = self.bytes.get(start..start.checked_add(length)?)?;
        self.at = start + length;
        Some((body, crc))
    }
}

fn le32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn le64(bytes: &[u8]) -> i64 {
    let mut eight = [0u8; 8];
    eight.copy_from_slice(&bytes[..8]);
    i64::from_le_bytes(eight)
}

/// The texts of an event in the order of their presence bits. `raw` is bit 0 and stands apart.
fn texts<'e>(event: &'e Event<'_>) -> [Option<&'e str>; 19] {
    let opt = |text: &'e Option<Cow<'_, str>>| text.as_deref();
    let some = |text: &'e Cow<'_, str>| Some(text.as_ref());
    let notes = (!event.parse.notes.is_empty()).then_some(event.parse.notes.as_ref());
    [
        some(&event.listener),
        some(&event.peer),
        some(&event.host),
        opt(&event.relay),
        opt(&event.app),
        opt(&event.procid),
        opt(&event.msgid),
        opt(&event.mnemonic),
        opt(&event.resource),
        some(&event.message),
        opt(&event.structured_data),
        opt(&event.fields),
        opt(&event.trap_oid),
        opt(&event.trap_name),
        opt(&event.varbinds),
        some(&event.parse.format),
        notes,
        opt(&event.time_note),
        opt(&event.correlation_id),
    ]
}

fn encode_event(out: &mut Vec<u8>, event: &Event<'_>) {
    let start = out.len();
    out.extend_from_slice(&event.id.0);
    out.extend_from_slice(&event.received_at.0.to_le_bytes());
    out.extend_from_slice(&event.device_time.map_or(NONE_TIME, |t| t.0).to_le_bytes());
    out.push(event.source as u8);
    out.push(event.severity.map_or(255, Severity::number));
    out.push(event.facility.unwrap_or(255));
    out.push(event.parse.status as u8);
    let texts = texts(event);
    let mut bits = 1u32;
    let mut present = 1usize;
    for (i, text) in texts.iter().enumerate() {
        if text.is_some() {
            bits |= 1 << (i + 1);
            present += 1;
        }
    }
    if event.dedup.is_some() {
        bits |= DEDUP_BIT;
    }
    out.extend_from_slice(&bits.to_le_bytes());
    debug_assert_eq!(out.len() - start, FIXED);
    if let Some(dedup) = &event.dedup {
        out.extend_from_slice(&dedup.digest);
        out.extend_from_slice(&dedup.keep_until.0.to_le_bytes());
    }
    let ranges = out.len();
    out.resize(ranges + present * 8, 0);
    let data = out.len();
    out.extend_from_slice(&event.raw);
    let mut slot = ranges;
    write_range(out, &mut slot, 0, event.raw.len());
    let raw = event.raw.as_ptr_range();
    for text in texts.into_iter().flatten() {
        let own = text.as_bytes().as_ptr_range();
        let offset = if !text.is_empty() && own.start >= raw.start && own.end <= raw.end {
            own.start as usize - raw.start as usize
        } else {
            let offset = out.len() - data;
            out.extend_from_slice(text.as_bytes());
            offset
        };
        write_range(out, &mut slot, offset, text.len());
    }
}

fn write_range(out: &mut [u8], slot: &mut usize, offset: usize, length: usize) {
    out[*slot..*slot + 4].copy_from_slice(&(offset as u32).to_le_bytes());
    out[*slot + 4..*slot + 8].copy_from_slice(&(length as u32).to_le_bytes());
    *slot += 8;
}

fn decode_event(body: &[u8]) -> Option<Event<'_>> {
    let fixed = body.get(..FIXED)?;
    let bits = le32(&fixed[36..]);
    let mut at = FIXED;
    let dedup = if bits & DEDUP_BIT == 0 {
        None
    } else {
        let part = body.get(at..at + 24)?;
        at += 24;
        let mut digest = [0u8; 16];
        digest.copy_from_slice(&part[..16]);
        Some(DedupKey { digest, keep_until: Timestamp(le64(&part[16..])) })
    };
    let present = (bits & !DEDUP_BIT).count_ones() as usize;
    let ranges = body.get(at..at.checked_add(present * 8)?)?;
    let data = &body[at + present * 8..];
    let mut ranges = ranges.chunks_exact(8);
    let mut bytes = |bit: u32| -> Option<Option<&[u8]>> {
        if bits & (1 << bit) == 0 {
            return Some(None);
        }
        let range = ranges.next()?;
        let (offset, length) = (le32(range) as usize, le32(&range[4..]) as usize);
        Some(Some(data.get(offset..offset.checked_add(length)?)?))
    };
    let raw = bytes(0)??;
    let mut text = |bit: u32| -> Option<Option<Cow<'_, str>>> {
        match bytes(bit)? {
            None => Some(None),
            Some(slice) => Some(Some(Cow::Borrowed(std::str::from_utf8(slice).ok()?))),
        }
    };
    let mut id = [0u8; 16];
    id.copy_from_slice(&fixed[..16]);
    let device_time = le64(&fixed[24..]);
    Some(Event {
        id: Id(id),
        received_at: Timestamp(le64(&fixed[16..])),
        device_time: (device_time != NONE_TIME).then_some(Timestamp(device_time)),
        source: Source::from_number(fixed[32])?,
        severity: Severity::new(fixed[33]),
        facility: (fixed[34] != 255).then_some(fixed[34]),
        listener: text(1)??,
        peer: text(2)??,
        host: text(3)??,
        relay: text(4)?,
        app: text(5)?,
        procid: text(6)?,
        msgid: text(7)?,
        mnemonic: text(8)?,
        resource: text(9)?,
        message: text(10)??,
        structured_data: text(11)?,
        fields: text(12)?,
        trap_oid: text(13)?,
        trap_name: text(14)?,
        varbinds: text(15)?,
        parse: Parse {
            status: ParseStatus::from_number(fixed[35])?,
            format: text(16)??,
            notes: text(17)?.unwrap_or_default(),
        },
        time_note: text(18)?,
        correlation_id: text(19)?,
        raw: Cow::Borrowed(raw),
        dedup,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::IdSource;

    fn sample(raw: &[u8]) -> Event<'_> {
        let mut event = Event::from_raw(
            IdSource::new(1).next(Timestamp(5)),
            Timestamp(5),
            Source::Syslog,
            "syslog-tcp",
            "192.0.2.7:514",
            raw,
        );
        event.message = String::from_utf8_lossy(raw);
        event.parse.format = Cow::Borrowed("rfc3164");
        event
    }

    fn batch_of(events: &[Event<'_>]) -> Batch {
        let mut builder = BatchBuilder::new(Id([9; 16]), 3);
        for event in events {
            builder.push(event);
        }
        builder.finish()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut full = sample(b"<3>edge-r1 link down");
        full.dedup = Some(DedupKey { digest: [7; 16], keep_until: Timestamp(99) });
        full.severity = Some(Severity::ERROR);
        full.facility = Some(23);
        full.device_time = Some(Timestamp(-1));
        full.fields = Some(Cow::Borrowed("{\"a\":1}"));
        full.note(ParseStatus::Partial, "no time");
        let events = [full, sample(b""), sample(b"plain")];
        let batch = batch_of(&events);
        let opened = Batch::open(batch.as_bytes().to_vec()).unwrap();
        assert_eq!((opened.id(), opened.shard(), opened.len()), (Id([9; 16]), 3, 3));
        let read: Vec<_> = opened.iter().map(Result::unwrap).collect();
        assert_eq!(read, events);
    }

    #[test]
    fn a_text_taken_from_raw_is_stored_once() {
        let raw = vec![b'x'; 400];
        let mut event = sample(&raw);
        event.message = Cow::Borrowed(std::str::from_utf8(&raw[10..]).unwrap());
        assert!(batch_of(&[event]).as_bytes().len() < 400 + 200);
    }

    #[test]
    fn a_flipped_bit_costs_one_event_and_a_cut_costs_the_rest() {
        let events = [sample(b"one"), sample(b"two"), sample(b"three")];
        let batch = batch_of(&events);
        let mut bytes = batch.as_bytes().to_vec();
        let second = bytes.windows(3).position(|w| w == b"two").unwrap();
        bytes[second] ^= 1;
        let read: Vec<_> = Batch::open(bytes).unwrap().iter().map(|r| r.is_ok()).collect();
        assert_eq!(read, [true, false, true]);

        let mut bytes = batch.as_bytes().to_vec();
        bytes.truncate(second + 3);
        let read: Vec<_> = Batch::open(bytes).unwrap().iter().map(|r| r.is_ok()).collect();
        assert_eq!(read, [true, false, false]);
    }

    #[test]
    fn another_format_is_refused_by_number() {
        let mut bytes = batch_of(&[]).as_bytes().to_vec();
        bytes[4] = 9;
        assert_eq!(Batch::open(bytes.clone()), Err(BatchError::Header));
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Batch::open(bytes), Err(BatchError::Format(9)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if bytes.len() >= HEAD {
                bytes[..4].copy_from_slice(MAGIC);
                bytes[4..6].copy_from_slice(&BATCH_FORMAT.to_le_bytes());
                bytes[24..28].copy_from_slice(&7u32.to_le_bytes());
                let crc = crc32fast::hash(&bytes[..28]);
                bytes[28..32].copy_from_slice(&crc.to_le_bytes());
            }
            if let Ok(batch) = Batch::open(bytes) {
                prop_assert_eq!(batch.iter().count(), 7);
            }
        }

        #[test]
        fn no_body_makes_the_decoder_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode_event(&body);
        }
    }
}
