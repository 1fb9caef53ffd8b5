//! The kept corpora of the fuzz targets for what stands in this crate: the loader of MIB files.

#[path = "../../../../fuzz/src/mibs.rs"]
#[allow(unreachable_pub, reason = "the files of fuzz/ are also a library's")]
mod mibs;

crate::replay_tests!(self::mibs::TARGETS: mib_text, mib_compile);
