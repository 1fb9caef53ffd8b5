//! Tests of the rules through the crate's own surface.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod decisions;
