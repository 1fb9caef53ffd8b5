//! Binds every listener of this process before anything is opened or started.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use mutt_model::codes;

use super::ServeError;
use crate::config::{Config, StreamListener, TlsConfig};
use crate::net::http::{self, HttpListener};
use crate::net::tls::{Tls, TlsFiles};
use crate::net::udp;
use crate::secrets::Keyring;
use crate::services::Service;
use crate::services::ingestor::streams::{Door, Protocol};

/// Connections that a port for health and metrics takes.
pub(super) const HEALTH_CONNECTIONS_MAX: usize = 64;

/// Bound listeners; `None` where the service does not run here.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// HTTP ingest.
    pub(super) ingest_http: Option<Arc<HttpListener>>,
    /// Syslog datagrams.
    pub(super) syslog_udp: Vec<Arc<udp::Listener>>,
    /// Syslog over TCP and TLS, RELP.
    pub(super) syslog_streams: Vec<Arc<Door>>,
    /// Traps and informs.
    pub(super) snmp_udp: Vec<Arc<udp::Listener>>,
    /// The same over TCP.
    pub(super) snmp_streams: Vec<Arc<Door>>,
    /// Health and metrics of the Alerter.
    pub(super) alerter: Vec<Arc<HttpListener>>,
    /// Health and metrics of the Moog Forwarder.
    pub(super) moog_forwarder: Vec<Arc<HttpListener>>,
    /// Health and metrics of Remediation.
    pub(super) remediation: Vec<Arc<HttpListener>>,
    /// API and pages.
    pub(super) web_ui: Option<Arc<HttpListener>>,
}

/// Binds what the services need.
pub(super) fn bind(
    config: &Config,
    services: &[Service],
    keyring: &Keyring,
) -> Result<Bound, ServeError> {
    let mut bound = Bound::default();
    let has = |service| services.contains(&service);
    if has(Service::Ingestor) {
        bind_ingestor(config, keyring, &mut bound)?;
    }
    let health = |key: &str, addresses: [Option<SocketAddr>; 2]| -> Result<Vec<_>, ServeError> {
        let bind = |address| bind_http(key, address, None, HEALTH_CONNECTIONS_MAX);
        addresses.into_iter().flatten().map(bind).collect()
    };
    if has(Service::Alerter) {
        let c = &config.alerter;
        bound.alerter = health("alerter.listen", [Some(c.listen), c.metrics_listen])?;
    }
    if has(Service::MoogForwarder) {
        let c = &config.moog_forwarder;
        bound.moog_forwarder = health("moog_forwarder.listen", [Some(c.listen), c.metrics_listen])?;
    }
    if has(Service::Remediation) {
        let c = &config.remediation;
        bound.remediation = health("remediation.listen", [Some(c.listen), c.metrics_listen])?;
    }
    if has(Service::WebUi) {
        let c = &config.web_ui;
        let tls =
            c.tls.as_ref().map(|tls| load_tls("web_ui.tls", tls, keyring, true)).transpose()?;
        bound.web_ui = Some(bind_http("web_ui.listen", c.listen, tls, c.max_connections)?);
    }
    Ok(bound)
}

fn bind_ingestor(config: &Config, keyring: &Keyring, bound: &mut Bound) -> Result<(), ServeError> {
    let ingestor = &config.ingestor;
    if let Some(c) = &ingestor.http {
        let tls = c.tls.as_ref().map(|tls| load_tls("ingestor.http.tls", tls, keyring, true));
        let tls = tls.transpose()?;
        let listener = bind_http("ingestor.http.listen", c.listen, tls, c.max_connections)?;
        bound.ingest_http = Some(listener);
    }
    let buffer = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let syslog = &ingestor.syslog;
    for address in &syslog.udp {
        let asked = buffer(syslog.receive_buffer);
        let sockets = udp::Listener::bind_many(*address, asked, syslog.udp_sockets)
            .map_err(|error| taken("ingestor.syslog.udp", *address, &error))?;
        small_buffer(&sockets);
        bound.syslog_udp.extend(sockets.into_iter().map(Arc::new));
    }
    for address in &syslog.tcp {
        let door = StreamListener { listen: *address, tls: None };
        bound.syslog_streams.push(bind_stream("tcp", &door, Protocol::Syslog, keyring)?);
    }
    for door in &syslog.tls {
        bound.syslog_streams.push(bind_stream("tls", door, Protocol::Syslog, keyring)?);
    }
    for door in &syslog.relp {
        bound.syslog_streams.push(bind_stream("relp", door, Protocol::Relp, keyring)?);
    }
    for address in &ingestor.snmp.tcp {
        let listener =
            http::bind(*address).map_err(|error| taken("ingestor.snmp.tcp", *address, &error))?;
        bound.snmp_streams.push(Arc::new(Door { listener, protocol: Protocol::Snmp, tls: None }));
    }
    for address in &ingestor.snmp.udp {
        let asked = buffer(ingestor.snmp.receive_buffer);
        let socket = udp::Listener::bind(*address, asked)
            .map_err(|error| taken("ingestor.snmp.udp", *address, &error))?;
        small_buffer(std::slice::from_ref(&socket));
        bound.snmp_udp.push(Arc::new(socket));
    }
    Ok(())
}

fn bind_http(
    key: &str,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    connections_max: usize,
) -> Result<Arc<HttpListener>, ServeError> {
    HttpListener::bind(address, tls, connections_max)
        .map(Arc::new)
        .map_err(|error| taken(key, address, &error))
}

/// Loads certificate and key; a key that Vault is to give is waited for, everything else must be there.
fn load_tls(
    key: &str,
    tls: &TlsConfig,
    keyring: &Keyring,
    tickets: bool,
) -> Result<Arc<Tls>, ServeError> {
    let wrong = |why: String| ServeError::new(codes::CONFIG_SECRET, format!("{key}: {why}"));
    let reference = tls.key.clone();
    let (keys, changes) = (keyring.clone(), keyring.changes());
    let files = TlsFiles {
        cert: tls.cert.clone(),
        key: Arc::new(move || keys.get(&reference).map_err(|error| error.to_string())),
        client_ca: tls.client_ca.clone(),
        tickets,
        key_version: Arc::new(move || *changes.borrow()),
    };
    if tls.key.is_vault() && keyring.get(&tls.key).is_err() {
        return Ok(Arc::new(Tls::waiting(files)));
    }
    Tls::load(files).map(Arc::new).map_err(wrong)
}

fn bind_stream(
    name: &str,
    door: &StreamListener,
    protocol: Protocol,
    keyring: &Keyring,
) -> Result<Arc<Door>, ServeError> {
    let key = format!("ingestor.syslog.{name}");
    let tls = door.tls.as_ref().map(|tls| load_tls(&key, tls, keyring, false)).transpose()?;
    let listener = http::bind(door.listen).map_err(|error| taken(&key, door.listen, &error))?;
    Ok(Arc::new(Door { listener, protocol, tls }))
}

fn small_buffer(sockets: &[udp::Listener]) {
    if let Some(socket) = sockets.iter().find(|socket| socket.granted < socket.asked) {
        let (address, asked) = (socket.local(), socket.asked);
        tracing::warn!(
            code = %codes::INGEST_RCVBUF, %address, asked, granted = socket.granted,
            "the kernel granted a smaller receive buffer; sysctl -w net.core.rmem_max={asked}"
        );
    }
}

fn taken(key: &str, address: SocketAddr, error: &std::io::Error) -> ServeError {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "a port below 1024 needs the capability CAP_NET_BIND_SERVICE (in the unit: AmbientCapabilities=CAP_NET_BIND_SERVICE), or set {key} to a port above 1023"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("this host has no such address; set {key} to one that it has")
        }
        _ => {
            format!("stop the program that holds the port, or set {key} to another address")
        }
    };
    let message = format!("{key}: cannot listen on {address}: {error}; {advice}");
    ServeError::new(codes::INGEST_BIND, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_cannot_be_bound_comes_with_its_own_advice() {
        let check = |kind: ErrorKind, words: &str| {
            let address = SocketAddr::from(([127, 0, 0, 1], 514));
            let error = taken("ingestor.syslog.udp", address, &kind.into());
            assert_eq!(error.code, codes::INGEST_BIND);
            assert!(error.message.contains(words), "{}", error.message);
        };
        check(ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE");
        check(ErrorKind::PermissionDenied, "set ingestor.syslog.udp to a port above 1023");
        check(ErrorKind::AddrNotAvailable, "this host has no such address");
        check(ErrorKind::AddrInUse, "stop the program that holds the port");
    }
}
