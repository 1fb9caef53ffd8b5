//! Everything durable: the event queue (first hand-over) and the store (second hand-over).
//!
//! The two are separate failure domains: the queue accepts while the store is down. Traits stand here
//! by use; backends are chosen at run time. This crate knows no sender, no sink and no HTTP.

mod archive;
mod aside;
mod book;
mod counting;
mod deliveries;
mod handshake;
pub mod postgres;
pub mod queue;
pub mod redis;
pub mod retention;
mod rows;
mod rule_edit;
pub mod signal;
mod sources;
pub mod spill;
pub mod sqlite;
pub mod state;
pub mod store;
