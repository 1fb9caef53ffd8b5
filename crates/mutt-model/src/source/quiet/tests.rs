//! Tables and properties of the watch; times are passed in.

use proptest::prelude::*;

use super::*;
use crate::source::Gaps;

const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// A source that was heard for two days until `last`, each `gap` seconds.
fn source(host: &str, peer: &str, last: i64, gap: u64) -> Watched {
    Watched {
        key: SourceKey::new(host, peer),
        listener: "syslog-udp".to_owned(),
        heard_by: "here".to_owned(),
        first_seen: at(last - 2 * DAY),
        last_seen: at(last),
        usual_gap: Duration::from_secs(gap),
        ..Watched::default()
    }
}

fn ear() -> Ear {
    let listeners = ["syslog-udp", "syslog-tcp"].map(str::to_owned).into();
    Ear { since: at(0), listeners, trouble: BTreeMap::new() }
}

fn view(now: i64, sources: Vec<Watched>) -> View {
    let newest = sources.iter().map(|s| s.last_seen).max().unwrap_or_default().max(at(now - 1));
    let ears = BTreeMap::from([("here".to_owned(), ear())]);
    View { now: at(now), sources, newest, ears, deaf_told: false }
}

fn told(view: &View) -> Vec<About> {
    let steps = judge(view, &QuietPolicy::default());
    steps.into_iter().map(|s| s.about).filter(|about| *about != About::Nobody).collect()
}

/// Does to the sources what the steps say.
fn apply(view: &mut View, steps: &[Step]) {
    for mark in steps.iter().flat_map(|step| &step.marks) {
        let place = view.sources.iter().position(|s| s.key == mark.key).unwrap();
        if mark.remove {
            view.sources.remove(place);
            continue;
        }
        let source = &mut view.sources[place];
        (source.told, source.told_last) = (mark.told, mark.told_last);
        source.excused = mark.excused.unwrap_or(source.excused);
    }
    for step in steps {
        match step.about {
            About::Deaf(..) => view.deaf_told = true,
            About::Hears => view.deaf_told = false,
            _ => {}
        }
    }
}

const NOW: i64 = 10 * DAY;

#[test]
fn silence_is_told_beyond_three_usual_gaps_and_five_minutes() {
    let check = |silent: i64, gap: u64, is_told: bool| {
        let quiet = told(&view(NOW, vec![source("r1", "192.0.2.1", NOW - silent, gap)]));
        assert_eq!(!quiet.is_empty(), is_told, "{silent} s at a gap of {gap} s: {quiet:?}");
    };
    check(299, 1, false);
    check(301, 1, true);
    check(301, 200, false);
    check(600, 200, false);
    check(601, 200, true);
    check(2 * DAY, DAY as u64, false);
    check(3 * DAY + 1, DAY as u64, true);
}

#[test]
fn who_is_not_known_long_enough_or_is_muted_is_not_told_of() {
    let check = |change: fn(&mut Watched), is_told: bool| {
        let mut one = source("r1", "192.0.2.1", NOW - 900, 10);
        change(&mut one);
        assert_eq!(!told(&view(NOW, vec![one])).is_empty(), is_told);
    };
    check(|_| {}, true);
    check(|s| s.first_seen = Timestamp(s.last_seen.0 - DAY * 1_000_000 + 1), false);
    check(|s| s.first_seen = Timestamp(s.last_seen.0 - DAY * 1_000_000), true);
    check(|s| s.muted = true, false);
    check(|s| s.excused = at(NOW - 200), false);
    check(|s| s.excused = at(NOW - 400), true);
    check(|s| s.forgotten = true, false);
    let off = QuietPolicy { enabled: false, ..QuietPolicy::default() };
    let quiet = view(NOW, vec![source("r1", "192.0.2.1", NOW - 900, 10)]);
    assert_eq!(judge(&quiet, &off), []);
}

#[test]
fn a_source_is_told_of_once_and_is_back_with_its_next_event() {
    let mut view = view(NOW, vec![source("r1", "192.0.2.1", NOW - 900, 10)]);
    let steps = judge(&view, &QuietPolicy::default());
    let key = SourceKey::new("r1", "192.0.2.1");
    let secs = Duration::from_secs;
    assert_eq!(steps[0].about, About::Quiet(key.clone(), secs(900), secs(10)));
    apply(&mut view, &steps);
    view.now = at(NOW + 3_600);
    assert_eq!(told(&view), []);
    view.sources[0].last_seen = at(NOW + 3_590);
    let steps = judge(&view, &QuietPolicy::default());
    assert_eq!(steps[0].about, About::Back(key.clone()));
    apply(&mut view, &steps);
    assert_eq!((view.sources[0].told, told(&view)), (Told::No, vec![]));
    // And again.
    view.now = at(NOW + 7_200);
    assert_eq!(told(&view).len(), 1);
}

#[test]
fn mute_and_forget_clear_what_was_told() {
    for forget in [false, true] {
        let mut one = view(NOW, vec![source("r1", "192.0.2.1", NOW - 900, 10)]);
        let steps = judge(&one, &QuietPolicy::default());
        apply(&mut one, &steps);
        one.sources[0].muted = !forget;
        one.sources[0].forgotten = forget;
        let steps = judge(&one, &QuietPolicy::default());
        assert_eq!(steps[0].about, About::Back(SourceKey::new("r1", "192.0.2.1")));
        apply(&mut one, &steps);
        assert_eq!(one.sources.is_empty(), forget);
    }
    let mut unknown = source("r2", "192.0.2.1", NOW - 900, 10);
    unknown.forgotten = true;
    let mut one = view(NOW, vec![unknown]);
    let steps = judge(&one, &QuietPolicy::default());
    assert_eq!(steps[0].about, About::Nobody);
    apply(&mut one, &steps);
    assert!(one.sources.is_empty());
}

fn relay(count: usize, last: i64, gap: u64) -> Vec<Watched> {
    (0..count).map(|n| source(&format!("h{n}"), "192.0.2.9", last, gap)).collect()
}

#[test]
fn a_relay_that_goes_quiet_makes_one_alert_however_its_sources_differ() {
    let mut sources = relay(1_000, NOW - 400, 30);
    // Most of them speak seldom: their own silence would be told much later, one by one.
    for (n, source) in sources.iter_mut().enumerate() {
        source.usual_gap = Duration::from_secs(if n % 10 == 0 { 30 } else { 7_200 });
        source.last_seen = at(NOW - 400 - i64::try_from(n % 20).unwrap());
    }
    let mut view = view(NOW, sources);
    let mut all = Vec::new();
    for minute in 0..2_000 {
        view.now = at(NOW + minute * 60);
        view.newest = view.now;
        let steps = judge(&view, &QuietPolicy::default());
        apply(&mut view, &steps);
        all.extend(steps.into_iter().map(|s| s.about).filter(|about| *about != About::Nobody));
    }
    assert!(
        matches!(all.as_slice(), [About::RelayQuiet(peer, ..)] if peer == "192.0.2.9"),
        "{all:?}"
    );
    assert!(view.sources.iter().all(|s| s.told == Told::Relay), "later silences join it");
    // All of them speak again, each at its own pace: one clear, and no alert of a single source.
    for (n, source) in view.sources.iter_mut().enumerate() {
        if n % 5 == 0 {
            source.last_seen = view.now;
        }
    }
    let steps = judge(&view, &QuietPolicy::default());
    apply(&mut view, &steps);
    assert_eq!(told(&view), []);
    let cleared: Vec<_> = steps.iter().map(|s| &s.about).collect();
    assert_eq!(cleared, [&About::RelayBack("192.0.2.9".to_owned())]);
}

#[test]
fn one_of_many_behind_a_relay_is_told_alone() {
    let mut sources = relay(50, NOW - 5, 30);
    sources[7].last_seen = at(NOW - 900);
    let quiet = told(&view(NOW, sources));
    assert!(matches!(quiet.as_slice(), [About::Quiet(key, ..)] if key.host == "h7"), "{quiet:?}");
    // Two sources are no relay.
    assert_eq!(told(&view(NOW, relay(2, NOW - 900, 30))).len(), 2);
}

#[test]
fn a_relay_of_which_nearly_all_is_silent_is_told_once_and_stays_told() {
    let mut sources = relay(100, NOW - 900, 30);
    sources[0].last_seen = at(NOW - 5);
    let mut view = view(NOW, sources);
    let steps = judge(&view, &QuietPolicy::default());
    assert!(matches!(&steps[0].about, About::RelayQuiet(_, _, 99, 100)), "{steps:?}");
    apply(&mut view, &steps);
    view.now = at(NOW + 60);
    view.sources[0].last_seen = at(NOW + 55);
    assert_eq!(told(&view), [], "who speaks on all the time does not clear it");
}

#[test]
fn our_own_deafness_is_one_alert_and_none_about_devices() {
    let check = |change: &dyn Fn(&mut View), words: &str| {
        let mut deaf = view(NOW, relay(5, NOW - 900, 10));
        deaf.sources.push(source("r1", "192.0.2.1", NOW - 900, 10));
        change(&mut deaf);
        let quiet = told(&deaf);
        let [About::Deaf(why, 6)] = quiet.as_slice() else { panic!("{quiet:?}") };
        assert!(why.contains(words), "{why}");
    };
    let trouble = |listener: &str, ago: i64| {
        let entry = (listener.to_owned(), (at(NOW - ago), "datagrams were dropped".to_owned()));
        move |view: &mut View| {
            let ear = view.ears.get_mut("here").unwrap();
            ear.trouble.insert(entry.0.clone(), entry.1.clone());
        }
    };
    check(&|view| view.ears.clear(), "the Ingestor on here does not report");
    check(
        &|view| view.ears.get_mut("here").unwrap().listeners.clear(),
        "the listener syslog-udp on here is closed",
    );
    check(&trouble("syslog-udp", 60), "datagrams were dropped on here");
    check(&trouble(EVERY_LISTENER, 60), "datagrams were dropped on here");
    // Another listener's trouble, and what is long over, excuse nothing.
    for (listener, ago) in [("snmp-udp", 60), ("syslog-udp", 700)] {
        let mut hears = view(NOW, relay(5, NOW - 900, 10));
        trouble(listener, ago)(&mut hears);
        assert!(matches!(told(&hears).as_slice(), [About::RelayQuiet(..)]), "{listener}");
    }
}

#[test]
fn after_our_own_deafness_everybody_gets_the_time_to_speak() {
    let mut deaf = view(NOW, relay(5, NOW - 900, 10));
    deaf.ears.clear();
    let steps = judge(&deaf, &QuietPolicy::default());
    apply(&mut deaf, &steps);
    assert!(deaf.deaf_told);
    deaf.now = at(NOW + 60);
    assert_eq!(told(&deaf), [], "told once");
    // The Ingestor has started again.
    deaf.ears.insert("here".to_owned(), Ear { since: at(NOW + 100), ..ear() });
    deaf.now = at(NOW + 110);
    let steps = judge(&deaf, &QuietPolicy::default());
    assert_eq!(steps.iter().map(|s| &s.about).filter(|a| **a == About::Hears).count(), 1);
    apply(&mut deaf, &steps);
    deaf.now = at(NOW + 300);
    assert_eq!(told(&deaf), []);
    deaf.now = at(NOW + 500);
    assert!(matches!(told(&deaf).as_slice(), [About::RelayQuiet(..)]), "now it is theirs");
}

#[test]
fn when_nobody_at_all_is_heard_it_is_most_likely_us() {
    let mut sources: Vec<_> =
        (0..12).map(|n| source("h", &format!("192.0.2.{n}"), NOW - 900, 10)).collect();
    let mut all = view(NOW, sources.clone());
    all.newest = at(NOW - 900);
    assert!(matches!(told(&all).as_slice(), [About::Deaf(_, 12)]));
    let steps = judge(&all, &QuietPolicy::default());
    apply(&mut all, &steps);
    // One is heard again: the others get the time to speak, and are then told of.
    all.newest = at(NOW + 50);
    all.now = at(NOW + 60);
    let steps = judge(&all, &QuietPolicy::default());
    apply(&mut all, &steps);
    assert_eq!((told(&all), all.deaf_told), (vec![], false));
    (all.now, all.newest) = (at(NOW + 400), at(NOW + 390));
    assert_eq!(told(&all).len(), 12);
    sources.truncate(9);
    let mut few = view(NOW, sources);
    few.newest = at(NOW - 900);
    assert_eq!(told(&few).len(), 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_regular_source_never_alarms_and_a_silent_one_always_does(
        gap in 1u64..200_000, jitter in 0u64..100, start in 0i64..1_000_000,
    ) {
        let mut gaps = Gaps::default();
        let mut last = at(start);
        let first = last;
        let mut turn = 0u64;
        // Longer than a day, at this pace and a little more.
        while last.since(first) < Duration::from_secs(86_400).max(Duration::from_secs(gap * 20)) && turn < 3_000 {
            let step = Duration::from_millis(gap * 1_000 + gap * 10 * ((turn * 7) % (jitter + 1)));
            let one = Watched {
                key: SourceKey::new("r1", "192.0.2.1"),
                first_seen: first,
                last_seen: last,
                usual_gap: gaps.p99(),
                ..source("r1", "192.0.2.1", 0, 1)
            };
            let now = last.plus(step);
            let mut looked = view(now.secs(), vec![one]);
            looked.now = now;
            looked.newest = now;
            if !gaps.is_empty() {
                prop_assert_eq!(told(&looked), vec![]);
            }
            gaps.count(step);
            last = now;
            turn += 1;
        }
        let policy = QuietPolicy { history: Duration::ZERO, ..QuietPolicy::default() };
        let one = Watched {
            first_seen: first, last_seen: last, usual_gap: gaps.p99(),
            ..source("r1", "192.0.2.1", 0, 1)
        };
        let later = last.plus(policy.allowed(gaps.p99()) + Duration::from_secs(1));
        let mut silent = view(later.secs(), vec![one]);
        (silent.now, silent.newest) = (later, later);
        let steps = judge(&silent, &policy);
        prop_assert!(matches!(&steps[0].about, About::Quiet(..)));
    }

    #[test]
    fn whatever_stands_behind_a_silent_relay_it_makes_one_alert(
        gaps in proptest::collection::vec(1u64..20_000, 4..200),
    ) {
        let last = NOW - 1;
        let sources = gaps.iter().enumerate()
            .map(|(n, gap)| source(&format!("h{n}"), "192.0.2.9", last, *gap)).collect();
        let mut view = view(NOW, sources);
        let mut alone = 0;
        let mut relay = 0;
        for round in 0..400 {
            view.now = at(NOW + round * 180);
            view.newest = view.now;
            let steps = judge(&view, &QuietPolicy::default());
            apply(&mut view, &steps);
            for step in &steps {
                alone += usize::from(matches!(step.about, About::Quiet(..)));
                relay += usize::from(matches!(step.about, About::RelayQuiet(..)));
                prop_assert!(!matches!(step.about, About::RelayBack(_)));
            }
        }
        prop_assert_eq!(relay, 1);
        // One that speaks by far the most may be told of before the others are due.
        prop_assert!(alone <= 1, "{} of {}", alone, gaps.len());
    }
}
