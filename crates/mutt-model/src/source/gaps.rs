//! The times between the events of a source, in buckets that grow by the root of two; small enough to
//! be kept for each source, and added up from all Ingestors.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Buckets: below one second, then two for each doubling, up to more than eleven days.
pub const BUCKETS: usize = 42;
/// Gaps remembered; beyond it all counts are halved, so that a source that changed is known anew.
pub const GAPS_MAX: u64 = 16_384;
/// All counts are halved after this time, too.
const HALF_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// Counts from the shortest gaps up; trailing empty buckets may be absent.
    counts: Vec<u32>,
    /// When the counts were halved for their age.
    halved_at: Option<Timestamp>,
}

/// The upper end of a bucket in microseconds.
fn upper(bucket: usize) -> u64 {
    let whole = 1_000_000u64 << (bucket / 2).min(40);
    if bucket.is_multiple_of(2) { whole } else { whole + whole * 41_421 / 100_000 }
}

/// The bucket of a gap: the first one whose end it does not exceed.
fn bucket_of(gap: Duration) -> usize {
    let micros = u64::try_from(gap.as_micros()).unwrap_or(u64::MAX);
    if micros <= 1_000_000 {
        return 0;
    }
    // The doubling that it lies in, then which half of it.
    let doubling = usize::try_from((micros.div_ceil(1_000_000) - 1).ilog2()).unwrap_or(0);
    let mut bucket = (doubling * 2).saturating_sub(1);
    while bucket < BUCKETS - 1 && upper(bucket) < micros {
        bucket += 1;
    }
    bucket.min(BUCKETS - 1)
}

impl Gaps {
    /// Counts one gap.
    pub fn count(&mut self, gap: Duration) {
        self.count_many(gap, 1);
    }

    /// Counts a gap several times.
    pub fn count_many(&mut self, gap: Duration, times: u64) {
        if times == 0 {
            return;
        }
        let bucket = bucket_of(gap);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        let count = u64::from(self.counts[bucket]).saturating_add(times).min(GAPS_MAX);
        self.counts[bucket] = u32::try_from(count).unwrap_or(u32::MAX);
        self.bound();
    }

    /// Adds the gaps that somebody else counted.
    pub fn add(&mut self, other: &Self, now: Timestamp) {
        let halved_at = *self.halved_at.get_or_insert(now);
        if now.since(halved_at) >= HALF_LIFE {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.halved_at = Some(now);
        }
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.counts.truncate(BUCKETS);
        self.bound();
    }

    fn bound(&mut self) {
        while self.total() > GAPS_MAX {
            // Rounded up, so that a rare gap is not forgotten by being rare alone.
            self.counts.iter_mut().for_each(|count| *count = count.div_ceil(2));
        }
    }

    /// Gaps that are remembered.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// The gap that 99 of 100 do not exceed: never below the true one, at most the root of two above it.
    #[must_use]
    pub fn p99(&self) -> Duration {
        let total = self.total();
        let beyond = total / 100;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate().rev() {
            seen += u64::from(*count);
            if seen > beyond {
                return Duration::from_micros(upper(bucket));
            }
        }
        Duration::ZERO
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.counts.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(gaps: &[(u64, u64)]) -> Gaps {
        let mut all = Gaps::default();
        for (seconds, times) in gaps {
            all.count_many(Duration::from_secs(*seconds), *times);
        }
        all
    }

    #[test]
    fn the_usual_gap_is_the_one_that_99_of_100_do_not_exceed() {
        let check = |gaps: &[(u64, u64)], at_least: u64, at_most: u64| {
            let p99 = of(gaps).p99();
            let range = Duration::from_secs(at_least)..=Duration::from_secs(at_most);
            assert!(range.contains(&p99), "{gaps:?}: {p99:?}");
        };
        check(&[], 0, 0);
        check(&[(60, 1)], 60, 85);
        check(&[(1, 99), (3_600, 1)], 1, 1);
        check(&[(1, 98), (3_600, 2)], 3_600, 5_100);
        check(&[(86_400, 3)], 86_400, 122_200);
        check(&[(10_000_000, 5)], 1_000_000, 2_000_000);
        check(&[(1, 1_000_000), (60, 20_000)], 1, 90);
    }

    #[test]
    fn counts_fade_with_their_number_and_their_age() {
        let mut gaps = of(&[(1, 100_000)]);
        assert!(gaps.total() <= GAPS_MAX);
        // What was chatty and has become slow is known as slow at last.
        for _ in 0..400 {
            gaps.count(Duration::from_secs(3_600));
        }
        assert!(gaps.p99() >= Duration::from_secs(3_600));
        let mut kept = Gaps::default();
        let week = |n: i64| Timestamp::from_secs(n * 7 * 86_400);
        kept.add(&of(&[(60, 64)]), week(0));
        kept.add(&Gaps::default(), week(1));
        assert_eq!(kept.total(), 32);
        for n in 2..20 {
            kept.add(&Gaps::default(), week(n));
        }
        assert_eq!(kept.total(), 0, "at last it is forgotten");
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_lies_in_it(micros in 0u64..2_000_000_000_000) {
            let bucket = bucket_of(Duration::from_micros(micros));
            prop_assert!(bucket < BUCKETS);
            if bucket < BUCKETS - 1 {
                prop_assert!(micros <= upper(bucket));
            }
            if bucket > 0 {
                prop_assert!(micros > upper(bucket - 1));
            }
        }

        #[test]
        fn adding_up_loses_nothing(a in proptest::collection::vec((0u64..1_000_000, 1u64..50), 0..20),
                                   b in proptest::collection::vec((0u64..1_000_000, 1u64..50), 0..20)) {
            let (one, two) = (of(&a), of(&b));
            let mut sum = one.clone();
            sum.add(&two, Timestamp(0));
            prop_assert_eq!(sum.total(), one.total() + two.total());
            let both: Vec<_> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(sum.p99(), of(&both).p99());
        }
    }
}
