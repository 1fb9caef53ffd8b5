//! Kept corpora: one file a target, each line one input in base64.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of one kept corpus, in base64: what replaying one may cost.
pub const KEPT_MAX: u64 = 180_000;

/// Inputs of one kept corpus: of a target that takes long for each, so many as a test has time for.
pub fn inputs_max(name: &str) -> usize {
    match name {
        // All built-in modules are read for each.
        "mib_compile" => 40,
        _ => 4_000,
    }
}

/// The root of the project, from any of its packages.
pub fn root() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    while !folder.join("testdata/fuzz").is_dir() {
        assert!(folder.pop(), "testdata/fuzz is above this package");
    }
    folder
}

/// Where the kept corpora lie.
pub fn folder() -> PathBuf {
    root().join("testdata/fuzz")
}

/// The inputs of a kept corpus; none when there is no such file.
///
/// # Panics
///
/// When a line is no base64.
pub fn read(path: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| STANDARD.decode(line).expect("a line of base64")).collect()
}

/// Inputs as a kept corpus has them: sorted, each once, so that a change shows what changed.
pub fn write(mut inputs: Vec<Vec<u8>>) -> String {
    inputs.sort();
    inputs.dedup();
    inputs.iter().map(|input| STANDARD.encode(input) + "\n").collect()
}
