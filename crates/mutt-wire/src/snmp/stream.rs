//! SNMP over a stream (RFC 3430): where one message ends and the next begins. Nothing marks the
//! bounds but the length of each message itself.

use super::ber::SEQUENCE;

/// The longest message that is taken from a stream; RFC 3430 asks for at least 8,192 octets.
pub const MESSAGE_MAX: usize = 65_535;
/// Octets of tag and length that are looked at.
const HEAD_MAX: usize = 2 + 4;

/// What stands at the start of the octets that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A message that is not all there.
    NeedMore,
    /// A message of this many octets.
    Message(usize),
    /// A message longer than [`MESSAGE_MAX`]: there is no way to the next one.
    TooLong,
    /// No message: the sender speaks something else, or its bounds are lost.
    NotSnmp,
}

/// Looks at the start of a stream.
#[must_use]
pub fn next(octets: &[u8]) -> Next {
    let Some(tag) = octets.first() else { return Next::NeedMore };
    if *tag != SEQUENCE {
        return Next::NotSnmp;
    }
    let Some(first) = octets.get(1) else { return Next::NeedMore };
    let count = usize::from(first & 0x7f);
    let (head, length) = match (first & 0x80, count) {
        (0, short) => (2, short),
        // The indefinite form, and lengths that no message has.
        (_, 0) => return Next::NotSnmp,
        (_, count) if 2 + count > HEAD_MAX => return Next::TooLong,
        (_, count) => {
            let Some(digits) = octets.get(2..2 + count) else { return Next::NeedMore };
            let length = digits.iter().fold(0usize, |sum, digit| sum << 8 | usize::from(*digit));
            (2 + count, length)
        }
    };
    let whole = head + length;
    if whole > MESSAGE_MAX {
        Next::TooLong
    } else if octets.len() < whole {
        Next::NeedMore
    } else {
        Next::Message(whole)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_cut_by_their_own_length() {
        let check =
            |octets: &[u8], expected: Next| assert_eq!(next(octets), expected, "{octets:?}");
        check(&[], Next::NeedMore);
        check(&[0x30], Next::NeedMore);
        check(&[0x30, 2, 1], Next::NeedMore);
        check(&[0x30, 2, 1, 0], Next::Message(4));
        check(&[0x30, 2, 1, 0, 0x30], Next::Message(4));
        check(&[0x30, 0], Next::Message(2));
        check(&[0x30, 0x82], Next::NeedMore);
        check(&[0x30, 0x82, 0, 1, 7], Next::Message(5));
        check(&[0x30, 0x84, 0, 0, 0, 1, 7], Next::Message(7));
        check(&[0x30, 0x82, 0xff, 0xff], Next::TooLong);
        check(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], Next::TooLong);
        check(&[0x30, 0x85, 0, 0, 0, 0, 1], Next::TooLong);
        check(&[0x30, 0xff], Next::TooLong);
        check(&[0x30, 0x80], Next::NotSnmp);
        check(b"GET / HTTP/1.1\r\n", Next::NotSnmp);
        check(b"<34>1 2026", Next::NotSnmp);
    }

    proptest! {
        #[test]
        fn no_octets_are_a_message_longer_than_they_are(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Next::Message(length) = next(&octets) {
                prop_assert!(length <= octets.len() && length >= 2);
            }
        }
    }
}
