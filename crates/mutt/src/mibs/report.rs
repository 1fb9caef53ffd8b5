//! What became of each file and module: for `muttctl mib check`, for the log, for the Web UI.

use serde::{Deserialize, Serialize};

/// Problems that are told of one module; the rest is counted.
pub const PROBLEMS_MAX: usize = 10;

/// How much of a module there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All of it.
    Loaded,
    /// Some definitions have no place or no type.
    Partial,
    /// None of it.
    Failed,
    /// Another file has the same module and is used.
    Duplicate,
}

/// One thing that is wrong, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The line in the file, from 1; 0 when it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub cause: String,
    /// What to add or to mend.
    pub fix: String,
}

/// What became of one module, or of a file without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The file.
    pub file: String,
    /// The module; empty when the file has none.
    pub module: String,
    /// See [`State`].
    pub state: State,
    /// OIDs that it names.
    pub names: usize,
    /// Whether some of its definitions have no place in the tree (and not only no type).
    #[serde(default)]
    pub placeless: bool,
    /// What is wrong, the first of it.
    pub problems: Vec<Problem>,
    /// Problems that are not listed.
    pub more: usize,
}

/// What became of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Files that were read.
    pub files: usize,
    /// Modules that are there in whole.
    pub loaded: usize,
    /// Modules of which something is missing.
    pub partial: usize,
    /// Modules and files of which there is nothing.
    pub failed: usize,
    /// Modules that another file has too.
    pub duplicate: usize,
    /// OIDs that have a name because of them.
    pub names: usize,
    /// One for each module and each file without one, those in order too.
    pub entries: Vec<Entry>,
}

impl Report {
    /// Takes what became of one module.
    pub fn add(&mut self, entry: Entry) {
        *match entry.state {
            State::Loaded => &mut self.loaded,
            State::Partial => &mut self.partial,
            State::Failed => &mut self.failed,
            State::Duplicate => &mut self.duplicate,
        } += 1;
        self.entries.push(entry);
    }

    /// Whether something did not load, in whole or in part.
    #[must_use]
    pub const fn has_failures(&self) -> bool {
        self.partial + self.failed > 0
    }

    /// In one line.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "{} files: {} modules loaded, {} in part, {} not, {} twice; {} names",
            self.files, self.loaded, self.partial, self.failed, self.duplicate, self.names
        )
    }
}
