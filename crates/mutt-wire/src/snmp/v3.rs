//! A v3 message to an event: what the User-based Security Model takes as authentic, and the response
//! to an inform under the same security.

use std::borrow::Cow;
use std::fmt::Write as _;

use mutt_model::{Event, ParseStatus, Source};

use super::ber::{self, Reader};
use super::message::{self, Message, Notification, TRAP_V1, TRAP_V2, V3};
use super::names::Names;
use super::usm::{Engine, Level, Now, Opened, Refusal, Refused, Who, Window};
use super::{InformReply, decode_pdu, encode, mask, say_why};
use crate::Frame;

/// The largest message that the smallest SNMP engine must take, RFC 3417 section 3.2.
const MESSAGE_MAX_LEAST: i64 = 484;
/// tooBig of RFC 3416.
const TOO_BIG: i64 = 1;

/// A message that is authentic, as far as its user has a key.
pub struct Authentic<'a> {
    /// The event; its raw bytes are those of the message, encrypted where the message was.
    pub event: Event<'a>,
    /// The answer, where it is an inform.
    pub inform: Option<InformReply>,
    /// The PDU's octets of an inform, for the key by which a repeat is recognised; else empty.
    pub pdu: Vec<u8>,
    /// Who sent it.
    pub user: Vec<u8>,
    /// The same with its engine, as the message says.
    pub who: Who,
    /// Whether it was outside the time window, and taken all the same.
    pub late: bool,
}

/// The PDU is not shown: it may have been encrypted.
impl std::fmt::Debug for Authentic<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authentic")
            .field("event", &self.event)
            .field("inform", &self.inform)
            .field("late", &self.late)
            .finish_non_exhaustive()
    }
}

/// Whether a datagram says that it is of version 3.
#[must_use]
pub fn is_v3(datagram: &[u8]) -> bool {
    let mut outer = Reader::new(datagram);
    let Some(message) = outer.element_clamped().filter(|message| message.tag == ber::SEQUENCE)
    else {
        return false;
    };
    message.inside().integer() == Ok(3)
}

/// Decodes one v3 message. Nothing of a message that is refused is processed further.
///
/// # Errors
///
/// Why it is refused, with the report that its sender is owed.
pub fn decode_v3<'a>(
    frame: Frame<'a>,
    names: &Names,
    engine: &mut Engine,
    now: Now,
    window: Window,
) -> Result<Authentic<'a>, Refused> {
    let v3 = match message::read(frame.raw) {
        Ok(Message::V3(v3)) => v3,
        _ => return Err(Refused::unreadable()),
    };
    let opened = match engine.open(&v3, now, window) {
        Ok(opened) => opened,
        Err(refused) => return Err(*refused),
    };
    let mut event = frame.event(Source::Snmp);
    event.parse.format = Cow::Borrowed("snmp-v3");
    let mut secrets = Vec::new();
    let mut taken = (None, Vec::new());
    let mut context = Cow::Borrowed("");
    match message::read_scoped(&mut opened.reader()) {
        Ok(scoped) => {
            // What a sender asks of another engine than ours is none of our business; a trap's engine
            // is its sender's.
            if !opened.ours && !matches!(scoped.pdu.tag, TRAP_V2 | TRAP_V1) {
                return Err(engine.refuse(&v3, Refusal::UnknownEngine, None, now));
            }
            context = String::from_utf8_lossy(scoped.context);
            let inform = decode_pdu(&mut event, names, 3, &scoped.pdu, &mut secrets);
            taken = match inform {
                Some(inform) => (
                    respond(engine, &v3, &opened, &scoped, &inform, now),
                    scoped.pdu.whole.to_vec(),
                ),
                None => taken,
            };
        }
        Err(fault) => event.note(ParseStatus::Failed, &fault.to_string()),
    }
    event.fields = Some(Cow::Owned(fields(&v3, opened.level.name(), &context)));
    if v3.trailing {
        event.note(ParseStatus::Partial, "bytes follow the message");
    }
    if let Some((boots, time)) = opened.late {
        let note = format!(
            "outside the time window of its engine: boots {} time {}, where boots {boots} time {time} was due",
            v3.boots, v3.time
        );
        event.note(ParseStatus::Partial, &note);
    }
    if opened.level != Level::AuthPrivacy {
        mask(&mut event, &secrets);
    }
    say_why(&mut event);
    let (inform, pdu) = taken;
    Ok(Authentic {
        event,
        inform,
        pdu,
        user: opened.user.name().to_vec(),
        who: Who::of(&v3),
        late: opened.late.is_some(),
    })
}

/// The response to an inform, RFC 3416 section 4.2.7; tooBig where the sender would not take it.
fn respond(
    engine: &mut Engine,
    v3: &V3<'_>,
    opened: &Opened<'_>,
    scoped: &message::Scoped<'_>,
    inform: &Notification<'_>,
    now: Now,
) -> Option<InformReply> {
    let whole = encode::response_pdu(inform.request_id, 0, inform.list);
    let answer = engine.answer(v3, opened, (scoped.engine_id, scoped.context), &whole, now)?;
    let most = usize::try_from(v3.max_size.max(MESSAGE_MAX_LEAST)).unwrap_or(usize::MAX);
    if answer.len() <= most {
        return Some(InformReply(answer));
    }
    let empty = encode::element(ber::SEQUENCE, &[]);
    let pdu = encode::response_pdu(inform.request_id, TOO_BIG, &empty);
    engine.answer(v3, opened, (scoped.engine_id, scoped.context), &pdu, now).map(InformReply)
}

/// Shows of whom a message is that cannot be opened because there are no users.
pub(super) fn show(event: &mut Event<'_>, v3: &V3<'_>) {
    event.parse.format = Cow::Borrowed("snmp-v3");
    event.note(ParseStatus::Failed, "SNMPv3 is not configured");
    let level = Level::of(v3.flags).map_or("privacy without authentication", Level::name);
    event.fields = Some(Cow::Owned(fields(v3, level, "")));
}

fn fields(v3: &V3<'_>, level: &str, context: &str) -> String {
    let mut out = String::with_capacity(256);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        r#"{{"snmp_message_id":{},"snmp_security_model":{},"snmp_security_level":"{level}","snmp_engine_id":"0x"#,
        v3.message_id, v3.security_model
    );
    for octet in v3.engine_id {
        let _ = write!(out, "{octet:02x}");
    }
    let _ = write!(
        out,
        r#"","snmp_engine_boots":{},"snmp_engine_time":{},"snmp_user":"#,
        v3.boots, v3.time
    );
    push_text(&mut out, &String::from_utf8_lossy(v3.user));
    if !context.is_empty() {
        out.push_str(r#","snmp_context":"#);
        push_text(&mut out, context);
    }
    out.push('}');
    out
}

fn push_text(out: &mut String, text: &str) {
    let clean = text.replace('\0', "\u{fffd}");
    // A text always becomes JSON.
    out.push_str(&serde_json::to_string(&clean).unwrap_or_default());
}
