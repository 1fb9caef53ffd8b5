//! Rows 24 and 27 to 35 of the fault matrix (CONTRIBUTING.md): Redis, PostgreSQL, Vault and the Alerter
//! fail under a site with load. Each row has a short form here, which the suite runs, and a long form
//! that scripts/soak runs from a seed.

mod alerter_dies;
mod audit;
mod commit_cut;
mod poison;
mod postgres_away;
mod redis_away;
mod redis_gone;
mod redis_policy;
mod redis_power;
mod vault;

use std::collections::BTreeMap;
use std::time::Duration;

use mutt_model::ledger::Ledger;

use crate::support::senders::{Load, Senders, Told, number_in};
use crate::support::wait::env;
use crate::support::{Site, Stopwatch};

/// A backlog may take its time on a busy machine.
const BACKLOG_TIME: Duration = Duration::from_secs(600);
/// Enough to have something under way at any moment, on few processors.
const LOAD: Load = Load { http: 2, records: 5, informs: 1, ..Load::STEADY };

/// `MUTT_SOAK_SEED`, which scripts/soak sets.
fn seed() -> u64 {
    env("MUTT_SOAK_SEED").map_or(20_261_124, |text| text.parse().unwrap())
}

/// What a row's run counted.
struct Counted {
    told: Told,
    ledger: Ledger,
    /// Numbers that were sent and do not stand in the audit.
    gone: usize,
}

/// A site with a load: Ingestor, Web UI, and Alerters that the test starts.
struct Loaded {
    site: Site,
    senders: Senders,
    watch: Stopwatch,
}

impl Loaded {
    /// Ingestor, Web UI and these Alerters at work; the load has begun.
    #[track_caller]
    fn start(mut site: Site, alerters: &[&str]) -> Self {
        site.start_all(&["web-ui", "ingestor"]);
        site.start_all(alerters);
        Self::running(site)
    }

    /// As [`Loaded::start`], of a site whose processes run.
    #[track_caller]
    fn running(site: Site) -> Self {
        Self::under(site, LOAD)
    }

    /// As [`Loaded::running`], with another load.
    #[track_caller]
    fn under(site: Site, load: Load) -> Self {
        site.ready();
        let senders = Senders::start(load);
        senders.aim(site.program("ingestor"));
        let loaded = Self { site, senders, watch: Stopwatch::start() };
        loaded.answered(200);
        loaded
    }

    /// Waits for so many more answers.
    #[track_caller]
    fn answered(&self, count: usize) {
        crate::support::senders::answered(&self.senders, self.senders.acknowledged() + count);
    }

    /// Waits until so many more events are audited than now.
    #[track_caller]
    fn audited(&self, count: i64) {
        let before = self.site.audited();
        crate::support::until("events are audited", || {
            (self.site.audited() >= before + count).then_some(())
        });
    }

    /// Ends the load, waits for rest and compares the senders' own numbers with the audit's rows: zero
    /// twice, nothing that nobody sent, and of each host in the order of its sender.
    #[track_caller]
    fn settle(mut self, row: u32) -> Counted {
        let told = self.senders.finish();
        // Work goes on at once when a server is back; the Web UI may look for it a moment later.
        crate::support::until("the Web UI is ready", || {
            (self.site.readiness("web-ui").0 == 200).then_some(())
        });
        let ledger = self.site.program("web-ui").at_rest_within(BACKLOG_TIME);
        let audit = self.site.audit();
        let numbers = audit.numbers();
        let twice = numbers.values().filter(|times| **times > 1).count();
        let strange = numbers.keys().filter(|number| !told.sent.contains(*number)).count();
        let gone = told.sent.len() - (numbers.len() - strange);
        let lost = told.acknowledged.iter().filter(|n| !numbers.contains_key(*n)).count();
        println!(
            "row {row}: seed {}, {:.0} s, sent {}, acknowledged {}, audited {}, acknowledged and not audited {lost}, counted lost {}, twice {twice}, refused {}, repeated {}, recognised {}",
            seed(),
            self.watch.elapsed().as_secs_f64(),
            told.sent.len(),
            told.acknowledged.len(),
            audit.events.len(),
            ledger.events.lost,
            told.refused,
            told.repeated,
            ledger.events.duplicates,
        );
        assert_eq!((twice, strange), (0, 0), "{ledger:?}");
        assert_eq!((ledger.events.unaccounted, ledger.events.pending), (0, 0), "{ledger:?}");
        assert_eq!(ledger.events.audited, audit.events.len() as u64, "{ledger:?}");
        in_order(&audit.events);
        self.site.stop_all();
        Counted { told, ledger, gone }
    }

    /// As [`Loaded::settle`], and nothing at all is lost.
    #[track_caller]
    fn settle_whole(self, row: u32) -> Counted {
        let counted = self.settle(row);
        assert_eq!((counted.gone, counted.ledger.events.lost), (0, 0), "{:?}", counted.ledger);
        counted
    }
}

/// What one sender says of one host stands in the order in which it was said.
#[track_caller]
fn in_order(events: &[mutt_model::Event<'_>]) {
    let mut last: BTreeMap<(String, String), u64> = BTreeMap::new();
    for event in events {
        let Some((lane, n)) = number_in(&event.message).and_then(|n| n.split_once('-')) else {
            continue;
        };
        let n = n.parse().unwrap();
        let before = last.insert((lane.to_owned(), event.host.to_string()), n);
        assert!(before.is_none_or(|before| before < n), "{lane}-{n} after {before:?}");
    }
}
