//! What holds for every decoder of ours: how much memory an input may ask for.

/// How much memory may be in use at one time for an input: so many bytes for each of its bytes, and so
/// many in any case.
#[derive(Clone, Copy)]
pub struct Bound {
    /// For each byte of the input.
    pub per_byte: u64,
    /// For none.
    pub fixed: u64,
}

/// Runs `decode` and holds it to its bound.
pub fn bounded<T>(input: usize, bound: Bound, decode: impl FnOnce() -> T) -> T {
    let mut out = None;
    let used = allocation_counter::measure(|| out = Some(decode()));
    let allowed = bound.fixed + bound.per_byte * input as u64;
    assert!(
        used.bytes_max <= allowed,
        "{} bytes in use for an input of {input}, at most {allowed} may be",
        used.bytes_max
    );
    out.expect("it was run")
}
