//! Why a command failed: an error code, words, what to do next, and the exit code.

use std::process::ExitCode;

use mutt_model::codes::{self, Code};

use super::{EXIT_CONFIG, EXIT_FAILED, EXIT_USAGE, output};
use crate::config::ConfigError;

/// A command's end that is not success.
#[derive(Debug)]
pub struct Failure {
    lines: Vec<(&'static Code, String)>,
    hint: Option<String>,
    exit: u8,
}

impl Failure {
    /// Failed, with a code.
    #[must_use]
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        let hint = code.fix.first().map(|fix| (*fix).to_owned());
        Self { lines: vec![(code, message.into())], hint, exit: EXIT_FAILED }
    }

    /// The command line was wrong in a way that only the command itself can see.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        let mut failure = Self::new(&codes::USAGE, message);
        failure.exit = EXIT_USAGE;
        failure
    }

    /// A bad configuration: every error, exit 78.
    #[must_use]
    pub fn config(errors: &[ConfigError]) -> Self {
        Self {
            lines: errors.iter().map(|error| (error.code, error.to_string())).collect(),
            hint: Some("every key with its range: CONFIG.md; a code: muttctl explain CODE".into()),
            exit: EXIT_CONFIG,
        }
    }

    /// The services did not start or did not end well. The code's page is found by its id.
    #[must_use]
    pub fn serve(code: &Code, message: &str) -> Self {
        let known = codes::find(code.id).unwrap_or(&codes::START_FAILED);
        let mut failure = Self::new(known, message);
        if known.id.starts_with("MUTT-C") {
            failure.exit = EXIT_CONFIG;
        }
        failure
    }

    /// Everything was said already.
    #[must_use]
    pub fn quiet(exit: u8) -> Self {
        Self { lines: Vec::new(), hint: None, exit }
    }

    /// The first error's words, with its code.
    #[must_use]
    pub fn message(&self) -> String {
        self.lines.first().map_or_else(String::new, |(code, message)| format!("{code} {message}"))
    }

    /// What to do next.
    #[must_use]
    pub fn hint_text(&self) -> String {
        self.hint.clone().unwrap_or_default()
    }

    /// Says what to do next instead of the code's own words.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writes the errors and the hint to standard error.
    #[must_use]
    pub fn print(&self) -> ExitCode {
        for (code, message) in &self.lines {
            output::error(code, message);
        }
        if let Some(hint) = &self.hint {
            output::hint(hint);
        }
        ExitCode::from(self.exit)
    }
}

impl From<std::io::Error> for Failure {
    /// A closed standard output is no failure: the reader has seen enough.
    fn from(why: std::io::Error) -> Self {
        if why.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::quiet(0);
        }
        Self::new(&codes::OUTPUT, format!("cannot write the output: {why}"))
    }
}
