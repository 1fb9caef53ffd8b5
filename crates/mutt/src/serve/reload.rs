//! What can change while the program runs: taken over from a configuration that was read again, and
//! from secrets that were rotated.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::stages::{configured_communities, configured_keys, configured_tokens};
use super::summary::Summary;
use crate::config::keys::Apply;
use crate::config::live::LiveConfig;
use crate::config::{Config, ConfigError, Read};
use crate::secrets::Keyring;
use crate::services::ingestor::http::HttpDoor;
use crate::services::ingestor::snmp_udp::Communities;
use crate::services::web_ui::Running;

/// The running parts that take something over.
#[derive(Default)]
pub(super) struct Reloaded {
    /// Tokens, and the configuration that is shown.
    pub(super) running: Option<Arc<Running>>,
    /// Ingest keys.
    pub(super) http: Option<Arc<HttpDoor>>,
    /// Known communities.
    pub(super) communities: Option<Arc<ArcSwap<Communities>>>,
}

impl Reloaded {
    /// Puts the secrets of the keyring in force. Where a list is empty, what the first start invented
    /// stays in force.
    fn secrets(&self, keyring: &Keyring, config: &Config) {
        if let Some(running) = self.running.as_ref().filter(|_| !config.web_ui.tokens.is_empty()) {
            running.tokens.store(Arc::new(configured_tokens(keyring, config)));
        }
        if let (Some(door), Some(http)) = (&self.http, &config.ingestor.http)
            && !http.keys.is_empty()
        {
            door.keys.store(Arc::new(configured_keys(keyring, &http.keys)));
        }
        if let Some(communities) = &self.communities {
            let known = configured_communities(keyring, config);
            // None would open the door to any community, and the first one would close it: that needs
            // a start.
            let same = |a: &Communities| matches!(a, Communities::Any);
            if same(&known) == same(&communities.load()) {
                communities.store(Arc::new(known));
            }
        }
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
        self.reloaded.secrets(&self.keyring, &config);
        self.settings.rebase(read);
        let changed = crate::config::diff(running, &config);
        let needs_restart: Vec<&str> =
            changed.iter().filter(|c| c.apply == Apply::Start).map(|c| c.key.as_str()).collect();
        tracing::info!(?needs_restart, "the configuration was read again");
        self.config.store(Arc::new(config));
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
        reloaded.secrets(&keyring, &config.load());
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}
