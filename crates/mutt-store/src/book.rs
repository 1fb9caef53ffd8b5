//! The book of alerts inside one transaction, without an engine: changes applied in event order in
//! memory, each alert read once and written once, and the deliveries that each change makes.

use std::collections::{BTreeMap, HashMap};

use mutt_model::alert::{Alert, AlertState, ClearedBy, SinkRoute, Transition};
use mutt_model::delivery::NoticeKind;
use mutt_model::rule::RuleAction;
use mutt_model::verdict::AlertChange;
use mutt_model::{Id, IdSource, Timestamp};

use crate::store::StoreError;

/// What is known of a key in this transaction.
#[derive(Default)]
struct Slot {
    open: Option<Alert>,
    dirty: bool,
}

/// An entry for an alert's timeline.
pub(crate) struct TimelineRow {
    pub(crate) alert: Id,
    pub(crate) at: Timestamp,
    pub(crate) what: &'static str,
    pub(crate) who: String,
    pub(crate) text: Option<String>,
    pub(crate) event: Option<Id>,
}

/// A delivery to be made.
pub(crate) struct NewNotice<'a> {
    pub(crate) id: Id,
    pub(crate) sink: &'a str,
    pub(crate) key: String,
    pub(crate) kind: NoticeKind,
    pub(crate) alert_id: Id,
    pub(crate) event_id: Option<Id>,
    /// The alert as JSON, as it is at this moment.
    pub(crate) alert: String,
}

/// Alerts that this transaction has touched.
pub(crate) struct Book<'i, 'a> {
    ids: &'i mut IdSource,
    sinks: Vec<&'a SinkRoute>,
    now: Timestamp,
    keys: HashMap<String, Slot>,
    ended: Vec<Alert>,
    /// What is to be written of it, in order; the engine takes it out when it likes.
    pub(crate) timeline: Vec<TimelineRow>,
    /// Deliveries to be made, in order.
    pub(crate) notices: Vec<NewNotice<'a>>,
    /// What happened, for the caller, without plain repeats.
    pub(crate) transitions: Vec<(Alert, Transition)>,
}

/// What is to be written at the end.
pub(crate) struct Touched<'a> {
    /// Alerts that are over. To be written first, so that a key is free for the one that follows.
    pub(crate) ended: Vec<Alert>,
    /// Alerts that are open, by key.
    pub(crate) open: BTreeMap<String, Alert>,
    pub(crate) timeline: Vec<TimelineRow>,
    pub(crate) notices: Vec<NewNotice<'a>>,
    pub(crate) transitions: Vec<(Alert, Transition)>,
}

impl<'i, 'a> Book<'i, 'a> {
    pub(crate) fn new(
        ids: &'i mut IdSource,
        sinks: impl Iterator<Item = &'a SinkRoute>,
        now: Timestamp,
    ) -> Self {
        Self {
            ids,
            sinks: sinks.collect(),
            now,
            keys: HashMap::new(),
            ended: Vec::new(),
            timeline: Vec::new(),
            notices: Vec::new(),
            transitions: Vec::new(),
        }
    }

    /// Whether the key's alert was learned.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The key's open alert as it stands in the store. To be called before its first change.
    pub(crate) fn learn(&mut self, key: &str, open: Option<Alert>) {
        self.keys.insert(key.to_owned(), Slot { open, dirty: false });
    }

    fn open_of(&mut self, key: &str) -> Option<Alert> {
        self.keys.get_mut(key).and_then(|slot| slot.open.take())
    }

    fn put_back(&mut self, alert: Alert, touched: bool) {
        if !self.knows(&alert.key) {
            self.learn(&alert.key, None);
        }
        let Some(slot) = self.keys.get_mut(&alert.key) else { return };
        if alert.state == AlertState::Cleared {
            slot.dirty = false;
            self.ended.push(alert);
        } else {
            slot.dirty |= touched;
            slot.open = Some(alert);
        }
    }

    /// Applies one change; the id of the alert that it opened, repeated or cleared.
    pub(crate) fn apply(&mut self, change: &AlertChange) -> Result<Option<Id>, StoreError> {
        let (mut alert, transition) = match (self.open_of(&change.key), change.action) {
            (Some(mut alert), _) => {
                let transition = alert.apply(change);
                (alert, transition)
            }
            (None, RuleAction::Problem) => {
                (Alert::open(self.ids.next(self.now), change), Transition::Opened)
            }
            (None, RuleAction::Clear) => return Ok(None),
        };
        let id = alert.id;
        let touched = transition != Transition::Nothing;
        if touched {
            let who =
                change.rule_id.map_or_else(|| "mutt".to_owned(), |rule| format!("rule {rule}"));
            self.tell(&mut alert, &transition, change.at, who, change.event_id)?;
        }
        self.put_back(alert, touched);
        Ok(touched.then_some(id))
    }

    /// Clears an alert by hand or by age.
    pub(crate) fn clear(
        &mut self,
        key: &str,
        at: Timestamp,
        by: ClearedBy,
    ) -> Result<Option<Alert>, StoreError> {
        let Some(mut alert) = self.open_of(key) else { return Ok(None) };
        let who = match &by {
            ClearedBy::Rule => "rule".to_owned(),
            ClearedBy::Hand(name) => name.clone(),
            ClearedBy::Age => "age".to_owned(),
        };
        let transition = alert.clear(at, by);
        // No event stands behind it.
        alert.event_id = None;
        alert.correlation_id = None;
        self.tell(&mut alert, &transition, at, who, None)?;
        self.put_back(alert.clone(), true);
        Ok(Some(alert))
    }

    /// The timeline, what the caller is told, and the deliveries of one transition.
    fn tell(
        &mut self,
        alert: &mut Alert,
        transition: &Transition,
        at: Timestamp,
        who: String,
        event: Option<Id>,
    ) -> Result<(), StoreError> {
        let (what, text) = match transition {
            Transition::Nothing => return Ok(()),
            Transition::Repeated => (None, None),
            Transition::Opened => (Some("opened"), Some(alert.severity.name().to_owned())),
            Transition::SeverityChanged { from } => {
                let text = format!("{} -> {}", from.name(), alert.severity.name());
                (Some("severity_changed"), Some(text))
            }
            Transition::Cleared(_) => (Some("cleared"), None),
        };
        let mut kinds = Vec::new();
        for sink in &self.sinks {
            if let Some(kind) = sink.notice(alert, transition) {
                kinds.push((sink.name.as_str(), kind));
            }
        }
        if let Some(what) = what {
            self.timeline.push(TimelineRow { alert: alert.id, at, what, who, text, event });
            self.transitions.push((alert.clone(), transition.clone()));
        }
        if kinds.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_string(alert)?;
        for (sink, kind) in kinds {
            self.notices.push(NewNotice {
                id: self.ids.next(self.now),
                sink,
                key: alert.key.clone(),
                kind,
                alert_id: alert.id,
                event_id: event,
                alert: body.clone(),
            });
        }
        Ok(())
    }

    /// What was touched.
    pub(crate) fn close(self) -> Touched<'a> {
        let open = self
            .keys
            .into_iter()
            .filter(|(_, slot)| slot.dirty)
            .filter_map(|(key, slot)| slot.open.map(|alert| (key, alert)))
            .collect();
        Touched {
            ended: self.ended,
            open,
            timeline: self.timeline,
            notices: self.notices,
            transitions: self.transitions,
        }
    }
}
