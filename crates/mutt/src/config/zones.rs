//! In which zone the clocks of sources run: what is written is checked here, and becomes what the
//! decoder takes.

use std::path::Path;

use jiff::tz::TimeZone;
use mutt_wire::syslog::{Options, SourcePattern, Zone, ZoneRule};

use super::SyslogConfig;

/// Where the rules of zones lie, as the package tzdata and its kin install them.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo"];
/// No zone's rules are near this long.
const MAX_RULES: u64 = 256 * 1024;

/// The zone of an offset or of a name that this host has the rules of.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn zone_of(text: &str) -> Result<Zone, String> {
    if let Some(zone) = Zone::parse_offset(text) {
        return Ok(zone);
    }
    named(text.trim()).map(Zone::from).ok_or_else(|| {
        format!("`{text}` is no offset and no zone that this host knows (package tzdata)")
    })
}

fn named(name: &str) -> Option<TimeZone> {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    if !name.split('/').all(word) {
        return None;
    }
    FOLDERS.iter().find_map(|folder| {
        let file = Path::new(folder).join(name);
        let size = std::fs::metadata(&file).ok().filter(std::fs::Metadata::is_file)?.len();
        let rules = (size <= MAX_RULES).then(|| std::fs::read(&file).ok())??;
        TimeZone::tzif(name, &rules).ok()
    })
}

impl SyslogConfig {
    /// What the decoder must know. Zones and sources were checked when they were read; a zone whose
    /// rules are gone since is UTC.
    #[must_use]
    pub fn options(&self) -> Options {
        let zones = self.zones.iter().map(|rule| ZoneRule {
            sources: rule.sources.iter().filter_map(|s| SourcePattern::parse(s).ok()).collect(),
            zone: zone_of(&rule.zone).unwrap_or_default(),
        });
        Options { zone: zone_of(&self.zone).unwrap_or_default(), zones: zones.collect() }
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::{Id, Timestamp};
    use mutt_wire::{Frame, syslog};

    use super::super::env::NoEnv;
    use super::super::tests::load_text;

    #[test]
    fn zones_are_known_by_name_or_offset() {
        let check = |text: &str, expected: bool| {
            assert_eq!(super::zone_of(text).is_ok(), expected, "{text}");
        };
        check("Europe/Berlin", true);
        check("America/Argentina/Buenos_Aires", true);
        check("Etc/GMT+5", true);
        check("UTC", true);
        check("-03:30", true);
        check("Europe", false);
        check("../zoneinfo/UTC", false);
        check("/etc/passwd", false);
        check("Europe//Berlin", false);
        check("", false);
    }

    const RULES: &str = r#"
[ingestor.syslog]
zone = "-03:00"
[[ingestor.syslog.zones]]
sources = ["192.0.2.0/28", "2001:db8::/32"]
zone = "+02:00"
[[ingestor.syslog.zones]]
sources = ["edge-*.example.net", "192.0.2.200"]
zone = "Europe/Berlin"
"#;

    #[test]
    fn the_first_rule_that_matches_the_source_names_its_zone() {
        let options = load_text(RULES, &NoEnv).expect("a configuration").ingestor.syslog.options();
        let check = |peer: &str, host: &str, expected: &str, note: &str| {
            let raw = format!("<13>2026-08-06 10:00:00 {host} app: text");
            let frame = Frame {
                id: Id::default(),
                received_at: Timestamp::parse_rfc3339("2026-08-06T12:00:00Z").expect("a time"),
                listener: "syslog-udp",
                peer,
                raw: raw.as_bytes(),
            };
            let event = syslog::decode(frame, &options);
            let at = event.device_time.expect("a time").to_string();
            assert_eq!((&*at, event.time_note.as_deref()), (expected, Some(note)), "{peer} {host}");
        };
        check("192.0.2.7:1", "a", "2026-08-06T08:00:00.000000Z", "zone by rule");
        check("[2001:db8::5]:1", "a", "2026-08-06T08:00:00.000000Z", "zone by rule");
        check("192.0.2.99:1", "192.0.2.3", "2026-08-06T08:00:00.000000Z", "zone by rule");
        check("192.0.2.99:1", "EDGE-1.example.net", "2026-08-06T08:00:00.000000Z", "zone by rule");
        check("192.0.2.200:1", "a", "2026-08-06T08:00:00.000000Z", "zone by rule");
        check("192.0.2.99:1", "a", "2026-08-06T13:00:00.000000Z", "zone assumed");
    }
}
