//! The table of sources: what batchers saw is added up, told once, and bounded.

use std::borrow::Cow;
use std::sync::Arc;

use mutt_model::{Event, Id, ParseStatus, Source};

use super::policy::Limit;
use super::*;
use crate::net::network::Network;

const START: Timestamp = Timestamp(1_764_000_000_000_000);

fn event<'a>(host: &'a str, peer: &'a str, at: Timestamp) -> Event<'a> {
    let mut event = Event::from_raw(Id::default(), at, Source::Syslog, "syslog-udp", peer, b"raw");
    event.host = Cow::Borrowed(host);
    event.parse.format = Cow::Borrowed("rfc3164");
    event
}

fn sources(max: usize) -> Arc<Sources> {
    Arc::new(Sources::new(Clock::manual(START), max))
}

fn told(sources: &Sources) -> Vec<SourceDelta> {
    let mut told = sources.drain(usize::MAX);
    told.sort_by(|a, b| a.key.cmp(&b.key));
    told
}

#[test]
fn what_batchers_see_is_added_up_and_told_once() {
    let shared = sources(10);
    let (mut one, mut two) =
        (LocalSources::new(&shared, "syslog-udp"), LocalSources::new(&shared, "syslog-tcp"));
    let at = |seconds: u64| START.plus(Duration::from_secs(seconds));
    one.see(&event("Edge-R1", "192.0.2.1:514", at(0)));
    one.see(&event("edge-r1", "192.0.2.1:515", at(1)));
    let mut odd = event("edge-r2", "192.0.2.1:514", at(2));
    odd.note(ParseStatus::Partial, "no priority");
    odd.note(ParseStatus::Partial, "no time");
    odd.device_time = Some(at(0));
    one.see(&odd);
    assert!(shared.is_empty(), "nothing is shared before the batch is closed");
    one.merge();
    two.see(&event("edge-r1", "192.0.2.1:9", at(61)));
    two.merge();
    let all = told(&shared);
    let names: Vec<_> = all.iter().map(|d| (d.key.to_string(), d.events, d.bytes)).collect();
    assert_eq!(
        names,
        [("edge-r1@192.0.2.1".to_owned(), 3, 9), ("edge-r2@192.0.2.1".to_owned(), 1, 3)]
    );
    assert_eq!(
        (all[0].first, all[0].last, all[0].listener.as_str()),
        (at(0), at(61), "syslog-tcp")
    );
    assert_eq!((all[0].gaps.total(), all[0].format.as_str()), (2, "rfc3164"));
    assert!(all[0].gaps.p99() >= Duration::from_secs(60));
    assert_eq!((all[1].partial, all[1].failed, all[1].reasons["no time"]), (1, 0, 1));
    assert_eq!((all[1].skew_last, all[1].skews), (Some(-2_000_000), 1));
    assert_eq!(told(&shared), [], "told once");
    // What could not be told is told with what came since.
    shared.keep(all);
    two.see(&event("edge-r1", "192.0.2.1:9", at(70)));
    two.merge();
    let again = told(&shared);
    assert_eq!((again.len(), again[0].events, again[0].gaps.total()), (2, 4, 3));
    assert_eq!((again[0].first, again[0].last), (at(0), at(70)));
}

#[test]
fn a_full_table_counts_whom_it_has_no_place_for_and_lets_the_idle_go() {
    let shared = sources(100);
    let mut local = LocalSources::new(&shared, "syslog-udp");
    let see = |local: &mut LocalSources, from: u32, to: u32, at: Timestamp| {
        for n in from..to {
            local.see(&event(&format!("h{n}"), "192.0.2.1:514", at));
        }
        local.merge();
    };
    see(&mut local, 0, 5_000, START);
    assert_eq!((shared.len(), shared.untracked()), (100, 4_900));
    assert_eq!(told(&shared).len(), 100);
    shared.clock.advance(IDLE + Duration::from_secs(61));
    let late = shared.clock.wall();
    see(&mut local, 6_000, 6_010, late);
    assert_eq!((shared.len(), shared.untracked()), (10, 4_900));
}

#[test]
fn who_may_not_send_is_refused_and_counted() {
    let shared = sources(10);
    let (good, bad): (IpAddr, IpAddr) =
        ("192.0.2.1".parse().unwrap(), "198.51.100.1".parse().unwrap());
    assert_eq!(shared.admit(bad, "syslog-udp"), None, "nobody is refused by default");
    let net = |text: &str| Network::parse(text).unwrap();
    shared.set_policy(Policy {
        allow: vec![net("192.0.2.0/24")],
        limits: vec![Limit { sources: vec![net("192.0.2.0/24")], rate: 1.0, burst: 3.0 }],
        ..Policy::default()
    });
    assert_eq!(shared.admit(bad, "syslog-udp"), Some(NOT_ALLOWED));
    assert!(!shared.may_connect(bad, "syslog-tcp") && shared.may_connect(good, "syslog-tcp"));
    let refused = (0..10).filter(|_| shared.admit(good, "snmp-udp") == Some(SOURCE_LIMIT)).count();
    assert_eq!(refused, 7);
    shared.held_back(good, "syslog-tcp", Duration::from_millis(250));
    let all = told(&shared);
    assert_eq!((all[0].key.host.as_str(), all[0].dropped[SOURCE_LIMIT]), ("192.0.2.1", 7));
    assert_eq!((all[0].held, all[0].held_ms, all[0].events), (1, 250, 0));
    assert_eq!(all[1].dropped[NOT_ALLOWED], 1);
    // Strangers take half of the table at most.
    for n in 0..1_000u32 {
        shared.admit(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), "syslog-udp");
    }
    assert_eq!(shared.len(), 5);
}

#[test]
fn a_flood_of_refused_engines_leaves_room_for_those_that_are_heard() {
    let shared = sources(10);
    let error = Some("unknown user");
    for n in 0..1_000u32 {
        let (engine_id, user, level) = ("80001f88", "ops", "authPriv");
        let note = UsmNote { engine_id, user, level, error, boots: 3, time: 77 };
        shared.usm(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), START, note);
    }
    assert_eq!(shared.len(), 5);
}

#[tokio::test]
async fn a_change_of_who_may_send_is_told_and_limits_that_stay_keep_their_debts() {
    let shared = sources(10);
    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    let net = |text: &str| vec![Network::parse(text).unwrap()];
    let limits = vec![Limit { sources: net("192.0.2.0/24"), rate: 1.0, burst: 3.0 }];
    let mut changes = shared.changes();
    let policy = Policy { limits, ..Policy::default() };
    shared.set_policy(policy.clone());
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(shared.charge(peer, 100).is_some());
    shared.set_policy(policy.clone());
    assert!(!changes.has_changed().unwrap(), "the same is no change");
    shared.set_policy(Policy { allow: net("192.0.2.0/24"), ..policy });
    assert!(changes.has_changed().unwrap());
    assert!(shared.charge(peer, 0).is_some(), "its debt was forgiven");
}

#[test]
fn an_engine_that_waits_to_be_made_known_is_seen() {
    let shared = sources(10);
    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    let note = |error| UsmNote {
        engine_id: "80001f88",
        user: "ops",
        level: "authPriv",
        error,
        boots: 3,
        time: 77,
    };
    let refused = |at| shared.usm(peer, at, note(Some("unknown user")));
    refused(START);
    refused(START);
    let first = told(&shared);
    let state = &first[0].usm[0];
    assert_eq!(
        (state.engine_id.as_str(), state.refused, state.is_pending()),
        ("80001f88", 2, true)
    );
    assert_eq!((first[0].key.to_string().as_str(), state.boots), ("192.0.2.1@192.0.2.1", 3));
    shared.usm(peer, START, note(None));
    let next = told(&shared);
    assert_eq!((next[0].usm[0].taken, next[0].usm[0].is_pending()), (1, false));
}

#[test]
fn a_user_that_goes_on_is_told_once_a_minute_and_a_change_at_once() {
    let shared = sources(10);
    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    let note = |boots, error| UsmNote {
        engine_id: "80001f88",
        user: "ops",
        level: "authPriv",
        error,
        boots,
        time: 77,
    };
    let taken = |times: usize, boots: u32| {
        let at = shared.clock.wall();
        (0..times).for_each(|_| shared.usm(peer, at, note(boots, None)));
    };
    let state = || told(&shared).pop().map(|delta| delta.usm[0].clone());
    taken(1_000, 3);
    assert_eq!(state().map(|state| state.taken), Some(1), "a new one is told at once");
    shared.clock.advance(Duration::from_secs(30));
    taken(500, 3);
    assert_eq!(state(), None, "what did not change can wait");
    shared.clock.advance(Duration::from_secs(31));
    taken(1, 3);
    let minute = state().unwrap();
    assert_eq!((minute.taken, minute.at, minute.boots), (1_500, shared.clock.wall(), 3));
    taken(2, 4);
    let booted = state().unwrap();
    assert_eq!((booted.taken, booted.boots), (1, 4), "new boots are told at once");
    shared.usm(peer, shared.clock.wall(), note(4, Some("wrong digest")));
    assert_eq!(state().unwrap().error.as_deref(), Some("wrong digest"));
    taken(5, 4);
    let again = state().unwrap();
    assert_eq!((again.error, again.taken), (None, 1), "so is one that is taken again");
    shared.tell_all();
    assert_eq!(state().map(|state| state.taken), Some(5), "at the end all is told");
    // Strangers do not fill the memory, and none of theirs is lost.
    for n in 0..20_000u32 {
        shared.usm(IpAddr::from(n.to_be_bytes()), START, note(1, None));
    }
    assert!(held(&shared.steady).len() <= steady::USERS_MAX);
}
