//! The backoff: exponential, with full jitter.

use std::time::Duration;

use super::GuardError;

/// A delay drawn evenly between nothing and `base * 2^n`, never above the cap. Full jitter spreads
/// the deliveries of an outage instead of letting them come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// A backoff whose draws start from `seed` (a test gives a fixed one).
    ///
    /// # Errors
    ///
    /// When the base is zero or above the cap.
    pub fn new(base: Duration, cap: Duration, seed: u64) -> Result<Self, GuardError> {
        if base.is_zero() || base > cap {
            return Err(GuardError::Backoff);
        }
        Ok(Self { base, cap, random: fastrand::Rng::with_seed(seed) })
    }

    /// The most that [`Self::delay`] can draw after `failed` failed attempts before this one.
    #[must_use]
    pub fn ceiling(&self, failed: u32) -> Duration {
        let factor = 1u32.checked_shl(failed).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The delay after an attempt that failed, with `failed` failed ones before it.
    pub fn delay(&mut self, failed: u32) -> Duration {
        let most = u64::try_from(self.ceiling(failed).as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.random.u64(0..=most))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let backoff = Backoff::new(S(1), S(60), 1).unwrap();
        let ceilings = [0, 1, 2, 5, 6, 31, 32, u32::MAX].map(|n| backoff.ceiling(n).as_secs());
        assert_eq!(ceilings, [1, 2, 4, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Backoff::new(S(0), S(1), 1).unwrap_err(), GuardError::Backoff);
        assert_eq!(Backoff::new(S(2), S(1), 1).unwrap_err(), GuardError::Backoff);
    }

    #[test]
    fn draws_spread_over_the_whole_range() {
        let mut backoff = Backoff::new(S(8), S(8), 42).unwrap();
        let mut quarters = [0u32; 4];
        for _ in 0..400 {
            quarters[usize::try_from(backoff.delay(0).as_micros() / 2_000_001).unwrap()] += 1;
        }
        assert!(quarters.iter().all(|n| *n > 50), "{quarters:?}");
    }

    proptest! {
        #[test]
        fn a_delay_is_never_above_its_ceiling(base in 1u64..5_000, more in 0u64..100_000, n in 0u32..80, seed: u64) {
            let base = Duration::from_millis(base);
            let mut backoff = Backoff::new(base, base + Duration::from_millis(more), seed).unwrap();
            let ceiling = backoff.ceiling(n);
            prop_assert!(backoff.delay(n) <= ceiling);
        }
    }
}
