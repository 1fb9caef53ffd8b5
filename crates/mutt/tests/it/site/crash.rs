//! `kill -9` of any process of a site under load, of Redis and of PostgreSQL, also of two at once, also
//! of a server that stays away for a while: what was acknowledged is there, nothing stands twice.

use std::collections::BTreeMap;
use std::time::Duration;

use super::load::{Loaded, PROCESSES, soak_seed};
use crate::support::Stopwatch;
use crate::support::senders::Load;
use crate::support::wait::dawdle;

/// Kills of the short form: each target once.
const SHORT_KILLS: usize = TARGETS;
/// Kills of the long form.
const LONG_KILLS: usize = 100;
/// The long form ends by itself within this time.
const LONG_TIME: Duration = Duration::from_secs(20 * 60);
/// Everything runs so long before the next kill, at least and at most, in milliseconds.
const ALIVE: std::ops::Range<u64> = 100..900;
/// What starts it again takes so long, in milliseconds.
const RESTARTED: std::ops::Range<u64> = 0..300;
/// A server that stays away does so for so long, in milliseconds.
const AWAY: std::ops::Range<u64> = 1_000..3_000;
/// Processes and both servers.
const TARGETS: usize = PROCESSES.len() + 2;

fn target(number: usize) -> &'static str {
    PROCESSES.iter().chain(&["redis", "postgres"]).nth(number).unwrap()
}

fn kill(loaded: &mut Loaded, target: &str) {
    match target {
        "redis" => loaded.site.redis.kill(),
        "postgres" => loaded.site.kill_postgres(),
        process => loaded.site.kill(process),
    }
}

fn start(loaded: &mut Loaded, target: &str) {
    match target {
        "redis" => loaded.site.redis.restart(),
        "postgres" => loaded.site.start_postgres(),
        process => loaded.start(process),
    }
}

/// Targets in random order, each once before any comes again, now and then two at once.
struct Fates {
    random: fastrand::Rng,
    deck: Vec<usize>,
}

impl Fates {
    fn draw(&mut self) -> &'static str {
        if self.deck.is_empty() {
            self.deck = (0..TARGETS).collect();
            self.random.shuffle(&mut self.deck);
        }
        target(self.deck.pop().unwrap())
    }

    fn next(&mut self) -> Vec<&'static str> {
        let first = self.draw();
        if self.random.u8(..3) > 0 {
            return vec![first];
        }
        let second = self.draw();
        if second == first { vec![first] } else { vec![first, second] }
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(range))
    }
}

/// So many kills; the first ones in the order of `deck`, the last of it first.
fn kills(count: usize, deck: Vec<usize>, seed: u64, time: Duration) {
    println!("crash of a site: seed {seed}, {count} kills");
    let watch = Stopwatch::start();
    let mut fates = Fates { random: fastrand::Rng::with_seed(seed), deck };
    let mut loaded = Loaded::new(&PROCESSES, Load::CALM, seed);
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut open, mut pairs) = (0, 0);
    while done.values().sum::<usize>() < count {
        assert!(watch.elapsed() < time, "the time is over: {done:?}");
        dawdle(fates.millis(ALIVE));
        let mut doomed = fates.next();
        open += loaded.senders.open() + loaded.receiver.open();
        for target in &doomed {
            kill(&mut loaded, target);
            *done.entry(*target).or_default() += 1;
        }
        pairs += usize::from(doomed.len() > 1);
        dawdle(fates.millis(RESTARTED));
        fates.random.shuffle(&mut doomed);
        for target in doomed {
            let stays_away = ["redis", "postgres"].contains(&target) && fates.random.bool();
            if stays_away {
                dawdle(fates.millis(AWAY));
            }
            start(&mut loaded, target);
        }
        loaded.goes_on();
        let kills = done.values().sum::<usize>();
        if kills.is_multiple_of(10) {
            let (acknowledged, seconds) = (loaded.senders.acknowledged(), watch.elapsed());
            println!("{kills} kills, {acknowledged} acknowledged, {:.0} s", seconds.as_secs_f64());
        }
    }
    let loaded_for = watch.elapsed();
    let counted = loaded.check();
    assert_eq!(counted.told.acknowledged, counted.told.sent);
    println!(
        "crash of a site: seed {seed}, {} kills ({pairs} times two at once) in {:.0} s, {:.0} s with its end; {open} requests and attempts were under way at them; by target {done:?}; {counted}",
        done.values().sum::<usize>(),
        loaded_for.as_secs_f64(),
        watch.elapsed().as_secs_f64(),
    );
}

#[test]
fn row_01_each_target_is_killed_under_load() {
    // Forwarders first: what they leave is taken when their lease has ended, which is the longest.
    let deck = vec![0, 8, 7, 6, 5, 2, 1, 4, 3];
    kills(SHORT_KILLS, deck, 20_261_124, Duration::from_secs(240));
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_01_crash_site() {
    kills(LONG_KILLS, Vec::new(), soak_seed(), LONG_TIME);
}
