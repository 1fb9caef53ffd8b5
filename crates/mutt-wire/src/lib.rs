//! Frame to event: syslog, SNMP traps and informs, HTTP JSON records. Pure and total: no I/O, no
//! clock, no failure; whatever arrives becomes an event that says how much of it was understood.

pub mod frame;
pub mod http;
mod octets;
pub mod proxy;
pub mod relp;
pub mod snmp;
pub mod syslog;
pub mod text;
mod writer;

pub use frame::Frame;
