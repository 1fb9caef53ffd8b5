//! The Ingestor's stages: syslog, HTTP ingest, names of MIBs, what is watched of sockets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use mutt_model::codes;
use mutt_store::queue::EventQueue;

use super::super::ServeError;
use super::super::engines::Engines;
use super::super::listeners::Bound;
use super::{Wiring, first_start, scheme};
use crate::config::{Config, IngestKey, ingest_key_slot};
use crate::mibs;
use crate::secrets::Keyring;
use crate::services::Service;
use crate::services::ingestor::http::{HttpDoor, Key, Limits, Rate};
use crate::services::ingestor::{Ingest, http, snmp_udp, streams, syslog_udp};
use crate::supervise::Phase;
use crate::telemetry::metrics::{ServiceMetrics, raise_to};

impl Wiring<'_> {
    pub(super) fn ingestor(
        &mut self,
        queue: &Arc<dyn EventQueue>,
        bound: &Bound,
    ) -> Result<(), ServeError> {
        let metrics = self.metrics();
        let ingest = Arc::new(Ingest::new(
            Arc::clone(queue),
            self.clock.clone(),
            Arc::clone(self.board),
            &metrics,
        ));
        self.sources(&ingest);
        self.syslog(&ingest, bound);
        self.snmp(&ingest, &metrics, bound)?;
        watch_sockets(&ingest, &metrics, bound);
        if let Some(listener) = &bound.ingest_http {
            let door = self.http_door(&ingest)?;
            self.live.http = Some(Arc::clone(&door));
            if let Ok(address) = listener.local() {
                self.summary.ingest_http = Some((scheme(listener), address));
            }
            let open = ingest
                .metrics
                .connections
                .get_or_create(&vec![("listener", http::NAME.to_owned())])
                .clone();
            let refused = ingest
                .metrics
                .refused
                .get_or_create(&vec![("listener", http::NAME.to_owned())])
                .clone();
            let watched = Arc::clone(listener);
            metrics.on_scrape(move || {
                open.set(watched.open.load(Ordering::Relaxed) as f64);
                raise_to(&refused, watched.refused.load(Ordering::Relaxed) as u64);
            });
            self.serve(Service::Ingestor, listener, &metrics, http::router(door));
        }
        Ok(())
    }

    /// Who may send, and whom this Ingestor hears.
    fn sources(&mut self, ingest: &Arc<Ingest>) {
        let ingestor = &self.config.ingestor;
        ingest.sources.set_max(usize::try_from(ingestor.max_sources).unwrap_or(usize::MAX));
        ingest.sources.set_policy(ingestor.policy());
        self.live.sources = Some(Arc::clone(&ingest.sources));
        self.ingest = Some(Arc::clone(ingest));
    }

    fn syslog(&mut self, ingest: &Arc<Ingest>, bound: &Bound) {
        let syslog = &self.config.ingestor.syslog;
        let max_message = usize::try_from(syslog.max_message).unwrap_or(usize::MAX);
        let options = syslog.options();
        let reading = syslog_udp::Reading { max_message, options: options.clone() };
        for socket in &bound.syslog_udp {
            self.summary.syslog_udp.push(socket.local());
            let (ingest, socket, stop) =
                (Arc::clone(ingest), Arc::clone(socket), self.supervisor.stop().accepting);
            let reading = reading.clone();
            self.supervisor.start(Phase::Accepting, syslog_udp::NAME, move || {
                Box::pin(syslog_udp::run(
                    Arc::clone(&ingest),
                    Arc::clone(&socket),
                    reading.clone(),
                    stop.clone(),
                ))
            });
        }
        // Sockets that share an address are one listener to those who send.
        self.summary.syslog_udp.dedup();
        let limits = Arc::new(streams::Limits {
            max_message,
            max_connections: syslog.max_connections,
            max_per_source: syslog.max_connections_per_source,
            idle_timeout: syslog.idle_timeout,
            message_timeout: syslog.message_timeout,
            keepalive: syslog.keepalive,
            proxies: syslog.proxy_protocol.believed(&syslog.proxy_sources),
            options: Arc::new(options),
            snmp: None,
        });
        for door in &bound.syslog_streams {
            if let Ok(address) = door.listener.local_addr() {
                self.summary.syslog_streams.push((door.name(), address));
            }
            let (ingest, door, stop) =
                (Arc::clone(ingest), Arc::clone(door), self.supervisor.stop().accepting);
            let limits = Arc::clone(&limits);
            self.supervisor.start(Phase::Accepting, door.name(), move || {
                Box::pin(streams::run(
                    Arc::clone(&ingest),
                    Arc::clone(&door),
                    Arc::clone(&limits),
                    stop.clone(),
                ))
            });
        }
    }

    /// Names of MIBs are read beside everything else: what is built in is in force meanwhile.
    pub(super) fn mibs(&mut self, engines: &Engines) {
        let loading = mibs::live::Loading {
            mibs: Arc::clone(&self.live.mibs),
            places: Arc::clone(&self.live.mib_places),
            store: engines.told().cloned(),
            clock: self.clock.clone(),
        };
        loading.places.store(Arc::new(mib_places(self.config)));
        self.live.has_mibs = true;
        let stop = self.supervisor.stop().accepting;
        self.supervisor.start(Phase::Accepting, "mibs", move || {
            Box::pin(mibs::live::follow(loading.clone(), stop.clone()))
        });
    }

    fn http_door(&mut self, ingest: &Arc<Ingest>) -> Result<Arc<HttpDoor>, ServeError> {
        let Some(http) = &self.config.ingestor.http else {
            return Err(ServeError::new(codes::START_FAILED, "no [ingestor.http]"));
        };
        let mut keys = configured_keys(self.keyring, &http.keys);
        if keys.is_empty() {
            let first = first_start(self.config)?;
            self.summary.ingest_key = Some(first.ingest_key_file);
            let (name, secrets) = ("ingest-key".to_owned(), vec![first.ingest_key]);
            keys.push(Key { name, secrets, rate: None });
        }
        Ok(Arc::new(HttpDoor {
            metrics: ingest.listener(http::NAME),
            ingest: Arc::clone(ingest),
            keys: ArcSwap::from_pointee(keys),
            limits: Limits::default(),
            keyring: self.keyring.clone(),
            options: self.config.ingestor.syslog.options(),
            names: Arc::clone(&self.live.mibs.names),
            max_body: usize::try_from(http.max_body).unwrap_or(usize::MAX),
            max_records: http.max_records,
            timeout: http.request_timeout,
            dedup_window: self.config.ingestor.dedup_window_http,
        }))
    }
}

/// Where this configuration has MIBs.
pub(in crate::serve) fn mib_places(config: &Config) -> mibs::live::Places {
    let folders = config.ingestor.snmp.mib_dirs.iter().map(std::path::PathBuf::from).collect();
    mibs::live::Places { data_dir: config.data_dir.clone(), folders }
}

/// The ingest keys; one whose secret is waited for has none.
pub(in crate::serve) fn configured_keys(keyring: &Keyring, keys: &[IngestKey]) -> Vec<Key> {
    let known = |key: &IngestKey| Key {
        name: key.name.clone(),
        secrets: keyring.live(&ingest_key_slot(&key.name)).get().to_vec(),
        rate: key.rate.map(|per_second| Rate::new(per_second, key.burst)),
    };
    keys.iter().map(known).collect()
}

/// Kernel drops and granted buffers of the UDP sockets, at each scrape.
fn watch_sockets(ingest: &Arc<Ingest>, metrics: &Arc<ServiceMetrics>, bound: &Bound) {
    let mut sockets = Vec::new();
    let mut numbers = HashMap::new();
    let listeners = bound.syslog_udp.iter().map(|s| (syslog_udp::NAME, s));
    for (name, socket) in listeners.chain(bound.snmp_udp.iter().map(|s| (snmp_udp::NAME, s))) {
        // The second and later sockets of one address are told apart by their number.
        let number: &mut u32 = numbers.entry(socket.local()).or_default();
        *number += 1;
        let shown = match *number {
            1 => socket.local().to_string(),
            number => format!("{}#{number}", socket.local()),
        };
        let labels = vec![("listener", name.to_owned()), ("socket", shown.clone())];
        ingest.metrics.receive_buffer.get_or_create(&labels).set(socket.granted as f64);
        let drops = ingest.metrics.kernel_drops.get_or_create(&labels).clone();
        let waiting = ingest.metrics.receive_queue.get_or_create(&labels).clone();
        if let Some(inode) = socket.inode() {
            ingest.watch_socket(name, &shown, inode, socket.granted);
            sockets.push((inode, drops, waiting));
        }
    }
    metrics.on_scrape(move || {
        let listed = crate::net::kernel::udp_sockets();
        for (inode, drops, waiting) in &sockets {
            let state = listed.get(inode).copied().unwrap_or_default();
            raise_to(drops, state.drops);
            waiting.set(state.waiting as f64);
        }
    });
}
