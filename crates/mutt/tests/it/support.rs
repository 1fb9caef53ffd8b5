//! What the system tests share: the real program, a receiver that obeys a script, senders that repeat
//! what was not answered, real programs of the field, and the audit as its file holds it.

pub(crate) mod audit;
pub(crate) mod cutter;
pub(crate) mod deaf;
pub(crate) mod disk;
pub(crate) mod forwarder;
pub(crate) mod http;
pub(crate) mod peers;
pub(crate) mod program;
pub(crate) mod senders;
pub(crate) mod sink;
pub(crate) mod site;
pub(crate) mod streams;
pub(crate) mod tools;
pub(crate) mod vault;
pub(crate) mod wait;

pub(crate) use audit::Audit;
pub(crate) use forwarder::Forwarder;
pub(crate) use program::{Program, Setup};
pub(crate) use sink::{Receiver, Reply};
pub(crate) use site::Site;
pub(crate) use vault::Vault;
pub(crate) use wait::{Stopwatch, until};
