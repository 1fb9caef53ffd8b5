//! From the spill to the primary: in order, repeated until the primary says that it is durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mutt_model::failpoint;

use super::{Shared, code_of};
use crate::queue::{ClaimedBatch, EventQueue, QueueError};

/// Who holds the spill's lease; nobody else asks for it.
const OWNER: &str = "drain";
/// The lease is renewed by each step.
const LEASE: Duration = Duration::from_secs(3600);
/// Batches of one step at most.
const STEP_BATCHES: usize = 64;
/// A step is closed at this size.
const STEP_BYTES_MAX: usize = 8 << 20;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing was there.
    Empty,
    /// So many batches were moved.
    Moved(usize),
    /// A pause after a refusal is over.
    Waited,
}

impl Step {
    /// How many batches may be stored until the next step ends; any number while the primary refuses.
    pub(super) fn room(self, left: Option<i64>) -> Option<i64> {
        match self {
            Self::Empty => left,
            Self::Waited => None,
            Self::Moved(batches) => {
                let more = i64::try_from(batches * 3 / 4).unwrap_or(i64::MAX);
                Some(left.unwrap_or(0).min(0) + more)
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Drain {
    shared: Arc<Shared>,
    /// Claimed and not yet in the primary, as far as is known.
    in_hand: VecDeque<ClaimedBatch>,
    /// How many of these go together: fewer after the primary was full.
    together: usize,
    pause: Duration,
    began: bool,
    /// The spill cannot be read; said once.
    unreadable: bool,
}

impl Drain {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let pause = shared.options.pause_min;
        Self {
            shared,
            in_hand: VecDeque::new(),
            together: STEP_BATCHES,
            pause,
            began: false,
            unreadable: false,
        }
    }

    /// Moves one group, or waits after a refusal. Dropped at any point it has done no harm: what it may
    /// have moved is repeated.
    pub(super) fn boxed_step(mut self) -> BoxFuture<'static, (Self, Step)> {
        Box::pin(async move {
            let step = match self.claim().await {
                Ok(()) if self.in_hand.is_empty() => Step::Empty,
                Ok(()) => self.move_group().await,
                Err(error) => {
                    self.cannot_read(&error);
                    self.wait().await
                }
            };
            (self, step)
        })
    }

    async fn claim(&mut self) -> Result<(), QueueError> {
        if !self.in_hand.is_empty() {
            return Ok(());
        }
        let spill = &self.shared.spill;
        let lease = spill.lease(0, OWNER, LEASE).await?.ok_or(QueueError::LeaseLost(0))?;
        if !self.began {
            spill.rewind(lease).await?;
            self.began = true;
        }
        let before = spill.losses().lost;
        self.in_hand.extend(spill.claim(lease, STEP_BATCHES, Duration::ZERO).await?);
        if spill.losses().lost > before {
            self.shared.settle();
        }
        self.unreadable = false;
        failpoint::hit("spill.drain.after_claim");
        Ok(())
    }

    /// How many of what is in hand go together now.
    fn group(&self) -> usize {
        let mut bytes = 0;
        let small = self.in_hand.iter().take(self.together).take_while(|claimed| {
            bytes += claimed.batch.as_bytes().len();
            bytes <= STEP_BYTES_MAX
        });
        small.count().max(1)
    }

    async fn move_group(&mut self) -> Step {
        let group = self.group();
        let batches =
            self.in_hand.iter().take(group).map(|claimed| claimed.batch.clone()).collect();
        let append = self.shared.primary.append(batches, None);
        let limit = self.shared.options.append_timeout;
        let appended = tokio::time::timeout(limit, append).await;
        match appended {
            Ok(Ok(())) => {
                failpoint::hit("spill.drain.before_ack");
                self.moved(group).await;
                Step::Moved(group)
            }
            Ok(Err(error)) => {
                if matches!(error, QueueError::Full(_)) {
                    self.together = (group / 2).max(1);
                }
                self.shared.still_away(error.to_string());
                self.wait().await
            }
            Err(_) => {
                self.shared.still_away(super::group::no_answer(limit).to_string());
                self.wait().await
            }
        }
    }

    async fn moved(&mut self, group: usize) {
        self.pause = self.shared.options.pause_min;
        self.together = (self.together * 2).min(STEP_BATCHES);
        let Some(last) = self.in_hand.drain(..group).next_back() else { return };
        let spill = &self.shared.spill;
        let acknowledged = match spill.lease(0, OWNER, LEASE).await {
            Ok(Some(lease)) => spill.acknowledge(lease, last.position).await,
            Ok(None) => Err(QueueError::LeaseLost(0)),
            Err(error) => Err(error),
        };
        failpoint::hit("spill.drain.after_ack");
        if let Err(error) = acknowledged {
            // What was not noted is moved again after a restart; the primary knows its ids.
            self.cannot_read(&error);
        }
    }

    fn cannot_read(&mut self, error: &QueueError) {
        if !matches!(error, QueueError::Closed) && !std::mem::replace(&mut self.unreadable, true) {
            tracing::error!(
                code = code_of(error).id,
                place = self.shared.place,
                %error,
                "the spill cannot be drained; it is tried again"
            );
        }
    }

    async fn wait(&mut self) -> Step {
        let half = self.pause / 2;
        tokio::time::sleep(half + half.mul_f64(fastrand::f64())).await;
        self.pause = (self.pause * 2).min(self.shared.options.pause_max);
        Step::Waited
    }
}
