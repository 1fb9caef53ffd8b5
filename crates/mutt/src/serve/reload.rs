//! What can change while the program runs: taken over from a configuration that was read again, and
//! from secrets that were rotated.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mutt_model::codes;
use tokio_util::sync::CancellationToken;

use super::snmp::{configured_communities, configured_users, configured_windows};
use super::stages::{configured_keys, configured_tokens, mib_places};
use super::summary::Summary;
use crate::config::keys::Apply;
use crate::config::live::LiveConfig;
use crate::config::{Config, ConfigError, Read};
use crate::mibs::live::{MibNames, Places};
use crate::secrets::Keyring;
use crate::services::ingestor::http::HttpDoor;
use crate::services::ingestor::snmp_door::{self, Communities};
use crate::services::ingestor::sources::Sources;
use crate::services::web_ui::Running;

/// The running parts that take something over.
#[derive(Default)]
pub(super) struct Reloaded {
    /// Tokens, and the configuration that is shown.
    pub(super) running: Option<Arc<Running>>,
    /// Ingest keys.
    pub(super) http: Option<Arc<HttpDoor>>,
    /// Known communities and users.
    pub(super) snmp: Option<snmp_door::Door>,
    /// Who may send.
    pub(super) sources: Option<Arc<Sources>>,
    /// Names of OIDs.
    pub(super) mibs: Arc<MibNames>,
    /// Whether an Ingestor of this process follows MIBs.
    pub(super) has_mibs: bool,
    /// Where MIBs are read from.
    pub(super) mib_places: Arc<ArcSwap<Places>>,
    /// Held while something is taken over, so that what was read last is what stays.
    pub(super) turn: Mutex<()>,
}

/// What was taken over of the communities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// All of it.
    Whole,
    /// The door would have been opened to any community, which needs a start.
    NotOpened,
}

/// Puts communities in force. The first one that is named closes the door at once; none any more would
/// open it to all, which nobody does by a slip of the pen: those that were known stay.
fn take_communities(in_force: &ArcSwap<Communities>, read: Communities) -> Taken {
    if read == Communities::Any && **in_force.load() != Communities::Any {
        return Taken::NotOpened;
    }
    in_force.store(Arc::new(read));
    Taken::Whole
}

impl Reloaded {
    /// Puts the secrets of the keyring in force. Where a list is empty, what the first start invented
    /// stays in force.
    fn secrets(&self, keyring: &Keyring, config: &ArcSwap<Config>) -> Taken {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at in our turn: it may have been read again while this one waited.
        let config = &*config.load_full();
        let mut taken = Taken::Whole;
        if let Some(running) = self.running.as_ref().filter(|_| !config.web_ui.tokens.is_empty()) {
            running.tokens.store(Arc::new(configured_tokens(keyring, config)));
        }
        if let (Some(door), Some(http)) = (&self.http, &config.ingestor.http)
            && !http.keys.is_empty()
        {
            door.keys.store(Arc::new(configured_keys(keyring, &http.keys)));
        }
        if let Some(sources) = &self.sources {
            sources.set_policy(config.ingestor.policy());
        }
        if let Some(snmp_door::Door { communities, usm, .. }) = &self.snmp {
            let (users, windows) = (configured_users(keyring, config), configured_windows(config));
            // A new password costs a hash over a mebibyte.
            tokio::task::block_in_place(|| usm.configure(users, windows));
            taken = take_communities(communities, configured_communities(keyring, config));
        }
        taken
    }
}

/// What is left to be told and reloaded once everything runs.
pub(super) struct Live {
    /// For people.
    pub(super) summary: Summary,
    pub(super) reloaded: Arc<Reloaded>,
    /// The configuration as it was read last.
    pub(super) config: Arc<ArcSwap<Config>>,
    /// The same with the settings over it.
    pub(super) settings: Arc<LiveConfig>,
    pub(super) keyring: Keyring,
}

impl Live {
    /// Takes over what can change while running from a configuration read again; what is wrong leaves
    /// the running one in force.
    pub(super) fn reload(&self, read: Result<Read, Vec<ConfigError>>, running: &Config) {
        let read = match read {
            Ok(read) => read,
            Err(errors) => {
                for error in errors {
                    tracing::error!(code = %error.code, "{error}; the running configuration stays in force");
                }
                return;
            }
        };
        let config = read.config.clone();
        self.keyring.declare(&config);
        self.config.store(Arc::new(config.clone()));
        let taken = self.reloaded.secrets(&self.keyring, &self.config);
        self.reloaded.mib_places.store(Arc::new(mib_places(&config)));
        self.reloaded.mibs.ring();
        self.settings.rebase(read);
        let changed = crate::config::diff(running, &config);
        let mut needs_restart: Vec<&str> =
            changed.iter().filter(|c| c.apply == Apply::Start).map(|c| c.key.as_str()).collect();
        if taken == Taken::NotOpened {
            needs_restart.push("ingestor.snmp.communities");
            tracing::warn!(code = %codes::CONFIG_UNSAFE, "no SNMP community and no user is named any more, so that any community would be taken: those that were known stay in force until a restart");
        }
        tracing::info!(?needs_restart, "the configuration was read again");
    }
}

/// Puts secrets in force as they change, until `stop`.
pub(super) async fn follow_secrets(
    keyring: Keyring,
    reloaded: Arc<Reloaded>,
    config: Arc<ArcSwap<Config>>,
    stop: CancellationToken,
) -> Result<(), String> {
    let mut changes = keyring.changes();
    loop {
        // Listen before looking, so that a change in between is not missed.
        changes.borrow_and_update();
        // What a reload has to say of it is said there.
        let _ = reloaded.secrets(&keyring, &config);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::Secret;

    use super::*;

    #[test]
    fn the_door_is_closed_at_once_and_opened_only_by_a_start() {
        let known = |names: &[&str]| {
            Communities::Known(names.iter().map(|name| Secret::new(*name)).collect())
        };
        let check = |before: Communities, read: Communities, after: Communities| {
            let in_force = ArcSwap::from_pointee(before);
            let taken = take_communities(&in_force, read.clone());
            assert_eq!(**in_force.load(), after);
            assert_eq!(taken == Taken::NotOpened, read != after, "{read:?}");
        };
        check(Communities::Any, known(&["a"]), known(&["a"]));
        check(Communities::Any, known(&[]), known(&[]));
        check(Communities::Any, Communities::Any, Communities::Any);
        check(known(&["a"]), known(&["b"]), known(&["b"]));
        check(known(&["a"]), Communities::Any, known(&["a"]));
        check(known(&[]), Communities::Any, known(&[]));
    }
}
