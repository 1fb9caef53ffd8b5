//! The alert: the state of one problem on one resource, and its life as pure functions.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::NoticeKind;
use crate::event::Severity;
use crate::id::Id;
use crate::rule::{Handling, RuleAction};
use crate::time::Timestamp;
use crate::verdict::{AlertChange, Environment};

/// Open or cleared. (Flapping comes with correlation.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The trouble stands.
    Open,
    /// It is over; the next problem event opens the key anew under a new id.
    Cleared,
}

/// Who or what cleared an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClearedBy {
    /// A clear rule.
    Rule,
    /// A person or program, by the token's name.
    Hand(String),
    /// No matching event for `clear_after`.
    Age,
}

/// The state of one problem on one resource. One alert per key is open at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Given when it was opened.
    pub id: Id,
    /// Rendered from the rule's template.
    pub key: String,
    /// Name of the trouble.
    pub problem: String,
    /// The device.
    pub host: String,
    /// The thing on the device; may be empty.
    pub resource: String,
    /// Open or cleared.
    pub state: AlertState,
    /// Of the newest problem event.
    pub severity: Severity,
    /// Problem events so far.
    pub count: u64,
    /// `received_at` of the first event.
    pub first_seen: Timestamp,
    /// `received_at` of the newest problem event.
    pub last_seen: Timestamp,
    /// When it was cleared.
    pub cleared_at: Option<Timestamp>,
    /// By whom.
    pub cleared_by: Option<ClearedBy>,
    /// Who it is for.
    pub team: String,
    /// How it leaves.
    pub decision: Handling,
    /// Production or development.
    pub environment: Environment,
    /// The rule of the newest event.
    pub rule_id: Option<i64>,
    /// Message of the newest event.
    pub message: String,
    /// The newest event.
    pub event_id: Option<Id>,
    /// Its correlation id.
    pub correlation_id: Option<String>,
    /// See [`AlertChange::clear_after`].
    #[serde(with = "crate::amount::duration_text")]
    pub clear_after: Duration,
    /// Name of the token that acknowledged it.
    pub acknowledged_by: Option<String>,
    /// When.
    pub acknowledged_at: Option<Timestamp>,
    /// The sinks that were told of this alert, and when last (a plain repeat does not move it).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<String, Timestamp>,
}

/// What a change did to an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// A new alert stands.
    Opened,
    /// One more problem event.
    Repeated,
    /// One more problem event, and its severity differs.
    SeverityChanged {
        /// The severity before.
        from: Severity,
    },
    /// It is over.
    Cleared(ClearedBy),
    /// A clear found nothing to clear, or something newer.
    Nothing,
}

impl Alert {
    /// The alert that a problem opens.
    #[must_use]
    pub fn open(id: Id, change: &AlertChange) -> Self {
        Self {
            id,
            key: change.key.clone(),
            problem: change.problem.clone(),
            host: change.host.clone(),
            resource: change.resource.clone(),
            state: AlertState::Open,
            severity: change.severity,
            count: 1,
            first_seen: change.at,
            last_seen: change.at,
            cleared_at: None,
            cleared_by: None,
            team: change.team.clone(),
            decision: change.decision.clone(),
            environment: change.environment,
            rule_id: change.rule_id,
            message: change.message.clone(),
            event_id: change.event_id,
            correlation_id: change.correlation(),
            clear_after: change.clear_after,
            acknowledged_by: None,
            acknowledged_at: None,
            told: BTreeMap::new(),
        }
    }

    /// Applies a change to an open alert of its key. A clear takes effect only when it is not older
    /// than the newest problem event.
    pub fn apply(&mut self, change: &AlertChange) -> Transition {
        match change.action {
            RuleAction::Clear if self.state == AlertState::Open && change.at >= self.last_seen => {
                self.event_id = change.event_id;
                self.correlation_id = change.correlation();
                self.message.clone_from(&change.message);
                self.clear(change.at, ClearedBy::Rule)
            }
            RuleAction::Clear => Transition::Nothing,
            RuleAction::Problem => {
                let from = self.severity;
                self.count += 1;
                if change.at >= self.last_seen {
                    self.last_seen = change.at;
                    self.severity = change.severity;
                    self.message.clone_from(&change.message);
                    self.event_id = change.event_id;
                    self.correlation_id = change.correlation();
                    self.rule_id = change.rule_id;
                    self.team.clone_from(&change.team);
                    self.decision.clone_from(&change.decision);
                    self.clear_after = change.clear_after;
                }
                if self.severity == from {
                    Transition::Repeated
                } else {
                    Transition::SeverityChanged { from }
                }
            }
        }
    }

    /// Clears an open alert, by rule, hand or age.
    pub fn clear(&mut self, at: Timestamp, by: ClearedBy) -> Transition {
        if self.state != AlertState::Open {
            return Transition::Nothing;
        }
        self.state = AlertState::Cleared;
        self.cleared_at = Some(at);
        self.cleared_by = Some(by.clone());
        Transition::Cleared(by)
    }

    /// When it clears by itself; `None` for never.
    #[must_use]
    pub fn ages_out_at(&self) -> Option<Timestamp> {
        (!self.clear_after.is_zero()).then(|| self.last_seen.plus(self.clear_after))
    }
}

/// What a sink wants to hear while an alert is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Every matching event.
    Every,
    /// Opened, severity, cleared, and a reminder at this interval while events still arrive.
    Changes {
        /// `repeat_interval`
        interval: Duration,
    },
}

/// A sink as routing sees it. Empty lists narrow nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkRoute {
    /// The sink's name.
    pub name: String,
    /// Only these teams (case-insensitive).
    pub teams: Vec<String>,
    /// Only these decisions.
    pub decisions: Vec<Handling>,
    /// Only these environments.
    pub environments: Vec<Environment>,
    /// How repeats leave.
    pub repeat: Repeat,
}

impl SinkRoute {
    /// Whether alerts like this leave through the sink.
    #[must_use]
    pub fn takes(&self, alert: &Alert) -> bool {
        alert.decision.delivers()
            && (self.teams.is_empty()
                || self.teams.iter().any(|team| team.eq_ignore_ascii_case(&alert.team)))
            && (self.decisions.is_empty() || self.decisions.contains(&alert.decision))
            && (self.environments.is_empty() || self.environments.contains(&alert.environment))
    }

    /// What this sink is told of a transition, if anything; notes in the alert that it was told. The
    /// first notice of an alert to a sink is `opened`, also when the alert came to it by a change of
    /// team or decision; and whoever was told hears the end, also when the alert has left it since.
    pub fn notice(&self, alert: &mut Alert, transition: &Transition) -> Option<NoticeKind> {
        let told = alert.told.get(&self.name).copied();
        let kind = match (transition, told) {
            (Transition::Nothing, _) | (Transition::Cleared(_), None) => return None,
            (Transition::Cleared(_), Some(_)) => return Some(NoticeKind::Cleared),
            _ if !self.takes(alert) => return None,
            (_, None) => NoticeKind::Opened,
            (Transition::SeverityChanged { .. }, Some(_)) => NoticeKind::SeverityChanged,
            (Transition::Opened | Transition::Repeated, Some(last)) => match self.repeat {
                Repeat::Every => return Some(NoticeKind::Repeated),
                Repeat::Changes { interval } => {
                    if interval.is_zero() || alert.last_seen < last.plus(interval) {
                        return None;
                    }
                    NoticeKind::Reminder
                }
            },
        };
        alert.told.insert(self.name.clone(), alert.last_seen);
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: RuleAction, at: i64, severity: Severity) -> AlertChange {
        AlertChange {
            key: "link/r1/ge-0/0/1".to_owned(),
            action,
            problem: "link".to_owned(),
            host: "r1".to_owned(),
            resource: "ge-0/0/1".to_owned(),
            severity,
            team: "NetOps".to_owned(),
            decision: Handling::PageOnly,
            environment: Environment::Prod,
            rule_id: Some(1),
            clear_after: Duration::from_secs(60),
            message: "down".to_owned(),
            at: Timestamp::from_secs(at),
            event_id: None,
            correlation_id: None,
        }
    }

    fn route(repeat: Repeat) -> SinkRoute {
        SinkRoute {
            name: "s".to_owned(),
            teams: vec!["netops".to_owned()],
            decisions: vec![],
            environments: vec![],
            repeat,
        }
    }

    #[test]
    fn the_life_of_an_alert() {
        let problem = |at, severity| change(RuleAction::Problem, at, severity);
        let mut alert = Alert::open(Id::default(), &problem(10, Severity::ERROR));
        assert_eq!(alert.apply(&problem(11, Severity::ERROR)), Transition::Repeated);
        assert_eq!(
            alert.apply(&problem(12, Severity::CRITICAL)),
            Transition::SeverityChanged { from: Severity::ERROR }
        );
        assert_eq!(alert.count, 3);
        assert_eq!(alert.ages_out_at(), Some(Timestamp::from_secs(72)));
        let older = change(RuleAction::Clear, 11, Severity::ERROR);
        assert_eq!(alert.apply(&older), Transition::Nothing, "a clear older than the problem");
        let clear = change(RuleAction::Clear, 12, Severity::ERROR);
        assert_eq!(alert.apply(&clear), Transition::Cleared(ClearedBy::Rule));
        assert_eq!(alert.apply(&clear), Transition::Nothing, "cleared once");
    }

    #[test]
    fn what_a_sink_is_told() {
        let mut alert =
            Alert::open(Id::default(), &change(RuleAction::Problem, 0, Severity::ERROR));
        let changes = route(Repeat::Changes { interval: Duration::from_secs(100) });
        assert_eq!(changes.notice(&mut alert, &Transition::Opened), Some(NoticeKind::Opened));
        alert.last_seen = Timestamp::from_secs(99);
        assert_eq!(changes.notice(&mut alert, &Transition::Repeated), None);
        alert.last_seen = Timestamp::from_secs(100);
        assert_eq!(changes.notice(&mut alert, &Transition::Repeated), Some(NoticeKind::Reminder));
        let every = SinkRoute { name: "every".to_owned(), ..route(Repeat::Every) };
        assert_eq!(every.notice(&mut alert, &Transition::Repeated), Some(NoticeKind::Opened));
        assert_eq!(every.notice(&mut alert, &Transition::Repeated), Some(NoticeKind::Repeated));
    }

    #[test]
    fn an_alert_that_moves_between_sinks_is_opened_at_the_new_one_and_cleared_at_both() {
        let mut alert =
            Alert::open(Id::default(), &change(RuleAction::Problem, 0, Severity::ERROR));
        let first = route(Repeat::Every);
        let second = SinkRoute {
            name: "second".to_owned(),
            teams: vec!["Core".to_owned()],
            ..route(Repeat::Every)
        };
        let told = |alert: &mut Alert, transition: &Transition| {
            (first.notice(alert, transition), second.notice(alert, transition))
        };
        assert_eq!(told(&mut alert, &Transition::Opened), (Some(NoticeKind::Opened), None));
        alert.team = "Core".to_owned();
        let changed = Transition::SeverityChanged { from: Severity::ERROR };
        assert_eq!(told(&mut alert, &changed), (None, Some(NoticeKind::Opened)));
        let cleared = Transition::Cleared(ClearedBy::Age);
        assert_eq!(
            told(&mut alert, &cleared),
            (Some(NoticeKind::Cleared), Some(NoticeKind::Cleared))
        );
        let mut other = Alert::open(Id::default(), &change(RuleAction::Problem, 0, Severity::INFO));
        assert_eq!(first.notice(&mut other, &cleared), None, "never told, nothing to clear");
    }
}
