//! BER as SNMP uses it (RFC 3417 section 8): a reader that never panics, never allocates by a length
//! that it was told, and keeps the position of what it reads.
//!
//! Nothing here recurses: SNMP nests five levels deep, and the callers go down by name, so that the
//! depth is bounded by the code and not by the datagram.

use std::ops::Range;

use super::digits::push_number;

/// Universal INTEGER.
pub const INTEGER: u8 = 0x02;
/// Universal OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// Universal NULL.
pub const NULL: u8 = 0x05;
/// Universal OBJECT IDENTIFIER.
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// Universal SEQUENCE, constructed.
pub const SEQUENCE: u8 = 0x30;

/// Octets that a length may take after its first; more than eight cannot describe a datagram.
const LENGTH_OCTETS_MAX: usize = 8;
/// Arcs of an OID that are read, RFC 2578 section 3.5.
const ARCS_MAX: usize = mutt_model::oid::OID_ARCS_MAX;

/// Why something cannot be read as BER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BerError {
    /// The bytes end within a tag or a length.
    Truncated,
    /// A length runs over the end of what holds it.
    Overrun,
    /// The indefinite form, which RFC 3417 section 8 forbids.
    Indefinite,
    /// A length of more octets than any datagram can need.
    Length,
    /// A tag of more than one octet.
    Tag,
    /// Another tag than the one that must stand here.
    Expected(u8, u8),
    /// An integer without octets, or too large for 64 bits.
    Integer,
    /// An object identifier that is cut off, or whose arc does not fit 64 bits.
    Oid,
    /// An object identifier of more than 128 arcs.
    OidLength,
}

impl std::fmt::Display for BerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("cut off"),
            Self::Overrun => f.write_str("a length runs over the end"),
            Self::Indefinite => f.write_str("indefinite length"),
            Self::Length => f.write_str("a length of too many octets"),
            Self::Tag => f.write_str("a tag of more than one octet"),
            Self::Expected(wanted, found) => {
                write!(f, "tag 0x{found:02x} where 0x{wanted:02x} must stand")
            }
            Self::Integer => f.write_str("an integer without octets or over 64 bits"),
            Self::Oid => f.write_str("an object identifier that is cut off or over 64 bits"),
            Self::OidLength => f.write_str("an object identifier of more than 128 arcs"),
        }
    }
}

/// One element: tag, content, and where in the datagram it stands.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// The one tag octet.
    pub tag: u8,
    /// The content octets.
    pub content: &'a [u8],
    /// Tag, length and content as they came.
    pub whole: &'a [u8],
    /// Where the content begins in the datagram.
    pub content_at: usize,
}

impl<'a> Element<'a> {
    /// Reads inside this element.
    #[must_use]
    pub fn inside(&self) -> Reader<'a> {
        Reader { bytes: self.content, base: self.content_at, at: 0 }
    }

    /// Where in the datagram the content stands.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.content_at..self.content_at + self.content.len()
    }
}

/// Reads elements one after another.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    base: usize,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads a datagram from its start.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, base: 0, at: 0 }
    }

    /// Reads a part of a datagram that begins at `base`.
    #[must_use]
    pub fn at(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, base, at: 0 }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next element.
    ///
    /// # Errors
    ///
    /// When tag or length cannot be read or the content is not all there; the reader then stays
    /// where it is.
    #[inline]
    pub fn element(&mut self) -> Result<Element<'a>, BerError> {
        let left = self.rest();
        // Nearly every length is one octet.
        if let [tag, length @ ..0x80, ..] = left
            && tag & 0x1f != 0x1f
            && let Some(whole) = left.get(..2 + usize::from(*length))
        {
            let content_at = self.base + self.at + 2;
            self.at += whole.len();
            return Ok(Element { tag: *tag, content: &whole[2..], whole, content_at });
        }
        self.element_of_any_length()
    }

    fn element_of_any_length(&mut self) -> Result<Element<'a>, BerError> {
        let left = self.rest();
        let head = Head::read(left)?;
        let end = head.octets.checked_add(head.length).ok_or(BerError::Overrun)?;
        let whole = left.get(..end).ok_or(BerError::Overrun)?;
        let element = Element {
            tag: head.tag,
            content: &whole[head.octets..],
            whole,
            content_at: self.base + self.at + head.octets,
        };
        self.at += end;
        Ok(element)
    }

    /// The next element, taking what is there when its length runs over the end. For finding a
    /// community in a damaged datagram, never for decoding.
    #[must_use]
    pub fn element_clamped(&mut self) -> Option<Element<'a>> {
        let left = self.rest();
        let (tag, octets, length) = match Head::read(left) {
            Ok(head) => (head.tag, head.octets, head.length),
            Err(BerError::Indefinite | BerError::Length) => (left[0], 2, usize::MAX),
            Err(_) => return None,
        };
        let end = octets.saturating_add(length).min(left.len());
        let whole = &left[..end];
        let content = whole.get(octets..)?;
        let element = Element { tag, content, whole, content_at: self.base + self.at + octets };
        self.at += end;
        Some(element)
    }

    /// The next element, which must have this tag.
    ///
    /// # Errors
    ///
    /// As [`Reader::element`], or when another tag stands there.
    #[inline]
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, BerError> {
        let before = self.at;
        let element = self.element()?;
        if element.tag == tag {
            Ok(element)
        } else {
            self.at = before;
            Err(BerError::Expected(tag, element.tag))
        }
    }

    /// The next element as an INTEGER.
    ///
    /// # Errors
    ///
    /// As [`Reader::expect`] and [`signed`].
    pub fn integer(&mut self) -> Result<i64, BerError> {
        signed(self.expect(INTEGER)?.content)
    }
}

struct Head {
    tag: u8,
    octets: usize,
    length: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, BerError> {
        let tag = *bytes.first().ok_or(BerError::Truncated)?;
        if tag & 0x1f == 0x1f {
            return Err(BerError::Tag);
        }
        let first = *bytes.get(1).ok_or(BerError::Truncated)?;
        if first < 0x80 {
            return Ok(Self { tag, octets: 2, length: usize::from(first) });
        }
        let count = usize::from(first & 0x7f);
        if count == 0 {
            return Err(BerError::Indefinite);
        }
        if count > LENGTH_OCTETS_MAX {
            return Err(BerError::Length);
        }
        // Leading zeros in a long-form length are common and harmless.
        let octets = bytes.get(2..2 + count).ok_or(BerError::Truncated)?;
        let length = octets.iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
        let length = usize::try_from(length).map_err(|_| BerError::Overrun)?;
        Ok(Self { tag, octets: 2 + count, length })
    }
}

/// Reads a two's complement integer; redundant leading octets are tolerated.
///
/// # Errors
///
/// Without octets, or when it does not fit 64 bits.
#[inline]
pub fn signed(content: &[u8]) -> Result<i64, BerError> {
    if let [first, rest @ ..] = content
        && rest.len() < 8
    {
        let first = i64::from(first.cast_signed());
        return Ok(rest.iter().fold(first, |sum, octet| sum << 8 | i64::from(*octet)));
    }
    signed_of_any_length(content)
}

fn signed_of_any_length(content: &[u8]) -> Result<i64, BerError> {
    let first = *content.first().ok_or(BerError::Integer)?;
    let sign = if first & 0x80 == 0 { 0u8 } else { 0xff };
    let keep = content.len().min(8);
    let (spare, octets) = content.split_at(content.len() - keep);
    let fits = spare.iter().all(|octet| *octet == sign)
        && (spare.is_empty() || octets[0] & 0x80 == sign & 0x80);
    if !fits {
        return Err(BerError::Integer);
    }
    let mut eight = [sign; 8];
    eight[8 - keep..].copy_from_slice(octets);
    Ok(i64::from_be_bytes(eight))
}

/// Reads an unsigned integer. A counter whose leading zero octet was left out (many agents do) is
/// read as the positive number that it means.
///
/// # Errors
///
/// Without octets, or when it does not fit 64 bits.
#[inline]
pub fn unsigned(content: &[u8]) -> Result<u64, BerError> {
    if content.is_empty() {
        return Err(BerError::Integer);
    }
    let octets = if content.len() > 8 { without_zeros(content)? } else { content };
    Ok(octets.iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet)))
}

/// What stands behind the leading zeros, where that is a number of 64 bits.
fn without_zeros(content: &[u8]) -> Result<&[u8], BerError> {
    let zeros = content.iter().take_while(|octet| **octet == 0).count();
    let octets = &content[zeros..];
    if octets.len() > 8 {
        return Err(BerError::Integer);
    }
    Ok(octets)
}

/// An object identifier as dotted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidText {
    /// The text, without leading dot.
    pub text: String,
    /// Whether an arc is over 32 bits, which RFC 2578 section 3.5 forbids; it is kept.
    pub wide: bool,
}

/// Reads an object identifier. One without octets, as some agents send for `0.0`, is `0.0`.
///
/// # Errors
///
/// When it is cut off within an arc, an arc is over 64 bits, or it has more than 128 arcs.
pub fn oid(content: &[u8]) -> Result<OidText, BerError> {
    let mut out = OidText { text: String::with_capacity(content.len() * 3), wide: false };
    if content.is_empty() {
        out.text.push_str("0.0");
        return Ok(out);
    }
    if content.last().is_some_and(|octet| octet & 0x80 != 0) {
        return Err(BerError::Oid);
    }
    let (mut arc, mut arcs) = (0u64, 0);
    for octet in content {
        if arc >> 57 != 0 {
            return Err(BerError::Oid);
        }
        arc = arc << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if arcs == 0 {
            let first = (arc / 40).min(2);
            arc -= first * 40;
            out.text.push(char::from(b'0' + first as u8));
            arcs = 1;
        }
        out.wide |= arc > u64::from(u32::MAX);
        arcs += 1;
        if arcs > ARCS_MAX {
            return Err(BerError::OidLength);
        }
        out.text.push('.');
        push_number(&mut out.text, arc);
        arc = 0;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_short_long_and_padded() {
        let check = |bytes: &[u8], expected: Result<usize, BerError>| {
            let read = Reader::new(bytes).element().map(|e| e.content.len());
            assert_eq!(read, expected, "{bytes:02x?}");
        };
        check(&[4, 0], Ok(0));
        check(&[4, 2, 1, 2, 9], Ok(2));
        check(&[4, 0x81, 1, 7], Ok(1));
        check(&[4, 0x84, 0, 0, 0, 1, 7], Ok(1));
        check(&[4, 0x80, 7, 0, 0], Err(BerError::Indefinite));
        check(&[4, 3, 1, 2], Err(BerError::Overrun));
        check(&[4, 0x88, 255, 255, 255, 255, 255, 255, 255, 255], Err(BerError::Overrun));
        check(&[4, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0], Err(BerError::Length));
        check(&[4, 0x82, 0], Err(BerError::Truncated));
        check(&[4], Err(BerError::Truncated));
        check(&[], Err(BerError::Truncated));
        check(&[0x1f, 0], Err(BerError::Tag));
    }

    #[test]
    fn integers_signed_and_unsigned() {
        let check = |bytes: &[u8], s: Result<i64, BerError>, u: Result<u64, BerError>| {
            assert_eq!((signed(bytes), unsigned(bytes)), (s, u), "{bytes:02x?}");
        };
        check(&[0], Ok(0), Ok(0));
        check(&[0xff], Ok(-1), Ok(255));
        check(&[0xff; 4], Ok(-1), Ok(u64::from(u32::MAX)));
        check(&[0x80, 0, 0, 0], Ok(-2_147_483_648), Ok(2_147_483_648));
        check(&[0, 0xff, 0xff, 0xff, 0xff], Ok(4_294_967_295), Ok(4_294_967_295));
        check(&[0, 255, 255, 255, 255, 255, 255, 255, 255], Err(BerError::Integer), Ok(u64::MAX));
        check(&[255, 255, 255, 255, 255, 255, 255, 255, 254], Ok(-2), Err(BerError::Integer));
        check(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], Ok(5), Ok(5));
        check(&[], Err(BerError::Integer), Err(BerError::Integer));
    }

    #[test]
    fn oids_with_every_first_arc_wide_and_broken_ones() {
        let check = |bytes: &[u8], expected: Result<(&str, bool), BerError>| {
            let read = oid(bytes);
            let read = read.as_ref().map(|o| (o.text.as_str(), o.wide)).map_err(|e| *e);
            assert_eq!(read, expected, "{bytes:02x?}");
        };
        check(&[], Ok(("0.0", false)));
        check(&[0], Ok(("0.0", false)));
        check(&[0x2b, 6, 1], Ok(("1.3.6.1", false)));
        check(&[0x88, 0x37, 3], Ok(("2.999.3", false)));
        check(&[0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f], Ok(("1.3.4294967295", false)));
        check(&[0x2b, 0x90, 0x80, 0x80, 0x80, 0], Ok(("1.3.4294967296", true)));
        check(&[0x2b, 0x80, 0x80, 1], Ok(("1.3.1", false)));
        check(&[0x2b, 0x86], Err(BerError::Oid));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Err(BerError::Oid));
        check(&[1; 127], oid(&[1; 127]).as_ref().map(|o| (o.text.as_str(), false)).map_err(|e| *e));
        assert!(oid(&[1; 127]).is_ok());
        check(&[1; 128], Err(BerError::OidLength));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(element) = reader.element() {
                prop_assert_eq!(&bytes[element.range()], element.content);
                let _ = (signed(element.content), unsigned(element.content), oid(element.content));
            }
            let mut reader = Reader::new(&bytes);
            while reader.element_clamped().is_some() {}
        }
    }
}
