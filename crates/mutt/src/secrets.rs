//! Secrets: references as configuration writes them, their values when they are needed, and the two
//! that a first start invents.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mutt_model::Secret;
use ring::rand::SecureRandom as _;
use serde::Serialize;

use crate::config::{EnvSource, ProcessEnv};

/// A secret's file is at most this long.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;
/// The admin token of the first start, in `data_dir`.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";
/// The ingest key of the first start, in `data_dir`.
pub const INGEST_KEY_FILE: &str = "ingest-key";

/// Where a secret lies. Never the secret itself, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; one trailing newline is taken off.
    File(PathBuf),
    /// A systemd credential.
    Credential(String),
}

/// Why a secret cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

impl SecretRef {
    /// The value, read anew on each call so that a rotation is seen.
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
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) => {
                let dir = ProcessEnv.var("CREDENTIALS_DIRECTORY").unwrap_or_default();
                Some(Path::new(&dir).join(name))
            }
            Self::Env(_) => None,
        }
    }

    /// The value, with a given environment.
    ///
    /// # Errors
    ///
    /// As [`SecretRef::resolve`].
    pub fn resolve_in(&self, env: &dyn EnvSource) -> Result<Secret, SecretError> {
        let secret = match self {
            Self::Env(name) => env.var(name).map(Secret::new).ok_or_else(|| {
                SecretError(format!("the environment variable {name} is not set"))
            })?,
            Self::File(path) => read(path)?,
            Self::Credential(name) => {
                let dir = env.var("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    SecretError(format!(
                        "no systemd credentials here (credential {name}): add LoadCredential={name}:PATH to the unit"
                    ))
                })?;
                read(&Path::new(&dir).join(name))?
            }
        };
        if secret.is_empty() { Err(SecretError(format!("{self} is empty"))) } else { Ok(secret) }
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    let wrong = |why: &dyn std::fmt::Display| {
        SecretError(format!("cannot read the file {}: {why}", path.display()))
    };
    let length = std::fs::metadata(path).map_err(|why| wrong(&why))?.len();
    if length > SECRET_FILE_BYTES_MAX {
        return Err(wrong(&"it is too long for a secret"));
    }
    std::fs::read_to_string(path).map(Secret::new).map_err(|why| wrong(&why))
}

/// What the first start invented or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstStart {
    /// `<data_dir>/admin-token`
    pub admin_token_file: PathBuf,
    /// Its value.
    pub admin_token: Secret,
    /// `<data_dir>/ingest-key`
    pub ingest_key_file: PathBuf,
    /// Its value.
    pub ingest_key: Secret,
}

/// Writes an admin token and an ingest key into `data_dir` unless they lie there already, and gives
/// both. Ask only when the configuration names no others.
///
/// # Errors
///
/// When a file cannot be written or read.
pub fn first_start(data_dir: &Path) -> std::io::Result<FirstStart> {
    let admin_token_file = data_dir.join(ADMIN_TOKEN_FILE);
    let ingest_key_file = data_dir.join(INGEST_KEY_FILE);
    Ok(FirstStart {
        admin_token: read_or_invent(&admin_token_file)?,
        ingest_key: read_or_invent(&ingest_key_file)?,
        admin_token_file,
        ingest_key_file,
    })
}

/// The secret in this file; invented, 256 bits, mode 0600, when the file is not there.
///
/// # Errors
///
/// When it can neither be read nor written.
pub fn read_or_invent(path: &Path) -> std::io::Result<Secret> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text)),
        // A crash between creation and writing left an empty file: it was never given to anybody.
        Ok(_) => std::fs::remove_file(path)?,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
        Err(why) => return Err(why),
    }
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let secret = random()?;
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The umask may only take away; say what is meant.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(format!("{}\n", secret.expose()).as_bytes())?;
    file.sync_all()?;
    if let Some(dir) = path.parent() {
        std::fs::File::open(dir)?.sync_all()?;
    }
    Ok(secret)
}

/// 256 random bits as text that needs no quoting.
///
/// # Errors
///
/// When the kernel gives no randomness.
pub fn random() -> std::io::Result<Secret> {
    let mut bytes = [0_u8; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| std::io::Error::other("the kernel gives no random bytes"))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
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
    fn the_first_start_invents_once_and_keeps_it_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = first_start(&data).unwrap();
        let second = first_start(&data).unwrap();
        assert_eq!(first, second);
        assert_ne!(first.admin_token, first.ingest_key);
        assert_eq!(first.admin_token.expose().len(), 43);
        for file in [&first.admin_token_file, &first.ingest_key_file] {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
