//! The two secrets that a first start invents: an admin token and an ingest key.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mutt_model::Secret;
use ring::rand::SecureRandom as _;

/// The admin token of the first start, in `data_dir`.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";
/// The ingest key of the first start, in `data_dir`.
pub const INGEST_KEY_FILE: &str = "ingest-key";

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
