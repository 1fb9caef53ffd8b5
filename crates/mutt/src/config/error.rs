//! What is wrong with a configuration: where it stands, which key, and what is allowed.

use std::fmt;

use mutt_model::codes::{self, Code};

/// Where a value was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: a default.
    #[default]
    Default,
    /// In the file, at a line.
    File {
        /// As given.
        path: String,
        /// From 1.
        line: usize,
    },
    /// In the environment.
    Env(String),
    /// Changed while MUTT runs; the key.
    Setting(String),
    /// On the command line.
    CommandLine(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => f.write_str(path),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Setting(key) => write!(f, "setting {key}"),
            Self::CommandLine(flag) => f.write_str(flag),
        }
    }
}

/// One error of a configuration. Prints as one line: code, place, key, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.place())]
pub struct ConfigError {
    /// MUTT-C...
    pub code: &'static Code,
    /// Where.
    pub origin: Origin,
    /// The key's path, empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl ConfigError {
    fn place(&self) -> String {
        match &self.origin {
            Origin::Default => String::new(),
            origin => format!("{origin}: "),
        }
    }

    /// A value that is not allowed.
    #[must_use]
    pub fn value(origin: &Origin, key: &str, message: String) -> Self {
        Self {
            code: &codes::CONFIG_BAD_VALUE,
            origin: origin.clone(),
            key: key.to_owned(),
            message,
        }
    }

    /// A secret that is not there.
    #[must_use]
    pub fn secret(key: &str, why: &str) -> Self {
        Self {
            code: &codes::CONFIG_SECRET,
            origin: Origin::Default,
            key: key.to_owned(),
            message: format!("`{key}`: {why}"),
        }
    }

    /// The line in the file, for sorting; what stands elsewhere comes last.
    #[must_use]
    pub fn line(&self) -> usize {
        match &self.origin {
            Origin::File { line, .. } => *line,
            _ => usize::MAX,
        }
    }
}
