//! How far an import is, on standard error: a bar on a terminal, else a line from time to time.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use mutt_model::Clock;

use super::super::output;

/// Between two looks of a bar.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// Between two lines where nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Characters of the bar.
const WIDTH: u64 = 30;

/// Where one table is.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    /// Of these looked at and found to stand already.
    skipped: u64,
    begun: Duration,
    shown: Duration,
    terminal: bool,
}

impl Progress {
    /// At the begin of `total` rows.
    pub(super) fn new(what: &'static str, total: u64) -> Self {
        let begun = Clock::System.monotonic();
        let terminal = std::io::stderr().is_terminal();
        Self { what, total, done: 0, skipped: 0, begun, shown: begun, terminal }
    }

    /// So many more are done, of which so many stood already.
    pub(super) fn advance(&mut self, rows: u64, skipped: u64) {
        self.done += rows;
        self.skipped += skipped;
        let now = Clock::System.monotonic();
        let every = if self.terminal { BAR_EVERY } else { LINE_EVERY };
        if now.saturating_sub(self.shown) < every {
            return;
        }
        self.shown = now;
        let text = self.text(now.saturating_sub(self.begun));
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        } else {
            output::note(&text);
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn text(&self, passed: Duration) -> String {
        let (done, total) = (self.done, self.total.max(self.done).max(1));
        let full = usize::try_from(done * WIDTH / total).unwrap_or(0);
        let bar: String = (0..WIDTH).map(|at| if at < full as u64 { '#' } else { '.' }).collect();
        let rate = done as f64 / passed.as_secs_f64().max(0.001);
        let left = Duration::from_secs_f64((total - done) as f64 / rate.max(1.0));
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} stood already"),
        };
        format!(
            "{} [{bar}] {} %: {done} of {total} rows{skipped}; {rate:.0} rows/s, {} s left",
            self.what,
            done * 100 / total,
            left.as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_share_rate_and_what_is_left() {
        let mut progress = Progress::new("event_audit_log", 1_000);
        progress.done = 250;
        progress.skipped = 100;
        let text = progress.text(Duration::from_secs(5));
        assert_eq!(
            text,
            "event_audit_log [#######.......................] 25 %: 250 of 1000 rows, 100 stood already; 50 rows/s, 15 s left"
        );
    }
}
