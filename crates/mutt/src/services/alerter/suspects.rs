//! Events under which this Alerter died. Before an event of a suspected batch is judged, its place is
//! noted in a file; the process that comes after a death learns from it which one it was.
//!
//! The notes survive the process, not the host: a power cut is no event's fault.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use mutt_model::Id;

/// So often an Alerter dies under one event before the event is set aside: once may be chance, because
/// somebody killed it at that moment.
pub const DEATHS_MAX: u32 = 2;
/// Bytes of the first line, which names the event that is judged now.
const HEAD: usize = 64;

/// The notes of all shards.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    dir: Option<PathBuf>,
}

/// What is known of the events of one shard, while one batch after another is judged.
#[derive(Debug, Default)]
pub struct Notes {
    file: Option<File>,
    deaths: BTreeMap<(Id, usize), u32>,
}

impl Suspects {
    /// Noted in this folder; none: nowhere, then no death is known.
    #[must_use]
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    fn path(&self, shard: u16) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("suspects-{shard}")))
    }

    /// What is known of a shard; whoever was judged when the last notes ended has died of it.
    #[must_use]
    pub fn open(&self, shard: u16) -> Notes {
        let Some(path) = self.path(shard) else { return Notes::default() };
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut deaths = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let (Some(batch), Some(place)) = (words.next(), words.next()) else { continue };
            let (Ok(batch), Ok(place)) = (batch.parse::<Id>(), place.parse::<usize>()) else {
                continue;
            };
            // The first line has no number: it is the one that was judged.
            let times = words.next().and_then(|times| times.parse().ok());
            *deaths.entry((batch, place)).or_insert(0) +=
                if number == 0 { 1 } else { times.unwrap_or(0) };
        }
        let mut whole = format!("{:<width$}\n", "-", width = HEAD - 1);
        for ((batch, place), times) in &deaths {
            whole.push_str(&format!("{batch} {place} {times}\n"));
        }
        // As a whole or not at all: this process may be killed, too.
        let new = path.with_extension("part");
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(whole.as_bytes())?;
            std::fs::rename(&new, &path)?;
            Ok(file)
        });
        if let Err(error) = &written {
            tracing::info!(%error, shard, "the event that is judged cannot be noted");
        }
        Notes { file: written.ok(), deaths }
    }

    /// Everything of a shard was judged, committed and acknowledged.
    pub fn clear(&self, shard: u16) {
        if let Some(path) = self.path(shard) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Notes {
    /// How often an Alerter died under this event.
    #[must_use]
    pub fn deaths(&self, batch: Id, place: usize) -> u32 {
        self.deaths.get(&(batch, place)).copied().unwrap_or(0)
    }

    /// This event is judged now.
    pub fn judging(&self, batch: Id, place: usize) {
        self.head(&format!("{batch} {place}"));
    }

    /// Nothing is judged any more.
    pub fn judged(&self) {
        self.head("-");
    }

    fn head(&self, words: &str) {
        if let Some(file) = &self.file {
            let _ = file.write_all_at(format!("{words:<width$}\n", width = HEAD - 1).as_bytes(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_judged_when_the_notes_ended_has_died_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let suspects = Suspects::new(Some(dir.path().to_owned()));
        let (one, two) = (Id([1; 16]), Id([2; 16]));
        let notes = suspects.open(3);
        notes.judging(one, 0);
        notes.judging(one, 7);
        drop(notes);
        let notes = suspects.open(3);
        assert_eq!((notes.deaths(one, 7), notes.deaths(one, 0), notes.deaths(two, 7)), (1, 0, 0));
        notes.judging(one, 7);
        drop(notes);
        let notes = suspects.open(3);
        assert_eq!(notes.deaths(one, 7), 2);
        notes.judging(two, 1_000);
        notes.judged();
        drop(notes);
        let notes = suspects.open(3);
        assert_eq!((notes.deaths(one, 7), notes.deaths(two, 1_000)), (2, 0));
        assert_eq!(suspects.open(4).deaths(one, 7), 0, "another shard");
        suspects.clear(3);
        assert_eq!(suspects.open(3).deaths(one, 7), 0);
        assert_eq!(Suspects::default().open(3).deaths(one, 7), 0);
    }
}
