//! Where an alert's resource comes from when the rule says so: a named group of its regex, a varbind,
//! or a fixed text.

use std::borrow::Cow;
use std::sync::OnceLock;

use mutt_model::event::Event;
use mutt_model::oid;
use mutt_model::rule::{MatchType, Rule};
use regex::Regex;
use serde::Deserialize;

/// A rule's `resource`, read.
#[derive(Debug)]
pub(crate) enum ResourceSpec {
    /// The decoder's.
    Decoder,
    /// A named group of the rule's regex.
    Group { pattern: String, name: String, regex: OnceLock<Option<Regex>> },
    /// A varbind's name or OID, without instance.
    Varbind(String),
    /// The same for every event.
    Fixed(String),
}

impl ResourceSpec {
    /// Reads a rule's `resource`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn read(rule: &Rule) -> Result<Self, String> {
        let Some(spec) = rule.resource.as_deref() else { return Ok(Self::Decoder) };
        if let Some(name) = spec.strip_prefix("regex:") {
            if rule.match_type != MatchType::Regex {
                return Err("`regex:NAME` needs match_type regex".to_owned());
            }
            let pattern = rule.match_string.clone().unwrap_or_default();
            let regex = crate::matching::regex(&pattern)
                .map_err(|_| "`regex:NAME` needs a regex that compiles".to_owned())?;
            let mut names = regex.capture_names().flatten();
            if !names.any(|known| known == name) {
                return Err(format!(
                    "the regex has no group named `{name}`: write (?P<{name}>...)"
                ));
            }
            return Ok(Self::Group { pattern, name: name.to_owned(), regex: OnceLock::new() });
        }
        if let Some(name) = spec.strip_prefix("varbind:") {
            let name = name.trim();
            if name.is_empty() {
                return Err("`varbind:` needs a name or an OID".to_owned());
            }
            let name = oid::normalise(name).unwrap_or(Cow::Borrowed(name));
            return Ok(Self::Varbind(name.into_owned()));
        }
        if spec.trim().is_empty() {
            return Err("an empty text: leave the field out to take the decoder's".to_owned());
        }
        Ok(Self::Fixed(spec.to_owned()))
    }

    /// The resource of this event; the decoder's where the rule's source has nothing to say.
    pub(crate) fn of<'e>(&'e self, event: &'e Event<'_>) -> Cow<'e, str> {
        let own = match self {
            Self::Decoder => None,
            Self::Fixed(text) => Some(Cow::Borrowed(text.as_str())),
            Self::Varbind(name) => event.varbinds.as_deref().and_then(|all| varbind(all, name)),
            Self::Group { pattern, name, regex } => regex
                .get_or_init(|| crate::matching::regex(pattern).ok())
                .as_ref()
                .and_then(|regex| regex.captures(&event.message))
                .and_then(|captures| captures.name(name))
                .map(|group| Cow::Borrowed(group.as_str())),
        };
        own.filter(|text| !text.is_empty())
            .or_else(|| event.resource.as_deref().map(Cow::Borrowed))
            .unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Varbind<'a> {
    #[serde(borrow, default)]
    oid: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    value: serde_json::Value,
}

/// The first varbind of this name or OID, whatever its instance.
fn varbind<'e>(all: &str, wanted: &str) -> Option<Cow<'e, str>> {
    let all: Vec<Varbind<'_>> = serde_json::from_str(all).ok()?;
    let by_oid = wanted.starts_with(|c: char| c.is_ascii_digit());
    let found = all.into_iter().find(|varbind| {
        if by_oid {
            return oid::is_prefix(wanted, varbind.oid.trim_start_matches('.'));
        }
        let name = varbind.name.as_deref().unwrap_or_default();
        let name = name.rsplit_once("::").map_or(name, |(_, name)| name);
        let start = name.get(..wanted.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(wanted))
            && matches!(name.as_bytes().get(wanted.len()), None | Some(b'.'))
    })?;
    Some(Cow::Owned(match found.value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => return None,
        other => other.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varbinds_are_found_by_name_and_oid_without_instance() {
        let all = r#"[{"oid":"1.3.6.1.2.1.2.2.1.1.12","name":"ifIndex.12","type":"INTEGER","value":12},
            {"oid":"1.3.6.1.2.1.2.2.1.2.12","name":"ifDescr.12","type":"OCTET STRING","value":"Gi0/12"},
            {"oid":"1.3.6.1.4.1.9.2.1","name":null,"type":"NULL","value":null}]"#;
        let check = |wanted: &str, expected: Option<&str>| {
            assert_eq!(varbind(all, wanted).as_deref(), expected, "{wanted}");
        };
        check("ifIndex", Some("12"));
        check("ifdescr", Some("Gi0/12"));
        check("ifDescr.12", Some("Gi0/12"));
        check("ifDesc", None);
        check("1.3.6.1.2.1.2.2.1.2", Some("Gi0/12"));
        check("1.3.6.1.4.1.9", None);
    }
}
