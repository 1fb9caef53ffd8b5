//! An SNMP datagram to an event: v1 traps (translated as RFC 3584 section 3.1 wants), v2c and v3 traps
//! and informs. Total: whatever arrives becomes an event, flagged as it deserves, or for v3 a refusal
//! that says why.

mod arcs;
pub mod ber;
mod digits;
pub mod encode;
mod hint;
mod instance;
mod message;
pub mod names;
mod sheet;
pub mod stream;
mod subject;
#[cfg(test)]
mod tests;
pub mod usm;
mod v3;
mod value;
mod varbind;

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use mutt_model::event::peer_host;
use mutt_model::{Event, ParseStatus, Secret, Source};

use self::arcs::Arcs;
use self::ber::{Element, Reader};
use self::message::{INFORM, Message, Notification, TRAP_V1, TRAP_V2};
use self::names::Names;
use self::value::Shown;
use self::varbind::{put_made, settled};
use crate::Frame;

pub use self::sheet::MIB_MISSING;
pub(crate) use self::sheet::Sheet;
pub use self::v3::{Authentic, decode_v3, is_v3};
pub use self::varbind::VARBINDS_MAX;
pub(crate) use self::varbind::read_json as varbinds_from_json;

/// What the community octets in raw bytes are overwritten with.
const MASK: u8 = b'*';

/// The community of a v1 or v2c message: a secret, for the allow-list and for the key by which a
/// repeated inform is recognised. It cannot print itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Community<'a>(&'a [u8]);

impl<'a> Community<'a> {
    /// Whether this is the community that configuration names. The time it takes does not depend on
    /// where the two differ.
    #[must_use]
    pub fn matches(&self, allowed: &Secret) -> bool {
        let allowed = allowed.expose().as_bytes();
        let differ = self.0.iter().zip(allowed).fold(0u8, |sum, (a, b)| sum | (a ^ b));
        self.0.len() == allowed.len() && differ == 0
    }

    /// The octets, for the one call that needs them.
    #[must_use]
    pub fn expose(&self) -> &'a [u8] {
        self.0
    }
}

impl std::fmt::Debug for Community<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Community(***)")
    }
}

/// The answer that an inform is owed: to be sent to its peer, from the socket it came to, after the
/// event is durable and never before.
#[derive(Clone, PartialEq, Eq)]
pub struct InformReply(Vec<u8>);

impl InformReply {
    /// The datagram: a Response-PDU with the inform's own version, community, request id and
    /// varbinds, error status and index zero (RFC 3416 section 4.2.7).
    #[must_use]
    pub fn datagram(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for InformReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The datagram holds the community.
        write!(f, "InformReply({} octets)", self.0.len())
    }
}

/// What a datagram gave.
pub struct Decoded<'a> {
    /// The event, its raw bytes without the community.
    pub event: Event<'a>,
    /// The community of a v1 or v2c message, for the allow-list; `None` for v3 and where it could
    /// not be read: where an allow-list is configured, such a datagram is not on it.
    pub community: Option<Community<'a>>,
    /// The answer, where the datagram is an inform whose PDU could be read.
    pub inform: Option<InformReply>,
    /// The PDU's octets, tag and length too; empty when there is none. With peer and community its
    /// digest recognises a repeated inform (the request id lies in it).
    pub pdu: &'a [u8],
}

/// The PDU is not shown: a proxy may have put a community into it.
impl std::fmt::Debug for Decoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoded")
            .field("event", &self.event)
            .field("community", &self.community)
            .field("inform", &self.inform)
            .finish_non_exhaustive()
    }
}

/// Decodes one datagram, its OIDs named by the names in force.
#[must_use]
pub fn decode<'a>(frame: Frame<'a>, names: &Names) -> Decoded<'a> {
    let mut decoded =
        Decoded { event: frame.event(Source::Snmp), community: None, inform: None, pdu: &[] };
    let (mut secrets, mut community_at) = (Vec::new(), None);
    let event = &mut decoded.event;
    match message::read(frame.raw) {
        Ok(Message::Community { version, community, pdu, trailing }) => {
            event.parse.format = Cow::Borrowed(if version == 0 { "snmp-v1" } else { "snmp-v2c" });
            if trailing {
                event.note(ParseStatus::Partial, "bytes follow the message");
            }
            decoded.community = Some(Community(community.content));
            community_at = Some(community.range());
            decoded.pdu = pdu.whole;
            let inform = decode_pdu(event, names, version, &pdu, &mut secrets);
            decoded.inform = inform.map(|Notification { request_id, list, .. }| {
                InformReply(encode::response(version, community.content, request_id, list))
            });
        }
        Ok(Message::V3(message)) => v3::show(event, &message),
        Ok(Message::Other(version)) => {
            event.parse.format = Cow::Borrowed("snmp");
            event.note(ParseStatus::Failed, &format!("there is no SNMP version {version}"));
        }
        Err(fault) => {
            event.parse.format = Cow::Borrowed("snmp");
            event.note(ParseStatus::Failed, &fault.to_string());
        }
    }
    match community_at {
        Some(at) => mask(event, &[at]),
        None => mask(event, message::community_range(frame.raw).as_slice()),
    }
    mask(event, &secrets);
    say_why(event);
    decoded
}

/// A datagram that gave no message says why.
fn say_why(event: &mut Event<'_>) {
    if event.message.is_empty() {
        let why = event.parse.notes.lines().next().unwrap_or("nothing in it").to_owned();
        event.message = Cow::Owned(format!("SNMP datagram not understood: {why}"));
    }
}

fn mask(event: &mut Event<'_>, secrets: &[Range<usize>]) {
    for secret in secrets {
        if let Some(octets) = event.raw.to_mut().get_mut(secret.clone()) {
            octets.fill(MASK);
        }
    }
}

/// Reads a PDU into the event; gives an inform that is owed a response.
fn decode_pdu<'p>(
    event: &mut Event<'_>,
    names: &Names,
    version: i64,
    pdu: &Element<'p>,
    secrets: &mut Vec<Range<usize>>,
) -> Option<Notification<'p>> {
    match (pdu.tag, version) {
        (TRAP_V1, 1) => event.note(ParseStatus::Partial, "a v1 trap in a v2c message"),
        (TRAP_V1, 3) => event.note(ParseStatus::Partial, "a v1 trap in a v3 message"),
        (TRAP_V2 | INFORM, 0) => {
            event.note(ParseStatus::Partial, "a v2c notification in a v1 message")
        }
        _ => {}
    }
    match pdu.tag {
        TRAP_V1 => {
            match message::read_trap_v1(pdu) {
                Ok(trap) => take_trap_v1(event, names, &trap, secrets),
                Err(fault) => event.note(ParseStatus::Failed, &fault.to_string()),
            }
            None
        }
        TRAP_V2 | INFORM => match message::read_notification(pdu) {
            Ok(notification) => {
                take_notification(event, names, notification.varbinds, secrets);
                (pdu.tag == INFORM).then_some(notification)
            }
            Err(fault) => {
                event.note(ParseStatus::Failed, &fault.to_string());
                None
            }
        },
        tag => {
            let name = match tag {
                0xa0 => "a GetRequest".to_owned(),
                0xa1 => "a GetNextRequest".to_owned(),
                0xa2 => "a Response".to_owned(),
                0xa3 => "a SetRequest".to_owned(),
                0xa5 => "a GetBulkRequest".to_owned(),
                0xa8 => "a Report".to_owned(),
                other => format!("a PDU of type 0x{other:02x}"),
            };
            event.note(ParseStatus::Failed, &format!("{name}, not a notification"));
            None
        }
    }
}

/// RFC 3584 section 3.1, with two rules of our own: an agent address of 0.0.0.0 says nothing and is
/// left out, and the community goes into no varbind.
fn take_trap_v1(
    event: &mut Event<'_>,
    names: &Names,
    trap: &message::TrapV1<'_>,
    secrets: &mut Vec<Range<usize>>,
) {
    let trap_oid = match trap.generic {
        generic @ 0..=5 => format!("1.3.6.1.6.3.1.1.5.{}", generic + 1),
        6 => format!("{}.0.{}", trap.enterprise, trap.specific),
        other => {
            event.note(ParseStatus::Partial, &format!("there is no generic trap {other}"));
            format!("{}.0.{}", trap.enterprise, trap.specific)
        }
    };
    let agent = trap.agent.filter(|agent| *agent != [0; 4]);
    match (trap.agent, agent) {
        (None, _) => event.note(ParseStatus::Partial, "the agent address is not of four octets"),
        (_, Some(agent)) => set_host(event, agent),
        _ => {}
    }
    let known = Arcs::of(&trap_oid);
    let sheet = settled(|types| {
        let octets = trap.varbinds.map_or(0, |list| list.rest().len());
        let mut sheet = Sheet::new(names, octets + trap_oid.len() * 4);
        sheet.name_trap(Some(&known));
        let uptime = i64::try_from(trap.uptime).map(Shown::Number);
        let uptime = uptime.unwrap_or_else(|_| Shown::Json(trap.uptime.into()));
        put_made(&mut sheet, &Arcs::known_as(names::SYS_UP_TIME), &value::TICKS, uptime);
        let text = |text| Shown::Text(Cow::Borrowed(text));
        let oid = Arcs::known_as(names::SNMP_TRAP_OID);
        put_made(&mut sheet, &oid, &value::OID, text(&trap_oid));
        match &trap.varbinds {
            Ok(list) => varbind::read_all(&mut sheet, *list, types),
            Err(fault) => sheet.notes.push(fault.to_string()),
        }
        let oid = Arcs::known_as(names::SNMP_TRAP_ADDRESS);
        if let Some(agent) = agent.filter(|_| !sheet.holds(&oid)) {
            put_made(&mut sheet, &oid, &value::ADDRESS, digits::address(agent).into());
        }
        let oid = Arcs::known_as(names::SNMP_TRAP_ENTERPRISE);
        if !sheet.holds(&oid) {
            put_made(&mut sheet, &oid, &value::OID, text(&trap.enterprise));
        }
        sheet
    });
    fill(event, sheet, secrets);
}

/// The device is the agent; who sent the packet is a relay when it is another address.
fn set_host(event: &mut Event<'_>, agent: [u8; 4]) {
    let agent = IpAddr::from(agent);
    let peer = peer_host(&event.peer).to_owned();
    if peer.parse::<IpAddr>().is_ok_and(|peer| peer.to_canonical() == agent) {
        return;
    }
    event.host = Cow::Owned(agent.to_string());
    event.relay = (!peer.is_empty()).then_some(Cow::Owned(peer));
}

fn take_notification(
    event: &mut Event<'_>,
    names: &Names,
    list: Reader<'_>,
    secrets: &mut Vec<Range<usize>>,
) {
    let sheet = settled(|types| {
        let mut sheet = Sheet::new(names, list.rest().len());
        varbind::read_all(&mut sheet, list, types);
        sheet
    });
    if !sheet.has_trap() {
        event.note(ParseStatus::Partial, "no snmpTrapOID.0");
    }
    fill(event, sheet, secrets);
}

/// What is the same for every version once there is a list of varbinds.
fn fill(event: &mut Event<'_>, mut sheet: Sheet<'_>, secrets: &mut Vec<Range<usize>>) {
    secrets.append(&mut sheet.secrets);
    event.message = Cow::Owned(sheet.tell(event));
}

/// Names a notification that did not come as a datagram; gives the text that is its message.
pub(crate) fn describe<'n>(
    event: &mut Event<'_>,
    names: &'n Names,
    trap_oid: Option<String>,
    sheet: Option<Sheet<'n>>,
) -> String {
    let mut sheet = sheet.unwrap_or_else(|| Sheet::new(names, 0));
    sheet.name_trap(trap_oid.map(|trap_oid| Arcs::of(&trap_oid)).as_ref());
    sheet.tell(event)
}
