//! Tests of the rules through the crate's own surface.
#![cfg_attr(test, expect(unreachable_pub, reason = "the files of fuzz/ are also a library's"))]

#[cfg(test)]
mod agreement;
#[cfg(test)]
#[path = "../../../../fuzz/src/bound.rs"]
mod bound;
#[cfg(test)]
#[path = "../../../../fuzz/src/corpus.rs"]
mod corpus;
#[cfg(test)]
mod decisions;
#[cfg(test)]
#[path = "../../../../fuzz/src/replay.rs"]
mod replay;
#[cfg(test)]
mod replayed;
#[cfg(test)]
#[path = "../../../../fuzz/src/rules.rs"]
mod rules;
#[cfg(test)]
#[path = "../../../../fuzz/src/target.rs"]
mod target;
