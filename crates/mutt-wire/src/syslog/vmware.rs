//! VMware ESXi and vCenter: `info hostd[2099457] [Originator@6876 sub=Vimsvc] text` behind the tag, the
//! events of vCenter, and what vobd and the kernel observe.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::devices::{Name, fields, names, until};
use super::{fields as body, format, notes, structured};
use crate::octets::{below, find, is, no_name, same};
use crate::text::Words;
use crate::writer::Writer;

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
    if let Some(found) = Originator::read(message, level) {
        event.fields = Some(Cow::Owned(found.fields));
        event.mnemonic = None;
        if event.structured_data.is_none() {
            event.structured_data = Some(Cow::Owned(found.json));
        }
        notes::add(event, ParseStatus::Ok, notes::UNQUOTED);
        event.message = Cow::Borrowed(found.text);
        return Some(plain(event, found.text));
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

/// The originator as nearly every line has it.
struct Originator<'a> {
    /// What `structured` makes of it.
    json: String,
    fields: String,
    text: &'a str,
}

impl<'a> Originator<'a> {
    /// So many parameters, and so many bytes, are read here.
    const MOST: usize = 8;
    const LONGEST: usize = 1024;

    /// Reads parameters without quotes, one space before each, none of them odd: what the reader of
    /// structured data makes of them.
    fn read(message: &'a str, level: &str) -> Option<Self> {
        let bytes = message.as_bytes();
        // Of the backslash and the bracket, neighbours, the lowest bit is not looked at.
        const LOW: u64 = 0x0101_0101_0101_0101;
        let mut at = "[Originator@6876".len();
        let mut names = [&b""[..]; Self::MOST];
        let mut count = 0;
        let mut json = Writer::new(message, 160);
        json.put(b"{\"Originator@6876\":{");
        let start = json.len();
        while bytes.get(at) == Some(&b' ') {
            let name_end = find(bytes, at + 1, no_name)?;
            let name = &bytes[at + 1..name_end];
            if bytes.get(name_end) != Some(&b'=') {
                return None;
            }
            let from = name_end + 1;
            at = find(bytes, from, |word| below(word, b'"' + 1) | is(word & !LOW, b'\\'))?;
            let value = &bytes[from..at];
            // Of these there is more to say.
            let odd = matches!(name, b"" | b"level" | b"errorCode")
                || matches!(value, b"" | b"true" | b"false")
                || names[..count].iter().any(|other| same(other, name));
            if odd || count == Self::MOST || at > Self::LONGEST {
                return None;
            }
            names[count] = name;
            count += 1;
            json.put(b"\"");
            json.part_and(name, b"\":\"");
            json.part_and(value, b"\",");
        }
        if count == 0 || bytes.get(at) != Some(&b']') {
            return None;
        }
        let text = &message[at + 1..];
        if !(text.is_empty() || text.starts_with(' ')) {
            return None;
        }
        json.truncate(json.len() - 1);
        let end = json.len();
        json.put(b"}}");
        let json = json.finish();
        let params = &json[start..end];
        let mut fields = String::with_capacity(params.len() + level.len() + 16);
        fields.push('{');
        if !level.is_empty() {
            fields.push_str("\"level\":\"");
            fields.push_str(level);
            fields.push_str("\",");
        }
        fields.push_str(params);
        fields.push('}');
        Some(Self { json, fields, text: text.trim_start_matches(' ') })
    }
}

#[inline]
pub(crate) fn is_level(word: &str) -> bool {
    LEVELS.contains(word)
}

static LEVELLED: [Name; 1] = names(["level"]);

/// `info hostd[2099457] [Originator@6876 ...] text`, or `warning hostd[2099457] text`.
pub(crate) fn levelled<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let (level, behind) = until(message, b' ')?;
    if !is_level(level) {
        return None;
    }
    let (process, text) = until(behind, b' ')?;
    let (name, id) = until(process.strip_suffix(']')?, b'[')?;
    let app = event.app.as_deref().unwrap_or_default();
    let own = name.eq_ignore_ascii_case(app) || is_process(name);
    if !own || id.is_empty() {
        return None;
    }
    if event.app.is_none() {
        event.app = Some(Cow::Borrowed(name));
    }
    event.procid = Some(Cow::Borrowed(id));
    let text = text.trim_start_matches(' ');
    if let Some(format) = originator(event, text, level) {
        return Some(format);
    }
    event.fields = fields(message, &LEVELLED, [level]);
    event.message = Cow::Borrowed(text);
    Some(plain(event, text))
}

static VCENTER: [Name; 7] =
    names(["event_id", "part", "created", "severity", "user", "target", "chain_id"]);

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
    let told = [created, severity, user, target, chain];
    let [created, severity, user, target, chain] = if named { told } else { [""; 5] };
    let values = [id, part, created, severity, user, target, chain];
    event.fields = fields(message, &VCENTER, values);
    if named && !target.is_empty() {
        event.resource = Some(Cow::Borrowed(target));
    }
    Some(format::VMWARE)
}

/// What is left: the name of an observation (`[vob.net.vmnic.linkstate.down]`, `[esx.problem...]`).
pub(crate) fn plain<'a>(event: &mut Event<'a>, text: &'a str) -> &'static str {
    let end = text.len().min(160);
    let front = &text.as_bytes()[..end];
    if memchr::memchr(b'[', front).is_none() {
        return format::VMWARE;
    }
    let named = |start: &str| {
        let brackets = memchr::memchr_iter(b'[', front);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read here is what the reader of structured data makes of it.
    fn check(message: &str, level: &str) -> bool {
        let Some(found) = Originator::read(message, level) else { return false };
        let slow = structured::read(message).expect("structured data");
        let level = if level.is_empty() { "" } else { &format!("\"level\":\"{level}\",") };
        assert_eq!(found.json, slow.json, "{message}");
        assert_eq!(found.text, slow.rest.trim_start_matches(' '), "{message}");
        assert_eq!(slow.note, Some(notes::UNQUOTED), "{message}");
        let flat = slow.flat().expect("parameters as fields have them");
        assert_eq!(found.fields, format!("{{{level}{flat}}}"), "{message}");
        true
    }

    #[test]
    fn originators_are_read_as_structured_data_is() {
        let read = |inside: &str| check(&format!("[Originator@6876 {inside}] text"), "info");
        assert!(read("sub=Vimsvc.ha-eventmgr opID=58b46869 user=vpxuser:a@b,c|d"));
        assert!(read("sub=\u{fc}"));
        assert!(check("[Originator@6876 sub=a]", ""));
        for odd in [
            "",
            "sub",
            "sub=",
            "sub=a ",
            " sub=a",
            "sub=a  b=c",
            "=a",
            "sub=\"a\"",
            "sub=a\\",
            "sub=a\"",
            "sub=true",
            "level=a",
            "errorCode=a",
            "sub=a sub=b",
            "s\u{fc}b=a",
            "sub=a!",
            "a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 i=9",
            "sub=a][b c=d",
            "sub=a]b",
        ] {
            assert!(!read(odd), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn all_that_is_read_is_read_alike(
            inside in "([a-c\\[\\]=\"\\\\! ]|a=b| c=d| sub=[a-z.:-]{1,9}){0,12}",
            level in "(info)?",
        ) {
            check(&format!("[Originator@6876{inside}"), &level);
        }
    }
}
