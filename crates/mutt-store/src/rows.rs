//! What a row of the audit says beside its event, and the event that no row can hold as it is.

use mutt_model::audit::UNSTORABLE;
use mutt_model::rule::Handling;
use mutt_model::verdict::{Environment, Verdict};
use mutt_model::{Event, Id, ParseStatus};

/// What becomes of an event in the commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// As it is.
    Plain,
    /// Its id stands in the audit already.
    Duplicate,
    /// From its raw bytes alone.
    Unstorable,
    /// Not even that.
    Lost,
}

/// A judgement by reference, so that writing copies nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JudgedAs<'a> {
    pub(crate) handled: bool,
    pub(crate) ruleset: i64,
    pub(crate) rule_id: Option<i64>,
    pub(crate) decision: Option<&'a str>,
    pub(crate) environment: Environment,
    pub(crate) team: Option<&'a str>,
    pub(crate) alert_id: Option<Id>,
}

impl<'a> JudgedAs<'a> {
    /// By this verdict; `None` for an event that was not judged.
    pub(crate) fn by(verdict: Option<&'a Verdict>, ruleset: i64, alert_id: Option<Id>) -> Self {
        Self {
            handled: verdict.is_some_and(Verdict::handled),
            ruleset,
            rule_id: verdict.and_then(|v| v.rule_id),
            decision: verdict.and_then(|v| v.decision.as_ref()).map(Handling::name),
            environment: verdict.map(|v| v.environment).unwrap_or_default(),
            team: verdict.map(|v| v.team.as_str()).filter(|team| !team.is_empty()),
            alert_id,
        }
    }

    /// Of an event that is audited from its raw bytes alone.
    pub(crate) fn unstorable(ruleset: i64) -> Self {
        Self { decision: Some(UNSTORABLE), ..Self::by(None, ruleset, None) }
    }
}

/// The raw bytes of an event and where they came from.
pub(crate) fn bare<'a>(event: &'a Event<'_>) -> Event<'a> {
    let mut bare = Event::from_raw(
        event.id,
        event.received_at,
        event.source,
        &event.listener,
        &event.peer,
        &event.raw,
    );
    bare.note(ParseStatus::Failed, "refused by the store");
    bare
}
