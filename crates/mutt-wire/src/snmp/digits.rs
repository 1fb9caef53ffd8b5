//! Numbers and octets written as digits, without the machinery of formatting.

/// `.0` to `.999`, one after another: what an arc adds to an OID, and without its dot a number.
static DOTTED: &str = text(&DOTTED_BYTES);
/// `00` to `ff`.
static HEX: &str = text(&HEX_BYTES);

const DOTTED_BYTES: [u8; 3_890] = {
    let mut out = [0; 3_890];
    let (mut number, mut at) = (0u16, 0);
    while number < 1_000 {
        out[at] = b'.';
        at += 1;
        if number >= 100 {
            out[at] = b'0' + (number / 100) as u8;
            at += 1;
        }
        if number >= 10 {
            out[at] = b'0' + (number / 10 % 10) as u8;
            at += 1;
        }
        out[at] = b'0' + (number % 10) as u8;
        at += 1;
        number += 1;
    }
    out
};

const HEX_BYTES: [u8; 512] = {
    let digits = b"0123456789abcdef";
    let mut out = [0; 512];
    let mut octet = 0;
    while octet < 256 {
        out[octet * 2] = digits[octet >> 4];
        out[octet * 2 + 1] = digits[octet & 15];
        octet += 1;
    }
    out
};

const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// A number below 1,000 with a dot before it.
#[inline]
fn dotted(number: usize) -> &'static str {
    let (at, length) = place_of(number);
    DOTTED.get(at..at + length).unwrap_or_default()
}

/// Where such a number stands in [`DOTTED`], and how long it is.
#[inline]
fn place_of(number: usize) -> (usize, usize) {
    match number {
        0..10 => (number * 2, 2),
        10..100 => (number * 3 - 10, 3),
        _ => (number * 4 - 110, 4),
    }
}

/// Octets that the digits of a number take at most.
pub(super) const DIGITS_MAX: usize = 20;

/// The digits of a number, in `room` where they are not at hand.
#[inline]
pub(super) fn number_text(number: u64, room: &mut [u8; DIGITS_MAX]) -> &str {
    if number < 1_000 {
        return dotted(number as usize).get(1..).unwrap_or_default();
    }
    let count = write(room, number);
    std::str::from_utf8(&room[..count]).unwrap_or_default()
}

/// Writes the digits of a number to the front; gives how many there are.
#[inline]
pub(super) fn number_at(room: &mut [u8; DIGITS_MAX], number: u64) -> usize {
    if number >= 1_000 {
        return write(room, number);
    }
    let (at, length) = place_of(number as usize);
    if let Some([a, b, c]) = DOTTED.as_bytes().get(at + 1..).and_then(<[u8]>::first_chunk::<3>) {
        (room[0], room[1], room[2]) = (*a, *b, *c);
    }
    length - 1
}

/// A dot and an arc below 1,000 with more behind it, and how long it is.
#[inline]
pub(super) fn arc_text(arc: u32) -> Option<(&'static [u8; 4], usize)> {
    let (at, length) = place_of(arc as usize);
    if arc >= 1_000 {
        return None;
    }
    Some((DOTTED.as_bytes().get(at..)?.first_chunk()?, length))
}

/// Appends a number.
#[inline]
pub(super) fn push_number(out: &mut String, number: u64) {
    if number < 1_000 {
        out.push_str(dotted(number as usize).get(1..).unwrap_or_default());
    } else {
        push_large(out, number);
    }
}

fn push_large(out: &mut String, number: u64) {
    let mut room = [0; DIGITS_MAX];
    let count = write(&mut room, number);
    out.push_str(std::str::from_utf8(&room[..count]).unwrap_or_default());
}

/// Writes the digits of a number to the front; gives how many there are. There must be room.
#[inline]
fn write(room: &mut [u8], number: u64) -> usize {
    let count = number.checked_ilog10().map_or(1, |log| log as usize + 1);
    let mut rest = number;
    for place in room.iter_mut().take(count).rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    count
}

/// Appends a number that may be negative.
#[inline]
pub(super) fn push_signed(out: &mut String, number: i64) {
    if number < 0 {
        out.push('-');
    }
    push_number(out, number.unsigned_abs());
}

/// Appends a dot and an arc.
#[inline]
pub(super) fn push_arc(out: &mut String, arc: u32) {
    if arc < 1_000 {
        out.push_str(dotted(arc as usize));
    } else {
        out.push('.');
        push_large(out, u64::from(arc));
    }
}

/// Appends arcs, each with a dot before it.
pub(super) fn push_arcs(out: &mut String, arcs: &[u32]) {
    for few in arcs.chunks(8) {
        let mut room = [b'.'; 8 * 11 + 1];
        let mut at = 0;
        for arc in few {
            // The dot stands there already.
            at += 1;
            if *arc < 10 {
                room[at] = b'0' + *arc as u8;
                at += 1;
            } else if let Some((text, length)) = arc_text(*arc) {
                room[at - 1..at + 3].copy_from_slice(text);
                at += length - 1;
                // The next dot.
                room[at] = b'.';
            } else {
                at += write(&mut room[at..], u64::from(*arc));
            }
        }
        out.push_str(std::str::from_utf8(&room[..at]).unwrap_or_default());
    }
}

/// Appends octets in hexadecimal.
pub(super) fn push_hex(out: &mut String, octets: &[u8]) {
    out.reserve(octets.len() * 2);
    for octet in octets {
        let at = usize::from(*octet) * 2;
        out.push_str(HEX.get(at..at + 2).unwrap_or_default());
    }
}

/// Octets as `0x` and hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    let mut out = String::with_capacity(2 + octets.len() * 2);
    out.push_str("0x");
    push_hex(&mut out, octets);
    out
}

/// An address in dotted form.
pub(super) fn address(four: [u8; 4]) -> String {
    let mut out = String::with_capacity(15);
    for (at, octet) in four.into_iter().enumerate() {
        let part = dotted(usize::from(octet));
        out.push_str(if at == 0 { part.get(1..).unwrap_or_default() } else { part });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_written_as_formatting_writes_it() {
        let check = |number: u64| {
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string());
            assert_eq!(number_text(number, &mut [0; DIGITS_MAX]), out);
            let mut room = [0; DIGITS_MAX];
            let count = number_at(&mut room, number);
            assert_eq!(room.get(..count), Some(out.as_bytes()));
        };
        (0..12_000).for_each(check);
        (0..64).for_each(|bit| (check(1 << bit), check((1 << bit) - 1)).0);
        check(u64::MAX);
        let mut out = String::new();
        push_signed(&mut out, i64::MIN);
        push_arc(&mut out, 0);
        push_arc(&mut out, u32::MAX);
        assert_eq!(out, "-9223372036854775808.0.4294967295");
        let arcs: Vec<u32> =
            (0..70).map(|n| if n % 40 == 39 { 1_000 * n } else { n % 10 }).collect();
        for count in 0..arcs.len() {
            let mut out = String::new();
            push_arcs(&mut out, &arcs[..count]);
            let expected: String = arcs[..count].iter().map(|arc| format!(".{arc}")).collect();
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn octets_are_written_as_formatting_writes_them() {
        let all: Vec<u8> = (0..=255).collect();
        let expected: String = all.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex(&all), format!("0x{expected}"));
        assert_eq!(address([0, 10, 192, 255]), "0.10.192.255");
    }
}
