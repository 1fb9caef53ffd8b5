//! The rate chart, worked out here and drawn as SVG by the template.

use minijinja::{Value, context};
use mutt_model::Timestamp;
use mutt_store::store::MinuteRate;

/// Width and height of the chart's own coordinates.
const WIDTH: i64 = 960;
const HEIGHT: i64 = 120;

/// Bars for each of the last `minutes` whole minutes, with summary numbers (events per minute).
pub(crate) fn rates(rates: &[MinuteRate], now: Timestamp, minutes: i64) -> Value {
    let this = now.secs().div_euclid(60);
    let mut audited = vec![0u64; usize::try_from(minutes).unwrap_or(0)];
    let mut handled = audited.clone();
    for rate in rates {
        // The running minute is left out: a half-full bar reads as a fall.
        let back = this - 1 - rate.minute.div_euclid(60);
        if let Ok(back) = usize::try_from(back)
            && back < audited.len()
        {
            let at = audited.len() - 1 - back;
            audited[at] += rate.audited;
            handled[at] += rate.handled;
        }
    }
    let top = nice(audited.iter().copied().max().unwrap_or(0));
    let step = WIDTH / minutes.max(1);
    let bars: Vec<Value> = audited
        .iter()
        .zip(&handled)
        .enumerate()
        .map(|(at, (all, handled))| {
            let (tall, inner) = (scaled(*all, top), scaled(*handled, top));
            let minute = (this - minutes + i64::try_from(at).unwrap_or(0)) * 60;
            context! {
                x => i64::try_from(at).unwrap_or(0) * step + 1, w => step - 2,
                y => HEIGHT - tall, h => tall, hy => HEIGHT - inner, hh => inner,
                label => clock(minute), all => *all, handled => *handled,
            }
        })
        .collect();
    let last = |n: usize| audited.iter().rev().take(n).sum::<u64>() / n as u64;
    context! {
        bars, top, half => top / 2, width => WIDTH, height => HEIGHT,
        first => clock((this - minutes) * 60), last => clock((this - 1) * 60),
        now => last(1), quarter => last(15), hour => last(60),
        peak => audited.iter().copied().max().unwrap_or(0),
    }
}

fn scaled(value: u64, top: u64) -> i64 {
    let height = u128::from(value) * u128::from(HEIGHT.unsigned_abs()) / u128::from(top.max(1));
    // A minute with one event is seen beside one with a million.
    i64::try_from(height).unwrap_or(HEIGHT).max(i64::from(value > 0) * 2)
}

/// The next number of the form 1, 2 or 5 times a power of ten, at least 10.
fn nice(value: u64) -> u64 {
    let mut step = 10u64;
    loop {
        for factor in [1, 2, 5] {
            let candidate = step.saturating_mul(factor);
            if candidate >= value || candidate == u64::MAX {
                return candidate;
            }
        }
        step = step.saturating_mul(10);
    }
}

fn clock(secs: i64) -> String {
    let minute = secs.div_euclid(60);
    format!("{:02}:{:02}", minute.div_euclid(60).rem_euclid(24), minute.rem_euclid(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_at_a_round_number() {
        let check = |value: u64, expected: u64| assert_eq!(nice(value), expected);
        check(0, 10);
        check(11, 20);
        check(480, 500);
        check(1_001, 2_000);
    }

    #[test]
    fn minutes_fall_into_their_bars() {
        let now = Timestamp::from_secs(3_600 * 10 + 30);
        let rate = MinuteRate { minute: 3_600 * 10 - 60, audited: 90, handled: 30, deliveries: 0 };
        let chart = rates(&[rate], now, 60);
        assert_eq!(chart.get_attr("now").unwrap().to_string(), "90");
        assert_eq!(chart.get_attr("last").unwrap().to_string(), "09:59");
    }
}
