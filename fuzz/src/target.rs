//! A fuzz target.

/// One decoder under fuzz.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the name of its corpus, `testdata/fuzz/NAME.txt`.
    pub name: &'static str,
    /// Decodes and panics where a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs to begin with, from the project's own fixtures.
    pub seeds: fn() -> Vec<Vec<u8>>,
}
