//! Takes our own secrets out of what a sink says before anything of it is kept.

use std::fmt;

use mutt_model::delivery::ATTEMPT_DETAIL_MAX;

/// What stands where a secret stood.
const MASK: &str = "***";

/// The texts that must not be kept.
#[derive(Clone, Default)]
pub(super) struct Scrub {
    secrets: Vec<String>,
}

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrub(***)")
    }
}

impl Scrub {
    /// Adds a secret, and as JSON would echo it.
    pub(super) fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let quoted = serde_json::Value::from(secret).to_string();
        for form in [secret, quoted.trim_matches('"')] {
            if !self.secrets.iter().any(|known| known == form) {
                self.secrets.push(form.to_owned());
            }
        }
        // The longest first, so that no tail of a longer one is left behind.
        self.secrets.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text in one line, without secrets, at most [`ATTEMPT_DETAIL_MAX`] bytes.
    pub(super) fn detail(&self, text: &str) -> String {
        let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for secret in &self.secrets {
            if line.contains(secret.as_str()) {
                line = line.replace(secret.as_str(), MASK);
            }
        }
        let line = line.trim();
        crate::payload::cut(line, ATTEMPT_DETAIL_MAX).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_before_the_cut() {
        let mut scrub = Scrub::default();
        scrub.add("tok\"en-1");
        scrub.add("tok\"en-1-and-more");
        scrub.add("");
        assert_eq!(scrub.detail("bad tok\"en-1-and-more\r\nend"), "bad ***  end");
        assert_eq!(scrub.detail(r#"{"token":"tok\"en-1"}"#), r#"{"token":"***"}"#);
        let long = format!("{}tok\"en-1", "x".repeat(ATTEMPT_DETAIL_MAX - 3));
        let kept = scrub.detail(&long);
        assert!(kept.len() <= ATTEMPT_DETAIL_MAX && kept.ends_with(MASK), "{kept}");
        assert!(scrub.detail(&"ä".repeat(400)).len() <= ATTEMPT_DETAIL_MAX);
        assert!(!format!("{scrub:?}").contains("tok"));
    }
}
