//! `kill -9` under load, and death at every named step of append, commit, acknowledgement and attempt:
//! what was acknowledged is there, no number stands twice in the audit, what is said to be delivered
//! was received.

mod points;

use std::time::Duration;

use crate::support::senders::{Load, Senders, Told, answered};
use crate::support::wait::{dawdle, env, within};
use crate::support::{Program, Receiver, Reply, Setup, Stopwatch};

/// Rounds of the short form, which the suite runs.
const SHORT_ROUNDS: usize = 4;
/// The long form unless the environment says otherwise.
const LONG_ROUNDS: usize = 100;
/// The long form ends by itself within this time.
const LONG_TIME: Duration = Duration::from_secs(20 * 60);
/// A program runs so long after its start before it is killed, at least and at most, in milliseconds.
const ALIVE: std::ops::Range<u64> = 200..1_200;

/// The deliveries of a whole run may wait in the end.
const BACKLOG_TIME: Duration = Duration::from_secs(240);

/// A receiver that takes everything after a short random time, so that attempts are always under way.
fn slow_receiver(seed: u64) -> Receiver {
    let mut random = fastrand::Rng::with_seed(seed);
    Receiver::start(move |_| Reply::status(200).after(Duration::from_millis(random.u64(2..25))))
}

fn setup(receiver: &Receiver) -> Setup {
    let mut setup = Setup::new();
    setup.webhook("hook", &receiver.url(), "rate = \"10000/s\"");
    // Small files, so that rolling and removing them is under way, too.
    setup.set("queue", "max_bytes = \"8MiB\"");
    setup
}

/// What was under way when the program was killed.
#[derive(Clone, Copy, Debug)]
struct Caught {
    appends: usize,
    commits: u64,
    attempts: usize,
}

/// Waits until appends, commits and attempts are under way at one moment, and kills at that moment.
#[track_caller]
fn kill_in_the_middle(program: Program, senders: &Senders, receiver: &Receiver) -> Caught {
    let mut api = program.api();
    let mut last = None;
    let caught = within(Duration::from_secs(60), || {
        // While anything is pending the Alerter commits without a pause.
        let pending = api.get("/api/v2/queue")["pending_events"].as_u64().unwrap();
        let caught =
            Caught { appends: senders.open(), commits: pending, attempts: receiver.open() };
        last = Some(caught);
        (caught.appends > 0 && caught.commits > 0 && caught.attempts > 0).then_some(caught)
    });
    let Some(caught) = caught else {
        let ledger = api.ledger();
        panic!("not all was under way at one time: {last:?} {ledger:?}\n{}", program.threads())
    };
    program.kill();
    caught
}

/// Ends the load, lets the program come to rest and compares everything with everything.
fn check_all(program: Program, senders: Senders, receiver: &Receiver) -> (Told, String) {
    let told = senders.finish();
    receiver.now_answers(Reply::status(200));
    let ledger = program.at_rest_within(BACKLOG_TIME);
    let audit = program.stop().audit();
    told.check(&audit);
    let (events, deliveries) = (&ledger.events, &ledger.deliveries);
    let rows = audit.events.len() as u64;
    assert_eq!((events.audited, rows), (told.sent.len() as u64, events.audited), "{events:?}");
    assert_eq!((events.unaccounted, events.lost), (0, 0), "{events:?}");
    assert_eq!(deliveries.dead, 0, "{deliveries:?}");
    let seen: std::collections::BTreeSet<String> =
        receiver.seen().iter().map(|s| s.id().to_owned()).collect();
    let never: Vec<_> = audit.delivered.iter().filter(|id| !seen.contains(*id)).collect();
    assert!(never.is_empty(), "delivered and never received: {never:?}");
    assert_eq!(audit.delivered.len() as u64, deliveries.delivered);
    let report = format!(
        "acknowledged {}, audited {rows}, lost 0, twice 0; answered with 503 {}, repeated {}, recognised {}; deliveries {}, requests at the receiver {}",
        told.acknowledged.len(),
        told.refused,
        told.repeated,
        events.duplicates,
        deliveries.delivered,
        receiver.count(),
    );
    (told, report)
}

fn rounds(rounds: usize, seed: u64, time: Duration) {
    println!("crash: seed {seed}, {rounds} rounds");
    let watch = Stopwatch::start();
    let mut random = fastrand::Rng::with_seed(seed);
    let receiver = slow_receiver(seed);
    let setup = setup(&receiver);
    let senders = Senders::start(Load::STEADY);
    let mut least = Caught { appends: usize::MAX, commits: u64::MAX, attempts: usize::MAX };
    let mut done = 0;
    while done < rounds && watch.elapsed() < time {
        let program = setup.start();
        senders.aim(&program);
        answered(&senders, senders.acknowledged() + 10);
        dawdle(Duration::from_millis(random.u64(ALIVE)));
        let caught = kill_in_the_middle(program, &senders, &receiver);
        least.appends = least.appends.min(caught.appends);
        least.commits = least.commits.min(caught.commits);
        least.attempts = least.attempts.min(caught.attempts);
        done += 1;
        if done % 10 == 0 {
            println!("crash: {done} rounds, {} acknowledged", senders.acknowledged());
        }
    }
    assert_eq!(done, rounds, "the time was over");
    let program = setup.start();
    senders.aim(&program);
    let (_, report) = check_all(program, senders, &receiver);
    println!(
        "crash: seed {seed}, {done} kills in {:.0} s, under way at each at least {} appends, {} events before their commit, {} attempts: {report}",
        watch.elapsed().as_secs_f64(),
        least.appends,
        least.commits,
        least.attempts,
    );
}

#[test]
fn short() {
    rounds(SHORT_ROUNDS, 20_261_123, Duration::from_secs(120));
}

/// By scripts/crash.
#[test]
#[ignore = "takes minutes: scripts/crash runs it"]
fn long() {
    let number = |name: &str| env(name).map(|text| text.parse().unwrap());
    let seed = number("MUTT_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let count = number("MUTT_CRASH_ROUNDS").map_or(LONG_ROUNDS, |n| usize::try_from(n).unwrap());
    rounds(count, seed, LONG_TIME);
}
