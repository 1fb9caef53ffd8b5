//! What an answer or a failure means for the delivery and its lane.

use std::error::Error;
use std::time::Duration;

use mutt_model::Timestamp;
use mutt_model::delivery::Outcome;

/// A sink that asks for a longer pause is asked again after this time.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// A short class of how an attempt ended, as kept in [`mutt_model::delivery::Attempt::class`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A whole answer came.
    Http,
    /// A redirect came; it is never followed.
    Redirect,
    /// The answer broke off, or is none (a login page).
    Body,
    /// Nothing came in time.
    Timeout,
    /// No connection, or it was cut before the answer.
    Connect,
    /// TLS failed.
    Tls,
}

impl Class {
    /// The name in API, store and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Redirect => "redirect",
            Self::Body => "body",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
        }
    }
}

/// What a status means.
///
/// | status | outcome |
/// | --- | --- |
/// | 2xx | ok |
/// | 408, 425, 429, 5xx | retry |
/// | 409, 421, 423 | retry: a passing state of the receiver (conflict, misdirected, locked) |
/// | 400, 413, 415, 422 | poison |
/// | 3xx, 401, 403, 404, 407, 410 | hold |
/// | every other 4xx | hold: it speaks of the address or the way of asking, not of this payload, and holding burns nothing |
/// | anything else | retry: no final status of HTTP |
#[must_use]
pub fn outcome_of(status: u16, after: Option<Duration>) -> Outcome {
    match status {
        200..=299 => Outcome::Ok,
        400 | 413 | 415 | 422 => Outcome::Poison,
        408 | 409 | 421 | 423 | 425 | 429 => Outcome::Retry { after },
        300..=499 => Outcome::Hold,
        _ => Outcome::Retry { after },
    }
}

/// Reads `Retry-After`: seconds or an HTTP date; at most [`RETRY_AFTER_MAX`]. A value that is
/// neither is as if it were absent.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
        Timestamp::from_micros(at.as_microsecond()).since(now)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// What a failure of the client means: its class, and whether it is a fault of the lane.
pub(super) fn failure(error: &reqwest::Error, answered: bool) -> (Class, Outcome) {
    let retry = Outcome::Retry { after: None };
    if is_tls(error) {
        return (Class::Tls, Outcome::Hold);
    }
    if error.is_timeout() {
        return (Class::Timeout, retry);
    }
    if answered {
        return (Class::Body, retry);
    }
    (Class::Connect, retry)
}

/// Whether a TLS error stands in the chain. An `io::Error` hides what it wraps from `source`.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref())
            && is_tls(inner)
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// The chain of an error in one line, without the URL (it may hold a key).
pub(super) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_outcome() {
        let wait = Some(Duration::from_secs(7));
        for status in 100..=999u16 {
            let expected = match status {
                200..=299 => "ok",
                408 | 409 | 421 | 423 | 425 | 429 | 500..=999 | 100..=199 => "retry",
                400 | 413 | 415 | 422 => "poison",
                _ => "hold",
            };
            let outcome = outcome_of(status, wait);
            assert_eq!(outcome.name(), expected, "{status}");
            if let Outcome::Retry { after } = outcome {
                assert_eq!(after, wait);
            }
        }
    }

    #[test]
    fn retry_after_is_read_and_capped() {
        let now = Timestamp::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let check = |text: &str, secs: Option<u64>| {
            assert_eq!(retry_after(text, now), secs.map(Duration::from_secs), "{text}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("86400", Some(3_600));
        check("99999999999999999999999999", Some(3_600));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("Mon, 07 Nov 1994 08:49:37 GMT", Some(3_600));
        check("soon", None);
        check("-5", None);
        check("", None);
        check("1.5", None);
    }
}
