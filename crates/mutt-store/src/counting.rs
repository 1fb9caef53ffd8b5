//! What counts across events, without an engine: windows of unhandled shapes, minute rates.

use std::collections::BTreeMap;

use mutt_model::rule::{Handling, RuleAction};
use mutt_model::verdict::{AlertChange, Verdict};
use mutt_model::{Event, Severity, Timestamp};

use crate::store::CommitPolicy;

/// FNV-1a with a final mix: stable across versions, as the table outlives the program.
pub(crate) fn hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

/// The window in which one shape of one host is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) first_at: i64,
    pub(crate) count: u64,
    pub(crate) fired: bool,
}

impl Window {
    /// A window that begins with this event.
    pub(crate) fn fresh(at: Timestamp) -> Self {
        Self { first_at: at.0, count: 0, fired: false }
    }

    /// Counts one event; true when it crosses the threshold. Once in each window.
    pub(crate) fn count(&mut self, policy: &CommitPolicy, at: Timestamp) -> bool {
        let length = i64::try_from(policy.unhandled_window.as_micros()).unwrap_or(i64::MAX);
        if at.0.saturating_sub(self.first_at) >= length {
            *self = Self::fresh(at);
        }
        self.count += 1;
        if self.fired || self.count < policy.unhandled_threshold {
            return false;
        }
        self.fired = true;
        true
    }
}

/// The shape that an unhandled event counts for: the lower-cased host and the template's hash; `None`
/// when nothing is counted.
pub(crate) fn shape<'a>(
    policy: &CommitPolicy,
    event: &'a Event<'_>,
    verdict: &'a Verdict,
) -> Option<Shape<'a>> {
    let template = verdict.template.as_deref()?;
    if policy.unhandled_threshold == 0 || verdict.handled() {
        return None;
    }
    let host = lower(&event.host);
    let key = hash(&[&host, template]).cast_signed();
    Some(Shape { host, template, key })
}

/// A shape of unhandled events of one host.
pub(crate) struct Shape<'a> {
    pub(crate) host: std::borrow::Cow<'a, str>,
    pub(crate) template: &'a str,
    /// Of its window.
    pub(crate) key: i64,
}

impl Shape<'_> {
    /// The key of its meta-alert.
    pub(crate) fn alert_key(&self) -> String {
        format!("unhandled/{}/{}", self.host, self.short())
    }

    fn short(&self) -> String {
        format!("{:012x}", hash(&[self.template]) >> 16)
    }
}

/// Lower case for comparing, without a copy where nothing changes.
pub(crate) fn lower(text: &str) -> std::borrow::Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
        text.to_lowercase().into()
    } else {
        text.into()
    }
}

/// Ticket_only: a shape that no rule knows is work for the day, not a page at night.
pub(crate) fn meta_alert(
    policy: &CommitPolicy,
    event: &Event<'_>,
    verdict: &Verdict,
    shape: &Shape<'_>,
    count: u64,
) -> AlertChange {
    AlertChange {
        key: shape.alert_key(),
        action: RuleAction::Problem,
        problem: "unhandled".to_owned(),
        host: event.host.to_string(),
        resource: shape.short(),
        severity: Severity::WARNING,
        team: policy.default_team.clone(),
        decision: Handling::TicketOnly,
        environment: verdict.environment,
        rule_id: None,
        clear_after: policy.unhandled_window,
        message: format!(
            "{count} events on {} within {} match no rule: {}",
            event.host,
            mutt_model::amount::format_duration(policy.unhandled_window),
            shape.template
        ),
        at: event.received_at,
        event_id: Some(event.id),
        correlation_id: event.correlation_id.as_deref().map(str::to_owned),
    }
}

/// Events and deliveries by minute.
#[derive(Clone, Default)]
pub(crate) struct Rates {
    /// (audited, handled, deliveries) by start of the minute in seconds.
    pub(crate) minutes: BTreeMap<i64, (i64, i64, i64)>,
}

impl Rates {
    pub(crate) fn event(&mut self, at: Timestamp, handled: bool) {
        let minute = self.minutes.entry(start_of_minute(at)).or_default();
        minute.0 += 1;
        minute.1 += i64::from(handled);
    }

    pub(crate) fn deliveries(&mut self, at: Timestamp, made: i64) {
        if made > 0 {
            self.minutes.entry(start_of_minute(at)).or_default().2 += made;
        }
    }
}

fn start_of_minute(at: Timestamp) -> i64 {
    at.secs().div_euclid(60) * 60
}
