//! Secrets: references as configuration writes them, and their values where they lie on this host. The
//! [`keyring`] holds the values of a running program and keeps them fresh; [`vault`] asks Vault.

pub mod first_start;
pub mod keyring;
pub mod vault;

use std::path::{Path, PathBuf};

use mutt_model::Secret;
use mutt_model::codes::{self, Code};
use serde::Serialize;

pub use first_start::{
    ADMIN_TOKEN_FILE, FirstStart, INGEST_KEY_FILE, first_start, random, read_or_invent,
};
pub use keyring::Keyring;
pub use vault::reference::VaultRef;

use crate::config::{EnvSource, ProcessEnv};

/// A secret's file is at most this long.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// Where the packages keep the files of secrets, and how the units name them among their credentials.
const PACKAGED_SECRETS: (&str, &str) = ("/etc/mutt/secrets", "secrets_");

/// The folder that systemd names to a unit with credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret lies. Never the secret itself, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; one trailing newline is taken off.
    File(PathBuf),
    /// A systemd credential.
    Credential(String),
    /// A key of a secret in Vault.
    Vault(VaultRef),
}

/// Why a secret cannot be had. Says where it should be, never what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct SecretError {
    /// For `explain`.
    pub code: &'static Code,
    /// Where it should be and what is wrong there.
    pub why: String,
    /// The place was asked and has none, as against a place that could not be asked.
    pub absent: bool,
}

impl SecretError {
    fn local(why: String, absent: bool) -> Self {
        Self { code: &codes::CONFIG_SECRET, why, absent }
    }
}

impl SecretRef {
    /// The value, read anew on each call. Vault is not asked here: that is the [`Keyring`]'s.
    ///
    /// # Errors
    ///
    /// When it is not there, not readable or empty.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        self.resolve_in(&ProcessEnv)
    }

    /// The file that holds it, where it is one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        self.path_in(&ProcessEnv).ok()
    }

    /// Whether only a unit can have it: a credential that this process, outside a unit, cannot look
    /// for or may not read.
    #[must_use]
    pub fn is_the_units(&self, env: &dyn EnvSource) -> bool {
        let Self::Credential(name) = self else { return false };
        let refused = |path: &Path| {
            let opened = std::fs::File::open(path);
            opened.is_err_and(|why| why.kind() == std::io::ErrorKind::PermissionDenied)
        };
        env.var(CREDENTIALS_DIRECTORY).is_none() && packaged(name).is_none_or(|path| refused(&path))
    }

    /// The value, with a given environment.
    ///
    /// # Errors
    ///
    /// As [`SecretRef::resolve`].
    pub fn resolve_in(&self, env: &dyn EnvSource) -> Result<Secret, SecretError> {
        let secret = match self {
            Self::Env(name) => env.var(name).map(Secret::new).ok_or_else(|| {
                let why = format!("the environment variable {name} is not set");
                SecretError::local(why, true)
            })?,
            Self::File(_) | Self::Credential(_) => read(&self.path_in(env)?)?,
            Self::Vault(_) => {
                let why = format!("{self} was not asked for here");
                return Err(SecretError::local(why, false));
            }
        };
        if secret.is_empty() {
            // An empty file is one that is being written, never a secret.
            return Err(SecretError::local(format!("{self} is empty"), false));
        }
        Ok(secret)
    }

    /// The file that holds it, where it is in one.
    fn path_in(&self, env: &dyn EnvSource) -> Result<PathBuf, SecretError> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Credential(name) => {
                if let Some(dir) = env.var(CREDENTIALS_DIRECTORY) {
                    return Ok(Path::new(&dir).join(name));
                }
                packaged(name).ok_or_else(|| {
                    let why = format!(
                        "no systemd credentials here (credential {name}): add LoadCredential={name}:PATH to the unit"
                    );
                    SecretError::local(why, true)
                })
            }
            Self::Env(_) | Self::Vault(_) => {
                Err(SecretError::local(format!("{self} is no file"), false))
            }
        }
    }

    /// Whether only Vault can tell it.
    #[must_use]
    pub const fn is_vault(&self) -> bool {
        matches!(self, Self::Vault(_))
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Vault(place) => write!(f, "vault {place}"),
        }
    }
}

/// The file that the packaged units hand over as this credential. Commands that are run by hand have no
/// credentials and read it there.
fn packaged(name: &str) -> Option<PathBuf> {
    let (folder, prefix) = PACKAGED_SECRETS;
    let file = name.strip_prefix(prefix).filter(|file| !file.is_empty() && !file.contains('/'))?;
    Some(Path::new(folder).join(file))
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    let wrong = |why: &std::io::Error| {
        let absent = why.kind() == std::io::ErrorKind::NotFound;
        SecretError::local(format!("cannot read the file {}: {why}", path.display()), absent)
    };
    let length = std::fs::metadata(path).map_err(|why| wrong(&why))?.len();
    if length > SECRET_FILE_BYTES_MAX {
        return Err(wrong(&std::io::Error::other("it is too long for a secret")));
    }
    std::fs::read_to_string(path).map(Secret::new).map_err(|why| wrong(&why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_or_say_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "from-file\n").unwrap();
        let at = dir.path().to_str().unwrap();
        let env = vec![("KEY", "from-env"), ("EMPTY", ""), ("CREDENTIALS_DIRECTORY", at)];
        let check = |secret: SecretRef, expected: Result<&str, &str>| match (
            secret.resolve_in(&env),
            expected,
        ) {
            (Ok(value), Ok(expected)) => assert_eq!(value.expose(), expected),
            (Err(why), Err(expected)) => assert!(why.to_string().contains(expected), "{why}"),
            (got, _) => panic!("{secret}: {got:?}"),
        };
        check(SecretRef::Env("KEY".into()), Ok("from-env"));
        check(SecretRef::File(file), Ok("from-file"));
        check(SecretRef::Credential("key".into()), Ok("from-file"));
        check(SecretRef::Env("NONE".into()), Err("NONE is not set"));
        check(SecretRef::Env("EMPTY".into()), Err("is empty"));
        check(SecretRef::File("/nowhere/key".into()), Err("/nowhere/key"));
    }

    #[test]
    fn outside_a_unit_a_packaged_credential_is_the_file_that_the_unit_would_hand_over() {
        let outside: Vec<(&str, &str)> = Vec::new();
        let packaged = SecretRef::Credential("secrets_no-such-key".into());
        let why = packaged.resolve_in(&outside).unwrap_err();
        assert!(why.to_string().contains("/etc/mutt/secrets/no-such-key"), "{why}");
        assert!(!packaged.is_the_units(&outside), "it was looked for and is not there");
        for name in ["vault_secret_id", "secrets_", "secrets_../mutt.toml"] {
            let other = SecretRef::Credential(name.into());
            let why = other.resolve_in(&outside).unwrap_err();
            assert!(why.to_string().contains("no systemd credentials here"), "{why}");
            assert!(other.is_the_units(&outside) && other.path_in(&outside).is_err());
            assert!(!other.is_the_units(&vec![("CREDENTIALS_DIRECTORY", "/nowhere")]));
        }
    }
}
