//! What can change while the program runs: taken over from a configuration that was read again.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mutt_model::Secret;

use super::ServeError;
use super::stages::{configured_keys, configured_tokens, resolve_all};
use super::summary::Summary;
use crate::config::keys::Apply;
use crate::config::{Config, ConfigError};
use crate::services::ingestor::http::HttpDoor;
use crate::services::web_ui::Running;
use crate::telemetry::logs;

/// The running parts that take something over.
#[derive(Default)]
pub(super) struct Reloaded {
    /// Tokens, and the configuration that is shown.
    pub(super) running: Option<Arc<Running>>,
    /// Ingest keys.
    pub(super) http: Option<Arc<HttpDoor>>,
    /// Known communities.
    pub(super) communities: Option<Arc<ArcSwap<Vec<Secret>>>>,
}

/// What is left to be told and reloaded once everything runs.
pub(super) struct Live {
    /// For people.
    pub(super) summary: Summary,
    pub(super) reloaded: Reloaded,
}

impl Live {
    /// Takes over what can change while running from a configuration read again; what is wrong leaves
    /// the running one in force.
    pub(super) fn reload(&self, read: Result<Config, Vec<ConfigError>>, running: &Config) {
        let config = match read {
            Ok(config) => config,
            Err(errors) => {
                for error in errors {
                    tracing::error!(code = %error.code, "{error}; the running configuration stays in force");
                }
                return;
            }
        };
        self.secrets(&config);
        logs::set_level(&config.log.level);
        if let Some(live) = &self.reloaded.running {
            live.config.store(Arc::new(config.redacted()));
        }
        let changed = crate::config::diff(running, &config);
        let needs_restart: Vec<&str> =
            changed.iter().filter(|c| c.apply == Apply::Start).map(|c| c.key.as_str()).collect();
        tracing::info!(?needs_restart, "the configuration was read again");
    }

    /// Where a list is empty, what the first start invented stays in force.
    fn secrets(&self, config: &Config) {
        let stays = |error: ServeError| {
            tracing::error!(code = %error.code, "{error}; what runs stays in force");
        };
        let live = &self.reloaded;
        if let Some(running) = &live.running {
            match configured_tokens(config) {
                Ok(tokens) if !tokens.is_empty() => running.tokens.store(Arc::new(tokens)),
                Ok(_) => {}
                Err(error) => stays(error),
            }
        }
        if let (Some(door), Some(http)) = (&live.http, &config.ingestor.http) {
            match configured_keys(&http.keys) {
                Ok(keys) if !keys.is_empty() => door.keys.store(Arc::new(keys)),
                Ok(_) => {}
                Err(error) => stays(error),
            }
        }
        if let Some(communities) = &live.communities {
            match resolve_all("ingestor.snmp.communities", &config.ingestor.snmp.communities) {
                // None would open the door to any community: that needs a start.
                Ok(known) if known.is_empty() != communities.load().is_empty() => {}
                Ok(known) => communities.store(Arc::new(known)),
                Err(error) => stays(error),
            }
        }
    }
}
