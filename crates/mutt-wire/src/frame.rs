//! The frame: bytes as they arrived, with where they came from and when.

use mutt_model::{Event, Id, Source, Timestamp};

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
    pub fn event(self, source: Source) -> Event<'a> {
        Event::from_raw(self.id, self.received_at, source, self.listener, self.peer, self.raw)
    }
}

/// The bytes may hold a community, so they are not shown.
impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, listener, peer, raw, .. } = self;
        write!(f, "Frame({id} from {peer} by {listener}, {} octets)", raw.len())
    }
}
