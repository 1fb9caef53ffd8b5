//! Doors for streams (TCP, TLS, RELP): who may connect and how many, which proxy is believed, the TLS
//! handshake. Behind them a connection speaks syslog or RELP.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use mutt_model::codes::{self, Code};
use mutt_wire::proxy::{self, Parsed};
use mutt_wire::syslog;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection::{Ended, HALF_CLOSE_WAIT, Intake, Proxy, Sender};
use super::{Ingest, ListenerMetrics, relp, snmp_tcp, syslog_tcp};
use crate::net::certificate;
use crate::net::http::{ACCEPT_PAUSE, HANDSHAKE_TIMEOUT, stop_listening};
use crate::net::network::{Network, host_of};
use crate::net::tls::Tls;

/// TLS handshakes of one listener that are under way at one time.
pub const HANDSHAKES_MAX: usize = 256;
/// Of these, those of one source: who opens connections and says nothing holds up itself.
pub const HANDSHAKES_PER_SOURCE_MAX: usize = 16;
/// How long a connection waits for its turn with the handshake.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// A proxy that has not sent its header after this time is closed.
pub const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Unanswered questions of the kernel after which a connection is closed, and the pause between them.
pub const KEEPALIVE_PROBES: u32 = 3;
/// See [`KEEPALIVE_PROBES`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// What is spoken behind a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 6587 and RFC 5425.
    Syslog,
    /// Syslog with answers.
    Relp,
    /// RFC 3430.
    Snmp,
}

/// A bound listener of streams.
#[derive(Debug)]
pub struct Door {
    /// The socket.
    pub listener: TcpListener,
    /// What is spoken.
    pub protocol: Protocol,
    /// Certificate and key.
    pub tls: Option<Arc<Tls>>,
}

impl Door {
    /// The listener's name in events and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.protocol, self.tls.is_some()) {
            (Protocol::Syslog, false) => "syslog-tcp",
            (Protocol::Syslog, true) => "syslog-tls",
            (Protocol::Relp, false) => "relp",
            (Protocol::Relp, true) => "relp-tls",
            (Protocol::Snmp, _) => "snmp-tcp",
        }
    }
}

/// What bounds the connections of a door.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `ingestor.syslog.max_message`
    pub max_message: usize,
    /// `ingestor.syslog.max_connections`
    pub max_connections: usize,
    /// `ingestor.syslog.max_connections_per_source`
    pub max_per_source: usize,
    /// `ingestor.syslog.idle_timeout`
    pub idle_timeout: Duration,
    /// `ingestor.syslog.message_timeout`
    pub message_timeout: Duration,
    /// `ingestor.syslog.keepalive`
    pub keepalive: Duration,
    /// Whose PROXY headers are required and believed; `None`: no header.
    pub proxies: Option<Vec<Network>>,
    /// How texts are read.
    pub options: Arc<syslog::Options>,
    /// Whose SNMP is taken, where it is spoken.
    pub snmp: Option<super::snmp_door::Door>,
}

/// Accepts connections until `stop`, then lets those that are open end.
///
/// # Errors
///
/// Never by itself: an accept error is logged and passes.
pub async fn run(
    ingest: Arc<Ingest>,
    door: Arc<Door>,
    limits: Arc<Limits>,
    stop: CancellationToken,
) -> Result<(), String> {
    let name = door.name();
    let labels = vec![("listener", name.to_owned())];
    let gauge = ingest.metrics.connections.get_or_create(&labels).clone();
    let reception = Reception {
        metrics: ingest.listener(name),
        ingest,
        limits,
        sources: Sources::default(),
        handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
        stop: stop.clone(),
        door: Arc::clone(&door),
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {
                gauge.set(connections.len() as f64);
                continue;
            }
            accepted = door.listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => reception.admit(&mut connections, stream, peer),
            Err(error) => {
                tracing::warn!(code = %codes::INGEST_RECEIVE_FAILED, %error, listener = name, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        gauge.set(connections.len() as f64);
    }
    // The kernel has told these senders that they are connected, and they may have sent already.
    while let Some(Ok((stream, peer))) = door.listener.accept().now_or_never() {
        reception.admit(&mut connections, stream, peer);
    }
    stop_listening(&door.listener);
    while connections.join_next().await.is_some() {}
    gauge.set(0.0);
    Ok(())
}

/// What every connection of a door needs.
#[derive(Clone)]
struct Reception {
    ingest: Arc<Ingest>,
    metrics: ListenerMetrics,
    door: Arc<Door>,
    limits: Arc<Limits>,
    sources: Sources,
    handshakes: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Reception {
    fn admit(&self, connections: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr) {
        // A peer of a dual-stack socket is shown by its IPv4 address.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if connections.len() >= self.limits.max_connections {
            return self.refuse(peer, self.limits.max_connections, "too many connections");
        }
        // Behind a proxy the source is known when its header has come.
        let slot = match self.limits.proxies {
            Some(_) => None,
            None => match self.enter(peer) {
                Some(slot) => Some(slot),
                None => return,
            },
        };
        keep_alive(&stream, self.limits.keepalive);
        let reception = self.clone();
        connections.spawn(async move { reception.receive(stream, peer, slot).await });
    }

    /// A place for one more connection of the source, or a refusal that is counted.
    fn enter(&self, source: SocketAddr) -> Option<Slot> {
        let max = self.limits.max_per_source;
        let slot = self.sources.enter(source.ip(), max);
        if slot.is_none() {
            self.refuse(source, max, "too many connections of one source");
        }
        slot
    }

    fn refuse(&self, peer: SocketAddr, max: usize, why: &'static str) {
        let listener = self.door.name();
        self.ingest.metrics.refused.get_or_create(&vec![("listener", listener.to_owned())]).inc();
        if self.ingest.refused.is_news(peer.ip(), self.ingest.clock.monotonic()) {
            tracing::warn!(code = %codes::INGEST_TOO_MANY_CONNECTIONS, %peer, listener, max, "{why}");
        }
    }

    /// Counts a connection that its sender did not end, and tells of it once in a while.
    fn closed(&self, peer: SocketAddr, reason: &'static str, code: Option<Code>, why: &str) {
        let listener = self.door.name();
        let labels = vec![("listener", listener.to_owned()), ("reason", reason.to_owned())];
        self.ingest.metrics.closed.get_or_create(&labels).inc();
        let now = self.ingest.clock.monotonic();
        match code {
            Some(code) if self.ingest.closed.is_news_about(peer.ip(), [listener, reason], now) => {
                tracing::warn!(%code, %peer, listener, why, "a sender's connection was closed");
            }
            _ => tracing::debug!(%peer, listener, reason, why, "a connection was closed"),
        }
    }

    /// One connection, from its first byte to its end.
    async fn receive(self, mut stream: TcpStream, peer: SocketAddr, slot: Option<Slot>) {
        let client = match self.client(&mut stream, peer).await {
            Ok(client) => client,
            Err(why) => return self.closed(peer, "proxy", Some(codes::INGEST_PROXY), &why),
        };
        // Asked for before the question, so that no change falls between.
        let changes = self.ingest.sources.changes();
        if !self.ingest.lets_connect(&self.metrics, client.ip()) {
            return;
        }
        let Some(slot) = slot.or_else(|| self.enter(client)) else { return };
        let proxy = (client != peer)
            .then(|| Proxy { address: peer.ip().to_string(), client: client.ip().to_string() });
        let sender = Sender { listener: self.door.name(), peer: client.to_string(), proxy };
        let Some(tls) = &self.door.tls else {
            return self.speak(stream, client, sender, changes).await;
        };
        match self.handshake(tls, stream, &slot).await {
            Ok(Some(stream)) => {
                self.introduce(client, stream.get_ref().1.peer_certificates());
                self.speak(stream, client, sender, changes).await;
            }
            Ok(None) => self.refuse(client, HANDSHAKES_MAX, "too many TLS handshakes at one time"),
            Err(why) => self.closed(client, "tls", Some(codes::INGEST_TLS), &why),
        }
    }

    /// Who has connected: the peer, or whom a proxy names.
    async fn client(&self, stream: &mut TcpStream, peer: SocketAddr) -> Result<SocketAddr, String> {
        let Some(proxies) = &self.limits.proxies else { return Ok(peer) };
        if !proxies.iter().any(|network| network.contains(peer.ip())) {
            let key = match self.door.protocol {
                Protocol::Syslog | Protocol::Relp => "ingestor.syslog.proxy_sources",
                Protocol::Snmp => "ingestor.snmp.proxy_sources",
            };
            return Err(format!("the address is none of {key}"));
        }
        let header = self.in_time(PROXY_HEADER_TIMEOUT, read_proxy_header(stream)).await;
        Ok(header.unwrap_or_else(|| Err("no PROXY header in time".to_owned()))?.unwrap_or(peer))
    }

    /// Says whose certificate a sender has shown, once in a while for each address.
    fn introduce(&self, client: SocketAddr, chain: Option<&[CertificateDer<'_>]>) {
        let Some(first) = chain.and_then(<[_]>::first) else { return };
        if self.ingest.introduced.is_news(client.ip(), self.ingest.clock.monotonic()) {
            let (listener, names) = (self.door.name(), certificate::names(first));
            tracing::info!(%client, listener, names, "a sender has shown its certificate");
        }
    }

    /// `None`: as many handshakes as there may be are under way, and go on.
    async fn handshake(
        &self,
        tls: &Tls,
        stream: TcpStream,
        slot: &Slot,
    ) -> Result<Option<tokio_rustls::server::TlsStream<TcpStream>>, String> {
        // First the source's own: while it waits for that it holds nothing that others need.
        let turn = async {
            let own = slot.handshakes.acquire().await.ok()?;
            Some((own, self.handshakes.acquire().await.ok()?))
        };
        let Some(_turn) = self.in_time(HANDSHAKE_WAIT, turn).await.flatten() else {
            return Ok(None);
        };
        let config = tls.current().ok_or("the key of TLS is still waited for")?;
        let handshake = tokio_rustls::TlsAcceptor::from(config).accept(stream);
        match self.in_time(HANDSHAKE_TIMEOUT, handshake).await {
            Some(Ok(stream)) => Ok(Some(stream)),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the TLS handshake took too long".to_owned()),
        }
    }

    /// Returns when a list that was changed no longer names this sender.
    async fn no_longer_allowed(&self, client: SocketAddr, changes: &mut watch::Receiver<()>) {
        while changes.changed().await.is_ok() {
            if !self.ingest.lets_connect(&self.metrics, client.ip()) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Waits at most `time`; after `stop` as long as for a half-close.
    async fn in_time<T>(&self, time: Duration, work: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            self.stop.cancelled().await;
            tokio::time::sleep(HALF_CLOSE_WAIT).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = tokio::time::sleep(time) => None,
            () = stopped => None,
        }
    }

    async fn speak<S>(
        &self,
        stream: S,
        client: SocketAddr,
        sender: Sender,
        mut changes: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let intake = Intake::new(&self.ingest, &self.metrics, sender, &self.limits);
        // Of this connection alone: it ends as at the program's end, with what was read made durable.
        let own = self.stop.child_token();
        let stop = own.clone();
        let talk = async {
            match self.door.protocol {
                Protocol::Syslog => Box::pin(syslog_tcp::run(intake, stream, stop)).await,
                Protocol::Relp => Box::pin(relp::run(intake, stream, stop)).await,
                Protocol::Snmp => match self.limits.snmp.clone() {
                    Some(door) => Box::pin(snmp_tcp::run(intake, stream, door, client, stop)).await,
                    None => Ended::Well,
                },
            }
        };
        tokio::pin!(talk);
        let ended = tokio::select! {
            biased;
            ended = &mut talk => ended,
            () = self.no_longer_allowed(client, &mut changes) => {
                own.cancel();
                talk.await
            }
        };
        match ended {
            Ended::Well => {}
            Ended::Idle => self.closed(client, "idle", None, "silent too long"),
            Ended::Slow => self.closed(client, "slow", None, "a message did not arrive in time"),
            Ended::Broken(why) => self.closed(client, "broken", None, &why),
            Ended::NoSnmp(why) => {
                self.closed(client, "snmp", Some(codes::INGEST_USM_MALFORMED), why)
            }
            Ended::NoRelp(why) => self.closed(client, "relp", Some(codes::INGEST_RELP), why),
        }
    }
}

/// Reads the header and not a byte more. `None`: the proxy speaks for itself.
async fn read_proxy_header(stream: &mut TcpStream) -> Result<Option<SocketAddr>, String> {
    let mut header = Vec::new();
    loop {
        match proxy::parse(&header) {
            Parsed::Header { client, .. } => return Ok(client),
            Parsed::Malformed(why) => return Err(why.to_owned()),
            Parsed::NeedMore(more) => {
                let have = header.len();
                header.resize(have + more, 0);
                match stream.read(&mut header[have..]).await {
                    Ok(0) => return Err("the connection ended before the PROXY header".to_owned()),
                    Ok(count) => header.truncate(have + count),
                    Err(error) => return Err(error.to_string()),
                }
            }
        }
    }
}

/// Lets the kernel find out that a sender is gone. A kernel that refuses changes nothing else.
fn keep_alive(stream: &TcpStream, time: Duration) {
    let questions = socket2::TcpKeepalive::new()
        .with_time(time)
        .with_interval(KEEPALIVE_INTERVAL.min(time))
        .with_retries(KEEPALIVE_PROBES);
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_keepalive(&questions) {
        tracing::debug!(%error, "keepalive could not be set");
    }
    let _: io::Result<()> = stream.set_nodelay(true);
}

/// Connections by source; as many entries as there are connections.
#[derive(Clone, Debug, Default)]
struct Sources(Arc<Mutex<HashMap<IpAddr, Open>>>);

/// What one source has open.
#[derive(Debug)]
struct Open {
    connections: usize,
    handshakes: Arc<Semaphore>,
}

impl Default for Open {
    fn default() -> Self {
        Self { connections: 0, handshakes: Arc::new(Semaphore::new(HANDSHAKES_PER_SOURCE_MAX)) }
    }
}

/// One connection of a source while it lives.
#[derive(Debug)]
struct Slot {
    sources: Sources,
    source: IpAddr,
    /// All connections of the source share these.
    handshakes: Arc<Semaphore>,
}

impl Sources {
    /// `None` when the source has as many as it may.
    fn enter(&self, address: IpAddr, max: usize) -> Option<Slot> {
        let source = host_of(address);
        let mut all = self.0.lock().ok()?;
        let open = all.entry(source).or_default();
        if open.connections >= max {
            return None;
        }
        open.connections += 1;
        let handshakes = Arc::clone(&open.handshakes);
        Some(Slot { sources: self.clone(), source, handshakes })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Ok(mut all) = self.sources.0.lock() else { return };
        if let Some(open) = all.get_mut(&self.source) {
            open.connections = open.connections.saturating_sub(1);
            if open.connections == 0 {
                all.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_as_many_connections_as_it_may() {
        let sources = Sources::default();
        let enter = |text: &str| sources.enter(text.parse().unwrap(), 2);
        let (first, second) = (enter("192.0.2.7"), enter("192.0.2.7"));
        assert!(first.is_some() && second.is_some() && enter("192.0.2.7").is_none());
        assert!(enter("192.0.2.8").is_some(), "a neighbour was refused");
        drop(first);
        let third = enter("192.0.2.7");
        assert!(third.is_some());
        let turns = |slot: &Option<Slot>| slot.as_ref().map(|slot| slot.handshakes.clone());
        let held = turns(&second).unwrap().try_acquire_many_owned(16).unwrap();
        assert_eq!(turns(&third).unwrap().available_permits(), 0, "a source shares its turns");
        assert_eq!(enter("192.0.2.8").unwrap().handshakes.available_permits(), 16);
        drop(held);
        let _six = (enter("2001:db8::1").unwrap(), enter("2001:db8::ffff:1").unwrap());
        assert!(enter("2001:db8::2").is_none() && enter("2001:db8:0:1::2").is_some());
        drop((second, third));
        assert_eq!(sources.0.lock().unwrap().len(), 1, "what has ended is forgotten");
    }

    #[tokio::test]
    async fn the_kernel_is_asked_to_find_out_who_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        keep_alive(&stream, Duration::from_secs(60));
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
    }
}
