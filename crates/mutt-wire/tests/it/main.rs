//! What is measured of this crate from outside: the kept corpora of the fuzz targets, the memory that
//! decoding takes. A binary of its own, because its allocator counts.
#![cfg(test)]
#![expect(unreachable_pub, reason = "the files of fuzz/ are also a library's")]

mod allocations;
#[path = "../../../../fuzz/src/bound.rs"]
mod bound;
#[path = "../../../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../../fuzz/src/given.rs"]
mod given;
#[path = "../../../../fuzz/src/http.rs"]
mod http;
#[path = "../../../../fuzz/src/model.rs"]
mod model;
#[path = "../../../../fuzz/src/replay.rs"]
mod replay;
mod replayed;
#[path = "../../../../fuzz/src/snmp.rs"]
mod snmp;
#[path = "../../../../fuzz/src/sound.rs"]
mod sound;
#[path = "../../../../fuzz/src/streams.rs"]
mod streams;
#[path = "../../../../fuzz/src/syslog.rs"]
mod syslog;
#[path = "../../../../fuzz/src/target.rs"]
mod target;
#[path = "../../../../fuzz/src/unpack.rs"]
mod unpack;
