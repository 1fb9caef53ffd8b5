//! The scheduler: the state of one sink's lane in the Forwarder that owns it.
//!
//! The store offers the heads of keys; the scheduler starts them as far as hold, breaker, limiter and
//! the room in flight allow, and says what follows when an attempt ends. A refusal changes nothing in
//! a delivery. What is retried goes back to the store, which offers it again when it is due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mutt_model::delivery::{Attempt, DeadReason, Delivery, Finished, HeldBy, Next, Outcome};
use mutt_model::{Id, Timestamp};

use super::decide;
use crate::guard::{Admission, Backoff, Breaker, BreakerState, GuardError, Limiter, Permit};

/// What a lane is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneConfig {
    /// Attempts at the same time, each of another key.
    pub max_in_flight: usize,
    /// Attempts per second; `None` for no limit.
    pub rate: Option<f64>,
    /// How many may go at once before the rate counts.
    pub burst: u32,
    /// A retryable failure is retried until this has passed since the first attempt.
    pub retry_for: Duration,
    /// Retryable failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// The pause between probes of an open breaker or a lane held by a fault.
    pub probe_every: Duration,
    /// The first step of the backoff.
    pub backoff_base: Duration,
    /// The largest step.
    pub backoff_cap: Duration,
}

impl LaneConfig {
    /// The defaults with this rate per second; a tenth of a second's worth may go at once.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float saturates, and the limiter refuses what means nothing"
    )]
    pub fn at_rate(rate: f64) -> Self {
        let burst = ((rate / 10.0).ceil() as u32).max(1);
        Self { rate: Some(rate), burst, ..Self::default() }
    }
}

impl Default for LaneConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 8,
            rate: Some(50.0),
            burst: 5,
            retry_for: Duration::from_secs(24 * 3_600),
            breaker_failures: 5,
            probe_every: Duration::from_secs(30),
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(60),
        }
    }
}

/// Why a lane stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// By an operator or a fault.
    pub by: HeldBy,
    /// The reason, for people.
    pub reason: String,
}

/// What [`LaneScheduler::start`] says.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it is matched at once and never stored")]
pub enum Start {
    /// Send this now.
    Send(Delivery),
    /// Nothing may start before this monotonic time.
    WaitUntil(Duration),
    /// Nothing can start until a delivery is offered, an attempt ends or the lane is released.
    Idle,
}

/// What an ended attempt did to the lane itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The lane is held by a fault from now on; the reason.
    pub held: Option<String>,
    /// A delivery was accepted: the fault is over.
    pub released: bool,
    /// The breaker's state, when it is another than before.
    pub breaker: Option<BreakerState>,
}

/// An ended attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// To be recorded.
    pub finished: Finished,
    /// What it did to the lane.
    pub changed: Changed,
}

#[derive(Debug)]
struct InFlight {
    delivery: Delivery,
    probe: bool,
}

/// The lane of one sink. See the module.
#[derive(Debug)]
pub struct LaneScheduler {
    config: LaneConfig,
    limiter: Option<Limiter>,
    breaker: Breaker,
    backoff: Backoff,
    waiting: BTreeMap<(i64, Id), Delivery>,
    waiting_keys: BTreeMap<String, (i64, Id)>,
    in_flight: BTreeMap<Id, InFlight>,
    keys_in_flight: BTreeSet<String>,
    hold: Option<Hold>,
    /// Of a lane held by a fault: the next probe.
    probe_at: Duration,
    /// The sink asked for a pause (Retry-After).
    paused_until: Duration,
}

impl LaneScheduler {
    /// An empty lane that runs.
    ///
    /// # Errors
    ///
    /// When the numbers mean nothing.
    pub fn new(config: LaneConfig, seed: u64) -> Result<Self, GuardError> {
        if config.max_in_flight == 0 {
            return Err(GuardError::InFlight);
        }
        let limiter = config.rate.map(|rate| Limiter::new(rate, config.burst)).transpose()?;
        Ok(Self {
            limiter,
            breaker: Breaker::new(config.breaker_failures, config.probe_every)?,
            backoff: Backoff::new(config.backoff_base, config.backoff_cap, seed)?,
            config,
            waiting: BTreeMap::new(),
            waiting_keys: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            keys_in_flight: BTreeSet::new(),
            hold: None,
            probe_at: Duration::ZERO,
            paused_until: Duration::ZERO,
        })
    }

    /// Other limits from now on: tokens, failures counted, hold and what is on its way stay.
    ///
    /// # Errors
    ///
    /// When the numbers mean nothing; the lane stays as it was.
    pub fn set_config(&mut self, config: LaneConfig, now: Duration) -> Result<(), GuardError> {
        if config.max_in_flight == 0 {
            return Err(GuardError::InFlight);
        }
        let limiter = match (self.limiter.clone(), config.rate) {
            (Some(mut limiter), Some(rate)) => {
                limiter.retune(rate, config.burst, now)?;
                Some(limiter)
            }
            (None, Some(rate)) => Some(Limiter::new(rate, config.burst)?),
            (_, None) => None,
        };
        self.breaker.retune(config.probe_every, now)?;
        self.limiter = limiter;
        self.probe_at = self.probe_at.min(now.saturating_add(config.probe_every));
        // Breaker threshold and backoff are no settings: they stay as they were made.
        self.config = config;
        Ok(())
    }

    /// How many deliveries are worth claiming now: zero while the lane stands, one for a probe.
    #[must_use]
    pub fn room(&self, now: Duration) -> usize {
        let free =
            self.config.max_in_flight.saturating_sub(self.in_flight.len() + self.waiting.len());
        match self.gate(now) {
            Admission::NotBefore(_) => 0,
            Admission::Probe => free.min(1).saturating_sub(self.waiting.len()),
            Admission::Pass => match &self.limiter {
                Some(limiter) => {
                    free.min(limiter.available(now).saturating_sub(self.waiting.len()))
                }
                None => free,
            },
        }
    }

    /// Whether the limiter holds deliveries back now: its bucket is not full, and leaves fewer places
    /// than there are. Then it is worth saying one thing instead of many.
    #[must_use]
    pub fn limited(&self, now: Duration) -> bool {
        let Some(limiter) = &self.limiter else { return false };
        let free =
            self.config.max_in_flight.saturating_sub(self.in_flight.len() + self.waiting.len());
        let most = free.min(usize::try_from(self.config.burst).unwrap_or(usize::MAX));
        limiter.available(now).saturating_sub(self.waiting.len()) < most
    }

    /// Takes a delivery that waits for its turn. What comes back is not taken and belongs to the store
    /// again, unchanged: of one key only the oldest offered waits, and none while one is in flight; no
    /// more wait than may be in flight.
    #[must_use = "what comes back is still claimed"]
    pub fn offer(&mut self, delivery: Delivery) -> Option<Delivery> {
        let place = (delivery.seq, delivery.id);
        if self.keys_in_flight.contains(&delivery.key) || self.in_flight.contains_key(&delivery.id)
        {
            return Some(delivery);
        }
        let known = self.waiting_keys.contains_key(&delivery.key);
        if !known && self.waiting.len() >= self.config.max_in_flight {
            return Some(delivery);
        }
        let newer = match self.waiting_keys.get(&delivery.key) {
            Some(known) if *known <= place => return Some(delivery),
            Some(known) => self.waiting.remove(&known.clone()),
            None => None,
        };
        self.waiting_keys.insert(delivery.key.clone(), place);
        self.waiting.insert(place, delivery);
        newer
    }

    /// The next delivery to send, oldest first, if one may start now. The limiter and the probe are
    /// charged only for what starts.
    pub fn start(&mut self, now: Duration) -> Start {
        if self.waiting.is_empty() || self.in_flight.len() >= self.config.max_in_flight {
            return Start::Idle;
        }
        let admission = self.gate(now);
        if let Admission::NotBefore(at) = admission {
            return if at == Duration::MAX { Start::Idle } else { Start::WaitUntil(at) };
        }
        if let Some(limiter) = &mut self.limiter
            && let Permit::NotBefore(at) = limiter.take(now)
        {
            return Start::WaitUntil(at);
        }
        let Some((_, delivery)) = self.waiting.pop_first() else { return Start::Idle };
        self.waiting_keys.remove(&delivery.key);
        let probe = admission == Admission::Probe;
        if probe {
            self.probe_at = now.saturating_add(self.config.probe_every);
            self.breaker.admit(now);
        }
        self.keys_in_flight.insert(delivery.key.clone());
        self.in_flight.insert(delivery.id, InFlight { delivery: delivery.clone(), probe });
        Start::Send(delivery)
    }

    /// An attempt ended. `None` when this delivery is not in flight here.
    pub fn finish(
        &mut self,
        id: Id,
        attempt: Attempt,
        wall: Timestamp,
        now: Duration,
    ) -> Option<Ended> {
        let InFlight { delivery, probe } = self.take_in_flight(id)?;
        let before = self.breaker.state();
        let mut changed = Changed::default();
        self.breaker.ended(attempt.outcome, probe, now);
        if let Outcome::Retry { after: Some(after) } = attempt.outcome {
            self.paused_until = self.paused_until.max(now.saturating_add(after));
        }
        let mut next = decide(&delivery, &attempt, wall, self.config.retry_for, &mut self.backoff);
        match (&self.hold, &next) {
            (None, Next::HoldLane(reason)) => {
                changed.held = Some(reason.clone());
                self.hold(HeldBy::Fault, reason.clone(), now);
            }
            // Only an acceptance releases, as in the store: a refused payload may be a fault's too.
            (Some(Hold { by: HeldBy::Fault, .. }), Next::Delivered) => {
                changed.released = true;
                self.hold = None;
                self.breaker.close();
            }
            // What fails otherwise in a lane held by a fault waits with its lane.
            (
                Some(Hold { by: HeldBy::Fault, reason }),
                Next::RetryAt(_) | Next::Dead(DeadReason::Expired),
            ) => {
                next = Next::HoldLane(reason.clone());
            }
            _ => {}
        }
        let after = self.breaker.state();
        changed.breaker = (after != before).then_some(after);
        Some(Ended { finished: Finished { delivery: id, attempt, next }, changed })
    }

    /// An attempt that was started here and never made: nothing is counted. The delivery belongs to
    /// the store again.
    pub fn abandon(&mut self, id: Id) -> Option<Delivery> {
        let InFlight { delivery, probe } = self.take_in_flight(id)?;
        if probe {
            self.breaker.abandoned();
            self.probe_at = Duration::ZERO;
        }
        Some(delivery)
    }

    /// Gives back all that waits (the lane is held or lost, or the program stops); what is in flight
    /// stays.
    pub fn withdraw(&mut self) -> Vec<Delivery> {
        self.waiting_keys.clear();
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// Holds the lane. A hold by hand stands above one by a fault, never the other way round.
    pub fn hold(&mut self, by: HeldBy, reason: String, now: Duration) {
        if by == HeldBy::Fault && self.hold.is_some() {
            return;
        }
        self.probe_at = now.saturating_add(self.config.probe_every);
        self.hold = Some(Hold { by, reason });
    }

    /// Releases the lane, ends a pause and closes the breaker: an operator says that the sink is well.
    pub fn release(&mut self) {
        self.hold = None;
        self.paused_until = Duration::ZERO;
        self.breaker.close();
    }

    /// An operator asks for a probe of a lane held by a fault: the next delivery may be it at once.
    pub const fn probe_soon(&mut self) {
        self.probe_at = Duration::ZERO;
    }

    /// Why the lane stands, if it does.
    #[must_use]
    pub const fn held(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// What the breaker does.
    #[must_use]
    pub const fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Attempts on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Deliveries that wait here.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When it is worth asking again though nothing happens: the end of a pause, a probe's time, the
    /// limiter's next token. `None` when something may start now, or nothing by time alone.
    #[must_use]
    pub fn wake_at(&self, now: Duration) -> Option<Duration> {
        match self.gate(now) {
            Admission::NotBefore(at) => (at != Duration::MAX).then_some(at),
            _ => match self.limiter.as_ref().map(|limiter| limiter.check(now)) {
                Some(Permit::NotBefore(at)) => Some(at),
                _ => None,
            },
        }
    }

    /// Hold, pause and breaker together; `NotBefore(MAX)` for not by time alone.
    fn gate(&self, now: Duration) -> Admission {
        if now < self.paused_until {
            return Admission::NotBefore(self.paused_until);
        }
        match &self.hold {
            Some(Hold { by: HeldBy::Hand, .. }) => Admission::NotBefore(Duration::MAX),
            // Probes of a held lane stand in for those of the breaker: one at a time.
            Some(_) if self.in_flight.values().any(|one| one.probe) => {
                Admission::NotBefore(Duration::MAX)
            }
            Some(_) if now < self.probe_at => Admission::NotBefore(self.probe_at),
            Some(_) => Admission::Probe,
            None => self.breaker.check(now),
        }
    }

    fn take_in_flight(&mut self, id: Id) -> Option<InFlight> {
        let one = self.in_flight.remove(&id)?;
        self.keys_in_flight.remove(&one.delivery.key);
        Some(one)
    }
}
