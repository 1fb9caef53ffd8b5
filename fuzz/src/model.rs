//! The targets of mutt-model: the record that the event queue keeps.

use mutt_model::batch::{self, Batch};

use crate::bound::{Bound, bounded};
use crate::target::Target;

/// The targets of this crate.
pub const TARGETS: &[Target] = &[Target { name: "batch", run: run_batch, seeds: seeds_batch }];

/// Events that are read of one record: its header says how many, and may say anything.
const EVENTS_MAX: usize = 2_000;
const HEAD: usize = 32;

fn seeds_batch() -> Vec<Vec<u8>> {
    let event = |raw: &'static [u8]| {
        mutt_model::Event::from_raw(
            mutt_model::Id([7; 16]),
            mutt_model::Timestamp(1_785_996_000_000_000),
            mutt_model::Source::Syslog,
            "syslog-udp",
            "192.0.2.7:40022",
            raw,
        )
    };
    let mut full = event(b"<13>1 - web1 app 12 id - text of the message");
    for text in [&mut full.app, &mut full.relay, &mut full.fields, &mut full.correlation_id] {
        *text = Some("{}".into());
    }
    full.message = String::from_utf8_lossy(&full.raw[27..]).into_owned().into();
    let mut builder = batch::BatchBuilder::new(mutt_model::Id([9; 16]), 3);
    builder.push(&full);
    builder.push(&event(b""));
    vec![
        builder.finish().as_bytes().to_vec(),
        batch::encode_body(&full),
        batch::encode_body(&event(b"raw")),
    ]
}

fn run_batch(data: &[u8]) {
    // As it lies on the disk: checksums catch nearly everything.
    read(data.to_vec());
    // As if whoever wrote it could write checksums, too.
    read(with_checksums(data));
    let bound = Bound { per_byte: 2, fixed: 4 << 10 };
    if let Some(event) = bounded(data.len(), bound, || batch::decode_body(data)) {
        let body = batch::encode_body(&event);
        assert_eq!(batch::decode_body(&body).as_ref(), Some(&event));
    }
}

fn read(bytes: Vec<u8>) {
    let length = bytes.len();
    let Ok(batch) = Batch::open(bytes) else { return };
    bounded(length, Bound { per_byte: 4, fixed: 4 << 10 }, || {
        for event in batch.iter().take(EVENTS_MAX).flatten() {
            assert!(event.raw.len() <= length && event.message.len() <= length);
        }
    });
}

/// The same record with every checksum made to fit.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if bytes.len() < HEAD {
        return bytes;
    }
    bytes[..4].copy_from_slice(b"MUTB");
    bytes[4..6].copy_from_slice(&batch::BATCH_FORMAT.to_le_bytes());
    let crc = crc32(&bytes[..28]);
    bytes[28..HEAD].copy_from_slice(&crc);
    let mut at = HEAD;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(body) = bytes.get(at + 8..at.saturating_add(8).saturating_add(length)) else {
            break;
        };
        let crc = crc32(body);
        bytes[at + 4..at + 8].copy_from_slice(&crc);
        at += 8 + length;
    }
    bytes
}

/// CRC-32 as the stored form has it, by the book, so that this file needs no other crate.
fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).to_le_bytes()
}
