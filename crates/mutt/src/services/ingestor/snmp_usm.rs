//! SNMPv3 at the door: our engine with its users, which devices may be late, what is refused and told,
//! and how many reports may leave.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::codes::{self, Code};
use mutt_model::{Clock, Secret, Timestamp};
use mutt_wire::Frame;
use mutt_wire::snmp::names::Names;
use mutt_wire::snmp::usm::{
    Auth, Engine, Now, Privacy, Refusal, Refused, User, UserFault, Who, Window,
};
use mutt_wire::snmp::{self, Authentic};

use super::snmp_engine::OwnEngine;
use super::sources::UsmNote;
use super::told::Told;
use super::{Ingest, ListenerMetrics};
use crate::net::network::Network;
use crate::telemetry::metrics::{Counters, ServiceMetrics};

/// Reports that leave in one second, to all and to one address: we answer whoever asks, and must not be
/// made to answer somebody else.
pub const REPORTS_MAX: u32 = 1_000;
/// See [`REPORTS_MAX`].
pub const REPORTS_PER_ADDRESS_MAX: u32 = 100;
/// Refused senders (address, engine, user) that are counted apart.
pub const PENDING_MAX: usize = 1_024;

/// A user as it is configured, with the passwords that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// For words: the name, with the engine where it is of one.
    pub label: String,
    /// The security name.
    pub name: String,
    /// The one engine that it is of.
    pub engine_id: Option<Vec<u8>>,
    /// Protocol with current and next password.
    pub auth: Option<(Auth, Arc<[Secret]>)>,
    /// Protocol with current and next password.
    pub privacy: Option<(Privacy, Arc<[Secret]>)>,
}

impl UserSpec {
    /// Whether a password is still waited for.
    fn is_awaited(&self) -> bool {
        self.auth.as_ref().is_some_and(|(_, secrets)| secrets.is_empty())
            || self.privacy.as_ref().is_some_and(|(_, secrets)| secrets.is_empty())
    }

    /// One user for each pair of passwords: current, next. Hashes a mebibyte for each.
    fn users(&self) -> Result<Vec<Arc<User>>, UserFault> {
        let count = |secrets: Option<usize>| secrets.unwrap_or(1);
        let of_auth = count(self.auth.as_ref().map(|(_, secrets)| secrets.len()));
        let of_privacy = count(self.privacy.as_ref().map(|(_, secrets)| secrets.len()));
        let pick = |secrets: &Arc<[Secret]>, at: usize| -> Vec<u8> {
            let secret = secrets.get(at).or_else(|| secrets.last());
            secret.map(|secret| secret.expose().as_bytes().to_vec()).unwrap_or_default()
        };
        (0..of_auth.max(of_privacy))
            .map(|at| {
                let auth = self.auth.as_ref().map(|(auth, known)| (*auth, pick(known, at)));
                let privacy =
                    self.privacy.as_ref().map(|(privacy, known)| (*privacy, pick(known, at)));
                User::new(
                    self.name.as_bytes(),
                    self.engine_id.as_deref(),
                    auth.as_ref().map(|(auth, password)| (*auth, password.as_slice())),
                    privacy.as_ref().map(|(privacy, password)| (*privacy, password.as_slice())),
                )
                .map(Arc::new)
            })
            .collect()
    }
}

/// What becomes of traps outside the time window, by the address of their sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// Of everyone else.
    pub usual: Window,
    /// The first that names the address counts.
    pub devices: Vec<(Vec<Network>, Window)>,
}

impl Windows {
    fn of(&self, peer: IpAddr) -> Window {
        let named = |(networks, _): &&(Vec<Network>, Window)| {
            networks.iter().any(|network| network.contains(peer))
        };
        self.devices.iter().find(named).map_or(self.usual, |(_, window)| *window)
    }
}

/// Address, engine id and user of a sender that was refused.
type PendingKey = (IpAddr, String, String);

/// See the module.
#[derive(Debug)]
pub struct Usm {
    engine: Mutex<Engine>,
    /// Users by specification, so that nothing is hashed again that is known.
    users: Mutex<Vec<(UserSpec, Vec<Arc<User>>)>>,
    windows: ArcSwap<Windows>,
    reports: Mutex<Reports>,
    /// When each was refused last, since the users were last changed: for the gauge. The registry of
    /// sources has more of them.
    pending: Mutex<HashMap<PendingKey, Timestamp>>,
    told: [Told; Refusal::ALL.len()],
    late: Told,
    clock: Clock,
    started: Duration,
    results: Counters,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Usm {
    /// A door without users.
    #[must_use]
    pub fn new(own: &OwnEngine, clock: Clock, metrics: &ServiceMetrics) -> Arc<Self> {
        let usm = Arc::new(Self {
            engine: Mutex::new(Engine::new(&own.id, own.boots)),
            users: Mutex::default(),
            windows: ArcSwap::default(),
            reports: Mutex::default(),
            pending: Mutex::default(),
            told: Default::default(),
            late: Told::default(),
            started: clock.monotonic(),
            clock,
            results: metrics.counters(&mutt_model::metrics::INGEST_USM),
        });
        let engines = metrics.gauge(&mutt_model::metrics::INGEST_USM_ENGINES);
        let pending = metrics.gauge(&mutt_model::metrics::INGEST_USM_PENDING);
        let shown = Arc::clone(&usm);
        metrics.on_scrape(move || {
            engines.set(held(&shown.engine).engines() as f64);
            pending.set(held(&shown.pending).len() as f64);
        });
        usm
    }

    /// Puts users and windows in force. Passwords that are known already are not hashed again.
    pub fn configure(&self, specs: Vec<UserSpec>, windows: Windows) {
        self.windows.store(Arc::new(windows));
        let mut known = held(&self.users);
        if known.iter().map(|(spec, _)| spec).eq(specs.iter()) {
            return;
        }
        let mut old = std::mem::take(&mut *known);
        for spec in specs {
            let kept = old.iter().position(|(known, _)| *known == spec);
            let users = match kept {
                Some(at) => old.swap_remove(at).1,
                None if spec.is_awaited() => Vec::new(),
                None => spec.users().unwrap_or_else(|fault| {
                    tracing::error!(code = %codes::CONFIG_SECRET, user = spec.label, %fault, "an SNMPv3 user is not taken: mend its secret in ingestor.snmp.users");
                    Vec::new()
                }),
            };
            known.push((spec, users));
        }
        let all: Vec<Arc<User>> = known.iter().flat_map(|(_, users)| users).cloned().collect();
        held(&self.engine).set_users(&all);
        // Who was refused may be welcome now.
        held(&self.pending).clear();
    }

    fn now(&self) -> Now {
        let seconds = self.clock.monotonic().saturating_sub(self.started).as_secs();
        Now(u32::try_from(seconds).unwrap_or(u32::MAX / 2))
    }

    /// Opens a message, or says why not; what is refused is counted, told, and shown as pending.
    ///
    /// # Errors
    ///
    /// The report that the sender is owed, where it is and may leave.
    pub fn open<'a>(
        &self,
        (ingest, metrics): (&Ingest, &ListenerMetrics),
        peer: IpAddr,
        frame: Frame<'a>,
        names: &Names,
    ) -> Result<Authentic<'a>, Option<Vec<u8>>> {
        let window = self.windows.load().of(peer);
        let received_at = frame.received_at;
        let opened = snmp::decode_v3(frame, names, &mut held(&self.engine), self.now(), window);
        let refused = match opened {
            Ok(authentic) => {
                ingest.sources.usm(peer, received_at, note_of(&authentic.who, None));
                if authentic.late {
                    self.count(metrics, "late");
                    if self.late.is_news(peer, self.clock.monotonic()) {
                        tracing::warn!(code = %codes::INGEST_USM_TIME, %peer, "an SNMPv3 trap outside the time window was taken and flagged, as ingestor.snmp wants for this device; the next ones are only counted for a minute");
                    }
                }
                return Ok(authentic);
            }
            Err(refused) => refused,
        };
        let why = refused.why;
        self.count(metrics, why.reason());
        if why.is_drop() {
            ingest.dropped(metrics, why.reason(), 1);
            self.note(peer, received_at, &refused);
            let note = note_of(&refused.who, Some(words(why)));
            ingest.sources.usm(peer, received_at, note);
        } else {
            metrics.gave_back(1);
        }
        Err(refused.report.filter(|_| held(&self.reports).may_leave(peer, self.now())))
    }

    fn count(&self, metrics: &ListenerMetrics, result: &str) {
        let labels = vec![("listener", metrics.name.to_owned()), ("result", result.to_owned())];
        self.results.get_or_create(&labels).inc();
    }

    /// The log, and the count of who is pending.
    fn note(&self, peer: IpAddr, at: Timestamp, refused: &Refused) {
        let Refused { why, who, .. } = refused;
        let index = Refusal::ALL.iter().position(|known| known == why).unwrap_or(0);
        if self.told[index].is_news(peer, self.clock.monotonic()) {
            let (code, advice) = advice(*why);
            tracing::warn!(%code, %peer, engine_id = who.engine_id, user = %shown(&who.user), level = who.level, reason = why.reason(), "an SNMPv3 message was dropped: {advice}; its next ones are only counted for a minute");
        }
        let key = (peer, who.engine_id.clone(), who.user.clone());
        let mut pending = held(&self.pending);
        if pending.len() >= PENDING_MAX && !pending.contains_key(&key) {
            let oldest = pending.iter().min_by_key(|(_, last)| **last).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            pending.remove(&oldest);
        }
        pending.insert(key, at);
    }
}

/// What the registry of sources is told of a message.
fn note_of<'a>(who: &'a Who, error: Option<&'static str>) -> UsmNote<'a> {
    UsmNote {
        engine_id: &who.engine_id,
        user: &who.user,
        level: who.level,
        error,
        boots: who.boots,
        time: who.time,
    }
}

/// A refusal as the registry of sources shows it; what begins with `unknown` waits for somebody.
const fn words(why: Refusal) -> &'static str {
    match why {
        Refusal::UnknownUser => "unknown user",
        Refusal::UnknownEngine | Refusal::Discovery => "unknown engine",
        Refusal::Level => "unsupported level",
        Refusal::Digest => "wrong digest",
        Refusal::Decryption => "decryption error",
        Refusal::Time | Refusal::TimeSync => "not in time window",
        Refusal::Malformed => "malformed",
        Refusal::SecurityModel => "security model",
    }
}

/// A name as strangers write it, fit for a log.
fn shown(name: &str) -> String {
    name.chars().take(32).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The code of a refusal, and what to do.
fn advice(why: Refusal) -> (Code, &'static str) {
    match why {
        Refusal::UnknownUser => (
            codes::INGEST_USM_USER,
            "no such user; add it to ingestor.snmp.users, or mend the device's user name",
        ),
        Refusal::UnknownEngine | Refusal::Discovery => (
            codes::INGEST_USM_ENGINE,
            "no entry of this user is for this engine; add one with this engine_id, or one without",
        ),
        Refusal::Level => (
            codes::INGEST_USM_LEVEL,
            "the user is not configured for this level, or must not send without authentication; give device and ingestor.snmp.users the same",
        ),
        Refusal::Digest => (
            codes::INGEST_USM_DIGEST,
            "another authentication password or protocol than in ingestor.snmp.users, or forged",
        ),
        Refusal::Decryption => (
            codes::INGEST_USM_DECRYPTION,
            "another privacy password or protocol than in ingestor.snmp.users; with AES-192 and AES-256 try the other form of the key (-C)",
        ),
        Refusal::Time | Refusal::TimeSync => (
            codes::INGEST_USM_TIME,
            "older than what its engine said before; mend the device's clock or boots, or set time_window = \"warn\" for it in ingestor.snmp.devices",
        ),
        Refusal::Malformed | Refusal::SecurityModel => (
            codes::INGEST_USM_MALFORMED,
            "it cannot be read as an SNMPv3 message of the User-based Security Model",
        ),
    }
}

/// Reports of the running second.
#[derive(Debug, Default)]
struct Reports {
    second: u32,
    all: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Reports {
    fn may_leave(&mut self, peer: IpAddr, Now(second): Now) -> bool {
        if self.second != second {
            *self = Self { second, ..Self::default() };
        }
        if self.all >= REPORTS_MAX {
            return false;
        }
        let count = self.by_address.entry(peer).or_default();
        if *count >= REPORTS_PER_ADDRESS_MAX {
            return false;
        }
        *count += 1;
        self.all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_makes_us_send_more_reports_than_we_may() {
        let mut reports = Reports::default();
        let at = |n: u32| IpAddr::from(n.to_be_bytes());
        let to_one = (0..500).filter(|_| reports.may_leave(at(1), Now(5))).count();
        assert_eq!(to_one, 100);
        let to_all = (2..5_000).filter(|n| reports.may_leave(at(*n), Now(5))).count();
        assert_eq!(to_all, 900);
        assert!(reports.by_address.len() <= 1_001);
        assert!(reports.may_leave(at(1), Now(6)), "the next second is another one");
    }

    #[test]
    fn a_device_has_the_window_of_the_first_entry_that_names_it() {
        let networks = |text: &str| vec![Network::parse(text).unwrap()];
        let windows = Windows {
            usual: Window::Reject,
            devices: vec![
                (networks("192.0.2.7"), Window::Reject),
                (networks("192.0.2.0/24"), Window::Warn),
            ],
        };
        let check = |peer: &str, expected| {
            assert_eq!(windows.of(peer.parse().unwrap()), expected, "{peer}");
        };
        check("192.0.2.7", Window::Reject);
        check("192.0.2.8", Window::Warn);
        check("::ffff:192.0.2.8", Window::Warn);
        check("198.51.100.1", Window::Reject);
        check("::1", Window::Reject);
    }

    #[test]
    fn current_and_next_passwords_make_a_user_each() {
        let secrets = |all: &[&str]| all.iter().map(|text| Secret::new(*text)).collect();
        let mut spec = UserSpec {
            label: "u".to_owned(),
            name: "u".to_owned(),
            engine_id: None,
            auth: Some((Auth::Sha1, secrets(&["password-1", "password-2"]))),
            privacy: Some((Privacy::Aes128, secrets(&["password-3"]))),
        };
        assert_eq!(spec.users().unwrap().len(), 2);
        spec.auth = Some((Auth::Sha1, secrets(&["short"])));
        assert_eq!(spec.users(), Err(UserFault::ShortPassword));
        spec.auth = Some((Auth::Sha1, secrets(&[])));
        assert!(spec.is_awaited());
    }
}
