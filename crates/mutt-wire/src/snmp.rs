//! An SNMP datagram to an event: v1 traps (translated as RFC 3584 section 3.1 wants), v2c and v3 traps
//! and informs. Total: whatever arrives becomes an event, flagged as it deserves, or for v3 a refusal
//! that says why.

pub mod ber;
pub mod encode;
mod hint;
mod instance;
mod message;
pub mod names;
pub mod stream;
mod subject;
#[cfg(test)]
mod tests;
pub mod usm;
mod v3;
mod varbind;

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use mutt_model::event::peer_host;
use mutt_model::{Event, ParseStatus, Secret, Source};
use serde_json::{Value, json};

use self::ber::{Element, Reader};
use self::message::{INFORM, Message, Notification, TRAP_V1, TRAP_V2};
use self::names::Names;
use self::varbind::{Varbind, Varbinds};
use crate::Frame;

pub use self::v3::{Authentic, decode_v3, is_v3};
pub use self::varbind::VARBINDS_MAX;
pub(crate) use self::varbind::read_json as varbinds_from_json;

/// What the community octets in raw bytes are overwritten with.
const MASK: u8 = b'*';

/// How the note of an event begins whose OIDs are in no MIB that is loaded.
pub const MIB_MISSING: &str = "mib missing";

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
    let mut secrets = Vec::new();
    let event = &mut decoded.event;
    match message::read(frame.raw) {
        Ok(Message::Community { version, community, pdu, trailing }) => {
            event.parse.format = Cow::Borrowed(if version == 0 { "snmp-v1" } else { "snmp-v2c" });
            if trailing {
                event.note(ParseStatus::Partial, "bytes follow the message");
            }
            decoded.community = Some(Community(community.content));
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
    secrets.extend(message::community_range(frame.raw));
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
    let mut bound = match &trap.varbinds {
        Ok(list) => varbind::read_all(names, *list),
        Err(fault) => Varbinds { notes: vec![fault.to_string()], ..Varbinds::default() },
    };
    let text = |oid: &str, kind, text: String| Varbind::made(names, oid, kind, Value::String(text));
    let mut items = vec![
        Varbind::made(names, names::SYS_UP_TIME, "TimeTicks", json!(trap.uptime)),
        text(names::SNMP_TRAP_OID, "OBJECT IDENTIFIER", trap_oid.clone()),
    ];
    items.append(&mut bound.items);
    if let Some(agent) = agent {
        let made = text(names::SNMP_TRAP_ADDRESS, "IpAddress", varbind::dotted(agent));
        add_if_absent(&mut items, made);
    }
    let enterprise = trap.enterprise.clone();
    add_if_absent(&mut items, text(names::SNMP_TRAP_ENTERPRISE, "OBJECT IDENTIFIER", enterprise));
    bound.items = items;
    fill(event, names, Some(trap_oid), bound, secrets);
}

fn add_if_absent<'n>(items: &mut Vec<Varbind<'n>>, made: Varbind<'n>) {
    if !items.iter().any(|item| item.oid == made.oid) {
        items.push(made);
    }
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
    let bound = varbind::read_all(names, list);
    let trap_oid = bound.items.iter().find(|item| item.oid == names::SNMP_TRAP_OID);
    let trap_oid = trap_oid
        .filter(|item| item.kind.as_deref() == Some("OBJECT IDENTIFIER"))
        .and_then(|item| item.value.as_str())
        .filter(|text| !text.starts_with("0x"))
        .map(str::to_owned);
    if trap_oid.is_none() {
        event.note(ParseStatus::Partial, "no snmpTrapOID.0");
    }
    fill(event, names, trap_oid, bound, secrets);
}

/// What is the same for every version once there is a list of varbinds.
fn fill(
    event: &mut Event<'_>,
    names: &Names,
    trap_oid: Option<String>,
    bound: Varbinds<'_>,
    secrets: &mut Vec<Range<usize>>,
) {
    let Varbinds { items, notes, secrets: found } = bound;
    for note in &notes {
        event.note(ParseStatus::Partial, note);
    }
    secrets.extend(found);
    event.message = Cow::Owned(describe(event, names, trap_oid, &items));
}

/// Names a notification and says what it means; gives the text that is its message. A severity that
/// the event has already stays.
pub(crate) fn describe(
    event: &mut Event<'_>,
    names: &Names,
    trap_oid: Option<String>,
    items: &[Varbind<'_>],
) -> String {
    let trap = trap_oid.as_deref().and_then(|trap_oid| names.find_trap(trap_oid));
    let mut text = match (trap, &trap_oid) {
        (Some(trap), _) => trap.name().to_owned(),
        (None, Some(trap_oid)) => trap_oid.clone(),
        (None, None) => "notification".to_owned(),
    };
    for item in items.iter().filter(|item| !is_envelope(item)) {
        item.write_pair(&mut text);
    }
    event.resource = trap.and_then(|trap| subject::resource(trap.subject(), items)).map(Cow::Owned);
    event.severity = event.severity.or(trap.and_then(|trap| trap.severity()));
    event.trap_name = trap.map(|trap| Cow::Owned(trap.name().to_owned()));
    note_missing(event, trap_oid.as_deref().filter(|_| trap.is_none()), items);
    event.trap_oid = trap_oid.map(Cow::Owned);
    event.varbinds = Some(Cow::Owned(varbind::to_json(items)));
    text
}

/// What has no name is kept in numbers, and said, so that it can be mended: it is no fault of the
/// device's and lowers no status.
fn note_missing(event: &mut Event<'_>, trap_oid: Option<&str>, items: &[Varbind<'_>]) {
    let mut missing = items.iter().filter(|item| item.name.is_none());
    let first = trap_oid.or_else(|| missing.next().map(|item| item.oid.as_str()));
    let Some(first) = first else { return };
    let more = missing.count();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    event.note(ParseStatus::Ok, &format!("{MIB_MISSING}: {first}{more}"));
}

/// Varbinds that belong to the envelope say nothing to people and differ between v1 and v2c: they
/// stand in `varbinds`, not in the message.
fn is_envelope(item: &Varbind<'_>) -> bool {
    matches!(
        item.base_name(),
        Some(
            "sysUpTime"
                | "snmpTrapOID"
                | "snmpTrapAddress"
                | "snmpTrapCommunity"
                | "snmpTrapEnterprise"
        )
    )
}
