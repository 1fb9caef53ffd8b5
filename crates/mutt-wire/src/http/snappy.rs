//! The block format of Snappy, unpacked within a bound: some clients pack their bodies with it.

/// Why a block is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnappyError {
    /// It does not follow the format.
    Damaged,
    /// It says, or would give, more octets than are allowed.
    TooLarge,
}

/// Unpacks one block to at most `max` octets.
///
/// # Errors
///
/// When the block is damaged or would become too large. What it says of its size allocates nothing.
pub fn unpack(block: &[u8], max: usize) -> Result<Vec<u8>, SnappyError> {
    use SnappyError::{Damaged, TooLarge};
    let (length, mut at) = length(block).ok_or(Damaged)?;
    if length > max {
        return Err(TooLarge);
    }
    let mut out = Vec::new();
    while let Some(&tag) = block.get(at) {
        at += 1;
        if tag & 3 == 0 {
            let short = usize::from(tag >> 2);
            let extra = short.saturating_sub(59);
            let size =
                if extra == 0 { short } else { little(block, at, extra).ok_or(Damaged)? } + 1;
            at += extra;
            let literal = block.get(at..at.saturating_add(size)).ok_or(Damaged)?;
            at += size;
            out.extend_from_slice(literal);
        } else {
            let (size, offset, taken) = copy(block, at, tag).ok_or(Damaged)?;
            at += taken;
            let start = out.len().checked_sub(offset).filter(|_| offset > 0).ok_or(Damaged)?;
            // A copy may reach into what it writes itself.
            for from in start..start + size {
                out.push(out[from]);
            }
        }
        if out.len() > length {
            return Err(Damaged);
        }
    }
    if out.len() == length { Ok(out) } else { Err(Damaged) }
}

/// The unpacked length in front, and how many octets it takes.
fn length(block: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0u64;
    for (at, byte) in block.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let length = u32::try_from(length).ok()?;
            return Some((usize::try_from(length).ok()?, at + 1));
        }
    }
    None
}

fn little(block: &[u8], at: usize, octets: usize) -> Option<usize> {
    let bytes = block.get(at..at.checked_add(octets)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
}

/// Size and offset of a copy, and how many octets follow its tag.
fn copy(block: &[u8], at: usize, tag: u8) -> Option<(usize, usize, usize)> {
    let high = usize::from(tag >> 2);
    Some(match tag & 3 {
        1 => ((high & 7) + 4, ((high >> 3) << 8) | little(block, at, 1)?, 1),
        2 => (high + 1, little(block, at, 2)?, 2),
        _ => (high + 1, little(block, at, 4)?, 4),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_by_hand() {
        let check = |block: &[u8], expected: Result<&[u8], SnappyError>| {
            assert_eq!(unpack(block, 1_000).as_deref(), expected.as_ref().copied(), "{block:?}");
        };
        check(&[0], Ok(b""));
        check(&[3, 0b0000_1000, b'a', b'b', b'c'], Ok(b"abc"));
        // "ab", then a copy of 6 from 2 back: it reaches into itself.
        check(&[8, 0b0000_0100, b'a', b'b', 0b0000_1001, 2], Ok(b"abababab"));
        check(&[8, 0b0000_0100, b'a', b'b', 0b0001_0110, 2, 0], Ok(b"abababab"));
        check(&[8, 0b0000_0100, b'a', b'b', 0b0001_0111, 2, 0, 0, 0], Ok(b"abababab"));
        check(&[2, 60 << 2, 1, b'x', b'y'], Ok(b"xy"));
        check(&[], Err(SnappyError::Damaged));
        check(&[3, 0b0000_1000, b'a'], Err(SnappyError::Damaged));
        check(&[4, 0, b'a', 1, 0], Err(SnappyError::Damaged));
        check(&[4, 0, b'a', 1, 9], Err(SnappyError::Damaged));
        check(&[9, 0, b'a'], Err(SnappyError::Damaged));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 1], Err(SnappyError::Damaged));
        check(&[0xff, 0xff, 0xff, 0xff, 0x0f], Err(SnappyError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(block in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(out) = unpack(&block, 4_096) {
                prop_assert!(out.len() <= 4_096);
            }
        }
    }
}
