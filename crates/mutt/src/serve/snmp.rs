//! SNMP: the listeners' stages, and what of the configuration is put in force while they run.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::codes;
use mutt_wire::snmp::stream::MESSAGE_MAX;
use mutt_wire::snmp::usm::{Auth, Privacy, Window};

use super::ServeError;
use super::listeners::Bound;
use super::stages::Wiring;
use crate::config::Config;
use crate::config::snmp::{SnmpUser, TimeWindow};
use crate::secrets::Keyring;
use crate::services::ingestor::snmp_door::{Communities, Door};
use crate::services::ingestor::snmp_usm::{UserSpec, Usm, Windows};
use crate::services::ingestor::{Ingest, snmp_engine, snmp_udp, streams};
use crate::supervise::Phase;
use crate::telemetry::metrics::ServiceMetrics;

/// A message that was begun over TCP must be whole after this.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// When the kernel asks whether a silent sender is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

impl Wiring<'_> {
    pub(super) fn snmp(
        &mut self,
        ingest: &Arc<Ingest>,
        metrics: &ServiceMetrics,
        bound: &Bound,
    ) -> Result<(), ServeError> {
        if bound.snmp_udp.is_empty() && bound.snmp_streams.is_empty() {
            return Ok(());
        }
        let own = snmp_engine::start(&self.config.data_dir).map_err(|error| {
            let file = self.config.data_dir.join(snmp_engine::ENGINE_FILE);
            let message =
                format!("the SNMP engine's boots cannot be counted in {}: {error}", file.display());
            ServeError::new(codes::START_FAILED, message)
        })?;
        let usm = Usm::new(&own, self.clock.clone(), metrics);
        usm.configure(configured_users(self.keyring, self.config), configured_windows(self.config));
        let communities = configured_communities(self.keyring, self.config);
        let door = Door {
            communities: Arc::new(ArcSwap::from_pointee(communities)),
            names: Arc::clone(&self.live.mibs.names),
            usm,
            told: Arc::default(),
            dedup_window: self.config.ingestor.dedup_window_informs,
        };
        self.live.snmp = Some(door.clone());
        self.snmp_streams(ingest, bound, &door);
        for socket in &bound.snmp_udp {
            self.summary.snmp_udp.push(socket.local());
            let (ingest, socket, stop) =
                (Arc::clone(ingest), Arc::clone(socket), self.supervisor.stop().accepting);
            let door = door.clone();
            self.supervisor.start(Phase::Accepting, snmp_udp::NAME, move || {
                Box::pin(snmp_udp::run(
                    Arc::clone(&ingest),
                    Arc::clone(&socket),
                    door.clone(),
                    stop.clone(),
                ))
            });
        }
        Ok(())
    }

    fn snmp_streams(&mut self, ingest: &Arc<Ingest>, bound: &Bound, door: &Door) {
        let snmp = &self.config.ingestor.snmp;
        let limits = Arc::new(streams::Limits {
            max_message: MESSAGE_MAX,
            max_connections: snmp.max_connections,
            max_per_source: snmp.max_connections_per_source,
            idle_timeout: snmp.idle_timeout,
            message_timeout: MESSAGE_TIMEOUT,
            keepalive: KEEPALIVE,
            proxies: snmp.proxy_protocol.believed(&snmp.proxy_sources),
            options: Arc::default(),
            snmp: Some(door.clone()),
        });
        for socket in &bound.snmp_streams {
            self.summary.snmp_tcp.extend(socket.listener.local_addr());
            let (ingest, socket, stop) =
                (Arc::clone(ingest), Arc::clone(socket), self.supervisor.stop().accepting);
            let limits = Arc::clone(&limits);
            self.supervisor.start(Phase::Accepting, socket.name(), move || {
                Box::pin(streams::run(
                    Arc::clone(&ingest),
                    Arc::clone(&socket),
                    Arc::clone(&limits),
                    stop.clone(),
                ))
            });
        }
    }
}

/// The communities whose secrets are known.
pub(super) fn configured_communities(keyring: &Keyring, config: &Config) -> Communities {
    let snmp = &config.ingestor.snmp;
    if !snmp.communities.is_empty() {
        return Communities::Known(keyring.live("ingestor.snmp.communities").get().to_vec());
    }
    // Who names users and no community wants none.
    if snmp.users.is_empty() { Communities::Any } else { Communities::Known(Vec::new()) }
}

/// The SNMPv3 users with the passwords that are known.
pub(super) fn configured_users(keyring: &Keyring, config: &Config) -> Vec<UserSpec> {
    let spec = |user: &SnmpUser| {
        let secrets = |part: &str| keyring.live(&user.slot(part)).get();
        let auth = user.auth.as_ref().and_then(|auth| Auth::parse(&auth.protocol));
        let privacy = user.privacy.as_ref().and_then(|p| Privacy::parse(&p.protocol));
        UserSpec {
            label: user.label(),
            name: user.name.clone(),
            engine_id: user.engine_id.as_deref().and_then(snmp_engine::octets),
            auth: auth.map(|auth| (auth, secrets("auth"))),
            privacy: privacy.map(|privacy| (privacy, secrets("priv"))),
        }
    };
    config.ingestor.snmp.users.iter().map(spec).collect()
}

/// What becomes of traps outside the time window.
pub(super) fn configured_windows(config: &Config) -> Windows {
    let window = |window: TimeWindow| match window {
        TimeWindow::Reject => Window::Reject,
        TimeWindow::Warn => Window::Warn,
    };
    let snmp = &config.ingestor.snmp;
    let devices = snmp.devices.iter().map(|d| (d.sources.clone(), window(d.time_window)));
    Windows { usual: window(snmp.time_window), devices: devices.collect() }
}
