//! MIB files into names: found in folders, repaired, compiled in a process of its own, and put in
//! force for the decoder. A file of any shape costs at most its own names.

pub mod apart;
pub mod compile;
pub mod files;
pub mod live;
pub mod report;
pub mod table;
pub mod text;

/// The largest file that is read.
pub const FILE_BYTES_MAX: u64 = 8 << 20;
/// Files that are looked at.
pub const FILES_MAX: usize = 20_000;
/// All of them together.
pub const TOTAL_BYTES_MAX: u64 = 512 << 20;
/// Folders in folders that are looked into.
pub const FOLDER_DEPTH_MAX: usize = 8;

/// The text of a file whatever it is written in, for an upload.
#[must_use]
pub fn mended(bytes: &[u8]) -> String {
    text::repair(bytes)
}

/// The modules that begin in a text, by name.
#[must_use]
pub fn modules(text: &str) -> Vec<String> {
    text::outline(text).modules.into_iter().map(|module| module.name).collect()
}
