//! Decisions as a table; the scheduler against a model of the store.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mutt_model::Id;
use mutt_model::delivery::{HeldBy, NoticeKind};
use proptest::prelude::*;

use super::*;
use crate::guard::BreakerState;
use crate::payload::tests::delivery;

const S: fn(u64) -> Duration = Duration::from_secs;
const RETRY: Outcome = Outcome::Retry { after: None };

fn attempt(outcome: Outcome) -> Attempt {
    Attempt {
        at: Timestamp::from_secs(1_000),
        outcome,
        status: Some(401),
        latency_ms: 1,
        class: "http".to_owned(),
        detail: "no".to_owned(),
    }
}

fn one(seq: i64, key: &str) -> Delivery {
    delivery(seq, key, NoticeKind::Repeated)
}

fn lane(config: LaneConfig) -> LaneScheduler {
    LaneScheduler::new(LaneConfig { rate: None, ..config }, 7).unwrap()
}

/// Offers, starts and returns the delivery's id.
fn begin(lane: &mut LaneScheduler, seq: i64, now: Duration) -> Id {
    assert_eq!(lane.offer(one(seq, &format!("k{seq}"))), None);
    match lane.start(now) {
        Start::Send(delivery) => delivery.id,
        other => panic!("not started: {other:?}"),
    }
}

fn end(lane: &mut LaneScheduler, id: Id, outcome: Outcome, now: Duration) -> Ended {
    lane.finish(id, attempt(outcome), Timestamp::from_secs(1_000), now).unwrap()
}

#[test]
fn what_follows_an_attempt() {
    let hour = S(3_600);
    let check = |outcome, first: Option<i64>, now: i64, expected: &str| {
        let mut backoff = Backoff::new(S(1), S(60), 1).unwrap();
        let mut delivery = one(1, "k");
        delivery.attempts = 1_000_000;
        delivery.first_attempt_at = first.map(Timestamp::from_secs);
        let now = Timestamp::from_secs(now);
        let next = decide(&delivery, &attempt(outcome), now, hour, &mut backoff);
        let got = match &next {
            Next::Delivered => "delivered".to_owned(),
            Next::RetryAt(at) => {
                assert!(*at >= now && *at <= now.plus(RETRY_SPAN));
                "retry".to_owned()
            }
            Next::HoldLane(reason) => format!("hold {reason}"),
            Next::Dead(reason) => reason.name().to_owned(),
        };
        assert_eq!(got, expected, "{outcome:?} first {first:?} now {now:?}");
    };
    check(Outcome::Ok, Some(0), 9_999_999, "delivered");
    check(Outcome::Poison, None, 1_000, "refused");
    check(Outcome::Hold, Some(0), 9_999_999, "hold http: status 401: no");
    check(RETRY, None, 1_000, "retry");
    check(RETRY, Some(1_000), 4_599, "retry");
    check(RETRY, Some(1_000), 4_600, "expired");
    check(RETRY, None, 4_600, "expired");
    check(RETRY, Some(9_000), 1_000, "retry");
}

const RETRY_SPAN: Duration = Duration::from_secs(60);

#[test]
fn what_the_sink_asks_for_is_waited_for_by_the_whole_lane() {
    let mut lane = lane(LaneConfig::default());
    let id = begin(&mut lane, 1, S(10));
    let ended = end(&mut lane, id, Outcome::Retry { after: Some(S(90)) }, S(11));
    let Next::RetryAt(at) = ended.finished.next else { panic!("retried") };
    assert!(at >= Timestamp::from_secs(1_090));
    assert_eq!(lane.offer(one(2, "other")), None);
    assert_eq!(lane.start(S(100)), Start::WaitUntil(S(101)));
    assert_eq!((lane.room(S(100)), lane.wake_at(S(100))), (0, Some(S(101))));
    assert!(matches!(lane.start(S(101)), Start::Send(_)));
}

#[test]
fn a_fault_holds_the_lane_and_an_accepted_probe_releases_it() {
    let mut lane = lane(LaneConfig::default());
    let (first, second) = (begin(&mut lane, 1, S(0)), begin(&mut lane, 2, S(0)));
    let ended = end(&mut lane, first, Outcome::Hold, S(1));
    assert_eq!(ended.changed.held.as_deref(), Some("http: status 401: no"));
    let ended = end(&mut lane, second, RETRY, S(2));
    assert!(matches!(ended.finished.next, Next::HoldLane(_)), "waits with its lane");
    assert_eq!(ended.changed, Changed::default());
    assert_eq!(lane.breaker(), BreakerState::Closed);
    for seq in 3..=5 {
        assert_eq!(lane.offer(one(seq, &seq.to_string())), None);
    }
    assert_eq!(lane.start(S(30)), Start::WaitUntil(S(31)));
    let Start::Send(probe) = lane.start(S(31)) else { panic!("probed") };
    assert_eq!(lane.start(S(500)), Start::Idle, "one probe only");
    assert!(!end(&mut lane, probe.id, Outcome::Hold, S(32)).changed.released);
    assert_eq!(lane.start(S(60)), Start::WaitUntil(S(61)));
    lane.probe_soon();
    let Start::Send(probe) = lane.start(S(31)) else { panic!("an operator asked") };
    assert!(!end(&mut lane, probe.id, Outcome::Poison, S(31)).changed.released);
    let Start::Send(probe) = lane.start(S(61)) else { panic!("probed") };
    assert!(end(&mut lane, probe.id, Outcome::Ok, S(62)).changed.released);
    assert_eq!(lane.held(), None);
}

#[test]
fn a_lane_held_by_hand_is_released_by_hand() {
    let mut lane = lane(LaneConfig::default());
    let id = begin(&mut lane, 1, S(0));
    lane.hold(HeldBy::Hand, "maintenance".to_owned(), S(0));
    lane.hold(HeldBy::Fault, "401".to_owned(), S(0));
    let ended = end(&mut lane, id, Outcome::Ok, S(1));
    assert!(!ended.changed.released);
    assert_eq!(lane.held().unwrap().by, HeldBy::Hand);
    assert_eq!(lane.offer(one(2, "a")), None);
    assert_eq!((lane.start(S(99_999)), lane.room(S(99_999))), (Start::Idle, 0));
    lane.release();
    assert!(matches!(lane.start(S(99_999)), Start::Send(_)));
}

#[test]
fn an_open_breaker_lets_one_real_delivery_try() {
    let mut lane = lane(LaneConfig::default());
    for seq in 1..=5 {
        let id = begin(&mut lane, seq, S(10));
        let ended = end(&mut lane, id, RETRY, S(10));
        assert_eq!(ended.changed.breaker, (seq == 5).then_some(BreakerState::Open));
    }
    assert_eq!((lane.room(S(39)), lane.room(S(40))), (0, 1));
    assert_eq!((lane.offer(one(6, "a")), lane.offer(one(7, "b"))), (None, None));
    assert_eq!(lane.start(S(39)), Start::WaitUntil(S(40)));
    let Start::Send(probe) = lane.start(S(40)) else { panic!("probed") };
    assert!(matches!(lane.start(S(40)), Start::WaitUntil(_)), "one probe only");
    assert_eq!(lane.abandon(probe.id).as_ref(), Some(&probe), "unchanged");
    let Start::Send(probe) = lane.start(S(40)) else { panic!("probed again at once") };
    let ended = end(&mut lane, probe.id, Outcome::Ok, S(41));
    assert_eq!(ended.changed.breaker, Some(BreakerState::Closed));
    assert_eq!(lane.offer(one(8, "c")), None);
    assert!(matches!(lane.start(S(41)), Start::Send(_)));
}

#[test]
fn of_one_key_the_oldest_waits_and_none_beside_one_in_flight() {
    let mut lane = lane(LaneConfig::default());
    assert_eq!(lane.offer(one(5, "k")), None);
    assert_eq!(lane.offer(one(6, "k")).unwrap().seq, 6, "the newer goes back");
    assert_eq!(lane.offer(one(4, "k")).unwrap().seq, 5, "the newer makes way");
    let Start::Send(first) = lane.start(S(0)) else { panic!("started") };
    assert_eq!(first.seq, 4);
    assert_eq!(lane.offer(one(5, "k")).unwrap().seq, 5);
    assert_eq!(lane.abandon(one(9, "k").id), None);
    let full = LaneConfig { max_in_flight: 2, ..LaneConfig::default() };
    let mut lane = super::tests::lane(full);
    let taken = (1..=5).filter(|seq| lane.offer(one(*seq, &seq.to_string())).is_none()).count();
    assert_eq!((taken, lane.waiting(), lane.withdraw().len()), (2, 2, 2), "what waits is bounded");
    assert!(
        LaneScheduler::new(LaneConfig { max_in_flight: 0, ..LaneConfig::default() }, 1).is_err()
    );
    assert_eq!((LaneConfig::at_rate(50.0).burst, LaneConfig::at_rate(0.5).burst), (5, 1));
}

/// What happens next in the model.
#[derive(Clone, Debug)]
enum Action {
    Offer,
    Start,
    Pass(u64),
    End(usize, u8),
    Abandon(usize),
    Release,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => Just(Action::Offer),
        5 => Just(Action::Start),
        2 => (1u64..40_000).prop_map(Action::Pass),
        4 => (0usize..8, 0u8..9).prop_map(|(which, how)| Action::End(which, how)),
        1 => (0usize..8).prop_map(Action::Abandon),
        1 => Just(Action::Release),
    ]
}

/// A store of a few keys: for each the sequence numbers still owed, oldest first.
struct Model {
    lane: LaneScheduler,
    owed: BTreeMap<String, Vec<Delivery>>,
    claimed: BTreeSet<Id>,
    flying: Vec<Delivery>,
    ended: HashMap<String, i64>,
    now: Duration,
    wall: Timestamp,
    starts: Vec<Duration>,
}

impl Model {
    fn new() -> Self {
        let config =
            LaneConfig { max_in_flight: 3, rate: Some(2.0), burst: 4, ..LaneConfig::default() };
        let owed = (0..5)
            .map(|key| {
                let key = format!("k{key}");
                let all =
                    (1..=6).map(|seq| one(seq * 10 + i64::from(key.as_bytes()[1] - b'0'), &key));
                (key.clone(), all.collect())
            })
            .collect();
        Self {
            lane: LaneScheduler::new(config, 3).unwrap(),
            owed,
            claimed: BTreeSet::new(),
            flying: Vec::new(),
            ended: HashMap::new(),
            now: Duration::ZERO,
            wall: Timestamp::from_secs(1_000),
            starts: Vec::new(),
        }
    }

    fn offer(&mut self) {
        let room = self.lane.room(self.now);
        let heads = self.owed.values().filter_map(|all| all.first()).cloned();
        let heads: Vec<_> = heads.filter(|d| !self.claimed.contains(&d.id)).take(room).collect();
        for head in heads {
            self.claimed.insert(head.id);
            if let Some(back) = self.lane.offer(head) {
                self.claimed.remove(&back.id);
            }
        }
    }

    fn start(&mut self) {
        let before = (self.lane.waiting(), self.lane.in_flight());
        match self.lane.start(self.now) {
            Start::Send(delivery) => {
                assert!(self.flying.iter().all(|d| d.key != delivery.key), "two of one key");
                let last = self.ended.get(&delivery.key).copied().unwrap_or(0);
                assert!(delivery.seq > last, "order within a key");
                let head = &self.owed[&delivery.key][0];
                assert_eq!(&delivery, head, "no refusal changed it");
                assert!(self.lane.held().is_none_or(|hold| hold.by == HeldBy::Fault));
                self.starts.push(self.now);
                self.flying.push(delivery);
                assert!(self.flying.len() <= 3);
            }
            Start::WaitUntil(at) => {
                assert!(at > self.now, "waiting for the past");
                assert_eq!(before, (self.lane.waiting(), self.lane.in_flight()));
            }
            Start::Idle => assert_eq!(before, (self.lane.waiting(), self.lane.in_flight())),
        }
    }

    fn end(&mut self, which: usize, how: u8) {
        if self.flying.is_empty() {
            return;
        }
        let delivery = self.flying.remove(which % self.flying.len());
        let outcome = match how {
            0..=2 => Outcome::Ok,
            3 => Outcome::Poison,
            4 => Outcome::Hold,
            5 => Outcome::Retry { after: Some(S(3)) },
            _ => RETRY,
        };
        let try_of = Attempt { at: self.wall, ..attempt(outcome) };
        let ended = self.lane.finish(delivery.id, try_of, self.wall, self.now).unwrap();
        self.claimed.remove(&delivery.id);
        let all = self.owed.get_mut(&delivery.key).unwrap();
        match ended.finished.next {
            Next::Delivered | Next::Dead(_) => {
                self.ended.insert(delivery.key, delivery.seq);
                all.remove(0);
            }
            Next::RetryAt(_) | Next::HoldLane(_) => {
                all[0].attempts += 1;
                all[0].first_attempt_at.get_or_insert(self.wall);
            }
        }
        if ended.changed.held.is_some() {
            for back in self.lane.withdraw() {
                self.claimed.remove(&back.id);
            }
        }
    }

    fn step(&mut self, action: &Action) {
        match *action {
            Action::Offer => self.offer(),
            Action::Start => self.start(),
            Action::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                self.wall = self.wall.plus(Duration::from_millis(millis));
            }
            Action::End(which, how) => self.end(which, how),
            Action::Abandon(which) => {
                if !self.flying.is_empty() {
                    let delivery = self.flying.remove(which % self.flying.len());
                    assert_eq!(self.lane.abandon(delivery.id).as_ref(), Some(&delivery));
                    self.claimed.remove(&delivery.id);
                }
            }
            Action::Release => self.lane.release(),
        }
        assert_eq!(self.lane.in_flight(), self.flying.len());
    }

    /// The sink is well from here on: everything that is owed goes out.
    fn drain(&mut self) {
        for _ in 0..2_000 {
            if self.owed.values().all(Vec::is_empty) {
                return;
            }
            self.offer();
            self.start();
            self.end(0, 0);
            let wait = self.lane.wake_at(self.now).map_or(Duration::ZERO, |at| at - self.now);
            self.now += wait;
        }
        panic!("stuck: {:?}", self.lane);
    }
}

proptest! {
    #[test]
    fn one_of_a_key_at_a_time_in_order_and_nothing_is_stuck(actions in prop::collection::vec(action(), 1..250)) {
        let mut model = Model::new();
        for action in &actions {
            model.step(action);
        }
        for (i, first) in model.starts.iter().enumerate() {
            let within = model.starts[i..].iter().filter(|at| **at - *first < S(1)).count();
            prop_assert!(within <= 6, "the limiter lets through burst plus rate");
        }
        model.drain();
    }
}
