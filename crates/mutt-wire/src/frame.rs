//! The frame: bytes as they arrived, with where they came from and when.

use mutt_model::event::peer_host;
use mutt_model::{Event, Id, Source, Timestamp};

use crate::octets;

/// One frame as a listener hands it to a decoder. The Ingestor has already given it its id and time,
/// so that decoding needs no clock.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The id that the event will have.
    pub id: Id,
    /// When the frame was read from its socket.
    pub received_at: Timestamp,
    /// The listener's name: `syslog-udp`, `snmp-udp`, `http`.
    pub listener: &'a str,
    /// Address and port that sent it.
    pub peer: &'a str,
    /// The bytes.
    pub raw: &'a [u8],
}

impl<'a> Frame<'a> {
    /// An event that knows no more than the frame does.
    #[must_use]
    #[inline]
    pub fn event(self, source: Source) -> Event<'a> {
        let Self { id, received_at, listener, peer, raw } = self;
        Event::from_parts(id, received_at, source, listener, peer, host_of(peer), raw)
    }
}

/// What `peer_host` gives. An IPv4 address and its port, which most peers are, need no search for
/// the colons and brackets of other forms.
#[inline]
pub(crate) fn host_of(peer: &str) -> &str {
    let bytes = peer.as_bytes();
    let (Some(front), Some(end)) = (bytes.first_chunk::<4>(), bytes.last_chunk()) else {
        return peer_host(peer);
    };
    let dotted = matches!(
        front,
        [b'0'..=b'9', b'.', ..]
            | [b'0'..=b'9', b'0'..=b'9', b'.', _]
            | [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'.']
    );
    match colon_before_digits(end) {
        Some(at) if dotted => &peer[..bytes.len() + at - 8],
        _ => peer_host(peer),
    }
}

/// Where the colon stands behind which all is digits, and there are some.
#[inline(always)]
fn colon_before_digits(end: &[u8; 8]) -> Option<usize> {
    let marks = octets::no_digit(u64::from_le_bytes(*end)) & octets::HIGH;
    let at = 7 - (marks.leading_zeros() / 8) as usize;
    (marks != 0 && at < 7 && end[at] == b':').then_some(at)
}

/// The bytes may hold a community, so they are not shown.
impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, listener, peer, raw, .. } = self;
        write!(f, "Frame({id} from {peer} by {listener}, {} octets)", raw.len())
    }
}
