//! What an import found, took and could not take.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::super::failure::Failure;
use super::super::output;

/// Items that are named one by one; the others are counted.
const NAMED_MAX: usize = 1_000;

/// How much there was of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    /// In v2.
    pub found: u64,
    /// Stands here already.
    pub there: u64,
    /// Taken now, or what `--apply` would take.
    pub taken: u64,
    /// Could not be taken.
    pub refused: u64,
}

/// One thing that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Refused {
    /// Which table or list.
    pub what: String,
    /// Which of them.
    pub item: String,
    /// Why.
    pub why: String,
}

/// A dynamic key that became a setting of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Moved {
    /// v2's key in Redis.
    pub from: String,
    /// The key here.
    pub key: String,
    /// Its value here.
    pub value: String,
}

/// The whole report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Whether anything was changed.
    pub applied: bool,
    /// By table or list.
    pub counts: BTreeMap<String, Count>,
    /// What could not be taken; at most a thousand of it.
    pub refused: Vec<Refused>,
    /// How many more could not be taken.
    pub refused_more: u64,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Dynamic keys that are settings of the store now, or would be.
    pub settings: Vec<Moved>,
    /// The configuration that stands for the environment file and the dynamic keys that are no settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

impl Report {
    /// The numbers of one table or list.
    pub(super) fn count(&mut self, what: &str) -> &mut Count {
        self.counts.entry(what.to_owned()).or_default()
    }

    /// More of it could not be taken, and is not named.
    pub(super) fn refuse_more(&mut self, what: &str, more: u64) {
        self.count(what).refused += more;
        self.refused_more += more;
    }

    /// One thing could not be taken.
    pub(super) fn refuse(&mut self, what: &str, item: impl ToString, why: impl Into<String>) {
        self.count(what).refused += 1;
        if self.refused.len() < NAMED_MAX {
            let (what, item, why) = (what.to_owned(), item.to_string(), why.into());
            self.refused.push(Refused { what, item, why });
        } else {
            self.refused_more += 1;
        }
    }

    /// Something a person should know; the same thing once, and not without end.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.notes.len() < NAMED_MAX && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Prints it; exit 1 when something could not be taken.
    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            output::line(&serde_json::to_string(self).unwrap_or_default())?;
        } else {
            self.words()?;
        }
        if self.refused.is_empty() {
            Ok(())
        } else {
            Err(Failure::quiet(super::super::EXIT_FAILED))
        }
    }

    fn words(&self) -> Result<(), Failure> {
        if let Some(config) = &self.config {
            output::line(config.trim_end())?;
        }
        let taken = if self.applied { "TAKEN" } else { "WOULD TAKE" };
        if !self.counts.is_empty() {
            let rows = self.counts.iter().map(|(what, count)| {
                let numbers = [count.found, count.there, count.taken, count.refused];
                let mut row = vec![output::plain(what)];
                row.extend(numbers.iter().map(ToString::to_string));
                row
            });
            let headings = vec!["FROM", "FOUND", "THERE", taken, "REFUSED"];
            output::table(headings, rows.collect())?;
        }
        for Moved { from, key, value } in &self.settings {
            let done = if self.applied { "set" } else { "would be set" };
            output::line(&output::plain(&format!("{done}: {key} = {value} ({from})")))?;
        }
        for refused in &self.refused {
            let Refused { what, item, why } = refused;
            output::line(&output::plain(&format!("not taken: {what} {item}: {why}")))?;
        }
        if self.refused_more > 0 {
            output::line(&format!("not taken: {} more", self.refused_more))?;
        }
        for note in &self.notes {
            output::note(&output::plain(note));
        }
        if !self.applied && !self.counts.is_empty() {
            output::note("nothing was changed; --apply does it");
        }
        Ok(())
    }
}

/// Bytes as short text, for naming an item.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut short: String = text.chars().take(60).collect();
    if text.chars().nth(60).is_some() {
        short.push_str("...");
    }
    short
}

/// A text member of an object.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}
