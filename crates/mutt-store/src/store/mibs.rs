//! MIB files that were uploaded: text by name, for every Ingestor.

use async_trait::async_trait;
use mutt_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Actor, Recorded, StoreError};

/// Octets that one upload may have.
pub const MIB_BYTES_MAX: usize = 4 << 20;
/// Uploads that may stand.
pub const MIBS_MAX: usize = 2_000;
/// Octets that all of them may have.
pub const MIBS_BYTES_MAX: u64 = 256 << 20;
/// Octets that the name of one may have.
pub const MIB_NAME_MAX: usize = 128;
/// Endings of what lies beside MIBs and is none, in small letters: such a file is never read.
pub const MIB_OTHER_ENDINGS: [&str; 22] = [
    "md", "html", "htm", "pdf", "doc", "docx", "xls", "xlsx", "csv", "zip", "gz", "tgz", "tar",
    "bz2", "xz", "exe", "sh", "pl", "py", "yml", "yaml", "json",
];
/// Modules of one that are remembered.
const MODULES_MAX: usize = 100;

/// One upload, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mib {
    /// Unique.
    pub name: String,
    /// Of its text.
    pub bytes: u64,
    /// When it was uploaded.
    pub at: Timestamp,
    /// By whom.
    pub who: String,
    /// The modules that begin in it.
    pub modules: Vec<String>,
}

/// What is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMib {
    /// A file's name; takes the place of the upload that has it.
    pub name: String,
    /// The file.
    pub text: String,
    /// The modules that begin in it.
    pub modules: Vec<String>,
}

/// Uploaded MIB files.
#[async_trait]
pub trait MibStore: Send + Sync {
    /// Another number when something changed; 0 before the first upload. Cheap to ask often.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn mibs_version(&self) -> Result<i64, StoreError>;

    /// The uploads, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn mibs(&self) -> Result<Vec<Mib>, StoreError>;

    /// The text of one; `None` when it does not stand.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn mib(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Keeps one, with an entry in the change log.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] for a name or size that is not allowed, [`StoreError::Conflict`] when there
    /// are too many, [`StoreError::Transient`].
    async fn put_mib(&self, new: NewMib, actor: &Actor, now: Timestamp) -> Result<Mib, StoreError>;

    /// Forgets one, with an entry in the change log.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Transient`].
    async fn delete_mib(&self, name: &str, actor: &Actor, now: Timestamp)
    -> Result<(), StoreError>;
}

/// The ending of a name that no MIB has, when it has one.
#[must_use]
pub fn other_ending(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    MIB_OTHER_ENDINGS.into_iter().find(|other| ending.eq_ignore_ascii_case(other))
}

/// Whether it may be kept: its name becomes that of a file.
pub(crate) fn check(new: &NewMib) -> Result<(), StoreError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
    let name = new.name.as_bytes();
    let good = (1..=MIB_NAME_MAX).contains(&name.len())
        && name.iter().copied().all(plain)
        && !name.starts_with(b".");
    if !good {
        let why = format!(
            "the name of a MIB is 1 to {MIB_NAME_MAX} of A-Z a-z 0-9 . - _ + and does not begin with a dot"
        );
        return Err(StoreError::Data(why));
    }
    if let Some(ending) = other_ending(&new.name) {
        let why = format!(
            "a file whose name ends in .{ending} is never read as a MIB: unpack it, or give it a name that ends in .mib or .txt"
        );
        return Err(StoreError::Data(why));
    }
    if new.text.len() > MIB_BYTES_MAX {
        return Err(StoreError::Data(format!("a MIB may have {MIB_BYTES_MAX} bytes")));
    }
    if new.text.contains('\0') {
        return Err(StoreError::Data("a MIB is text: there is a zero byte in it".to_owned()));
    }
    Ok(())
}

/// Whether there is room for one more, beside those that stand under other names.
pub(crate) fn check_room(standing: u64, bytes: u64, new: &NewMib) -> Result<(), StoreError> {
    let too_many = standing >= MIBS_MAX as u64;
    if too_many || bytes + new.text.len() as u64 > MIBS_BYTES_MAX {
        let why =
            format!("{MIBS_MAX} uploads of {MIBS_BYTES_MAX} bytes may stand; delete some first");
        return Err(StoreError::Conflict(why));
    }
    Ok(())
}

pub(crate) fn modules_text(modules: &[String]) -> Result<String, StoreError> {
    Ok(serde_json::to_string(modules.get(..MODULES_MAX).unwrap_or(modules))?)
}

/// The upload as it stands.
pub(crate) fn kept(new: &NewMib, actor: &Actor, now: Timestamp) -> Mib {
    let modules = new.modules.iter().take(MODULES_MAX).cloned().collect();
    let bytes = new.text.len() as u64;
    Mib { name: new.name.clone(), bytes, at: now, who: actor.name.clone(), modules }
}

fn shown(mib: &Mib) -> serde_json::Value {
    json!({ "bytes": mib.bytes, "modules": mib.modules })
}

/// The entry for an upload.
pub(crate) fn put_entry(old: Option<&Mib>, new: &Mib) -> Recorded {
    Recorded {
        object: "mib",
        object_id: new.name.clone(),
        action: "upload",
        old: old.map(shown),
        new: Some(shown(new)),
    }
}

/// The entry for one that went.
pub(crate) fn delete_entry(old: &Mib) -> Recorded {
    Recorded {
        object: "mib",
        object_id: old.name.clone(),
        action: "delete",
        old: Some(shown(old)),
        new: None,
    }
}

pub(crate) fn missing(name: &str) -> StoreError {
    StoreError::NotFound(format!("no MIB is uploaded under the name `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_read_is_not_kept() {
        let check = |name: &str, expected: bool| {
            let new = NewMib { name: name.to_owned(), text: "text".to_owned(), modules: vec![] };
            let made = super::check(&new);
            assert_eq!(made.is_ok(), expected, "{name}: {made:?}");
        };
        for good in ["IF-MIB", "IF-MIB.mib", "IF-MIB.txt", "v1.my", "json", "x.json.txt", "a.smi"] {
            check(good, true);
        }
        for other in ["x.json", "x.txt.gz", "X.ZIP", "a.tar.xz", "readme.Md", "", ".mib", "a/b.mib"]
        {
            check(other, false);
        }
        let new = NewMib { name: "x.txt.gz".to_owned(), text: String::new(), modules: vec![] };
        assert!(super::check(&new).unwrap_err().to_string().contains("ends in .gz"));
    }
}
