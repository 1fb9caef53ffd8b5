//! Sources: what Ingestors tell of the devices that they hear, for people and for the watch that tells
//! of silence.

use std::time::Duration;

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::source::quiet::{Mark, QuietPolicy, Watched};
use mutt_model::source::{SeenSource, SourceDelta, SourceKey};
use serde_json::{Value, json};

use super::{Actor, Change, Page, StoreError};

/// Sources in one report; an Ingestor tells of more of them in several.
pub const REPORT_SOURCES_MAX: usize = 500;

/// Which sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceQuery {
    /// Part of host or peer, case-insensitive.
    pub q: Option<String>,
    /// In this state.
    pub state: Option<SourceState>,
    /// Behind this peer.
    pub relay: Option<String>,
}

/// What a list of sources may be narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Heard, and nobody was told of its silence.
    Active,
    /// Somebody was told of its silence.
    Quiet,
    /// An SNMP engine or user of it waits to be made known.
    Pending,
    /// Its silence is nobody's business.
    Muted,
    /// Something of it could not be understood.
    Unparsed,
}

impl SourceState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Quiet, Self::Pending, Self::Muted, Self::Unparsed];

    /// The name in API and command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Muted => "muted",
            Self::Unparsed => "unparsed",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == text)
    }

    /// The condition on a row, in both dialects of SQL.
    pub(crate) const fn condition(self) -> &'static str {
        match self {
            Self::Active => "told = 0 AND last_seen > 0",
            Self::Quiet => "told <> 0",
            Self::Pending => "pending <> 0",
            Self::Muted => "muted <> 0",
            Self::Unparsed => "unparsed > 0",
        }
    }
}

/// What a person does to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceAct {
    /// Its silence is told to nobody from now on.
    Mute,
    /// Its silence is told again.
    Unmute,
    /// It goes, until it is heard again as a new one.
    Forget,
}

impl SourceAct {
    /// As the change log has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Unmute => "unmute",
            Self::Forget => "forget",
        }
    }

    pub(crate) fn change(self, key: &SourceKey, actor: &Actor, now: Timestamp) -> Change {
        let muted = |muted: bool| -> Option<Value> { Some(json!({ "muted": muted })) };
        let (old, new) = match self {
            Self::Mute => (muted(false), muted(true)),
            Self::Unmute => (muted(true), muted(false)),
            Self::Forget => (Some(json!({ "source": key.to_string() })), None),
        };
        Change {
            id: 0,
            at: now,
            who: actor.name.clone(),
            object: "source".to_owned(),
            object_id: key.to_string(),
            action: self.name().to_owned(),
            old,
            new,
            reason: actor.reason.clone(),
        }
    }
}

/// What the watch looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceWatch {
    /// By the store's clock.
    pub now: Timestamp,
    /// The silent ones, those that somebody was told of, those to be removed, and all others behind the
    /// same peers.
    pub sources: Vec<Watched>,
    /// The newest event of any source.
    pub newest: Timestamp,
}

/// How many sources are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// All of them.
    pub all: u64,
    /// Of whose silence somebody was told.
    pub quiet: u64,
    /// With an SNMP engine or user that waits to be made known.
    pub pending: u64,
    /// Muted.
    pub muted: u64,
    /// With something that could not be understood.
    pub unparsed: u64,
}

/// The registry of sources.
#[async_trait]
pub trait SourceStore: Send + Sync {
    /// Adds what the Ingestor on a host saw, in one transaction; at most [`REPORT_SOURCES_MAX`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn report_sources(
        &self,
        heard_by: &str,
        deltas: Vec<SourceDelta>,
    ) -> Result<(), StoreError>;

    /// Sources by host and peer.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] for a wrong cursor, [`StoreError::Transient`].
    async fn sources(
        &self,
        query: &SourceQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<SeenSource>, StoreError>;

    /// One source.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn source(&self, key: &SourceKey) -> Result<Option<SeenSource>, StoreError>;

    /// How many there are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn source_counts(&self) -> Result<SourceCounts, StoreError>;

    /// Does something to a source on a person's behalf, with an entry in the change log; what changes
    /// nothing leaves none. One that is forgotten goes at once, or when the watch has taken back what
    /// was told of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Transient`].
    async fn act_on_source(
        &self,
        key: &SourceKey,
        act: SourceAct,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// What the watch needs to judge, by the store's clock; `None` while another one has its lease.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn watch_sources(
        &self,
        owner: &str,
        lease: Duration,
        policy: &QuietPolicy,
    ) -> Result<Option<SourceWatch>, StoreError>;

    /// Notes what was told.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn mark_sources(&self, marks: Vec<Mark>) -> Result<(), StoreError>;

    /// Lets go those that were not heard for longer than `keep`, and the oldest of those beyond
    /// `most`; how many. Those of which somebody was told go when the watch has taken that back.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn tidy_sources(&self, keep: Duration, most: u64) -> Result<u64, StoreError>;
}
