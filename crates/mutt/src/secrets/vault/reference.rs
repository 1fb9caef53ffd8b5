//! A reference to a key of a secret in Vault: `mount/path#key`.

use std::fmt;

use serde::{Serialize, Serializer};

/// `mount/path#key`, as `secret/mutt/prod#INGEST_API_KEY`. The path is the one that people write, without
/// the `data/` of KV version 2.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VaultRef {
    /// Mount and path: `secret/mutt/prod`.
    pub path: String,
    /// The key inside the secret.
    pub key: String,
}

impl VaultRef {
    /// Reads a reference.
    ///
    /// # Errors
    ///
    /// What is missing, and how it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "write it as \"mount/path#key\", as \"secret/mutt/prod#INGEST_API_KEY\"";
        let Some((path, key)) = text.split_once('#') else {
            return Err(format!("`{text}` names no key; {form}"));
        };
        if key.is_empty() || key.contains('#') || key.chars().any(char::is_control) {
            return Err(format!("`{text}` names no key; {form}"));
        }
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.bytes().all(|b| b.is_ascii_graphic() && !b"?%\\".contains(&b))
        };
        if path.split('/').count() < 2 || !path.split('/').all(plain) {
            return Err(format!("`{path}` is no mount with a path; {form}"));
        }
        Ok(Self { path: path.to_owned(), key: key.to_owned() })
    }
}

impl fmt::Display for VaultRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.path, self.key)
    }
}

impl Serialize for VaultRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_mount_path_and_key() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let got = VaultRef::parse(text).ok();
            let got = got.as_ref().map(|r| (r.path.as_str(), r.key.as_str()));
            assert_eq!(got, expected, "{text}");
        };
        check("secret/mutt#KEY", Some(("secret/mutt", "KEY")));
        check("team/kv/mutt/prod#a key", Some(("team/kv/mutt/prod", "a key")));
        for wrong in ["secret/mutt", "secret/mutt#", "secret#k", "/secret/x#k", "secret//x#k"] {
            check(wrong, None);
        }
        for wrong in
            ["secret/../sys#k", "secret/x?y#k", "secret/x y#k", "secret/%2e%2e/x#k", "a/b#c#d"]
        {
            check(wrong, None);
        }
        assert_eq!(VaultRef::parse("secret/mutt#KEY").unwrap().to_string(), "secret/mutt#KEY");
    }
}
