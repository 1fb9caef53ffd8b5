//! What the fuzz targets do, by the crate whose decoders they feed. The crates' own tests include the
//! same files and replay the kept corpora (`testdata/fuzz`) through them.

pub mod bound;
pub mod corpus;
pub mod given;
pub mod http;
pub mod loader;
pub mod mibs;
pub mod model;
pub mod rules;
pub mod snmp;
pub mod sound;
pub mod streams;
pub mod syslog;
pub mod target;
pub mod unpack;

/// Every target.
pub fn all() -> impl Iterator<Item = &'static target::Target> {
    let all = [
        syslog::TARGETS,
        streams::TARGETS,
        snmp::TARGETS,
        http::TARGETS,
        unpack::TARGETS,
        mibs::TARGETS,
        model::TARGETS,
        rules::TARGETS,
    ];
    all.into_iter().flatten()
}

/// Runs the target of this name.
///
/// # Panics
///
/// When there is none, or when it finds a fault.
pub fn run(name: &str, data: &[u8]) {
    let target = all().find(|target| target.name == name);
    (target.expect("a target of this name").run)(data);
}
