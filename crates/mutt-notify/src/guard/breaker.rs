//! The breaker: it stops traffic to a sink that does not answer, and lets one real delivery try.

use std::time::Duration;

use mutt_model::delivery::Outcome;

use super::GuardError;

/// What the breaker does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Traffic flows.
    Closed,
    /// One probe is on its way.
    HalfOpen,
    /// Refusing.
    Open,
}

impl BreakerState {
    /// The name in API and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }

    /// The value of the metric: 0 closed, 1 half open, 2 open.
    #[must_use]
    pub const fn metric(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// Whether the breaker lets a delivery through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It flows.
    Pass,
    /// It goes as the one probe.
    Probe,
    /// Not before this monotonic time.
    NotBefore(Duration),
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Closed { failures: u32 },
    Open { probe_at: Duration },
    HalfOpen { since: Duration },
}

/// Opens after so many retryable failures in a row; while open, one real delivery in each interval
/// goes as a probe. Only real outcomes move it.
#[derive(Clone, Debug)]
pub struct Breaker {
    threshold: u32,
    probe_every: Duration,
    mode: Mode,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    ///
    /// When it would open without a failure or probe without a pause.
    pub fn new(threshold: u32, probe_every: Duration) -> Result<Self, GuardError> {
        if threshold == 0 || probe_every.is_zero() {
            return Err(GuardError::Breaker);
        }
        Ok(Self { threshold, probe_every, mode: Mode::Closed { failures: 0 } })
    }

    /// Another time between probes from now on; one that is due later than that comes earlier.
    ///
    /// # Errors
    ///
    /// When it would probe without a pause; the breaker stays as it was.
    pub fn retune(&mut self, probe_every: Duration, now: Duration) -> Result<(), GuardError> {
        if probe_every.is_zero() {
            return Err(GuardError::Breaker);
        }
        self.probe_every = probe_every;
        if let Mode::Open { probe_at } = &mut self.mode {
            *probe_at = (*probe_at).min(now.saturating_add(probe_every));
        }
        Ok(())
    }

    /// What it does at present.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        match self.mode {
            Mode::Closed { .. } => BreakerState::Closed,
            Mode::HalfOpen { .. } => BreakerState::HalfOpen,
            Mode::Open { .. } => BreakerState::Open,
        }
    }

    /// Whether a delivery may go now; changes nothing.
    #[must_use]
    pub fn check(&self, now: Duration) -> Admission {
        match self.mode {
            Mode::Closed { .. } => Admission::Pass,
            Mode::Open { probe_at } if now >= probe_at => Admission::Probe,
            Mode::Open { probe_at } => Admission::NotBefore(probe_at),
            Mode::HalfOpen { since } => {
                Admission::NotBefore(since.max(now).saturating_add(self.probe_every))
            }
        }
    }

    /// Lets a delivery through if it may go; a probe is out from here on, until [`Self::ended`] or
    /// [`Self::abandoned`] is called for it.
    pub fn admit(&mut self, now: Duration) -> Admission {
        let admission = self.check(now);
        if admission == Admission::Probe {
            self.mode = Mode::HalfOpen { since: now };
        }
        admission
    }

    /// An attempt ended. `probe` says whether it was the probe: while the breaker is not closed, what
    /// was on its way before says nothing new. A lane fault is no failure here; the lane is held for
    /// it. A refused payload is an answer: the sink is well.
    pub fn ended(&mut self, outcome: Outcome, probe: bool, now: Duration) {
        match (self.mode, outcome) {
            (Mode::Closed { .. }, Outcome::Ok | Outcome::Poison) => self.close(),
            (Mode::Closed { failures }, Outcome::Retry { .. }) => {
                if failures + 1 >= self.threshold {
                    self.open(now);
                } else {
                    self.mode = Mode::Closed { failures: failures + 1 };
                }
            }
            (Mode::HalfOpen { .. }, Outcome::Ok | Outcome::Poison) if probe => self.close(),
            (Mode::HalfOpen { .. }, Outcome::Retry { .. } | Outcome::Hold) if probe => {
                self.open(now);
            }
            _ => {}
        }
    }

    /// The probe was never sent: the next delivery may be the probe at once.
    pub fn abandoned(&mut self) {
        if let Mode::HalfOpen { since } = self.mode {
            self.mode = Mode::Open { probe_at: since };
        }
    }

    /// Closes it: an operator says that the sink is well, or a held lane was released by a probe.
    pub fn close(&mut self) {
        self.mode = Mode::Closed { failures: 0 };
    }

    fn open(&mut self, now: Duration) {
        self.mode = Mode::Open { probe_at: now.saturating_add(self.probe_every) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const RETRY: Outcome = Outcome::Retry { after: None };

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(5, S(30)).unwrap();
        for _ in 0..5 {
            assert_eq!(breaker.admit(S(10)), Admission::Pass);
            breaker.ended(RETRY, false, S(10));
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let mut breaker = Breaker::new(5, S(30)).unwrap();
        for outcome in [RETRY, RETRY, RETRY, RETRY, Outcome::Ok, RETRY, RETRY, RETRY, RETRY] {
            breaker.ended(outcome, false, S(1));
            assert_eq!(breaker.state(), BreakerState::Closed);
        }
        breaker.ended(Outcome::Hold, false, S(1));
        assert_eq!(breaker.state(), BreakerState::Closed, "a lane fault is no failure here");
        breaker.ended(RETRY, false, S(1));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn one_probe_in_each_interval() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(S(39)), Admission::NotBefore(S(40)));
        assert_eq!(breaker.admit(S(40)), Admission::Probe);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(matches!(breaker.admit(S(40)), Admission::NotBefore(_)), "one probe only");
        assert!(matches!(breaker.admit(S(500)), Admission::NotBefore(_)), "also when it is slow");
        breaker.ended(RETRY, true, S(41));
        assert_eq!(breaker.admit(S(70)), Admission::NotBefore(S(71)));
        assert_eq!(breaker.admit(S(71)), Admission::Probe);
        breaker.ended(Outcome::Ok, true, S(71));
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.ended(RETRY, false, S(72));
        assert_eq!(breaker.state(), BreakerState::Closed, "it counts from none again");
    }

    #[test]
    fn what_was_on_its_way_before_does_not_speak_for_the_probe() {
        let mut breaker = opened();
        breaker.ended(Outcome::Ok, false, S(11));
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.admit(S(40));
        breaker.ended(RETRY, false, S(41));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.abandoned();
        assert_eq!(breaker.admit(S(41)), Admission::Probe, "a probe never sent is no probe");
    }

    #[test]
    fn nonsense_is_refused_and_states_have_names() {
        assert_eq!(Breaker::new(0, S(1)).unwrap_err(), GuardError::Breaker);
        assert_eq!(Breaker::new(1, S(0)).unwrap_err(), GuardError::Breaker);
        let states = [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open];
        assert_eq!(states.map(BreakerState::metric), [0, 1, 2]);
        assert_eq!(states.map(BreakerState::name), ["closed", "half_open", "open"]);
    }
}
