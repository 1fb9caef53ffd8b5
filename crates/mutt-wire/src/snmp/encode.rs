//! Writes v1 traps, v2c traps and informs (for `muttctl send trap` and for tests) and the response to
//! an inform.

use mutt_model::oid;

use super::ber::{INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};
use super::message::{GET, INFORM, IP_ADDRESS, REPORT, RESPONSE, TIME_TICKS, TRAP_V1, TRAP_V2};
use super::names;

/// Where the standard traps lie: snmpTraps of SNMPv2-MIB.
const SNMP_TRAPS: &str = "1.3.6.1.6.3.1.1.5";

/// A value to send.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// INTEGER
    Integer(i64),
    /// OCTET STRING
    Octets(Vec<u8>),
    /// OBJECT IDENTIFIER
    Oid(String),
    /// IpAddress
    IpAddress([u8; 4]),
    /// Counter32
    Counter32(u32),
    /// Gauge32
    Gauge32(u32),
    /// TimeTicks, hundredths of a second
    TimeTicks(u32),
    /// Counter64
    Counter64(u64),
    /// NULL
    Null,
}

impl Value {
    /// Reads a value by the type letter that `snmptrap` uses: `i` INTEGER, `u` Gauge32, `c` Counter32,
    /// `C` Counter64, `t` TimeTicks, `s` text, `x` hexadecimal octets, `o` OID, `a` IpAddress,
    /// `n` NULL.
    ///
    /// # Errors
    ///
    /// A sentence that says what is allowed.
    pub fn parse(letter: char, text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{text}` is no {what}");
        Ok(match letter {
            'i' => Self::Integer(text.parse().map_err(|_| wrong("integer"))?),
            'u' => Self::Gauge32(text.parse().map_err(|_| wrong("unsigned number of 32 bits"))?),
            'c' => Self::Counter32(text.parse().map_err(|_| wrong("unsigned number of 32 bits"))?),
            'C' => Self::Counter64(text.parse().map_err(|_| wrong("unsigned number of 64 bits"))?),
            't' => Self::TimeTicks(text.parse().map_err(|_| wrong("unsigned number of 32 bits"))?),
            's' => Self::Octets(text.as_bytes().to_vec()),
            'x' => Self::Octets(octets(text).ok_or_else(|| wrong("row of hexadecimal octets"))?),
            'o' => Self::Oid(oid::normalise(text).ok_or_else(|| wrong("OID"))?.into_owned()),
            'a' => {
                let address: std::net::Ipv4Addr =
                    text.parse().map_err(|_| wrong("IPv4 address"))?;
                Self::IpAddress(address.octets())
            }
            'n' => Self::Null,
            other => return Err(format!("`{other}` is no type: use one of i u c C t s x o a n")),
        })
    }
}

fn octets(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !matches!(c, ' ' | ':'))
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// An OID and its value.
pub type Pair<'a> = (&'a str, Value);

/// An OID that cannot be written as BER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnOid(pub String);

impl std::fmt::Display for NotAnOid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is no OID: write numbers with dots, as 1.3.6.1.6.3.1.1.5.3", self.0)
    }
}

impl std::error::Error for NotAnOid {}

/// A v1 trap. The notification's OID is split as RFC 3584 section 3.2 wants: a standard one becomes a
/// generic trap, any other enterprise and specific trap.
///
/// # Errors
///
/// When an OID cannot be written.
pub fn trap_v1(
    community: &[u8],
    agent: [u8; 4],
    uptime: u32,
    trap_oid: &str,
    varbinds: &[Pair<'_>],
) -> Result<Vec<u8>, NotAnOid> {
    let trap_oid = oid::normalise(trap_oid).ok_or_else(|| NotAnOid(trap_oid.to_owned()))?;
    let (head, last) = trap_oid.rsplit_once('.').ok_or_else(|| NotAnOid(trap_oid.to_string()))?;
    let last: i64 = last.parse().map_err(|_| NotAnOid(trap_oid.to_string()))?;
    let (enterprise, generic, specific) = match last {
        1..=6 if head == SNMP_TRAPS => (SNMP_TRAPS, last - 1, 0),
        _ => (head.strip_suffix(".0").unwrap_or(head), 6, last),
    };
    let mut pdu = oid_element(enterprise)?;
    pdu.extend(element(IP_ADDRESS, &agent));
    pdu.extend(integer(INTEGER, i128::from(generic)));
    pdu.extend(integer(INTEGER, i128::from(specific)));
    pdu.extend(integer(TIME_TICKS, i128::from(uptime)));
    pdu.extend(list(varbinds)?);
    Ok(message(0, community, &element(TRAP_V1, &pdu)))
}

/// A v2c trap: sysUpTime.0 and snmpTrapOID.0 come first, as RFC 3416 section 4.2.6 wants.
///
/// # Errors
///
/// When an OID cannot be written.
pub fn trap_v2c(
    community: &[u8],
    request_id: i32,
    uptime: u32,
    trap_oid: &str,
    varbinds: &[Pair<'_>],
) -> Result<Vec<u8>, NotAnOid> {
    notification(TRAP_V2, community, request_id, uptime, trap_oid, varbinds)
}

/// A v2c inform.
///
/// # Errors
///
/// When an OID cannot be written.
pub fn inform_v2c(
    community: &[u8],
    request_id: i32,
    uptime: u32,
    trap_oid: &str,
    varbinds: &[Pair<'_>],
) -> Result<Vec<u8>, NotAnOid> {
    notification(INFORM, community, request_id, uptime, trap_oid, varbinds)
}

fn notification(
    tag: u8,
    community: &[u8],
    request_id: i32,
    uptime: u32,
    trap_oid: &str,
    varbinds: &[Pair<'_>],
) -> Result<Vec<u8>, NotAnOid> {
    Ok(message(1, community, &notification_pdu(tag, request_id, uptime, trap_oid, varbinds)?))
}

/// An SNMPv2-Trap-PDU, or an InformRequest-PDU, for [`super::usm::seal`].
///
/// # Errors
///
/// When an OID cannot be written.
pub fn pdu(
    inform: bool,
    request_id: i32,
    uptime: u32,
    trap_oid: &str,
    varbinds: &[Pair<'_>],
) -> Result<Vec<u8>, NotAnOid> {
    let tag = if inform { INFORM } else { TRAP_V2 };
    notification_pdu(tag, request_id, uptime, trap_oid, varbinds)
}

fn notification_pdu(
    tag: u8,
    request_id: i32,
    uptime: u32,
    trap_oid: &str,
    varbinds: &[Pair<'_>],
) -> Result<Vec<u8>, NotAnOid> {
    let (uptime_oid, named_oid) =
        (oid::format(names::SYS_UP_TIME), oid::format(names::SNMP_TRAP_OID));
    let mut all: Vec<Pair<'_>> = vec![
        (&*uptime_oid, Value::TimeTicks(uptime)),
        (&*named_oid, Value::Oid(trap_oid.to_owned())),
    ];
    all.extend_from_slice(varbinds);
    Ok(filled_pdu(tag, &integer(INTEGER, i128::from(request_id)), 0, &list(&all)?))
}

/// A GetRequest without varbinds: how an engine's id is asked for, RFC 3414 section 4.
#[must_use]
pub fn discovery_pdu(request_id: i32) -> Vec<u8> {
    let list = element(SEQUENCE, &[]);
    filled_pdu(GET, &integer(INTEGER, i128::from(request_id)), 0, &list)
}

/// The response to an inform, from its own request id and varbind list as they came.
pub(super) fn response(version: i64, community: &[u8], request_id: &[u8], list: &[u8]) -> Vec<u8> {
    message(version, community, &response_pdu(request_id, 0, list))
}

pub(super) fn response_pdu(request_id: &[u8], error_status: i64, list: &[u8]) -> Vec<u8> {
    filled_pdu(RESPONSE, request_id, error_status, list)
}

/// A Report that says how often something went wrong.
pub(super) fn report_pdu(request_id: &[u8], counter: &str, count: u32) -> Vec<u8> {
    // The OIDs are our own and can be written.
    let list = list(&[(counter, Value::Counter32(count))]).unwrap_or_default();
    filled_pdu(REPORT, request_id, 0, &list)
}

fn filled_pdu(tag: u8, request_id: &[u8], error_status: i64, list: &[u8]) -> Vec<u8> {
    let mut pdu = request_id.to_vec();
    pdu.extend(integer(INTEGER, i128::from(error_status)));
    pdu.extend(integer(INTEGER, 0));
    pdu.extend_from_slice(list);
    element(tag, &pdu)
}

fn message(version: i64, community: &[u8], pdu: &[u8]) -> Vec<u8> {
    let mut body = integer(INTEGER, i128::from(version));
    body.extend(element(OCTET_STRING, community));
    body.extend_from_slice(pdu);
    element(SEQUENCE, &body)
}

fn list(varbinds: &[Pair<'_>]) -> Result<Vec<u8>, NotAnOid> {
    let mut out = Vec::new();
    for (name, value) in varbinds {
        let mut pair = oid_element(name)?;
        pair.extend(match value {
            Value::Integer(number) => integer(INTEGER, i128::from(*number)),
            Value::Octets(octets) => element(OCTET_STRING, octets),
            Value::Oid(text) => oid_element(text)?,
            Value::IpAddress(four) => element(IP_ADDRESS, four),
            Value::Counter32(number) => integer(0x41, i128::from(*number)),
            Value::Gauge32(number) => integer(0x42, i128::from(*number)),
            Value::TimeTicks(number) => integer(TIME_TICKS, i128::from(*number)),
            Value::Counter64(number) => integer(0x46, i128::from(*number)),
            Value::Null => element(NULL, &[]),
        });
        out.extend(element(SEQUENCE, &pair));
    }
    Ok(element(SEQUENCE, &out))
}

fn oid_element(text: &str) -> Result<Vec<u8>, NotAnOid> {
    let wrong = || NotAnOid(text.to_owned());
    let normal = oid::normalise(text).ok_or_else(wrong)?;
    let arcs = oid::arcs(&normal).ok_or_else(wrong)?;
    let [first, second, rest @ ..] = arcs.as_slice() else { return Err(wrong()) };
    if *first > 2 || (*first < 2 && *second >= 40) {
        return Err(wrong());
    }
    let mut content = Vec::new();
    push_arc(&mut content, u64::from(*first) * 40 + u64::from(*second));
    for arc in rest {
        push_arc(&mut content, u64::from(*arc));
    }
    Ok(element(OBJECT_IDENTIFIER, &content))
}

fn push_arc(out: &mut Vec<u8>, arc: u64) {
    let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group == 0 { 0 } else { 0x80 };
        out.push((arc >> (group * 7)) as u8 & 0x7f | more);
    }
}

/// The shortest two's complement form. An i128 holds both an i64 and a u64.
pub(super) fn integer(tag: u8, number: i128) -> Vec<u8> {
    let sixteen = number.to_be_bytes();
    let spare = sixteen.windows(2).take_while(|pair| {
        (pair[0] == 0 && pair[1] & 0x80 == 0) || (pair[0] == 0xff && pair[1] & 0x80 != 0)
    });
    let start = spare.count();
    element(tag, &sixteen[start..])
}

pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let eight = (content.len() as u64).to_be_bytes();
            let zeros = eight.iter().take_while(|octet| **octet == 0).count();
            out.push(0x80 | (8 - zeros) as u8);
            out.extend_from_slice(&eight[zeros..]);
        }
    }
    out.extend_from_slice(content);
    out
}
