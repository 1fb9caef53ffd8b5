//! Writes a v3 message: responses and reports of ours, and what `muttctl send trap` sends.

use super::keys::SALT;
use super::{Keys, Level, User};
use crate::snmp::ber::{INTEGER, OCTET_STRING, SEQUENCE};
use crate::snmp::encode::{element, integer};
use crate::snmp::message::{self, Message};

/// The name of the default context.
pub const SCOPED_CONTEXT: &[u8] = b"";
/// What we take in one message.
const MESSAGE_MAX: i128 = 65_507;
/// The User-based Security Model.
const SECURITY_MODEL: i128 = 3;
const REPORTABLE: u8 = 4;

/// What a message says around its PDU.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Finds the answer to a question.
    pub message_id: i64,
    /// Whether it asks for a report when it is not understood.
    pub reportable: bool,
    /// Whose keys secure it.
    pub engine_id: &'a [u8],
    /// That engine's boots and time.
    pub time: (u32, u32),
    /// The user's name.
    pub user: &'a [u8],
    /// The user with the keys at that engine; without: not secured.
    pub keys: Option<(&'a User, &'a Keys)>,
    /// The level; its keys must be there.
    pub level: Level,
    /// Engine id and name of the context.
    pub context: (&'a [u8], &'a [u8]),
    /// Never the same twice for one key.
    pub salt: u64,
}

/// A whole message around `pdu`; `None` where the keys that the level needs are not there.
#[must_use]
pub fn seal(out: &Outgoing<'_>, pdu: &[u8]) -> Option<Vec<u8>> {
    let mut scoped = element(OCTET_STRING, out.context.0);
    scoped.extend(element(OCTET_STRING, out.context.1));
    scoped.extend_from_slice(pdu);
    let mut data = element(SEQUENCE, &scoped);
    let (mut flags, mut digest, mut salt) = (0, Vec::new(), Vec::new());
    if out.level != Level::NoAuth {
        let (user, keys) = out.keys?;
        flags = 1;
        digest = vec![0; keys.mac_octets()];
        if out.level == Level::AuthPrivacy {
            flags = 3;
            let sent: [u8; SALT] =
                keys.encrypt(user, out.engine_id, out.time, out.salt, &mut data)?;
            salt = sent.to_vec();
            data = element(OCTET_STRING, &data);
        }
    }
    if out.reportable {
        flags |= REPORTABLE;
    }
    let mut global = integer(INTEGER, i128::from(out.message_id));
    global.extend(integer(INTEGER, MESSAGE_MAX));
    global.extend(element(OCTET_STRING, &[flags]));
    global.extend(integer(INTEGER, SECURITY_MODEL));
    let mut usm = element(OCTET_STRING, out.engine_id);
    usm.extend(integer(INTEGER, i128::from(out.time.0)));
    usm.extend(integer(INTEGER, i128::from(out.time.1)));
    usm.extend(element(OCTET_STRING, out.user));
    usm.extend(element(OCTET_STRING, &digest));
    usm.extend(element(OCTET_STRING, &salt));
    let mut body = integer(INTEGER, 3);
    body.extend(element(SEQUENCE, &global));
    body.extend(element(OCTET_STRING, &element(SEQUENCE, &usm)));
    body.extend(data);
    let mut whole = element(SEQUENCE, &body);
    if out.level != Level::NoAuth {
        let Ok(Message::V3(v3)) = message::read(&whole) else { return None };
        let place = v3.secured?.digest.range();
        out.keys?.1.sign(&mut whole, place);
    }
    Some(whole)
}
