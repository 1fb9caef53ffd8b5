//! The bytes of the embedded queue's files: segment header and record header, format 1.
//!
//! ```text
//! segment: "MUTTQSEG" | format u16 | 0 u16 | 0 u32 | number u64 | first sequence u64
//!          | events appended before it u64 | events lost before it u64 | events lost inside it u64
//!          | salt u64 | 0 u32 | crc32 of the 68 bytes before | records
//! record:  "MUTR" | format u16 | 0 u16 | sequence u64 | events appended before it u64
//!          | first received_at i64 | extent u32 | payload length u32 | events u32 | lost u32
//!          | span u32 | payload crc32 u32 | place in its group u32 | crc32 of salt and these 60 bytes
//!          | payload | padding to 8
//! ```
//!
//! All numbers are little-endian. The counters in each header say what came before it, so that what
//! is missing between two readable headers is known to the event. The salt is a random number of the
//! queue: nobody who sends events can write a header that a search after damage would believe. `lost`
//! and `span` above one stand only in records that salvage wrote in the place of damaged ones.

use mutt_model::Timestamp;

/// The format written and read by this version.
pub(crate) const FORMAT: u16 = 1;
/// Bytes of a segment header; the first record starts here.
pub(crate) const SEGMENT_HEADER: u64 = 72;
/// Bytes of a record header.
pub(crate) const RECORD_HEADER: usize = 64;
/// Records start on multiples of this.
pub(crate) const ALIGN: usize = 8;

const SEGMENT_MAGIC: &[u8; 8] = b"MUTTQSEG";
const RECORD_MAGIC: &[u8; 4] = b"MUTR";

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Grows by one from segment to segment, without gaps.
    pub(crate) number: u64,
    /// The sequence number of its first record.
    pub(crate) first_seq: u64,
    /// Events appended to the queue before this segment.
    pub(crate) appended: u64,
    /// Events known as lost when the segment was made.
    pub(crate) lost_before: u64,
    /// Events of this segment that salvage could not read.
    pub(crate) lost_inside: u64,
    /// The queue's random number.
    pub(crate) salt: u64,
}

impl SegmentHeader {
    /// Sequence number and event count at its first record.
    pub(crate) fn first(&self) -> (u64, u64) {
        (self.first_seq, self.appended)
    }

    /// The place of its first record.
    pub(crate) fn start(&self) -> Mark {
        let (segment, offset) = (self.number, SEGMENT_HEADER);
        Mark { segment, offset, seq: self.first_seq, appended: self.appended }
    }
}

/// Why a header is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Too short, wrong magic or wrong checksum.
    Damaged,
    /// Whole, and written by another version.
    Format(u16),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER as usize] {
        let mut out = [0u8; SEGMENT_HEADER as usize];
        out[..8].copy_from_slice(SEGMENT_MAGIC);
        out[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        let numbers = [
            self.number,
            self.first_seq,
            self.appended,
            self.lost_before,
            self.lost_inside,
            self.salt,
        ];
        for (i, number) in numbers.iter().enumerate() {
            let at = 16 + i * 8;
            out[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[..68]);
        out[68..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes = bytes.get(..SEGMENT_HEADER as usize).ok_or(HeaderError::Damaged)?;
        if &bytes[..8] != SEGMENT_MAGIC || crc32fast::hash(&bytes[..68]) != le32(bytes, 68) {
            return Err(HeaderError::Damaged);
        }
        match le16(bytes, 8) {
            FORMAT => Ok(Self {
                number: le64(bytes, 16),
                first_seq: le64(bytes, 24),
                appended: le64(bytes, 32),
                lost_before: le64(bytes, 40),
                lost_inside: le64(bytes, 48),
                salt: le64(bytes, 56),
            }),
            other => Err(HeaderError::Format(other)),
        }
    }
}

/// What a record says about itself; survives damage to its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// Its sequence number in the queue.
    pub(crate) seq: u64,
    /// Events appended to the queue before it.
    pub(crate) appended: u64,
    /// When its first event was received.
    pub(crate) received_at: Timestamp,
    /// Bytes it takes in the file: header, payload, padding (and what salvage left unused).
    pub(crate) extent: u32,
    /// Bytes of its payload.
    pub(crate) payload_len: u32,
    /// Events that can be read.
    pub(crate) events: u32,
    /// Events that were appended here and cannot be read.
    pub(crate) lost: u32,
    /// Sequence numbers it stands for: one, or more where salvage found a gap.
    pub(crate) span: u32,
    /// Checksum of the payload.
    pub(crate) payload_crc: u32,
    /// Its place among the records that were written and synced together: what came before its
    /// group was on stable storage when it was written.
    pub(crate) in_group: u32,
}

impl RecordHeader {
    pub(crate) fn encode(&self, salt: u64) -> [u8; RECORD_HEADER] {
        let mut out = [0u8; RECORD_HEADER];
        out[..4].copy_from_slice(RECORD_MAGIC);
        out[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        out[8..16].copy_from_slice(&self.seq.to_le_bytes());
        out[16..24].copy_from_slice(&self.appended.to_le_bytes());
        out[24..32].copy_from_slice(&self.received_at.0.to_le_bytes());
        let numbers = [
            self.extent,
            self.payload_len,
            self.events,
            self.lost,
            self.span,
            self.payload_crc,
            self.in_group,
        ];
        for (i, number) in numbers.iter().enumerate() {
            let at = 32 + i * 4;
            out[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        let crc = salted(salt, &out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8], salt: u64) -> Result<Self, HeaderError> {
        let bytes = bytes.get(..RECORD_HEADER).ok_or(HeaderError::Damaged)?;
        if &bytes[..4] != RECORD_MAGIC || salted(salt, &bytes[..60]) != le32(bytes, 60) {
            return Err(HeaderError::Damaged);
        }
        if le16(bytes, 4) != FORMAT {
            return Err(HeaderError::Format(le16(bytes, 4)));
        }
        let header = Self {
            seq: le64(bytes, 8),
            appended: le64(bytes, 16),
            received_at: Timestamp(le64(bytes, 24).cast_signed()),
            extent: le32(bytes, 32),
            payload_len: le32(bytes, 36),
            events: le32(bytes, 40),
            lost: le32(bytes, 44),
            span: le32(bytes, 48),
            payload_crc: le32(bytes, 52),
            in_group: le32(bytes, 56),
        };
        let fits = RECORD_HEADER as u64 + u64::from(header.payload_len) <= header.extent.into();
        if fits { Ok(header) } else { Err(HeaderError::Damaged) }
    }

    /// Events that were appended with it, readable or not.
    pub(crate) fn counted(&self) -> u64 {
        u64::from(self.events) + u64::from(self.lost)
    }

    /// Whether nothing of it can be read.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.payload_len == 0
    }
}

/// Where a record may start: segment, byte, and what was counted before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The number of the segment.
    pub(crate) segment: u64,
    /// The byte in its file.
    pub(crate) offset: u64,
    /// The sequence number that is expected here.
    pub(crate) seq: u64,
    /// Events appended before.
    pub(crate) appended: u64,
}

impl Mark {
    /// The place after the record that stands here.
    pub(crate) fn after(self, record: &RecordHeader) -> Self {
        Self {
            segment: self.segment,
            offset: self.offset + u64::from(record.extent),
            seq: self.seq + u64::from(record.span),
            appended: self.appended + record.counted(),
        }
    }
}

/// Bytes that a payload takes in a segment with its header and padding.
pub(crate) fn extent_of(payload: usize) -> u64 {
    (RECORD_HEADER + payload).next_multiple_of(ALIGN) as u64
}

fn salted(salt: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

/// The file name of a segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("segment-{number:012}.log")
}

/// The number in a segment's file name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    name.strip_prefix("segment-")?.strip_suffix(".log")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_back_and_every_flipped_bit_is_seen() {
        let segment = SegmentHeader {
            number: 1,
            first_seq: 2,
            appended: 3,
            lost_before: 4,
            lost_inside: 5,
            salt: 6,
        };
        let record = RecordHeader {
            seq: 1 << 40,
            appended: 2,
            received_at: Timestamp(-3),
            extent: 80,
            payload_len: 9,
            events: 5,
            lost: 6,
            span: 7,
            payload_crc: 8,
            in_group: 9,
        };
        let bytes = segment.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(segment));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Err(HeaderError::Damaged));
        }
        let bytes = record.encode(6);
        assert_eq!(RecordHeader::decode(&bytes, 6), Ok(record));
        assert_eq!(RecordHeader::decode(&bytes, 7), Err(HeaderError::Damaged), "another salt");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&flipped, 6), Err(HeaderError::Damaged));
        }
    }

    #[test]
    fn names_carry_numbers() {
        assert_eq!(segment_number(&segment_name(7)), Some(7));
        assert_eq!(segment_number("cursor"), None);
        assert_eq!(segment_number("segment-x.log"), None);
    }
}
