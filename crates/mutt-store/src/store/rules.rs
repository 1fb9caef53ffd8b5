//! Rules, development hosts and teams: what may change, and what a change may expect to stand.

use std::fmt::Write as _;

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::rule::{Rule, RuleSet};
use ring::digest;
use serde::Serialize;

use super::{Actor, StoreError};

/// A change to rules, development hosts or teams.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleChange {
    /// A new rule; its id is given by the store.
    CreateRule(Box<Rule>),
    /// Replaces the rule with this id.
    UpdateRule(Box<Rule>),
    /// Removes it; events judged by it keep naming it.
    DeleteRule(i64),
    /// Adds a development host (lower-cased).
    AddDevHost(String),
    /// Removes it.
    RemoveDevHost(String),
    /// Another name in its place, in one version.
    RenameDevHost {
        /// The host that stands.
        from: String,
        /// The host that takes its place (lower-cased).
        to: String,
    },
    /// Sets the team of a device.
    SetTeam {
        /// The device (lower-cased).
        host: String,
        /// The team.
        team: String,
        /// Only if it has none yet.
        create: bool,
    },
    /// Removes the device's team.
    RemoveTeam(String),
    /// The first rule set, into a store whose version is 0 only; else nothing happens.
    First(Vec<Rule>),
}

/// What must still be so when a change is made: of two people who looked at the same, the second is
/// told and does not undo what the first did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The rule set in force has this version.
    Version(i64),
    /// The object that the change names has this [`tag`]; what else changed does not matter. A change
    /// that makes an object expects nothing of it.
    Object(String),
}

/// A short digest of a rule, of a development host's name, or of a device's name and team: the same as
/// long as the object is.
#[must_use]
pub fn tag(object: &impl Serialize) -> String {
    let text = serde_json::to_vec(object).unwrap_or_default();
    let digest = digest::digest(&digest::SHA256, &text);
    digest.as_ref().iter().take(TAG_BYTES).fold(String::new(), |mut tag, byte| {
        let _ = write!(tag, "{byte:02x}");
        tag
    })
}

/// Enough that two contents of one object do not meet by chance.
const TAG_BYTES: usize = 12;

/// The rules' side.
#[async_trait]
pub trait RuleStore: Send + Sync {
    /// The version in force, cheap to ask often.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn rule_set_version(&self) -> Result<i64, StoreError>;

    /// The rule set in force, or the one of an earlier version that is still kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Transient`].
    async fn rule_set(&self, version: Option<i64>) -> Result<RuleSet, StoreError>;

    /// Makes one change with its entry in the change log; returns the new set. The caller has
    /// validated it. What is `expected` is checked where nobody else can change it meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`], [`StoreError::NotFound`], [`StoreError::Conflict`],
    /// [`StoreError::Transient`].
    async fn change_rules(
        &self,
        change: RuleChange,
        expected: Option<Expected>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(RuleSet, Option<i64>), StoreError>;
}
