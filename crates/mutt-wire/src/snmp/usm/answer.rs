//! What a sender of informs reads of an answer; for `muttctl send trap`.

use super::{Keys, Level, User};
use crate::snmp::ber::{INTEGER, OBJECT_IDENTIFIER, Reader, SEQUENCE, oid};
use crate::snmp::message::{self, Message, REPORT, RESPONSE};

/// An answer that is authentic, as far as its level says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// That of the question.
    pub message_id: i64,
    /// Whose it is.
    pub engine_id: Vec<u8>,
    /// That engine's boots and time.
    pub time: (u32, u32),
    /// How it is secured.
    pub level: Level,
    /// What it says.
    pub said: Said,
}

/// See [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A Response with its error status.
    Response(i64),
    /// A Report with the name of its counter, or its OID.
    Report(String),
}

/// The counters of usmStats by their last arc.
const COUNTERS: [&str; 6] = [
    "usmStatsUnsupportedSecLevels",
    "usmStatsNotInTimeWindows",
    "usmStatsUnknownUserNames",
    "usmStatsUnknownEngineIDs",
    "usmStatsWrongDigests",
    "usmStatsDecryptionErrors",
];

/// Reads an answer; `None` when it cannot be read, or its digest is wrong.
#[must_use]
pub fn read_answer(raw: &[u8], keys: Option<(&User, &Keys)>) -> Option<Answer> {
    let Ok(Message::V3(v3)) = message::read(raw) else { return None };
    let (secured, level) = (v3.secured?, Level::of(v3.flags)?);
    let time = (u32::try_from(v3.boots).ok()?, u32::try_from(v3.time).ok()?);
    let mut data = secured.data.whole.to_vec();
    if level != Level::NoAuth {
        let (user, keys) = keys?;
        if !keys.verify(v3.whole, secured.digest.range()) {
            return None;
        }
        if level == Level::AuthPrivacy {
            data = secured.data.content.to_vec();
            keys.decrypt(user, v3.engine_id, time, secured.salt.content, &mut data)?;
        }
    }
    let scoped = message::read_scoped(&mut Reader::new(&data)).ok()?;
    let mut pdu = scoped.pdu.inside();
    pdu.expect(INTEGER).ok()?;
    let status = pdu.integer().ok()?;
    let said = match scoped.pdu.tag {
        RESPONSE => Said::Response(status),
        REPORT => {
            pdu.integer().ok()?;
            let mut list = pdu.expect(SEQUENCE).ok()?.inside();
            let mut pair = list.expect(SEQUENCE).ok()?.inside();
            Said::Report(counter(oid(pair.expect(OBJECT_IDENTIFIER).ok()?.content).ok()?.text))
        }
        _ => return None,
    };
    let (message_id, engine_id) = (v3.message_id, v3.engine_id.to_vec());
    Some(Answer { message_id, engine_id, time, level, said })
}

fn counter(oid: String) -> String {
    let last = oid.strip_prefix("1.3.6.1.6.3.15.1.1.").and_then(|rest| rest.strip_suffix(".0"));
    let known = last.and_then(|arc| COUNTERS.get(arc.parse::<usize>().ok()?.checked_sub(1)?));
    known.map_or(oid, |name| (*name).to_owned())
}
