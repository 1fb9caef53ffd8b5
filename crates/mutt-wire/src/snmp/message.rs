//! The envelope of an SNMP message and its PDU, RFC 1157, 1905, 3416, 3412; and where its secrets lie.

use std::ops::Range;

use super::ber::{
    self, BerError, Element, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE,
};

/// The v1 Trap-PDU.
pub(super) const TRAP_V1: u8 = 0xa4;
/// The InformRequest-PDU.
pub(super) const INFORM: u8 = 0xa6;
/// The SNMPv2-Trap-PDU.
pub(super) const TRAP_V2: u8 = 0xa7;
/// The Response-PDU.
pub(super) const RESPONSE: u8 = 0xa2;
/// The GetRequest-PDU.
pub(super) const GET: u8 = 0xa0;
/// The Report-PDU.
pub(super) const REPORT: u8 = 0xa8;
/// IpAddress, application 0.
pub(super) const IP_ADDRESS: u8 = 0x40;
/// TimeTicks, application 3.
pub(super) const TIME_TICKS: u8 = 0x43;

/// An element that must stand here, by name, cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What was being read.
    pub(super) what: &'static str,
    /// What is wrong with it.
    pub(super) why: BerError,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

fn at<T>(what: &'static str, read: Result<T, BerError>) -> Result<T, Fault> {
    read.map_err(|why| Fault { what, why })
}

/// A message as far as its envelope goes.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// Version 0 or 1, both with a community.
    Community {
        /// 0 is v1, 1 is v2c.
        version: i64,
        /// The community's octets.
        community: Element<'a>,
        /// The PDU.
        pdu: Element<'a>,
        /// Whether bytes follow the message.
        trailing: bool,
    },
    /// Version 3.
    V3(V3<'a>),
    /// A version that does not exist.
    Other(i64),
}

/// What can be read of a v3 message without keys.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct V3<'a> {
    pub(super) message_id: i64,
    /// The most octets that the sender takes as an answer.
    pub(super) max_size: i64,
    pub(super) flags: u8,
    pub(super) security_model: i64,
    pub(super) engine_id: &'a [u8],
    pub(super) boots: i64,
    pub(super) time: i64,
    pub(super) user: &'a [u8],
    /// What stands behind the user's name; `None` where the message is cut off or damaged there.
    pub(super) secured: Option<SecuredPart<'a>>,
    /// The message, tag and length too: what its digest is over.
    pub(super) whole: &'a [u8],
    /// Whether bytes follow the message.
    pub(super) trailing: bool,
}

/// The parameters that secure a v3 message, and what they secure.
#[derive(Clone, Copy, Debug)]
pub(super) struct SecuredPart<'a> {
    /// The digest.
    pub(super) digest: Element<'a>,
    /// The salt.
    pub(super) salt: Element<'a>,
    /// The scoped PDU: a SEQUENCE, or an OCTET STRING when it is encrypted.
    pub(super) data: Element<'a>,
}

/// Reads the envelope.
pub(super) fn read(datagram: &[u8]) -> Result<Message<'_>, Fault> {
    let mut outer = Reader::new(datagram);
    let envelope = at("message", outer.expect(SEQUENCE))?;
    let mut message = envelope.inside();
    match at("version", message.integer())? {
        3 => {
            let mut v3 = read_v3(&mut message)?;
            v3.whole = envelope.whole;
            v3.trailing = !outer.is_empty() || !message.is_empty();
            Ok(Message::V3(v3))
        }
        version @ (0 | 1) => Ok(Message::Community {
            version,
            community: at("community", message.expect(OCTET_STRING))?,
            pdu: at("pdu", message.element())?,
            trailing: !outer.is_empty() || !message.is_empty(),
        }),
        version => Ok(Message::Other(version)),
    }
}

fn read_v3<'a>(message: &mut Reader<'a>) -> Result<V3<'a>, Fault> {
    let mut v3 = V3::default();
    let mut global = at("header data", message.expect(SEQUENCE))?.inside();
    v3.message_id = at("message id", global.integer())?;
    v3.max_size = at("message size", global.integer())?;
    v3.flags = at("flags", global.expect(OCTET_STRING))?.content.first().copied().unwrap_or(0);
    v3.security_model = at("security model", global.integer())?;
    let parameters = at("security parameters", message.expect(OCTET_STRING))?;
    let mut usm = at("security parameters", parameters.inside().expect(SEQUENCE))?.inside();
    v3.engine_id = at("engine id", usm.expect(OCTET_STRING))?.content;
    v3.boots = at("engine boots", usm.integer())?;
    v3.time = at("engine time", usm.integer())?;
    v3.user = at("user name", usm.expect(OCTET_STRING))?.content;
    v3.secured = read_secured(&mut usm, message).ok();
    Ok(v3)
}

fn read_secured<'a>(
    usm: &mut Reader<'a>,
    message: &mut Reader<'a>,
) -> Result<SecuredPart<'a>, BerError> {
    let (digest, salt) = (usm.expect(OCTET_STRING)?, usm.expect(OCTET_STRING)?);
    Ok(SecuredPart { digest, salt, data: message.element()? })
}

/// A scoped PDU, RFC 3412 section 6.8.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scoped<'a> {
    pub(super) engine_id: &'a [u8],
    pub(super) context: &'a [u8],
    pub(super) pdu: Element<'a>,
}

/// Reads a scoped PDU; what follows it, as padding does, is left.
pub(super) fn read_scoped<'a>(reader: &mut Reader<'a>) -> Result<Scoped<'a>, Fault> {
    let mut scoped = at("scoped pdu", reader.expect(SEQUENCE))?.inside();
    Ok(Scoped {
        engine_id: at("context engine id", scoped.expect(OCTET_STRING))?.content,
        context: at("context name", scoped.expect(OCTET_STRING))?.content,
        pdu: at("pdu", scoped.element())?,
    })
}

/// The v1 Trap-PDU, RFC 1157 section 4.1.6.
#[derive(Debug)]
pub(super) struct TrapV1<'a> {
    pub(super) enterprise: String,
    pub(super) agent: Option<[u8; 4]>,
    pub(super) generic: i64,
    pub(super) specific: i64,
    pub(super) uptime: u64,
    pub(super) varbinds: Result<Reader<'a>, Fault>,
}

/// Reads a v1 Trap-PDU. What stands before the varbinds must be whole.
pub(super) fn read_trap_v1<'a>(pdu: &Element<'a>) -> Result<TrapV1<'a>, Fault> {
    let mut pdu = pdu.inside();
    let enterprise = at("enterprise", pdu.expect(OBJECT_IDENTIFIER))?;
    let enterprise = at("enterprise", ber::oid(enterprise.content))?.text;
    let agent = at("agent address", pdu.expect(IP_ADDRESS))?;
    let generic = at("generic trap", pdu.integer())?;
    let specific = at("specific trap", pdu.integer())?;
    let uptime = at("time stamp", pdu.expect(TIME_TICKS))?;
    let uptime = at("time stamp", ber::unsigned(uptime.content))?;
    Ok(TrapV1 {
        enterprise,
        agent: agent.content.try_into().ok(),
        generic,
        specific,
        uptime,
        varbinds: at("varbinds", pdu.expect(SEQUENCE)).map(|list| list.inside()),
    })
}

/// An SNMPv2-Trap-PDU or InformRequest-PDU, RFC 3416 section 3.
#[derive(Debug)]
pub(super) struct Notification<'a> {
    /// The request id as it came, tag and length too: a response repeats it to the octet.
    pub(super) request_id: &'a [u8],
    /// The varbind list as it came, tag and length too.
    pub(super) list: &'a [u8],
    /// The varbinds.
    pub(super) varbinds: Reader<'a>,
}

/// Reads an SNMPv2-Trap-PDU or InformRequest-PDU.
pub(super) fn read_notification<'a>(pdu: &Element<'a>) -> Result<Notification<'a>, Fault> {
    let mut pdu = pdu.inside();
    let request_id = at("request id", pdu.expect(INTEGER))?.whole;
    at("error status", pdu.expect(INTEGER))?;
    at("error index", pdu.expect(INTEGER))?;
    let list = at("varbinds", pdu.expect(SEQUENCE))?;
    Ok(Notification { request_id, list: list.whole, varbinds: list.inside() })
}

/// Octets from the start in which a community is looked for when the envelope cannot be walked.
const COMMUNITY_SEARCH: usize = 24;

/// Where the community stands, also in a datagram that is cut off or damaged: what is not understood
/// is still kept as raw bytes, and must not keep the secret.
pub(super) fn community_range(datagram: &[u8]) -> Option<Range<usize>> {
    let mut outer = Reader::new(datagram);
    let walked = outer.element_clamped().and_then(|message| {
        let mut inside = message.inside();
        let version = inside.element_clamped()?;
        let next = inside.element_clamped()?;
        (message.tag == SEQUENCE && version.tag == INTEGER).then_some((version, next))
    });
    match walked {
        Some((_, next)) if next.tag == OCTET_STRING => Some(next.range()),
        // A v3 message carries no community, its third element is the header data.
        Some((version, next)) if next.tag == SEQUENCE && version.content == [3] => None,
        _ => search_community(datagram),
    }
}

fn search_community(datagram: &[u8]) -> Option<Range<usize>> {
    let head = &datagram[..datagram.len().min(COMMUNITY_SEARCH)];
    let tag = memchr::memchr(OCTET_STRING, head)?;
    let length = usize::from(*datagram.get(tag + 1)?);
    let length = if length < 0x80 { length } else { usize::MAX };
    Some(tag + 2..(tag + 2).saturating_add(length).min(datagram.len()))
}
