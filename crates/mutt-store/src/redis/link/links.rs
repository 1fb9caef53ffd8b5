//! The links of an event queue: one for each shard and purpose, made anew when broken, one attempt at
//! a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mutt_model::codes::{self, Code};
use mutt_model::{Clock, Secret, Timestamp};
use tokio::sync::watch;

use super::directory::Directory;
use super::open::{Opener, background};
use super::{Address, Kind, Known, Link, LinkError, Preflight, Purpose};
use crate::redis::RedisOptions;
use crate::state::EngineState;

/// The pause after the first failed attempt; doubled with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A link that broke sooner than this was no success: its pauses go on growing.
const LIVED: Duration = Duration::from_secs(1);
/// How long a caller waits for an attempt when the one before failed too.
const IMPATIENT: Duration = Duration::from_millis(250);
/// An attempt takes at most this many of the options' timeouts: guide, socket, login, preflight.
const STEPS: u32 = 4;

/// How one link is.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// What it is for.
    pub purpose: Purpose,
    /// The shard that it serves.
    pub shard: u16,
    /// The node that it goes to, where it stands.
    pub node: Option<Address>,
    /// Since when it is missing, and why; none where it stands.
    pub away: Option<(Timestamp, Code, String)>,
}

/// The links of one event queue. Clones share them.
#[derive(Clone, Debug)]
pub struct Links(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    opener: Opener,
    directory: Directory,
    preflight: Arc<dyn Preflight>,
    clock: Clock,
    made: Timestamp,
    slots: Mutex<HashMap<(Purpose, u16), Arc<Slot>>>,
    looked: AtomicU64,
    looking: AtomicBool,
    /// The passwords that the links were last held against.
    passwords: Mutex<Arc<[Secret]>>,
}

#[derive(Debug)]
struct Slot {
    purpose: Purpose,
    shard: u16,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    link: Option<Link>,
    connecting: bool,
    down: Option<Down>,
    failures: u32,
}

#[derive(Clone, Debug)]
struct Down {
    since: Timestamp,
    why: LinkError,
    /// Monotonic: no attempt before.
    not_before: Duration,
}

/// What a caller finds.
enum Step {
    Have(Link),
    Fail(LinkError),
    Wait(Duration),
    Attempt(Duration),
}

impl Links {
    /// Without any I/O: the first caller makes the first connection.
    #[must_use]
    pub fn new(options: &RedisOptions, clock: Clock, preflight: Arc<dyn Preflight>) -> Self {
        let opener = Opener {
            tls: options.url.tls().then(|| options.tls.clone()),
            clock: clock.clone(),
            timeout: options.timeout,
        };
        Self(Arc::new(Shared {
            opener,
            directory: Directory::new(options),
            preflight,
            made: clock.wall(),
            clock,
            slots: Mutex::default(),
            looked: AtomicU64::new(0),
            looking: AtomicBool::new(false),
            passwords: Mutex::new(options.passwords.get()),
        }))
    }

    /// The link for appends and everything that answers at once, to the node that owns this shard.
    /// Waits at most the options' timeout; while Redis is known to be away it does so only briefly.
    ///
    /// # Errors
    ///
    /// [`LinkError::Away`] and [`LinkError::Refused`], as the last attempt ended.
    pub async fn writer(&self, shard: u16) -> Result<Link, LinkError> {
        self.get(Purpose::Writer, shard).await
    }

    /// The link for commands that block, one for each shard: what is sent on it waits its turn.
    ///
    /// # Errors
    ///
    /// As [`Links::writer`].
    pub async fn reader(&self, shard: u16) -> Result<Link, LinkError> {
        self.get(Purpose::Reader, shard).await
    }

    /// Something seen from outside (fewer replicas than promised) says that the topology may have
    /// changed: the servers are asked again, and links to nodes that no longer serve are left.
    pub fn doubt(&self) {
        self.0.directory.doubt();
        self.look();
    }

    /// Something seen from outside makes the writer of this shard useless: the next one is looked at
    /// from the beginning.
    pub(crate) fn leave_writer(&self, shard: u16, why: &str) {
        let link = self.0.slot(Purpose::Writer, shard).state.borrow().link.clone();
        if let Some(link) = link {
            link.retire(why);
        }
    }

    /// Whether the writers stand; since when and why not. A reader only hears sooner what its writer
    /// can ask for, and that of a shard which is read elsewhere now is not made again.
    #[must_use]
    pub fn state(&self) -> EngineState {
        let mut nodes = self.nodes();
        nodes.retain(|node| node.purpose == Purpose::Writer);
        let away = nodes.iter().filter_map(|node| node.away.clone());
        // What is missing longest names the moment, what a person must mend goes before what passes.
        let refused = |code: Code| code.id == codes::REDIS_REFUSED.id;
        let since = away.clone().map(|(since, ..)| since).min();
        match (since, away.max_by_key(|(since, code, _)| (refused(*code), *since))) {
            (Some(since), Some((_, code, why))) => EngineState::Away { since, code, why },
            _ if nodes.iter().any(|node| node.node.is_some()) => EngineState::Ready,
            _ => EngineState::Away {
                since: self.0.made,
                code: codes::REDIS_AWAY,
                why: "Redis was not asked yet".into(),
            },
        }
    }

    /// How each link is that was ever asked for, in order.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeState> {
        let mut nodes: Vec<_> = self.0.all_slots().iter().map(|slot| slot.node_state()).collect();
        nodes.sort_by_key(|node| (node.shard, node.purpose != Purpose::Writer));
        nodes
    }

    async fn get(&self, purpose: Purpose, shard: u16) -> Result<Link, LinkError> {
        self.heed_passwords();
        let slot = self.0.slot(purpose, shard);
        let mut changes = slot.state.subscribe();
        loop {
            changes.mark_unchanged();
            let step = self.0.step(&slot);
            let patience = match step {
                Step::Have(link) => {
                    self.look_sometimes(&link);
                    return Ok(link);
                }
                Step::Fail(why) => return Err(why),
                Step::Wait(patience) => patience,
                Step::Attempt(patience) => {
                    background(attempt(Arc::clone(&self.0), Arc::clone(&slot)));
                    patience
                }
            };
            // The sender lives in the slot: it cannot be gone.
            if tokio::time::timeout(patience, changes.changed()).await.is_err() {
                return Err(slot.still_trying(self.0.opener.timeout));
            }
        }
    }

    /// While Sentinels or a Cluster are in charge, asks them from time to time beside the traffic.
    fn look_sometimes(&self, link: &Link) {
        if link.take_doubt() {
            self.0.directory.doubt();
        } else {
            let now = self.0.clock.monotonic();
            let looked = Duration::from_micros(self.0.looked.load(Ordering::Relaxed));
            if now.saturating_sub(looked) < self.0.directory.look_every() {
                return;
            }
        }
        self.look();
    }

    fn look(&self) {
        let alone = self.0.directory.kind() == Kind::Standalone;
        if alone || self.0.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let now = u64::try_from(self.0.clock.monotonic().as_micros()).unwrap_or(u64::MAX);
        self.0.looked.store(now, Ordering::Relaxed);
        let looking = Looking(Arc::clone(&self.0));
        background(async move {
            let shared = &looking.0;
            shared.directory.doubt();
            let limit = shared.opener.timeout * STEPS;
            let mut writers = Vec::new();
            for link in shared.links() {
                match tokio::time::timeout(limit, shared.look_at(&link)).await {
                    Ok(known) => writers.extend(known.map(|known| (link, known))),
                    Err(_) => break,
                }
            }
            // Each writer of a node counts for itself who confirms: all of them are judged.
            let changed: Vec<_> = writers
                .iter()
                .filter(|(_, known)| shared.preflight.learn(known))
                .map(|(_, known)| known.node.clone())
                .collect();
            for (link, known) in writers.iter().filter(|(_, known)| changed.contains(&known.node)) {
                let checked = shared.preflight.check(link, known);
                if let Ok(Err(LinkError::Refused { why, .. })) =
                    tokio::time::timeout(limit, checked).await
                {
                    link.retire(&why);
                }
            }
        });
    }

    /// After a change of the passwords, links that were opened with one that is no longer in force log
    /// in again, between the calls of others. One that cannot is kept: the server still serves it.
    fn heed_passwords(&self) {
        let login = self.0.directory.login();
        let now = login.passwords.get();
        {
            let mut seen = self.0.passwords.lock().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&seen, &now) {
                return;
            }
            *seen = Arc::clone(&now);
        }
        let shared = Arc::clone(&self.0);
        background(async move {
            let mut links = shared.links();
            // Writers first: they find out whether the new password is taken.
            links.sort_by_key(|link| link.purpose() == Purpose::Reader);
            for link in links {
                if link.password().is_none_or(|password| now.contains(&password)) {
                    continue;
                }
                if link.purpose() == Purpose::Reader {
                    // It may be blocked for long, and a login would wait behind. What it waits for it
                    // still gets; whoever asks next has a connection with the new login.
                    link.retire("the password has changed: another connection takes its place");
                    continue;
                }
                match shared.opener.log_in(&link, shared.directory.login()).await {
                    Ok(taken) => link.set_password(taken),
                    Err(LinkError::Refused { code, why }) => {
                        tracing::warn!(code = %code, %why, "Redis refuses the new password; connections made with the old one go on");
                        return;
                    }
                    // The link broke: the next one is made with the new password.
                    Err(_) => {}
                }
            }
        });
    }
}

/// Ends the look at the topology however its task ends.
struct Looking(Arc<Shared>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.looking.store(false, Ordering::Release);
    }
}

impl Shared {
    fn slot(&self, purpose: Purpose, shard: u16) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((purpose, shard)).or_insert_with(|| {
            Arc::new(Slot { purpose, shard, state: watch::Sender::new(State::default()) })
        }))
    }

    fn all_slots(&self) -> Vec<Arc<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Every link that is not broken.
    fn links(&self) -> Vec<Link> {
        let link = |slot: &Arc<Slot>| slot.state.borrow().link.clone();
        self.all_slots().iter().filter_map(link).filter(|link| !link.is_broken()).collect()
    }

    /// Whether a link still goes to the right node; of a writer that does, what is known of its node. Of
    /// one look only the first question goes to the servers.
    async fn look_at(&self, link: &Link) -> Option<Known> {
        let known = self.directory.locate(&self.opener, link.shard()).await.ok()?;
        if *link.address() != known.node {
            // The nodes of a Cluster say themselves what is no longer theirs.
            if known.kind == Kind::Sentinel {
                link.retire(&format!("the Sentinels name {} as master now", known.node));
            }
            return None;
        }
        (link.purpose() == Purpose::Writer).then_some(known)
    }

    /// What a caller does now. Takes note of a link that broke, and begins an attempt when one is due.
    fn step(&self, slot: &Slot) -> Step {
        let now = self.clock.monotonic();
        let timeout = self.opener.timeout;
        let mut step = Step::Wait(timeout);
        slot.state.send_if_modified(|state| {
            if let Some(link) = &state.link {
                let Some(broken) = link.broken() else {
                    step = Step::Have(link.clone());
                    return false;
                };
                if link.take_doubt() {
                    self.directory.doubt();
                }
                state.failures = if link.age() < LIVED { state.failures + 1 } else { 0 };
                state.down = Some(Down {
                    since: broken.at,
                    why: LinkError::Away(broken.why.clone()),
                    not_before: if state.failures == 0 { now } else { now + pause(state.failures) },
                });
                state.link = None;
            }
            let patience = if state.failures > 1 { IMPATIENT.min(timeout) } else { timeout };
            if state.connecting {
                step = Step::Wait(patience);
                return false;
            }
            if let Some(down) = &state.down
                && now < down.not_before
            {
                step = Step::Fail(down.why.clone());
                return false;
            }
            state.connecting = true;
            step = Step::Attempt(patience);
            false
        });
        step
    }

    async fn connect(&self, slot: &Slot) -> Result<Link, LinkError> {
        let known = self.directory.locate(&self.opener, slot.shard).await?;
        let login = self.directory.login();
        let link = self.opener.open(&known.node, login, slot.purpose, slot.shard).await?;
        self.directory.verify(&self.opener, &link).await?;
        self.preflight.check(&link, &known).await?;
        match link.broken() {
            None => Ok(link),
            Some(broken) => Err(LinkError::Away(broken.why.clone())),
        }
    }
}

/// One attempt, beside the callers: it goes on when they give up.
async fn attempt(shared: Arc<Shared>, slot: Arc<Slot>) {
    let mut attempting = Attempting { shared: &shared, slot: &slot, result: None };
    let limit = shared.opener.timeout * STEPS;
    let result = tokio::time::timeout(limit, shared.connect(&slot)).await;
    attempting.result = Some(result.unwrap_or_else(|_| {
        Err(LinkError::Away(format!("no connection to Redis was made within {limit:?}")))
    }));
}

/// Ends an attempt, also one that panicked or was dropped.
struct Attempting<'a> {
    shared: &'a Shared,
    slot: &'a Slot,
    result: Option<Result<Link, LinkError>>,
}

impl Drop for Attempting<'_> {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| {
            Err(LinkError::Away("an attempt to connect to Redis was broken off".into()))
        });
        if result.is_err() {
            self.shared.directory.doubt();
        }
        let (wall, now) = (self.shared.clock.wall(), self.shared.clock.monotonic());
        self.slot.state.send_modify(|state| {
            state.connecting = false;
            match result {
                Ok(link) => {
                    state.link = Some(link);
                    state.down = None;
                }
                Err(why) => {
                    state.failures = state.failures.saturating_add(1);
                    let since = state.down.as_ref().map_or(wall, |down| down.since);
                    let not_before = now + pause(state.failures);
                    let why = match why {
                        LinkError::Refused { .. } => why,
                        other => LinkError::Away(match other {
                            LinkError::Away(why) | LinkError::Lost(why) => why,
                            other => other.to_string(),
                        }),
                    };
                    state.down = Some(Down { since, why, not_before });
                }
            }
        });
    }
}

/// The pause after this many failed attempts in a row, spread so that processes do not come together.
fn pause(failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let most = PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX);
    most.mul_f64(0.5 + fastrand::f64() / 2.0)
}

impl Slot {
    fn still_trying(&self, timeout: Duration) -> LinkError {
        match &self.state.borrow().down {
            Some(down) => down.why.clone(),
            None => LinkError::Away(format!("no connection to Redis was made within {timeout:?}")),
        }
    }

    fn node_state(&self) -> NodeState {
        let state = self.state.borrow();
        let broken = state.link.as_ref().and_then(|link| link.broken().cloned());
        let away = match (&broken, &state.down) {
            (Some(broken), _) => Some((broken.at, codes::REDIS_AWAY, broken.why.clone())),
            (None, Some(Down { since, why: LinkError::Refused { code, why }, .. })) => {
                Some((*since, *code, why.clone()))
            }
            (None, Some(down)) => Some((down.since, codes::REDIS_AWAY, down.why.to_string())),
            (None, None) => None,
        };
        let node = match broken {
            Some(_) => None,
            None => state.link.as_ref().map(|link| link.address().clone()),
        };
        NodeState { purpose: self.purpose, shard: self.shard, node, away }
    }
}
