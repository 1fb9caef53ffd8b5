//! How often decoding asks for memory.

use std::hint::black_box;

use mutt_model::batch::BatchBuilder;
use mutt_model::{Id, Timestamp};
use mutt_wire::Frame;
use mutt_wire::syslog::{Options, decode};

const MESSAGES: usize = 1_000;
/// Allocations for each message that the project promises.
const FOR_EACH: u64 = 2;

/// Messages of RFC 5424 that differ, every second with structured data.
fn messages() -> Vec<String> {
    (0..MESSAGES)
        .map(|n| {
            let data = if n % 2 == 0 {
                "-".to_owned()
            } else {
                format!("[origin@32473 ip=\"192.0.2.{}\" seq=\"{n}\"][meta id=\"{n}\"]", n % 250)
            };
            format!(
                "<{}>1 2026-08-06T10:00:{:02}.{n:06}+02:00 web{n}.example.net app{} {n} ID{n} {data} \
                 session {n} of user operator ended after {n} s",
                n % 192,
                n % 60,
                n % 7,
            )
        })
        .collect()
}

#[test]
fn a_batch_of_rfc5424_messages_takes_two_allocations_for_each() {
    let (messages, options) = (messages(), Options::default());
    let mut batch = BatchBuilder::new(Id([7; 16]), 0);
    let used = allocation_counter::measure(|| {
        for message in &messages {
            let frame = Frame {
                id: Id([7; 16]),
                received_at: Timestamp(1_786_017_600_000_000),
                listener: "syslog-tcp",
                peer: "192.0.2.7:40022",
                raw: message.as_bytes(),
            };
            batch.push(&black_box(decode(frame, &options)));
        }
    });
    println!(
        "{} allocations for {MESSAGES} messages, decoded and written into a batch of {} bytes",
        used.count_total,
        batch.bytes()
    );
    assert!(used.count_total <= FOR_EACH * MESSAGES as u64, "{} allocations", used.count_total);
    let events: Vec<_> = batch.finish().iter().map(|event| event.map(|e| e.into_owned())).collect();
    assert_eq!(events.len(), MESSAGES);
    assert!(events.iter().flatten().all(|event| event.parse.format == "rfc5424"));
}
