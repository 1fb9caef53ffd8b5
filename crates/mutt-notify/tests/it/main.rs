//! The sinks against a real receiver on a real socket.

#![expect(clippy::unwrap_used, reason = "a test ends where its setting fails")]

mod receiver;
mod sinks;
