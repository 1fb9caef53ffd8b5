//! System tests.

#[cfg(test)]
mod apart;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod codes;
#[cfg(test)]
#[path = "../../../../fuzz/src/corpus.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the fuzz targets, which use more of it")]
mod corpus;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod drills;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http_clients;
#[cfg(test)]
mod import_v2;
#[cfg(test)]
mod live_settings;
#[cfg(test)]
mod loader;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod mibs;
#[cfg(test)]
mod packaging;
#[cfg(test)]
#[path = "../../../mutt-store/tests/it/postgres/server.rs"]
#[allow(dead_code, reason = "shared with the tests of mutt-store, which use more of it")]
mod postgres_server;
#[cfg(test)]
mod pressure;
#[cfg(test)]
mod provoked;
#[cfg(test)]
#[path = "../../../mutt-store/tests/it/redis_server.rs"]
#[allow(dead_code, reason = "shared with the tests of mutt-store, which use more of it")]
mod redis_server;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod reload;
#[cfg(test)]
#[path = "../../../../fuzz/src/replay.rs"]
#[allow(unreachable_pub, reason = "the files of fuzz/ are also a library's")]
mod replay;
#[cfg(test)]
mod replayed;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod site;
#[cfg(test)]
mod snmp_v3;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
#[path = "../../../../fuzz/src/target.rs"]
#[allow(unreachable_pub, reason = "the files of fuzz/ are also a library's")]
mod target;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod tls;
