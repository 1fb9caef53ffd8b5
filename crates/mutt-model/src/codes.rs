//! The registry of error codes: each is declared once here and nowhere else. ERRORS.md and
//! `muttctl explain` are generated from it; every code is provoked by a test.
//!
//! Letters: I ingestor, A alerter, F forwarder, W web UI and API, R remediation, C configuration,
//! S storage (event queue and store), P program and host. A number is never used again.

mod alerter;
mod config;
mod forwarder;
mod ingestor;
mod program;
mod remediation;
mod storage;
mod web;

pub use alerter::*;
pub use config::*;
pub use forwarder::*;
pub use ingestor::*;
pub use program::*;
pub use remediation::*;
pub use storage::*;
pub use web::*;

/// An error code with its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// `MUTT-I001`
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it means for the reader.
    pub means: &'static str,
    /// Likely causes, the likeliest first.
    pub causes: &'static [&'static str],
    /// Commands that tell which cause it is.
    pub check: &'static [&'static str],
    /// What mends it.
    pub fix: &'static [&'static str],
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// Declares the codes of one letter as constants, and their list.
macro_rules! codes {
    ($all:ident: $( $name:ident = $id:literal, $title:literal, means $means:literal,
        causes [$($cause:literal),* $(,)?], check [$($check:literal),* $(,)?],
        fix [$($fix:literal),* $(,)?]; )*) => {
        $(
            #[doc = concat!($id, ": ", $title)]
            pub const $name: $crate::codes::Code = $crate::codes::Code {
                id: $id, title: $title, means: $means,
                causes: &[$($cause),*], check: &[$($check),*], fix: &[$($fix),*],
            };
        )*
        /// The codes of this letter.
        pub const $all: &[$crate::codes::Code] = &[$($name),*];
    };
}
pub(crate) use codes;

/// Every code, by letter and number.
pub fn all() -> impl Iterator<Item = &'static Code> {
    [INGESTOR, ALERTER, FORWARDER, WEB, REMEDIATION, CONFIG, STORAGE, PROGRAM].into_iter().flatten()
}

/// The code with this id, in any case, with or without `MUTT-`.
#[must_use]
pub fn find(id: &str) -> Option<&'static Code> {
    let id = id.trim().to_ascii_uppercase();
    let bare = id.strip_prefix("MUTT-").unwrap_or(&id);
    all().find(|code| code.id.strip_prefix("MUTT-") == Some(bare))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_well_formed_and_have_whole_pages() {
        let mut seen = BTreeSet::new();
        for code in all() {
            assert!(seen.insert(code.id), "{} stands twice", code.id);
            let (letter, number) = code.id.strip_prefix("MUTT-").unwrap().split_at(1);
            assert!("IAFWRCSP".contains(letter) && number.len() == 3, "{}", code.id);
            assert!(!code.means.is_empty() && !code.causes.is_empty(), "{}", code.id);
            assert!(!code.check.is_empty() && !code.fix.is_empty(), "{}", code.id);
        }
        assert_eq!(find("mutt-i001").map(|c| c.id), Some("MUTT-I001"));
    }
}
