//! The alert key's template: parsed once, rendered for each alert change.

use std::fmt::Write as _;

/// Most bytes of a rendered key; a longer one is cut and ends in a digest of the whole.
pub(crate) const KEY_BYTES_MAX: usize = 512;

/// What a key template may name between braces.
pub(crate) const PLACEHOLDERS: [&str; 9] =
    ["problem", "host", "resource", "rule_id", "severity", "app", "mnemonic", "trap_oid", "team"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Position in [`PLACEHOLDERS`].
    Value(usize),
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyTemplate {
    parts: Vec<Part>,
}

impl KeyTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong, and the nearest known placeholder where one is unknown.
    pub(crate) fn parse(template: &str) -> Result<Self, (String, Option<&'static str>)> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some(open) = rest.find(['{', '}']) {
            if rest.as_bytes()[open] == b'}' {
                return Err(("a `}` without its `{`".to_owned(), None));
            }
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let inner = &rest[open + 1..];
            let close = inner.find('}').ok_or(("a `{` without its `}`".to_owned(), None))?;
            let name = &inner[..close];
            let Some(at) = PLACEHOLDERS.iter().position(|known| *known == name) else {
                let message = format!(
                    "`{{{name}}}` is no placeholder; known are {}",
                    PLACEHOLDERS.join(", ")
                );
                return Err((message, crate::validate::nearest(name, &PLACEHOLDERS)));
            };
            parts.push(Part::Value(at));
            rest = &inner[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            return Err(("the template is empty".to_owned(), None));
        }
        Ok(Self { parts })
    }

    /// Renders the key from the values, in the order of [`PLACEHOLDERS`].
    pub(crate) fn render(&self, values: &[&str; PLACEHOLDERS.len()]) -> String {
        let size = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.len(),
            Part::Value(at) => values[*at].len(),
        });
        let mut key = String::with_capacity(size.sum());
        for part in &self.parts {
            key.push_str(match part {
                Part::Text(text) => text,
                Part::Value(at) => values[*at],
            });
        }
        if key.len() > KEY_BYTES_MAX {
            let digest = fnv1a(key.as_bytes());
            key.truncate(crate::text::cut(&key, KEY_BYTES_MAX - 17).len());
            let _ = write!(key, "~{digest:016x}");
        }
        key
    }
}

/// FNV-1a, 64 bits: stable over builds, which the standard library's hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| {
        (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [&str; 9] = ["p", "h", "r", "7", "error", "a", "m", "1.3", "NETO"];

    #[test]
    fn templates_render() {
        let check = |template: &str, expected: &str| {
            assert_eq!(KeyTemplate::parse(template).unwrap().render(&VALUES), expected);
        };
        check("{problem}/{host}/{resource}", "p/h/r");
        check("x", "x");
        check("{rule_id}-{severity}-{app}-{mnemonic}-{trap_oid}-{team}.", "7-error-a-m-1.3-NETO.");
    }

    #[test]
    fn faults_are_named() {
        let check = |template: &str, suggestion: Option<&str>| {
            assert_eq!(KeyTemplate::parse(template).unwrap_err().1, suggestion, "{template}");
        };
        check("", None);
        check("{host", None);
        check("host}", None);
        check("{hosts}", Some("host"));
        check("{Problem}", Some("problem"));
        check("{wombat}", None);
    }

    #[test]
    fn long_keys_are_cut_and_stay_apart() {
        let template = KeyTemplate::parse("{resource}").unwrap();
        let long = "é".repeat(400);
        let longer = "é".repeat(401);
        let mut values = VALUES;
        values[2] = &long;
        let one = template.render(&values);
        values[2] = &longer;
        let other = template.render(&values);
        assert!(one.len() <= KEY_BYTES_MAX && other.len() <= KEY_BYTES_MAX);
        assert_ne!(one, other);
    }
}
