//! Tests of the store on PostgreSQL that no other backend has: roles, faults, migrations, the chain of
//! receipts. Each starts its own server.

mod chain;
mod commit;
mod failover;
mod faults;
mod forwarders;
mod restored;
mod retention;
mod schema;
pub(crate) mod server;
mod settings;
mod tls;
