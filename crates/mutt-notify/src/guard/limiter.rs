//! The limiter: a token bucket.

use std::time::Duration;

use super::{GuardError, Permit};

/// No configured rate is above this.
const RATE_MAX: f64 = 1_000_000.0;
/// A token that is missing only by the rounding of floating point is there.
const EPSILON: f64 = 1e-6;

/// A token bucket: `burst` at once, then `rate` per second. A refusal takes nothing.
#[derive(Clone, Debug)]
pub struct Limiter {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled_at: Duration,
}

impl Limiter {
    /// A full bucket.
    ///
    /// # Errors
    ///
    /// When the rate or the burst means nothing.
    pub fn new(rate_per_second: f64, burst: u32) -> Result<Self, GuardError> {
        if !(rate_per_second.is_finite() && rate_per_second > 0.0 && rate_per_second <= RATE_MAX) {
            return Err(GuardError::Rate);
        }
        if burst == 0 {
            return Err(GuardError::Burst);
        }
        let burst = f64::from(burst);
        Ok(Self { rate: rate_per_second, burst, tokens: burst, filled_at: Duration::ZERO })
    }

    /// Another rate from now on; the tokens that are there stay, as far as the new burst holds them.
    ///
    /// # Errors
    ///
    /// When the rate or the burst means nothing; the limiter stays as it was.
    pub fn retune(&mut self, rate: f64, burst: u32, now: Duration) -> Result<(), GuardError> {
        let tuned = Self::new(rate, burst)?;
        let tokens = self.tokens_at(now).min(tuned.burst);
        *self = Self { tokens, filled_at: self.filled_at.max(now), ..tuned };
        Ok(())
    }

    fn tokens_at(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.filled_at).as_secs_f64();
        (self.tokens + passed * self.rate).min(self.burst)
    }

    /// Whether one may start now; takes nothing.
    #[must_use]
    pub fn check(&self, now: Duration) -> Permit {
        let tokens = self.tokens_at(now);
        if tokens + EPSILON >= 1.0 {
            return Permit::Ready;
        }
        // A nanosecond more than the division says, which rounds to one.
        let wait = Duration::try_from_secs_f64((1.0 - tokens) / self.rate)
            .unwrap_or(Duration::MAX)
            .saturating_add(Duration::from_nanos(1));
        Permit::NotBefore(now.saturating_add(wait))
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Duration) -> Permit {
        let permit = self.check(now);
        if permit == Permit::Ready {
            self.tokens = (self.tokens_at(now) - 1.0).max(0.0);
            self.filled_at = self.filled_at.max(now);
        }
        permit
    }

    /// How many could start now.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and a u32 by construction"
    )]
    pub fn available(&self, now: Duration) -> usize {
        (self.tokens_at(now) + EPSILON) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_burst_then_the_rate() {
        let mut limiter = Limiter::new(10.0, 3).unwrap();
        for _ in 0..3 {
            assert_eq!(limiter.take(MS(1_000)), Permit::Ready);
        }
        let Permit::NotBefore(at) = limiter.take(MS(1_000)) else { panic!("the bucket is empty") };
        assert!(at >= MS(1_099) && at <= MS(1_101), "{at:?}");
        assert_eq!(limiter.take(at), Permit::Ready, "ready at the time it named");
        assert!(matches!(limiter.take(at), Permit::NotBefore(_)));
    }

    #[test]
    fn nonsense_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e6] {
            assert_eq!(Limiter::new(rate, 1).unwrap_err(), GuardError::Rate, "{rate}");
        }
        assert_eq!(Limiter::new(1.0, 0).unwrap_err(), GuardError::Burst);
    }

    proptest! {
        #[test]
        fn never_more_than_burst_plus_rate(
            rate in 0.1f64..1_000.0,
            burst in 1u32..50,
            steps in prop::collection::vec(0u64..400, 1..300),
        ) {
            let mut limiter = Limiter::new(rate, burst).unwrap();
            let (mut now, mut taken) = (Duration::ZERO, 0u32);
            for step in steps {
                now += MS(step);
                if limiter.take(now) == Permit::Ready {
                    taken += 1;
                }
                let most = f64::from(burst) + now.as_secs_f64() * rate + 0.01;
                prop_assert!(f64::from(taken) <= most, "{taken} of {most}");
            }
        }

        #[test]
        fn it_is_ready_when_it_said(rate in 0.01f64..100_000.0, burst in 1u32..4, at in 0u64..1_000_000) {
            let mut limiter = Limiter::new(rate, burst).unwrap();
            let now = MS(at);
            while limiter.take(now) == Permit::Ready {}
            let Permit::NotBefore(then) = limiter.check(now) else { unreachable!() };
            prop_assert!(then > now);
            prop_assert_eq!(limiter.take(then), Permit::Ready);
        }
    }
}
