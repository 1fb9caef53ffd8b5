//! The web service as its users meet it, in process over a real embedded store.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod api;
mod config;
mod doors;
mod live;
mod pages;
mod support;
mod writers;
