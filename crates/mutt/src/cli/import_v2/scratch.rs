//! An empty store for a dry run where there is none yet, so that looking makes nothing in `data_dir`.

use std::path::{Path, PathBuf};

use mutt_model::{Clock, IdSource};

use super::super::failure::Failure;
use crate::config::{Config, STORE_FILE, StoreUrl};

/// A folder of its own among the temporary files; it goes with the value.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// One, where a dry run would otherwise make the store.
    pub(super) fn for_dry_run(config: &Config, apply: bool) -> Result<Option<Self>, Failure> {
        let is_there = config.data_dir.join(STORE_FILE).exists();
        if apply || is_there || !matches!(config.store.url, StoreUrl::Sqlite) {
            return Ok(None);
        }
        let name = IdSource::from_entropy().next(Clock::System.wall()).to_string();
        let path = std::env::temp_dir().join(format!("mutt-dry-run-{name}"));
        // Only its owner may look in: for a moment it holds v2's rules.
        crate::serve::make_data_dir(&path)
            .map_err(|error| Failure::serve(&error.code, &error.message))?;
        Ok(Some(Self(path)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
