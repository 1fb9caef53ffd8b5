//! A site under load, and the balance that is drawn in the end: what was acknowledged, what stands in
//! the audit, what the receiver got.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use mutt_model::ledger::Ledger;

use crate::support::senders::{Load, Senders, Told, answered};
use crate::support::wait::{env, within};
use crate::support::{Receiver, Reply, Site};

/// The backlog of a whole run may wait in the end, and a dead owner's leases.
const BACKLOG_TIME: Duration = Duration::from_secs(300);
/// Each service, and a second one of those that share their work or stand by.
pub(super) const PROCESSES: [&str; 7] = [
    "ingestor",
    "alerter-1",
    "alerter-2",
    "moog-forwarder-1",
    "moog-forwarder-2",
    "remediation",
    "web-ui",
];

/// See the module.
pub(super) struct Loaded {
    pub(super) site: Site,
    pub(super) senders: Senders,
    pub(super) receiver: Receiver,
}

/// What was counted in the end.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) told: Told,
    pub(super) ledger: Ledger,
    rows: u64,
    requests: usize,
}

/// A receiver that takes everything after a short random time, so that attempts are always under way.
pub(super) fn slow_receiver(seed: u64) -> Receiver {
    let mut random = fastrand::Rng::with_seed(seed);
    Receiver::start(move |_| Reply::status(200).after(Duration::from_millis(random.u64(2..25))))
}

/// The seed of a long form.
pub(super) fn soak_seed() -> u64 {
    env("MUTT_SOAK_SEED").map_or_else(|| fastrand::u64(..1_000_000_000), |s| s.parse().unwrap())
}

impl Loaded {
    /// A site with these processes and one webhook, under this load.
    pub(super) fn new(processes: &[&str], load: Load, seed: u64) -> Self {
        let receiver = slow_receiver(seed);
        let mut site = Site::new();
        site.webhook("hook", &receiver.url(), "rate = \"10000/s\"");
        Self::with(site, receiver, processes, load)
    }

    /// The same with a site that was prepared.
    pub(super) fn with(mut site: Site, receiver: Receiver, processes: &[&str], load: Load) -> Self {
        site.start_all(processes);
        site.ready();
        let loaded = Self { site, senders: Senders::start(load), receiver };
        loaded.aim();
        loaded.goes_on();
        loaded
    }

    /// Tells the senders where the Ingestor listens now.
    pub(super) fn aim(&self) {
        self.senders.aim(self.site.program("ingestor"));
    }

    /// Starts a process again; the senders are told.
    #[track_caller]
    pub(super) fn start(&mut self, name: &str) {
        self.site.start(name);
        if name == "ingestor" {
            self.aim();
        }
    }

    /// Waits until more is answered than now.
    #[track_caller]
    pub(super) fn goes_on(&self) {
        answered(&self.senders, self.senders.acknowledged() + 30);
    }

    /// Ends the load, lets the site come to rest and compares everything with everything.
    #[track_caller]
    pub(super) fn check(self) -> Counted {
        let Self { site, senders, receiver } = self;
        let told = senders.finish();
        balance(site, &receiver, told)
    }
}

/// Lets the site come to rest and compares what was told with everything that stands anywhere.
#[track_caller]
pub(super) fn balance(mut site: Site, receiver: &Receiver, told: Told) -> Counted {
    receiver.now_answers(Reply::status(200));
    site.ready();
    let ledger = rests(&site, told.acknowledged.len() as u64);
    let audit = site.audit();
    told.check(&audit);
    let (events, deliveries) = (&ledger.events, &ledger.deliveries);
    let rows = audit.events.len() as u64;
    assert_eq!((events.audited, events.unaccounted, events.lost), (rows, 0, 0), "{events:?}");
    assert_eq!(deliveries.dead, 0, "{deliveries:?}");
    let seen: BTreeSet<String> = receiver.seen().iter().map(|s| s.id().to_owned()).collect();
    let never: Vec<_> = audit.delivered.iter().filter(|id| !seen.contains(*id)).collect();
    assert!(never.is_empty(), "delivered and never received: {never:?}");
    assert_eq!(audit.delivered.len() as u64, deliveries.delivered);
    assert!(deliveries.delivered > 0, "{deliveries:?}");
    site.stop_all();
    Counted { told, ledger, rows, requests: receiver.count() }
}

/// Waits until nothing is under way and all of what was acknowledged is known of: spills are told by
/// reports, which are a moment old. Servers that came back a moment ago may still refuse to say.
#[track_caller]
fn rests(site: &Site, acknowledged: u64) -> Ledger {
    let mut api = site.program("web-ui").api();
    let mut last = String::new();
    let found = within(BACKLOG_TIME, || {
        let answer = api.call("GET", "/api/v2/ledger", None);
        last = format!("{answer:?}");
        let answer = answer.ok().filter(|answer| answer.status == 200)?;
        let ledger: Ledger = serde_json::from_value(answer.json()).unwrap();
        last = format!("{ledger:?}");
        let (e, d) = (&ledger.events, &ledger.deliveries);
        let known = e.received >= acknowledged;
        let rest =
            known && e.pending == 0 && d.pending + d.leased + d.held == 0 && e.unaccounted == 0;
        rest.then_some(ledger)
    });
    found.unwrap_or_else(|| panic!("it does not come to rest: {last}"))
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acknowledged {}, audited {}, lost 0, twice 0; answered with 503 {}, repeated {}, recognised {}; deliveries {}, requests at the receiver {}",
            self.told.acknowledged.len(),
            self.rows,
            self.told.refused,
            self.told.repeated,
            self.ledger.events.duplicates,
            self.ledger.deliveries.delivered,
            self.requests,
        )
    }
}
