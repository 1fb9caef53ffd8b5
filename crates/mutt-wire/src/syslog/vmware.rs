//! VMware ESXi and vCenter: `info hostd[2099457] [Originator@6876 sub=Vimsvc] text` behind the tag, the
//! events of vCenter, and what vobd and the kernel observe.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::devices::{fields, until};
use super::{fields as body, format, notes, structured};
use crate::text::{Words, near};

/// Processes that only ESXi and vCenter have, in small letters.
static PROCESSES: Words<22> = Words::new([
    "apiforwarder",
    "envoy-access",
    "eam",
    "esxtokend",
    "fdm",
    "hostd",
    "hostd-probe",
    "kmxa",
    "rhttpproxy",
    "sps",
    "storagerm",
    "vmauthd",
    "vmkernel",
    "vmkwarning",
    "vmsyslogd",
    "vobd",
    "vpxa",
    "vpxd",
    "vpxd-svcs",
    "vsanmgmtd",
    "vsansystem",
    "vsphere-ui",
]);

static LEVELS: Words<9> = Words::new([
    "trivia", "verbose", "info", "warning", "error", "panic", "debug", "critical", "notice",
]);

pub(crate) fn is_process(app: &str) -> bool {
    PROCESSES.contains_ignore_case(app)
}

/// `[Originator@6876 sub=Vimsvc opID=5e0a] text`: structured data in front of the text, unquoted.
pub(crate) fn originator<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    level: &'a str,
) -> Option<&'static str> {
    if !message.starts_with("[Originator@6876") {
        return None;
    }
    let found = structured::read(message)?;
    let data = &message[..message.len() - found.rest.len()];
    body::of_structured_data(event, data, format::VMWARE, level, found.flat());
    if event.structured_data.is_none() {
        event.structured_data = Some(Cow::Owned(found.json));
    }
    if let Some(note) = found.note {
        notes::add(event, ParseStatus::Ok, note);
    }
    let text = found.rest.trim_start_matches(' ');
    event.message = Cow::Borrowed(text);
    Some(plain(event, text))
}

/// False where the first word is no level.
#[inline]
pub(crate) fn may_be_levelled(message: &str) -> bool {
    near(b' ', message.as_bytes()).is_some_and(|len| LEVELS.contains(&message[..len]))
}

/// `info hostd[2099457] [Originator@6876 ...] text`, or `warning hostd[2099457] text`.
pub(crate) fn levelled<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let (level, behind) = until(message, b' ')?;
    if !LEVELS.contains(level) {
        return None;
    }
    let (process, text) = until(behind, b' ')?;
    let (name, id) = process.strip_suffix(']')?.split_once('[')?;
    let app = event.app.as_deref().unwrap_or_default();
    let own = name.eq_ignore_ascii_case(app) || is_process(name);
    if !own || id.is_empty() {
        return None;
    }
    if event.app.is_none() {
        event.app = Some(Cow::Borrowed(name));
    }
    event.procid = Some(Cow::Borrowed(id));
    event.fields = fields(message, &[("level", level)]);
    let text = text.trim_start_matches(' ');
    event.message = Cow::Borrowed(text);
    Some(originator(event, text, level).unwrap_or_else(|| plain(event, text)))
}

/// `Event [id] [1-1] [time] [type] [severity] [user] [target] [chain] [text]`. A long event comes in
/// parts; only the first has the names.
pub(crate) fn vcenter<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let mut rest = message.strip_prefix("Event ")?;
    let mut parts = [""; 8];
    let mut count = 0;
    while count < parts.len() {
        let Some((part, behind)) = rest.strip_prefix('[').and_then(|inside| until(inside, b']'))
        else {
            break;
        };
        parts[count] = part;
        count += 1;
        rest = behind.trim_start_matches(' ');
    }
    let [id, part, created, kind, severity, user, target, chain] = parts;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if count < 2 || !number(id) || !part.contains('-') {
        return None;
    }
    let named = kind.contains('.');
    if named {
        event.mnemonic = Some(Cow::Borrowed(kind));
    }
    let all = [
        ("event_id", id),
        ("part", part),
        ("created", created),
        ("severity", severity),
        ("user", user),
        ("target", target),
        ("chain_id", chain),
    ];
    event.fields = fields(message, if named { &all } else { &all[..2] });
    if named && !target.is_empty() {
        event.resource = Some(Cow::Borrowed(target));
    }
    Some(format::VMWARE)
}

/// What is left: the name of an observation (`[vob.net.vmnic.linkstate.down]`, `[esx.problem...]`).
pub(crate) fn plain<'a>(event: &mut Event<'a>, text: &'a str) -> &'static str {
    let end = text.len().min(160);
    let named = |start: &str| {
        let brackets = memchr::memchr_iter(b'[', &text.as_bytes()[..end]);
        brackets.map(|at| &text[at + 1..]).find(|inside| inside.starts_with(start))
    };
    let inside = named("vob.").or_else(|| named("esx."));
    if let Some((name, behind)) = inside.and_then(|inside| until(inside, b']')) {
        event.mnemonic = Some(Cow::Borrowed(name));
        // `vmnic vmnic1 linkstate down`
        let nic = behind.trim_start_matches(' ').split(' ').find(|word| {
            word.len() > 5 && word.starts_with("vmnic") && word.as_bytes()[5].is_ascii_digit()
        });
        if let Some(nic) = nic {
            event.resource = Some(Cow::Borrowed(nic.trim_end_matches(['.', ',', ':'])));
        }
    }
    format::VMWARE
}
